"""What our own presets make of every published sample is what was last reviewed."""

import pytest

from tests.golden.children import FOLDER, SAMPLES, rendered, stored_at

pytestmark = pytest.mark.skipif(not SAMPLES, reason="the samples are not here: shared/data/samples")


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_sample_gets_the_children_that_were_reviewed(sample: str) -> None:
    stored = stored_at(sample).read_text(encoding="utf-8")
    assert rendered(sample) == stored, (
        "see the difference with: python -m tests.golden.regenerate && git diff"
    )


def test_no_children_are_stored_of_samples_that_are_gone() -> None:
    assert set(FOLDER.glob("*.yaml")) == {stored_at(sample) for sample in SAMPLES}

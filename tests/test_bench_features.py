"""The bench's service with ten features: it is admitted, every feature is in it, and none of them is without effect."""

import pytest

from aioctl.api import admission_warnings, validation
from aioctl.api.objects import Object, name_of
from bench import features

BOTH = list(features.services("default", 1))


@pytest.mark.parametrize("service", BOTH, ids=name_of)
def test_it_is_admitted_without_a_warning(service: Object) -> None:
    assert validation.validate(service) == []
    assert admission_warnings.of_spec(service, None) == []


def test_every_feature_is_in_it() -> None:
    plain, ten = (service["spec"] for service in BOTH)
    assert len(features.FEATURES) == 10
    for fields in features.FEATURES.values():
        assert fields.keys() <= ten.keys()
    assert ten["model"]["uri"].startswith("s3://")
    assert ten["model"]["lora"]["adapters"]
    assert ten["router"]["scheduler"] == {"tokenizer": {}}
    assert plain.keys() == {"model", "router"}

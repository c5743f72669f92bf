"""YAML that somebody wrote is read as kubectl reads it, and what cannot be read is told on one line."""

from typing import Any

import pytest

from aioctl.yaml_text import documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 2026-11-30", {"a": "2026-11-30"}),
        ("a: 2026-11-30T08:00:00Z", {"a": "2026-11-30T08:00:00Z"}),
        ("at: 10:30", {"at": "10:30"}),
        ("at: 1:30.5", {"at": "1:30.5"}),
        ("{2: a, true: b, 1.5: c}", {"2": "a", "true": "b", "1.5": "c"}),
        ("a: &x {2: b}\nc: {<<: *x, d: 1}", {"a": {"2": "b"}, "c": {"2": "b", "d": 1}}),
        ("[1, 1.5, yes, ~, '10']", [1, 1.5, True, None, "10"]),
    ],
)
def test_what_json_has_no_form_for_is_text(text: str, value: Any) -> None:
    assert documents(text) == [value]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [b\n c", "is no YAML: line 3, column 1: did not find expected ',' or ']'"),
        ("a: 1\n\tb: 2", "is no YAML: line 2, column 1: found a "),
        ("a: !!python/name:os.system", "is no YAML: line 1, column 4: could not determine a constructor"),
        ("{~: a}", "is no YAML: line 1, column 1: None cannot be a key"),
        ("a: [1, .nan]", "is no YAML: line 1, column 8: .nan is no number of JSON"),
        ("a: -.inf", "is no YAML: line 1, column 4: -.inf is no number of JSON"),
        ("\x07", "is no YAML: "),
    ],
)
def test_what_cannot_be_read_is_one_line_with_its_place(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="is no YAML") as caught:
        documents(text)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)

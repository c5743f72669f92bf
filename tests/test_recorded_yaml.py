"""The quick reader of large YAML files gives what PyYAML gives, or refuses."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from testbed.recorded_yaml import NotPlain, load, load_all

TEXTS = (
    "",
    "---\n",
    "---\n---\na: 1\n",
    "a: 1\nb: 1.5\nc: true\nd: ~\ne:\nf: no\ng: 0o7\nh: 0x1f\ni: 1_000\nj: 1e3\nk: 1.0e+3\nl: 12:30\n",
    "a: 2026-11-24\nb: 2026-11-24T08:00:00Z\nc: '2026-11-24'\nd: .inf\n1: 2\ntrue: x\n",
    "a: '1'\nb: \"true\"\nc: |\n  two\n  lines\nd: >-\n  folded\n  text\ne: 'null'\n",
    "a: &x {b: [1, two]}\nc: *x\nd: &y text\ne: *y\n",
    "- - 1\n  - {}\n- []\n- a: {b: c}\n",
    "plain\n--- 'quoted'\n...\n--- [1]\n",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("text", TEXTS)
def test_documents_are_as_pyyaml_reads_them(text: str) -> None:
    expected = list(yaml.load_all(text, yaml.CSafeLoader))
    found = list(load_all(text))
    assert found == expected
    assert repr(found) == repr(expected)


@given(VALUES)
def test_what_was_written_comes_back(value: Any) -> None:
    assert load(yaml.dump(value, Dumper=yaml.CSafeDumper)) == value


def test_an_alias_is_the_same_object() -> None:
    found = load("a: &x [1]\nb: *x\n")
    assert found["a"] is found["b"]


@pytest.mark.parametrize(
    "text", ["a: !!str 1\n", "a: !!set {b}\n", "- !x [1]\n", "a: &x {b: 1}\nc: {<<: *x}\n"]
)
def test_what_it_does_not_know_it_refuses(text: str) -> None:
    with pytest.raises(NotPlain):
        load(text)


def test_a_broken_text_is_an_error_as_with_pyyaml() -> None:
    with pytest.raises(yaml.YAMLError):
        load("a: [1\nb: 2\n")


def test_one_document_is_one() -> None:
    assert load("") is None
    with pytest.raises(ValueError, match="2 documents"):
        load("a\n--- b\n")

"""YAML read and written as sigs.k8s.io/yaml v1.6 does: each expectation is what that library made of the text."""

import pytest

from aioctl.golang import goyaml

LOADED = [
    ("a: 1", {"a": 1}),
    ("a: 2.0", {"a": 2}),
    ("a: 0.5", {"a": 0.5}),
    ("a: 1e3", {"a": 1000}),
    ("a: 1_000", {"a": 1000}),
    ("a: 0x1F", {"a": 31}),
    ("a: 0o17", {"a": 15}),
    ("a: 017", {"a": 15}),
    ("a: 0b11", {"a": 3}),
    ("a: 08", {"a": 8}),
    ("a: +5", {"a": 5}),
    ("a: -0.0", {"a": 0}),
    ("a: y", {"a": True}),
    ("a: Off", {"a": False}),
    ("a: tRue", {"a": "tRue"}),
    ("a:", {"a": None}),
    ("a: ~", {"a": None}),
    ("a: 2001-01-01", {"a": "2001-01-01"}),
    ("a: 1:30", {"a": "1:30"}),
    ("a: '1'", {"a": "1"}),
    ("a: !!str 5", {"a": "5"}),
    ("a: !!float 5", {"a": 5}),
    ("a: !!int '5'", {"a": 5}),
    ("a: 18446744073709551616", {"a": 18446744073709551616.0}),
    ("a: 9223372036854775808", {"a": 9223372036854775808.0}),
    ("y: 1", {"true": 1}),
    ("1: a\n1.5: b\nno: c", {"1": "a", "1.5": "b", "false": "c"}),
    ("a: 1\na: 2", {"a": 2}),
    ("x: &x {a: 1}\ny: {<<: *x, b: 2}", {"x": {"a": 1}, "true": {"a": 1, "b": 2}}),
    ("x: &x {a: 1}\nz: {a: 3, <<: *x}", {"x": {"a": 1}, "z": {"a": 1}}),
    ("a: 1\n---\nb: 2", {"a": 1}),
    ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
    ("", None),
    ("# nothing", None),
    ("just words", "just words"),
]
REFUSED = [
    "a: .inf",
    "a: .nan",
    "~: 1",
    "[a]: 1",
    "{a: 1}: 2",
    "a: !!int words",
    "a: [",
    "a: {<<: 5}",
    "a: *b",
    'a: "\\ud800"',
    "&a [*a]",
    "[" * 5000,
]
WRITTEN = [
    ({"b": 1, "a": [1, "x"]}, "a:\n- 1\n- x\nb: 1\n"),
    ({"a": {"b": []}, "c": {}}, "a:\n  b: []\nc: {}\n"),
    ({"a": [[1], {"x": None}]}, "a:\n- - 1\n- x: null\n"),
    ({"y": "y", "true": "no"}, '"true": "no"\n"y": "y"\n'),
    ({"a": "1", "b": "1.5", "c": "0x1F", "d": ""}, 'a: "1"\nb: "1.5"\nc: "0x1F"\nd: ""\n'),
    ({"a": "2001-01-01", "b": "1:30", "c": "2001-02-30"}, 'a: "2001-01-01"\nb: "1:30"\nc: 2001-02-30\n'),
    ({"a": "kv@", "b": "@a", "c": "a: b", "d": " x"}, "a: kv@\nb: '@a'\nc: 'a: b'\nd: ' x'\n"),
    ({"a": "one\ntwo\n", "b": "one\ntwo"}, "a: |\n  one\n  two\nb: |-\n  one\n  two\n"),
    ({"a": "tab\there", "b": "\U0001f600"}, 'a: "tab\\there"\nb: "\\U0001F600"\n'),
    ({"a": 0.5, "b": 1234567.5, "c": 1.5e-07, "d": 1e30, "e": 0.0001, "f": -2.25},
     "a: 0.5\nb: 1.2345675e+06\nc: 1.5e-07\nd: 1e+30\ne: 0.0001\nf: -2.25\n"),
    ({"a": 18446744073709551616.0, "b": 9223372036854775808.0},
     "a: 1.8446744073709552e+19\nb: 9223372036854776000\n"),
    ({"a10": 1, "a2": 2, "a": 3, "A": 4, "_": 5, "a01": 6},
     "_: 5\nA: 4\na: 3\na01: 6\na2: 2\na10: 1\n"),
    ({"a": "w " * 45 + "end"}, "a: " + "w " * 39 + "w\n  " + "w " * 5 + "end\n"),
    ({"k" * 130: 1}, f"? {'k' * 130}\n: 1\n"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), LOADED)
def test_a_text_means_what_it_means_to_go(text: str, value: object) -> None:
    loaded = goyaml.load(text)
    assert loaded == value
    assert repr(loaded) == repr(value)


@pytest.mark.parametrize("text", REFUSED)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(goyaml.NotYaml):
        goyaml.load(text)


@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_a_value_is_written_byte_for_byte_and_reads_back(value: object, text: str) -> None:
    assert goyaml.dump(value) == text
    assert goyaml.load(text) == value


def test_aliases_of_aliases_are_no_way_to_memory() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(goyaml.NotYaml, match="more than"):
        goyaml.load("\n".join(lines))

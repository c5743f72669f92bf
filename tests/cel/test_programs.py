"""Expressions and their values, as cel-spec and cel-go have them."""

from typing import Any

import pytest

from aioctl.cel.errors import EvaluationError, SyntaxFault
from aioctl.cel.program import DEPTH, compiled

SELF: dict[str, Any] = {
    "name": "main",
    "size": 3,
    "share": 0.5,
    "on": True,
    "none": None,
    "list": [1, 2, 2],
    "maps": [{"type": "A", "port": 1}, {"type": "B"}],
    "map": {"a": 1},
    "namespace": "kserve",
    "a-b": 7,
    "a__b": 8,
}
VALUES: dict[str, Any] = {
    "self.size + 2 * 3": 9,
    "(self.size + 2) * 3": 15,
    "-7 / 2": -3,
    "-7 % 2": -1,
    "7 - 2 - 1": 4,
    "--2": 2,
    "!!self.on": True,
    "1 == 1.0": True,
    "self.on == 1": False,
    "self.none == null": True,
    "self.list == [1, 2, 2]": True,
    "self.size in self.list": False,
    "'a' in self.map": True,
    "2 in [1, 2]": True,
    "self.size > 2 ? 'many' : 'few'": "many",
    "true ? 2 : false ? 1 : 3": 2,
    "'a' < 'b' && 0.5 <= self.share": True,
    "self.name.size() + size(self.list)": 7,
    "self.list[0]": 1,
    "self.map['a']": 1,
    "self.maps[0].type": "A",
    "has(self.map.a) && !has(self.map.b)": True,
    "has(self.maps[1].port)": False,
    "self.maps.all(m, m.type in ['A', 'B'])": True,
    "self.maps.exists(m, has(m.port) && m.port == 1)": True,
    "self.list.exists_one(n, n == 2)": False,
    "self.list.filter(n, n == 2).size()": 2,
    "self.list.map(n, n * n)": [1, 4, 4],
    "self.list.all(x, self.list.exists(y, x == y))": True,
    "self.map.exists(key, key == 'a')": True,
    "self.name.startsWith('ma') && self.name.endsWith('in') && self.name.contains('ai')": True,
    "self.name.matches('^[a-z]+$')": True,
    "duration('1m30s') > duration('89s')": True,
    "duration('1.5h') == duration('90m')": True,
    "duration('-1s') < duration('0s')": True,
    "duration('1s') + duration('500ms') == duration('1500ms')": True,
    "self.__namespace__": "kserve",
    "self.a__dash__b + self.a__underscores__b": 15,
    r"'it\'s \u00e9 \x41 \101 \n'": "it's \u00e9 A A \n",
    r"r'\d' + R'x'": r"\dx",
    'r"""a"b"""': 'a"b',
    "1 // a comment\n + 1": 2,
    "0x1F + 1": 32,
    "1e3": 1000.0,
    "string(1) + string(true)": "1true",
    "int('12') + int(3.9)": 15,
    # An error is outweighed by what decides, on either side.
    "false && self.absent": False,
    "self.absent && false": False,
    "self.absent || true": True,
    "self.list.exists(n, n == 2 || n / 0 == 1)": True,
    "self.on || 1": True,
}
ERRORS = {
    "self.absent": "no such key: absent",
    "self.map.b.c": "no such key: b",
    "self.name.length": "no such overload",
    "self.list[3]": "index out of bounds: 3",
    "self.list[-1]": "index out of bounds: -1",
    "1 + 'a'": "no such overload",
    "1 + 1.0": "no such overload",
    "true + true": "no such overload",
    "1 < 'a'": "no such overload",
    "!1": "no such overload",
    "1 && true": "no such overload",
    "self.absent && true": "no such key: absent",
    "self.size.all(x, true)": "no such overload",
    "1 / 0": "division by zero",
    "1 % 0": "modulus by zero",
    "9223372036854775807 + 1": "integer overflow",
    "size(1)": "no such overload",
    "duration('1 day') > duration('1s')": "invalid duration",
    "1 in 1": "no such overload",
    "1.contains('a')": "no such overload",
    "has(self.name.a)": "no such overload",
}
FAULTS = (
    "", "1 +", "self.", "(1", "[1", "self.list[1", "1 ? 2", "true ? false ? 1 : 2 : 3", "1 2", "'a", "other", "fresh(1)", "self.name.fresh()", "has(self)",
    "has(self.list[0])", "self.list.all(1, true)", "self.list.all(x)", "self.list.all(x, true, false)", "size(1, 2)", "#",
    "(" * (DEPTH + 1) + "1" + ")" * (DEPTH + 1),
)  # fmt: skip


@pytest.mark.parametrize("text", VALUES)
def test_an_expression_has_its_value(text: str) -> None:
    found = compiled(text)({"self": SELF})
    assert found == VALUES[text]
    assert type(found) is type(VALUES[text])


@pytest.mark.parametrize("text", ERRORS)
def test_an_expression_has_no_value_for_what_it_does_not_fit(text: str) -> None:
    with pytest.raises(EvaluationError, match=ERRORS[text]):
        compiled(text)({"self": SELF})


@pytest.mark.parametrize("text", FAULTS)
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(SyntaxFault):
        compiled(text)

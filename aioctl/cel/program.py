"""Expressions made into programs: `compiled(text)` reads one, the result is called with the values of its variables.

`&&`, `||` and the macros over lists take no notice of an error that their other parts outweigh, as the specification wants:
`false && error` is false in either order.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from aioctl.cel import functions
from aioctl.cel.errors import EvaluationError, SyntaxFault
from aioctl.cel.functions import no_overload
from aioctl.cel.tokens import Word, words

Values = Mapping[str, Any]
Program = Callable[[Values], Any]
"""Raises EvaluationError where the expression has no value."""

_CONSTANTS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}
_ESCAPES: Final = (("__dot__", "."), ("__dash__", "-"), ("__slash__", "/"), ("__underscores__", "__"))
_RESERVED: Final = frozenset(
    [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
DEPTH: Final = 50
"""Expressions within one another, at most: each is ten calls deep here. Rules of CRDs nest a few."""


def compiled(text: str, variables: frozenset[str] = frozenset({"self"})) -> Program:
    """The program of an expression over these variables. Raises SyntaxFault."""
    parser = _Parser(list(words(text)), variables)
    program = parser.expression()
    parser.expect("end", "")
    return program


def property_name(name: str) -> str:
    """The field that a name stands for: words of the language and signs are written in an escaped form."""
    if name.startswith("__") and name.endswith("__") and name[2:-2] in _RESERVED:
        return name[2:-2]
    for written, meant in _ESCAPES:
        name = name.replace(written, meant)
    return name


class _Parser:
    """Recursive descent, one method for each line of the grammar."""

    def __init__(self, found: Sequence[Word], variables: frozenset[str]) -> None:
        self._words = found
        self._at = 0
        self._depth = 0
        self._known = [*variables]

    def _takes(self, *values: str) -> str:
        """The next word if it is one of these signs or names; else empty."""
        word = self._words[self._at]
        if word.kind in ("sign", "name") and word.value in values:
            self._at += 1
            return str(word.value)
        return ""

    def expect(self, kind: str, value: str) -> None:
        word = self._words[self._at]
        if (word.kind, word.value) != (kind, value):
            raise SyntaxFault(f"{value or 'the end'!r} is missing at {word.at}")
        self._at += 1

    def _name(self) -> str:
        word = self._words[self._at]
        if word.kind != "name":
            raise SyntaxFault(f"a name is missing at {word.at}")
        self._at += 1
        return str(word.value)

    def expression(self) -> Program:
        self._depth += 1
        if self._depth > DEPTH:
            raise SyntaxFault(f"more than {DEPTH} expressions are within one another")
        condition = self._either()
        if self._takes("?"):
            yes = self._either()
            self.expect("sign", ":")
            condition = _chosen(condition, yes, self.expression())
        self._depth -= 1
        return condition

    def _either(self) -> Program:
        found = self._both()
        while self._takes("||"):
            found = _decided(found, self._both(), by=True, name="||")
        return found

    def _both(self) -> Program:
        found = self._relation()
        while self._takes("&&"):
            found = _decided(found, self._relation(), by=False, name="&&")
        return found

    def _relation(self) -> Program:
        found = self._sum()
        while sign := self._takes("==", "!=", "<=", ">=", "<", ">", "in"):
            found = _of_two(_RELATIONS[sign], found, self._sum())
        return found

    def _sum(self) -> Program:
        found = self._product()
        while sign := self._takes("+", "-"):
            found = _of_two(_calculation(sign), found, self._product())
        return found

    def _product(self) -> Program:
        found = self._unary()
        while sign := self._takes("*", "/", "%"):
            found = _of_two(_calculation(sign), found, self._unary())
        return found

    def _unary(self) -> Program:
        signs = []
        while sign := self._takes("!", "-"):
            signs.append(sign)
        found = self._member()
        for sign in reversed(signs):
            found = _negated(found) if sign == "!" else _of_two(_calculation("-"), _constant(0), found)
        return found

    def _member(self) -> Program:
        return self._path()[0]

    def _path(self) -> tuple[Program, "tuple[Program, str] | None"]:
        """A member; and holder and name of the field with which it ends, None where it ends otherwise."""
        found = self._primary()
        field: tuple[Program, str] | None = None
        while True:
            if self._takes("."):
                name = self._name()
                if self._takes("("):
                    found, field = self._method(found, name), None
                else:
                    field = (found, property_name(name))
                    found = _selected(*field)
            elif self._takes("["):
                found = _of_two(functions.indexed, found, self.expression())
                self.expect("sign", "]")
                field = None
            else:
                return found, field

    def _primary(self) -> Program:
        word = self._words[self._at]
        if word.kind in ("string", "number"):
            self._at += 1
            return _constant(word.value)
        if self._takes("("):
            found = self.expression()
            self.expect("sign", ")")
            return found
        if self._takes("["):
            return _list(list(self._arguments("]")))
        name = self._name()
        if name in _CONSTANTS:
            return _constant(_CONSTANTS[name])
        if self._takes("("):
            return self._call(name)
        if name not in self._known:
            raise SyntaxFault(f"{name} at {word.at} is not known")
        return lambda values: values[name]

    def _arguments(self, end: str) -> Iterator[Program]:
        while not self._takes(end):
            yield self.expression()
            if not self._takes(","):
                self.expect("sign", end)
                return

    def _call(self, name: str) -> Program:
        if name == "has":
            return self._has()
        given = list(self._arguments(")"))
        function = functions.FUNCTIONS.get((name, len(given)))
        if function is None:
            raise SyntaxFault(f"there is no function {name} of {len(given)} arguments")
        return lambda values: function(*(argument(values) for argument in given))

    def _has(self) -> Program:
        """Its argument ends in `.field`, which is looked for and not read."""
        at = self._words[self._at].at
        _, field = self._path()
        self.expect("sign", ")")
        if field is None:
            raise SyntaxFault(f"has() at {at} asks for no field")
        return _present(*field)

    def _method(self, target: Program, name: str) -> Program:
        if name in _MACROS:
            return self._macro(target, name)
        given = list(self._arguments(")"))
        method = functions.METHODS.get((name, len(given)))
        if method is None:
            raise SyntaxFault(f"there is no method {name} of {len(given)} arguments")
        return lambda values: method(target(values), *(argument(values) for argument in given))

    def _macro(self, target: Program, name: str) -> Program:
        variable = self._name()
        self.expect("sign", ",")
        self._known.append(variable)
        given = list(self._arguments(")"))
        self._known.pop()
        if len(given) != 1:
            raise SyntaxFault(f"{name} takes a variable and one expression")
        return _MACROS[name](target, variable, given[0])


# Programs


def _constant(value: Any) -> Program:
    return lambda _values: value


def _list(items: Sequence[Program]) -> Program:
    return lambda values: [item(values) for item in items]


def _of_two(act: Callable[[Any, Any], Any], left: Program, right: Program) -> Program:
    return lambda values: act(left(values), right(values))


def _calculation(sign: str) -> Callable[[Any, Any], Any]:
    return lambda left, right: functions.calculated(sign, left, right)


def _comparison(sign: str) -> Callable[[Any, Any], bool]:
    return lambda left, right: functions.compared(sign, left, right)


_RELATIONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": functions.is_equal,
    "!=": lambda left, right: not functions.is_equal(left, right),
    "in": functions.contained,
    **{sign: _comparison(sign) for sign in ("<", "<=", ">", ">=")},
}


def _boolean(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    raise no_overload(name)


def _negated(program: Program) -> Program:
    return lambda values: not _boolean(program(values), "!_")


def _chosen(condition: Program, yes: Program, no: Program) -> Program:
    return lambda values: yes(values) if _boolean(condition(values), "_?_:_") else no(values)


def _decided(left: Program, right: Program, *, by: bool, name: str) -> Program:
    """`||` is decided by the first true, `&&` by the first false."""
    return lambda values: _fold((partial(left, values), partial(right, values)), by=by, name=f"_{name}_")


def _fold(parts: Iterable[Callable[[], Any]], *, by: bool, name: str) -> bool:
    """`by` once a part is that; an error counts only where nothing decides."""
    failed: EvaluationError | None = None
    for part in parts:
        try:
            if _boolean(part(), name) is by:
                return by
        except EvaluationError as error:
            failed = failed or error
    if failed is not None:
        raise failed
    return not by


def _present(holder: Program, name: str) -> Program:
    def run(values: Values) -> bool:
        found = holder(values)
        if isinstance(found, Mapping):
            return name in found
        raise no_overload("has")

    return run


def _selected(holder: Program, name: str) -> Program:
    def run(values: Values) -> Any:
        found = holder(values)
        if not isinstance(found, Mapping):
            raise no_overload(f"_.{name}")
        return functions.indexed(found, name)

    return run


# Macros


def _parts(
    target: Program, variable: str, part: Program, values: Values
) -> Iterator[tuple[Any, Callable[[], Any]]]:
    """Each item of a list or key of a map, and what makes the expression's value for it."""
    found = target(values)
    if not isinstance(found, (list, Mapping)):
        raise no_overload("comprehension")
    for item in found:
        yield item, partial(part, {**values, variable: item})


def _quantified(*, by: bool) -> Callable[[Program, str, Program], Program]:
    def made(target: Program, variable: str, part: Program) -> Program:
        return lambda values: _fold(
            (run for _, run in _parts(target, variable, part, values)), by=by, name="comprehension"
        )

    return made


def _filtered(target: Program, variable: str, part: Program) -> Program:
    return lambda values: [
        item for item, run in _parts(target, variable, part, values) if _boolean(run(), "filter")
    ]


def _just_one(target: Program, variable: str, part: Program) -> Program:
    only = _filtered(target, variable, part)
    return lambda values: len(only(values)) == 1


def _mapped(target: Program, variable: str, part: Program) -> Program:
    return lambda values: [run() for _, run in _parts(target, variable, part, values)]


_MACROS: Final[Mapping[str, Callable[[Program, str, Program], Program]]] = {
    "all": _quantified(by=False),
    "exists": _quantified(by=True),
    "exists_one": _just_one,
    "filter": _filtered,
    "map": _mapped,
}

"""Evaluates a parsed template against the root object, as Go's text/template does (TPL-4).

Outside of `range` every node is visited at most once; inside, a budget that all templates of an object share bounds the
visits. Output is bounded, nothing outside the root can be reached. Errors name the expression that failed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from aioctl.golang.template.errors import ExecuteError
from aioctl.golang.template.functions import BUILTINS, MAX_LENGTH, Builtin, Functions, Takes
from aioctl.golang.template.nodes import (
    Action,
    Boolean,
    Branch,
    Command,
    Dot,
    Function,
    Leave,
    Nil,
    Node,
    Number,
    Operand,
    Path,
    Pipe,
    RawString,
    Template,
    Text,
    Variable,
)
from aioctl.golang.template.values import (
    NIL,
    OperationError,
    Value,
    as_int64,
    as_string,
    elements,
    field,
    of_bool,
    of_int,
    of_int64,
    of_string,
    printed,
    truth,
)

_SHORT_CIRCUIT: Final = {"and": False, "or": True}
"""The truth of an operand that ends the call."""


def _failure(reason: str, node: Operand | Command) -> ExecuteError:
    return ExecuteError(reason, str(node), node.at)


MAX_REPEATED: Final = 20_000
"""Visits of nodes and operands inside `range`, for all templates of an object: some 20 ms."""
_CHARACTERS_PER_VISIT: Final = 100
"""What a function in a range made costs as well."""


class Budget:
    """The visits inside `range` that are left; shared by all templates of an object."""

    def __init__(self) -> None:
        self._left = MAX_REPEATED

    def spend(self, visits: int, at: Operand | Command) -> None:
        """Raises ExecuteError when nothing is left."""
        self._left -= visits
        if self._left < 0:
            raise _failure(f"range: more than {MAX_REPEATED} steps in the templates of one object", at)


class _Left(Exception):
    """`break` or `continue` was met."""

    def __init__(self, keyword: str) -> None:
        super().__init__(keyword)
        self.keyword = keyword


class _Run:
    """One evaluation; collects what is printed."""

    def __init__(self, functions: Functions, root: Value, budget: Budget) -> None:
        self._functions = functions
        self._budget = budget
        self._ranges = 0
        self._variables = [("$", root)]
        self.output: list[str] = []
        self.refused: ExecuteError | None = None
        """The first value that cannot be printed. Go prints something there, so its own errors come first."""
        self._length = 0
        self._reached: Operand | Command = Dot()
        """What was looked at last; Go names it when a value has the wrong type for where it goes."""

    def nodes(self, nodes: Iterable[Node], dot: Value) -> None:
        for node in nodes:
            self._visit()
            match node:
                case Text(text):
                    self._write(text, Dot())
                case Action(pipe):
                    value = self._pipe(pipe, dot)
                    if not pipe.variables:
                        self._print(value, pipe)
                case Branch():
                    known = len(self._variables)
                    self._branch(node, dot)
                    del self._variables[known:]
                case Leave(keyword):
                    raise _Left(keyword)

    def _visit(self, visits: int = 1) -> None:
        if self._ranges:
            self._budget.spend(visits, self._reached)

    def _print(self, value: Value, pipe: Pipe) -> None:
        try:
            text = printed(value)
        except OperationError as error:
            self.refused = self.refused or _failure(str(error), pipe)
            return
        self._write(text, pipe)

    def _write(self, text: str, at: Operand) -> None:
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise _failure(f"the result is longer than {MAX_LENGTH} characters", at)
        self.output.append(text)

    def _branch(self, node: Branch, dot: Value) -> None:
        value = self._pipe(node.pipe, dot)
        if node.keyword == "range":
            self._range(node, value, dot)
        elif not truth(value):
            self.nodes(node.otherwise, dot)
        else:
            self.nodes(node.then, value if node.keyword == "with" else dot)

    def _range(self, node: Branch, value: Value, dot: Value) -> None:
        try:
            turns = elements(value, wants_key=len(node.pipe.variables) > 1)
        except OperationError as error:
            raise _failure(str(error), node.pipe) from error
        if not self._turns(node, turns):
            self.nodes(node.otherwise, dot)

    def _turns(self, node: Branch, turns: Iterator[tuple[Value, Value]]) -> bool:
        """False when there was no element."""
        any_turn = False
        known = len(self._variables)
        self._ranges += 1
        try:
            for key, element in turns:
                any_turn = True
                self._visit()
                self._keep(node.pipe, key, element)
                try:
                    self.nodes(node.then, element)
                except _Left as left:
                    if left.keyword == "break":
                        break
                finally:
                    del self._variables[known:]
        finally:
            self._ranges -= 1
        return any_turn

    def _keep(self, pipe: Pipe, key: Value, element: Value) -> None:
        """The variables of one turn, which the pipe has set up: the last one is the element."""
        values = (key, element)[2 - len(pipe.variables) :]
        for name, value in zip(pipe.variables, values, strict=True):
            self._set(name, value, pipe, assigns=True)

    def _set(self, name: str, value: Value, pipe: Pipe, *, assigns: bool) -> None:
        if not assigns:
            self._variables.append((name, value))
            return
        for place in reversed(range(len(self._variables))):
            if self._variables[place][0] == name:
                self._variables[place] = (name, value)
                return
        raise _failure(f"undefined variable: {name}", pipe)

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        self._reached = pipe
        first, *others = pipe.commands
        value = self._command(first, dot, None)
        for command in others:
            value = self._command(command, dot, value)
        for name in pipe.variables:
            self._set(name, value, pipe, assigns=pipe.assigns)
        return value

    def _command(self, command: Command, dot: Value, last: Value | None) -> Value:
        first, operands = command.words[0], command.words[1:]
        has_operands = bool(operands) or last is not None
        match first:
            case Function():
                return self._call(first, command, operands, dot, last)
            case Path():
                return self._path(first, dot, has_operands=has_operands)
            case Variable():
                return self._path(first, self._variable(first), has_operands=has_operands)
            case Nil():
                raise _failure("nil is not a command", first)
            case _ if has_operands:
                at = self._reached if isinstance(first, Pipe) else first
                raise _failure(f"can't give argument to non-function {first}", at)
            case _:
                return self._operand(first, dot)

    def _operand(self, word: Operand, dot: Value) -> Value:
        self._reached = word
        self._visit()
        match word:
            case Path():
                return self._path(word, dot, has_operands=False)
            case Variable():
                return self._path(word, self._variable(word), has_operands=False)
            case Nil():
                return NIL
            case Pipe():
                return self._pipe(word, dot)
            case Function():
                return self._call(word, word, (), dot, None)
            case Dot():
                return dot
            case Boolean(value):
                return of_bool(value)
            case Number(value):
                return of_int(value)
            case RawString(value):
                return of_string(value)

    def _variable(self, variable: Variable) -> Value:
        for name, value in reversed(self._variables):
            if name == variable.name:
                return value
        raise _failure(f"undefined variable: {variable.name}", variable)

    def _path(self, path: Path | Variable, dot: Value, *, has_operands: bool) -> Value:
        self._reached = path
        value = dot
        try:
            for name in path.names:
                value = field(value, name)
        except OperationError as error:
            raise _failure(str(error), path) from error
        if has_operands and not path.names:
            raise _failure(f"can't give argument to non-function {path}", path)
        if has_operands:
            raise _failure(f"{path.names[-1]} has arguments but cannot be invoked as function", path)
        return value

    def _call(
        self,
        function: Function,
        command: Command | Function,
        operands: Sequence[Operand],
        dot: Value,
        last: Value | None,
    ) -> Value:
        self._reached = function
        given = len(operands) + (last is not None)
        if function.name in _SHORT_CIRCUIT:
            return self._short_circuit(function, operands, dot, last)
        builtin = self._functions[function.name]
        if given < builtin.count or (given > builtin.count and not builtin.at_least):
            least = "at least " if builtin.at_least else ""
            raise _failure(
                f"wrong number of args for {function}: want {least}{builtin.count} got {given}", function
            )
        values = [self._argument(builtin, place, word, dot) for place, word in enumerate(operands)]
        if last is not None:
            values.append(self._converted(last, builtin.takes(len(values))))
        try:
            value = builtin.call(values)
        except OperationError as error:
            raise _failure(str(error), command) from error
        if value.data.__class__ is str:
            self._visit(len(value.data) // _CHARACTERS_PER_VISIT)
        return value

    def _short_circuit(
        self, function: Function, operands: Sequence[Operand], dot: Value, last: Value | None
    ) -> Value:
        """The first operand that decides, else the last one; operands after the deciding one are not looked at."""
        ends_at = _SHORT_CIRCUIT[function.name]
        for left, word in zip(range(len(operands) - 1, -1, -1), operands, strict=True):
            value = self._operand(word, dot)
            if truth(value) is ends_at or (not left and last is None):
                return value
        if last is None:
            raise _failure(f"wrong number of args for {function}: want at least 1 got 0", function)
        return last

    def _argument(self, builtin: Builtin, place: int, word: Operand, dot: Value) -> Value:
        takes = builtin.takes(place)
        if isinstance(word, _NOT_LITERALS[takes]):
            raise _failure(f"expected {_LITERAL[takes]}; found {word}", word)
        if takes is not Takes.ANY and isinstance(word, Nil):
            raise _failure(f"cannot assign nil to {takes.value}", word)
        if takes is Takes.INT64 and isinstance(word, Number):
            self._visit()
            return of_int64(word.value)
        return self._converted(self._operand(word, dot), takes)

    def _converted(self, value: Value, takes: Takes) -> Value:
        try:
            match takes:
                case Takes.STRING:
                    return of_string(as_string(value))
                case Takes.INT64:
                    return of_int64(as_int64(value))
                case Takes.ANY:
                    return value
        except OperationError as error:
            raise _failure(str(error), self._reached) from error


_LITERAL: Final = {Takes.STRING: "string", Takes.INT64: "integer", Takes.ANY: ""}
_NOT_LITERALS: Final[dict[Takes, tuple[type, ...]]] = {
    Takes.STRING: (Boolean, Number),
    Takes.INT64: (Boolean, RawString),
    Takes.ANY: (),
}
"""Literals that can be no argument of the type."""


def evaluate(
    template: Template, root: Value, more: Functions | None = None, budget: Budget | None = None
) -> str:
    """The rendered text; `more` are the functions beside Go's own. Raises ExecuteError."""
    run = _Run({**BUILTINS, **more} if more else BUILTINS, root, budget or Budget())
    run.nodes(template.nodes, root)
    if run.refused is not None:
        raise run.refused
    return "".join(run.output)

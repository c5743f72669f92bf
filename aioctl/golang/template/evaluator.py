"""Evaluates a parsed template against the root object, as Go's text/template does (TPL-4).

Every node is visited at most once, output is bounded, nothing outside the root can be reached. Errors name the
expression that failed.
"""

from collections.abc import Iterable, Sequence

from aioctl.golang.template.errors import ExecuteError
from aioctl.golang.template.functions import BUILTINS, MAX_LENGTH, Builtin, Functions
from aioctl.golang.template.nodes import (
    Action,
    Boolean,
    Branch,
    Command,
    Dot,
    Function,
    Node,
    Number,
    Operand,
    Path,
    Pipe,
    RawString,
    Template,
    Text,
)
from aioctl.golang.template.values import (
    OperationError,
    Value,
    as_string,
    field,
    of_bool,
    of_int,
    of_string,
    printed,
    truth,
)

_SHORT_CIRCUIT = {"and": False, "or": True}
"""The truth of an operand that ends the call."""


def _failure(reason: str, node: Operand | Command) -> ExecuteError:
    return ExecuteError(reason, str(node), node.at)


class _Run:
    """One evaluation; collects what is printed."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self.output: list[str] = []
        self.refused: ExecuteError | None = None
        """The first value that cannot be printed. Go prints something there, so its own errors come first."""
        self._length = 0
        self._reached: Operand | Command = Dot()
        """What was looked at last; Go names it when a value has the wrong type for where it goes."""

    def nodes(self, nodes: Iterable[Node], dot: Value) -> None:
        for node in nodes:
            match node:
                case Text(text):
                    self.output.append(text)
                case Action(pipe):
                    self._print(self._pipe(pipe, dot), pipe)
                case Branch():
                    self._branch(node, dot)

    def _print(self, value: Value, pipe: Pipe) -> None:
        try:
            text = printed(value)
        except OperationError as error:
            self.refused = self.refused or _failure(str(error), pipe)
            return
        self._length += len(text)
        if self._length > MAX_LENGTH:
            raise _failure(f"the result is longer than {MAX_LENGTH} characters", pipe)
        self.output.append(text)

    def _branch(self, node: Branch, dot: Value) -> None:
        value = self._pipe(node.pipe, dot)
        if not truth(value):
            self.nodes(node.otherwise, dot)
        else:
            self.nodes(node.then, value if node.keyword == "with" else dot)

    def _pipe(self, pipe: Pipe, dot: Value) -> Value:
        self._reached = pipe
        first, *others = pipe.commands
        value = self._command(first, dot, None)
        for command in others:
            value = self._command(command, dot, value)
        return value

    def _command(self, command: Command, dot: Value, last: Value | None) -> Value:
        first, operands = command.words[0], command.words[1:]
        has_operands = bool(operands) or last is not None
        match first:
            case Function():
                return self._call(first, command, operands, dot, last)
            case Path():
                return self._path(first, dot, has_operands=has_operands)
            case _ if has_operands:
                at = self._reached if isinstance(first, Pipe) else first
                raise _failure(f"can't give argument to non-function {first}", at)
            case _:
                return self._operand(first, dot)

    def _operand(self, word: Operand, dot: Value) -> Value:
        self._reached = word
        match word:
            case Path():
                return self._path(word, dot, has_operands=False)
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

    def _path(self, path: Path, dot: Value, *, has_operands: bool) -> Value:
        self._reached = path
        value = dot
        try:
            for name in path.names:
                value = field(value, name)
        except OperationError as error:
            raise _failure(str(error), path) from error
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
            values.append(self._text(last) if len(values) < builtin.texts else last)
        try:
            return builtin.call(values)
        except OperationError as error:
            raise _failure(str(error), command) from error

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
        is_text = place < builtin.texts
        if is_text and isinstance(word, Boolean | Number):
            raise _failure(f"expected string; found {word}", word)
        value = self._operand(word, dot)
        return self._text(value) if is_text else value

    def _text(self, value: Value) -> Value:
        try:
            return of_string(as_string(value))
        except OperationError as error:
            raise _failure(str(error), self._reached) from error


def evaluate(template: Template, root: Value, more: Functions | None = None) -> str:
    """The rendered text; `more` are the functions beside Go's own. Raises ExecuteError."""
    run = _Run({**BUILTINS, **more} if more else BUILTINS)
    run.nodes(template.nodes, root)
    if run.refused is not None:
        raise run.refused
    return "".join(run.output)

"""Reads one string as a template: the subset of Go's text/template that TPL-2 supports.

The order of checks and the reasons are Go's, so that people find the texts they know; what Go knows and we do not
(define, template, block, quoted strings, chained parentheses) is refused here with a reason that says so, never passed
through. Work is linear in the text; nesting is bounded.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aioctl.caching import MIB, keeping
from aioctl.golang.template.errors import ParseError
from aioctl.golang.template.escapes import escape, quote, unescape
from aioctl.golang.template.functions import BUILTINS
from aioctl.golang.template.lexer import Token, TokenKind, tokens
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

_OWN: Final = frozenset({"and", "or", *BUILTINS})
MAX_DEPTH: Final = 100
"""Branches and parentheses inside each other; a bound on recursion, far beyond any real preset."""
MAX_TOKENS: Final = 20_000
"""Words and marks in one string, a bound on work: about fifty times what the longest preset script has."""

_INTEGER: Final = re.compile(r"[+-]?(0|[1-9][0-9]{0,18})")
_INT64: Final = range(-(2**63), 2**63)
_VALUE: Final = (
    "a path such as .Spec.Model.Name, `text`, an integer, true, false, (...) or one of the functions "
)
_KEYWORDS: Final = "if, else, with, range, break, continue or end"
_OPERANDS: Final = frozenset(
    {
        TokenKind.BOOL,
        TokenKind.DOT,
        TokenKind.FIELD,
        TokenKind.IDENTIFIER,
        TokenKind.NIL,
        TokenKind.NUMBER,
        TokenKind.RAW_STRING,
        TokenKind.OPEN,
        TokenKind.VARIABLE,
    }
)
_OPENING: Final = ("if", "with", "range")
_ROOT: Final = "$"


class _Parser:
    def __init__(self, stream: Iterator[Token], functions: frozenset[str]) -> None:
        self._stream = stream
        self._functions = functions
        self._value = _VALUE + ", ".join(sorted(functions))
        self._tokens = [next(stream)]
        self._place = 0
        self._depth = 0
        self._ranges = 0
        self._variables = [_ROOT]
        """Those that may be named here; each branch takes its own away again."""

    def template(self) -> Template:
        nodes, stop = self._list()
        if stop.kind is not TokenKind.END:
            raise ParseError(
                f"unexpected {{{{{stop.text}}}}}", stop.at, "an open if, with or range before it"
            )
        return Template(nodes)

    # Tokens. The last one, END or ERROR, is never passed.

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _next(self) -> Token:
        token = self._tokens[self._place]
        if token.kind in (TokenKind.END, TokenKind.ERROR):
            return token
        self._place += 1
        if self._place == len(self._tokens):
            if self._place > MAX_TOKENS:
                raise ParseError(f"more than {MAX_TOKENS} words in one string", token.at)
            self._tokens.append(next(self._stream))
        return token

    def _peek_non_space(self) -> Token:
        while self._peek().kind is TokenKind.SPACE:
            self._next()
        return self._peek()

    def _next_non_space(self) -> Token:
        self._peek_non_space()
        return self._next()

    def _unexpected(self, token: Token, context: str, expected: str) -> ParseError:
        if token.kind is TokenKind.ERROR:
            return ParseError(token.text, token.at, expected)
        return ParseError(f"unexpected {token} in {context}", token.at, expected)

    def _close(self, context: str) -> None:
        token = self._next_non_space()
        if token.kind is not TokenKind.RIGHT:
            raise self._unexpected(token, context, "}}")

    def _enter(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ParseError(f"nested deeper than {MAX_DEPTH}", token.at)

    def _finish(self, keyword: Token) -> None:
        """The rest of the action `else` or `end`; after `else`, an `if` or `with` stays to be read."""
        follower = self._peek_non_space()
        if (
            keyword.text == "end"
            or follower.kind is not TokenKind.KEYWORD
            or follower.text not in ("if", "with")
        ):
            self._close(keyword.text)

    # Text and actions.

    def _list(self) -> tuple[tuple[Node, ...], Token]:
        """Nodes up to the action `else` or `end`, or up to the end of the string."""
        nodes: list[Node] = []
        pieces: list[str] = []
        while True:
            token = self._next()
            if token.kind is TokenKind.TEXT:
                # A comment leaves two texts beside each other; they become one.
                pieces.append(unescape(token.text))
                continue
            if pieces:
                nodes.append(Text("".join(pieces)))
                pieces.clear()
            if token.kind is TokenKind.LEFT:
                first = self._peek_non_space()
                if first.kind is TokenKind.KEYWORD and first.text in ("else", "end"):
                    self._next()
                    self._finish(first)
                    return tuple(nodes), first
                nodes.append(self._action(first))
            elif token.kind is TokenKind.END:
                return tuple(nodes), token
            else:
                raise self._unexpected(token, "input", "")

    def _action(self, first: Token) -> Node:
        if first.kind is TokenKind.KEYWORD:
            self._next()
            if first.text in _OPENING:
                return self._branch(first)
            if first.text in ("break", "continue"):
                return self._leave(first)
            raise ParseError(f"{quote(first.text)} is not supported", first.at, _KEYWORDS)
        return Action(self._pipe("command", TokenKind.RIGHT))

    def _leave(self, keyword: Token) -> Leave:
        token = self._next_non_space()
        if token.kind is not TokenKind.RIGHT:
            raise self._unexpected(token, f"{{{{{keyword.text}}}}}", "}}")
        if not self._ranges:
            raise ParseError(
                f"{{{{{keyword.text}}}}} outside {{{{range}}}}", keyword.at, "an open range before it"
            )
        return Leave(keyword.text)

    def _branch(self, keyword: Token) -> Branch:
        self._enter(keyword)
        known = len(self._variables)
        pipe = self._pipe(keyword.text, TokenKind.RIGHT)
        self._ranges += keyword.text == "range"
        then, stop = self._list()
        self._ranges -= keyword.text == "range"
        otherwise: tuple[Node, ...] = ()
        if stop.text == "else":
            otherwise = self._else(keyword)
        elif stop.kind is TokenKind.END:
            raise ParseError("unexpected EOF", stop.at, f"{{{{ end }}}} for {keyword.text}")
        self._depth -= 1
        del self._variables[known:]
        return Branch(keyword.text, pipe, then, otherwise)

    def _else(self, keyword: Token) -> tuple[Node, ...]:
        again = self._peek()
        if again.kind is TokenKind.KEYWORD and again.text == keyword.text != "range":
            # `else if` is an if inside the else, and its end is the end of both.
            self._next()
            return (self._branch(again),)
        nodes, stop = self._list()
        if stop.text == "else":
            raise ParseError("expected end; found {{else}}", stop.at, "{{ end }}")
        if stop.kind is TokenKind.END:
            raise ParseError("unexpected EOF", stop.at, f"{{{{ end }}}} for {keyword.text}")
        return nodes

    # Values.

    def _pipe(self, context: str, end: TokenKind) -> Pipe:
        start = self._peek_non_space()
        variables, assigns = self._declared(context)
        commands: list[Command] = []
        while True:
            token = self._next_non_space()
            if token.kind is end:
                self._check_pipe(commands, context, token)
                return Pipe(tuple(commands), start.at, variables, assigns)
            if token.kind not in _OPERANDS:
                raise self._unexpected(token, context, self._value)
            self._place -= 1
            commands.append(self._command())

    def _declared(self, context: str) -> tuple[tuple[str, ...], bool]:
        """The variables that a pipe begins with, and whether they are assigned to instead of declared."""
        found: list[str] = []
        while True:
            place, first = self._place, self._peek_non_space()
            if first.kind is not TokenKind.VARIABLE:
                return tuple(found), False
            self._next()
            after = self._peek_non_space()
            if after.kind in (TokenKind.DECLARE, TokenKind.ASSIGN):
                self._next()
                self._variables.append(first.text)
                return (*found, first.text), after.kind is TokenKind.ASSIGN
            if after.kind is not TokenKind.CHAR or after.text != ",":
                self._place = place
                return tuple(found), False
            self._next()
            self._variables.append(first.text)
            found.append(first.text)
            if context != "range" or len(found) > 1:
                raise ParseError(f"too many declarations in {context}", first.at, "one variable")
            if self._peek_non_space().kind not in (TokenKind.VARIABLE, TokenKind.RIGHT, TokenKind.CLOSE):
                raise ParseError("range can only initialize variables", first.at, "a second variable")

    def _check_pipe(self, commands: list[Command], context: str, end: Token) -> None:
        if not commands:
            raise ParseError(f"missing value for {context}", end.at, self._value)
        for stage, command in enumerate(commands[1:], start=2):
            if isinstance(command.words[0], Boolean | Dot | Nil | Number | RawString):
                raise ParseError(
                    f"non executable command in pipeline stage {stage}", command.at, "a function"
                )

    def _command(self) -> Command:
        start = self._peek_non_space()
        words: list[Operand] = []
        while True:
            word = self._operand()
            if word is not None:
                words.append(word)
            token = self._next()
            if token.kind is TokenKind.SPACE:
                continue
            if token.kind in (TokenKind.RIGHT, TokenKind.CLOSE):
                self._place -= 1
            elif token.kind is not TokenKind.PIPE:
                raise self._unexpected(token, "operand", self._value)
            break
        if not words:
            raise ParseError("empty command", start.at, self._value)
        return Command(tuple(words), start.at)

    def _operand(self) -> Operand | None:
        start = self._peek_non_space()
        word = self._term()
        if word is None or self._peek().kind is not TokenKind.FIELD:
            return word
        if isinstance(word, Pipe | Function):
            raise ParseError("fields of an expression are not supported", start.at, "a path from the root")
        if not isinstance(word, Path | Variable):
            raise ParseError(f"unexpected . after term {quote(str(word))}", start.at, "a blank")
        names = list(word.names)
        while self._peek().kind is TokenKind.FIELD:
            names.append(self._next().text[1:])
        return replace(word, names=tuple(names))

    def _term(self) -> Operand | None:
        token = self._peek_non_space()
        if token.kind not in _OPERANDS:
            return None
        self._next()
        match token.kind:
            case TokenKind.IDENTIFIER:
                if token.text not in self._functions:
                    raise ParseError(f"function {quote(token.text)} not defined", token.at, self._value)
                return Function(token.text, token.at)
            case TokenKind.VARIABLE:
                if token.text not in self._variables:
                    raise ParseError(
                        f"undefined variable {quote(token.text)}", token.at, "a declared one, or $"
                    )
                return Variable(token.text, at=token.at)
            case TokenKind.NIL:
                return Nil(token.at)
            case TokenKind.DOT:
                return Dot(token.at)
            case TokenKind.FIELD:
                return Path((token.text[1:],), token.at)
            case TokenKind.BOOL:
                return Boolean(token.text == "true", token.at)
            case TokenKind.NUMBER:
                return _number(token)
            case TokenKind.RAW_STRING:
                return RawString(unescape(token.text), token.at)
            case _:
                self._enter(token)
                pipe = self._pipe("parenthesized pipeline", TokenKind.CLOSE)
                self._depth -= 1
                return pipe


def _number(token: Token) -> Number:
    if _INTEGER.fullmatch(token.text) is None or int(token.text) not in _INT64:
        raise ParseError(
            f"illegal number syntax: {quote(token.text)}", token.at, "a decimal integer of 64 bits"
        )
    return Number(int(token.text), token.at)


@keeping(4 * MIB)
def parse(text: str, more: frozenset[str] = frozenset()) -> Template:
    """The template in one string (the decoded value of a JSON string). Raises ParseError.

    `more` are names of functions beside Go's own.

    Cached: presets are the same for thousands of services.
    """
    return _Parser(tokens(escape(text)), _OWN | more).template()

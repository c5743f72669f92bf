"""Cuts the JSON text of one string into the tokens of Go's text/template (Go 1.24, the parts TPL-2 needs).

Text outside actions comes out trimmed; blanks are the only white space there is, because line breaks and tabs are
two-character escapes in this form. The first lexical error ends the stream as an ERROR token, so that a parser that
gives up before it reports its own error, as Go's does.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, NamedTuple

from aioctl.golang.template.escapes import quote


def _shortened(text: str) -> str:
    return f"{quote(text[:10])}..." if len(text) > 10 else quote(text)


class TokenKind(Enum):
    """What a token is."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    FIELD = auto()
    DOT = auto()
    IDENTIFIER = auto()
    KEYWORD = auto()
    BOOL = auto()
    NUMBER = auto()
    RAW_STRING = auto()
    PIPE = auto()
    OPEN = auto()
    CLOSE = auto()
    VARIABLE = auto()
    NIL = auto()
    DECLARE = auto()
    ASSIGN = auto()
    CHAR = auto()
    ERROR = auto()
    END = auto()


class Token(NamedTuple):
    """One token: its text as it stands there, and where."""

    kind: TokenKind
    text: str
    at: int

    def __str__(self) -> str:
        """As Go's texts show it."""
        match self.kind:
            case TokenKind.END:
                return "EOF"
            case TokenKind.ERROR:
                return self.text
            case TokenKind.KEYWORD | TokenKind.DOT | TokenKind.NIL:
                return f"<{self.text}>"
            case TokenKind.RAW_STRING:
                return _shortened(f"`{self.text}`")
            case _:
                return _shortened(self.text)


KEYWORDS: Final = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"}
)
_LEFT, _RIGHT = "{{", "}}"
_NUMBER: Final = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?"
    r"|0[bB][01_]*(?:\.[01_]*)?|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_TERMINATORS: Final = frozenset(" .,|:)(")
_DIGITS: Final = frozenset("0123456789")
_SINGLE: Final = {"|": TokenKind.PIPE, "(": TokenKind.OPEN, ")": TokenKind.CLOSE, "=": TokenKind.ASSIGN}


class _LexicalError(Exception):
    def __init__(self, reason: str, at: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.at = at


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum()


def _shown(character: str) -> str:
    """Go's %#U."""
    return f"U+{ord(character):04X}" + (f" '{character}'" if character.isprintable() else "")


def _bad_character(character: str, at: int) -> _LexicalError:
    return _LexicalError(f"bad character {_shown(character)}", at)


def _bad_number(number: str, at: int) -> _LexicalError:
    return _LexicalError(f"bad number syntax: {quote(number)}", at)


def _right_end(text: str, at: int) -> int | None:
    """Where a closing delimiter at this place ends, with its trim marker; None when there is none."""
    if text.startswith(_RIGHT, at):
        return at + 2
    if text.startswith(" -" + _RIGHT, at):
        return at + 4
    return None


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] == " ":
        at += 1
    return at


def _after_right(text: str, at: int, end: int) -> int:
    """Where text goes on after the closing delimiter at..end: a trim marker eats the blanks that follow."""
    return _skip_blanks(text, end) if end - at == 4 else end


class _Lexer:
    """One pass over one string. A quote stands for the end of the string, which no action may cross."""

    def __init__(self, escaped: str) -> None:
        self.text = escaped
        self.at = 0

    def tokens(self) -> Iterator[Token]:
        try:
            while True:
                left = self.text.find(_LEFT, self.at)
                yield from self._plain(left)
                if left < 0:
                    break
                yield from self._action(left)
        except _LexicalError as error:
            yield Token(TokenKind.ERROR, error.reason, error.at)
            return
        yield Token(TokenKind.END, "", len(self.text))

    def _plain(self, left: int) -> Iterator[Token]:
        end = len(self.text) if left < 0 else left
        plain = self.text[self.at : end]
        if left >= 0 and self.text.startswith("- ", left + 2):
            plain = plain.rstrip(" ")
        if plain:
            yield Token(TokenKind.TEXT, plain, self.at)

    def _action(self, left: int) -> Iterator[Token]:
        after = left + 2
        if self.text.startswith("- ", after):
            after += 2
        if self.text.startswith("/*", after):
            self.at = self._comment(after)
            return
        yield Token(TokenKind.LEFT, _LEFT, left)
        self.at = after
        yield from self._inside()

    def _comment(self, at: int) -> int:
        close = self.text.find("*/", at + 2)
        if close < 0:
            raise _LexicalError("unclosed comment", at)
        end = _right_end(self.text, close + 2)
        if end is None:
            raise _LexicalError("comment ends before closing delimiter", close)
        return _after_right(self.text, close + 2, end)

    def _inside(self) -> Iterator[Token]:
        depth = 0
        while True:
            end = _right_end(self.text, self.at)
            if end is not None:
                if depth:
                    raise _LexicalError("unclosed left paren", self.at)
                start, self.at = self.at, _after_right(self.text, self.at, end)
                yield Token(TokenKind.RIGHT, _RIGHT, start)
                return
            token = self._token()
            depth += (token.kind is TokenKind.OPEN) - (token.kind is TokenKind.CLOSE)
            if depth < 0:
                raise _LexicalError("unexpected right paren", token.at)
            yield token

    def _token(self) -> Token:
        start = self.at
        character = self._peek(start)
        if start >= len(self.text):
            raise _bad_character(character, start)
        if character == " ":
            return self._space(start)
        if character == "`":
            return self._raw_string(start)
        if character == "." and self._peek(start + 1) not in _DIGITS:
            return self._field(start)
        if character in "+-." or character in _DIGITS:
            return self._number(start)
        if _is_word(character):
            return self._word(start)
        if character == "$":
            return Token(TokenKind.VARIABLE, f"${self._run(start + 1)}", start)
        if character == ":":
            return self._declare(start)
        self.at = start + 1
        if not character.isascii() or not character.isprintable():
            raise _LexicalError(f"unrecognized character in action: {_shown(character)}", start)
        return Token(_SINGLE.get(character, TokenKind.CHAR), character, start)

    def _peek(self, at: int) -> str:
        return self.text[at] if at < len(self.text) else '"'

    def _space(self, start: int) -> Token:
        self.at = _skip_blanks(self.text, start)
        # The last blank may belong to a closing delimiter with a trim marker.
        if self.at - start > 1 and self.text.startswith("-" + _RIGHT, self.at):
            self.at -= 1
        return Token(TokenKind.SPACE, self.text[start : self.at], start)

    def _raw_string(self, start: int) -> Token:
        close = self.text.find("`", start + 1)
        if close < 0:
            raise _LexicalError("unterminated raw quoted string", start)
        self.at = close + 1
        return Token(TokenKind.RAW_STRING, self.text[start + 1 : close], start)

    def _run(self, start: int) -> str:
        """The letters, digits and underscores from here on, which must be followed by a terminator."""
        end = start
        while end < len(self.text) and _is_word(self.text[end]):
            end += 1
        follower = self._peek(end)
        if follower not in _TERMINATORS and not self.text.startswith(_RIGHT, end):
            raise _bad_character(follower, end)
        self.at = end
        return self.text[start:end]

    def _declare(self, start: int) -> Token:
        if self._peek(start + 1) != "=":
            raise _LexicalError("expected :=", start)
        self.at = start + 2
        return Token(TokenKind.DECLARE, ":=", start)

    def _field(self, start: int) -> Token:
        name = self._run(start + 1)
        return Token(TokenKind.FIELD if name else TokenKind.DOT, f".{name}", start)

    def _number(self, start: int) -> Token:
        end = self._number_end(start, start)
        if self._peek(end) in "+-":
            # A complex number such as `1+2i`: the second part must be imaginary.
            end = self._number_end(start, end)
            if self.text[end - 1] != "i":
                raise _bad_number(self.text[start:end], start)
        self.at = end
        return Token(TokenKind.NUMBER, self.text[start:end], start)

    def _number_end(self, start: int, at: int) -> int:
        match = _NUMBER.match(self.text, at)
        end = match.end() if match is not None else at
        if _is_word(self._peek(end)):
            raise _bad_number(self.text[start : end + 1], start)
        return end

    def _word(self, start: int) -> Token:
        word = self._run(start)
        if word in ("true", "false"):
            return Token(TokenKind.BOOL, word, start)
        if word == "nil":
            return Token(TokenKind.NIL, word, start)
        return Token(TokenKind.KEYWORD if word in KEYWORDS else TokenKind.IDENTIFIER, word, start)


def tokens(escaped: str) -> Iterator[Token]:
    """The tokens of the JSON text of one string; the last is END or ERROR."""
    return _Lexer(escaped).tokens()

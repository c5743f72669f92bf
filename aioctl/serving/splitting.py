"""Takes a large review apart object by object, so that reading it is no single stretch and costs no more than it says.

A decoder walks 100 MB in about 0.1 s, which is too long for the loop, and makes 4.9 GB of 50 million numbers, which is too
much for anybody. So only the objects are walked, one by one and counted; each has to be an object, and what is around them
has to be small.

JSON values end where they end: if the bytes from an object's start to some closing brace are one complete value, that value
is the object. So braces in front of what looks like the next object are tried first, and the decoder says which one is right;
`},{"apiVersion":"` cannot stand inside a string, since its quotes would be escaped. A review in another layout than the API
server's is walked by brackets and strings instead, at a tenth of the speed.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from aioctl.api.encoding import decode_deep
from aioctl.api.review import BadReview
from aioctl.serving.limits import KIB, MIB

MAX_OBJECTS: Final = 100_000
"""In one review: ten times the longest list that Kubernetes' own bar for conversion webhooks speaks of (KEP-95)."""
MAX_OBJECT: Final = 8 * MIB
"""Bytes. An API server takes requests of 3 MB; v1alpha1 written out as v1alpha2 may be larger than what came."""
MAX_ENVELOPE: Final = 16 * KIB
"""Bytes before the objects, and after them: kind, version and uid have 250."""

_HEAD: Final = re.compile(
    rb'\s*+\{(?:"(?:kind|apiVersion)":"[^"\\]*+",)*+'
    rb'"request":\{(?:"(?:uid|desiredAPIVersion)":"[^"\\]*+",)*+"objects":\['
)
_STRING: Final = rb'"(?:[^"\\]++|\\.)*+"?'
"""Without its closing quote where the text ends, so that what is open to the end is walked once."""
_TOKEN: Final = re.compile(_STRING + rb"|[{}\[\]:,]", re.DOTALL)
_BRACKET: Final = re.compile(_STRING + rb"|[{}\[\]]", re.DOTALL)
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_SEAM: Final = b'},{"apiVersion":"'
_END: Final = b"]}}"
_MAX_TRIES: Final = 64
"""Owner references and managed fields make a few false seams per object; more are walked by brackets."""
_MAX_TRIED: Final = MIB
"""Bytes decoded in vain for one object."""
_MAX_MISSES: Final = 8
"""Objects without a seam behind them; more mean another layout."""
_STEP: Final = 2000
"""Brackets and strings walked at once: about 0.3 ms."""
_complete = msgspec.json.Decoder(msgspec.Raw)


class BadObjects(ValueError):
    """The review can be answered, but not served: the text names the entry and what is wrong with it."""


class Splitter:
    """Splits the objects off. Objects are views into the body, not copies."""

    def __init__(self, body: bytes | bytearray) -> None:
        """Raises BadReview when there is no list of objects where it has to be."""
        self._body = body
        self._view = memoryview(body)
        head = _HEAD.match(body, 0, MAX_ENVELOPE)
        self._begin = head.end() if head is not None else _begin_of_objects(body)
        self._end = 0
        self._misses = 0

    def objects(self) -> Iterator[msgspec.Raw | None]:
        """The objects in order; None when a step of the walk found none yet. Raises BadObjects or BadReview."""
        at = self._after_space(self._begin)
        if self._body[at : at + 1] == b"]":
            self._end = at
            return
        for index in range(MAX_OBJECTS):
            if self._body[at : at + 1] != b"{":
                raise BadObjects(f"objects[{index}] is not an object")
            end = self._end_by_seam(at)
            if not end:
                for found in self._end_by_brackets(at, index):
                    end = found
                    if not end:
                        yield None
            yield self._decoded(at, end, index)
            at = self._after_space(end)
            following = self._body[at : at + 1]
            if following == b"]":
                self._end = at
                return
            if following != b",":
                raise BadReview(f"no comma after objects[{index}]")
            at = self._after_space(at + 1)
        raise BadObjects(
            f"there are more than {MAX_OBJECTS} objects; read the list in pages (limit and continue)"
        )

    def envelope(self) -> bytes:
        """The review without its objects; as far as it was read, if the walk did not come to the end. Raises BadReview."""
        head = self._body[: self._begin]
        if not self._end:
            return bytes(head) + _END
        tail = len(self._body) - self._end
        if tail > MAX_ENVELOPE:
            raise BadReview(f"{tail} bytes after the objects; at most {MAX_ENVELOPE} are read")
        return bytes(head) + self._body[self._end :]

    def _end_by_seam(self, begin: int) -> int:
        """Where the object ends, if a seam or the end of the review says so; else 0."""
        if self._misses >= _MAX_MISSES:
            return 0
        seam, tried = begin, 0
        for _ in range(_MAX_TRIES):
            seam = self._body.find(_SEAM, seam, begin + MAX_OBJECT)
            if seam < 0:
                seam = self._body.rfind(_END, max(begin, len(self._body) - MAX_ENVELOPE)) - 1
                if seam < begin or seam - begin > MAX_OBJECT:
                    break
                tried = _MAX_TRIED
            tried += seam - begin
            if self._is_value(begin, seam + 1):
                return seam + 1
            if tried >= _MAX_TRIED:
                break
            seam += 1
        self._misses += 1
        return 0

    def _end_by_brackets(self, begin: int, index: int) -> Iterator[int]:
        """The end, after a 0 for each step. Raises BadObjects if it is too far away, BadReview if there is none."""
        depth = 0
        for step, token in enumerate(_BRACKET.finditer(self._body, begin, begin + MAX_OBJECT), 1):
            first = self._body[token.start()]
            if first in b"{[":
                depth += 1
            elif first in b"}]":
                depth -= 1
                if not depth:
                    yield token.end()
                    return
            if step % _STEP == 0:
                yield 0
        if len(self._body) - begin > MAX_OBJECT:
            raise BadObjects(f"objects[{index}] has more than {MAX_OBJECT} bytes")
        raise BadReview(f"objects[{index}] does not end")

    def _is_value(self, begin: int, end: int) -> bool:
        try:
            decode_deep(_complete.decode, self._view[begin:end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        return True

    def _decoded(self, begin: int, end: int, index: int) -> msgspec.Raw:
        try:
            return decode_deep(_complete.decode, self._view[begin:end])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadReview(f"objects[{index}] is no JSON: {error}") from error

    def _after_space(self, at: int) -> int:
        space = _SPACE.match(self._body, at, at + MAX_ENVELOPE)
        return space.end() if space is not None else at


def _begin_of_objects(body: bytes | bytearray) -> int:
    """Where the list `request.objects` begins, in any layout. Raises BadReview."""
    keys: dict[int, bytes] = {}
    depth, last = 0, b""
    for token in _TOKEN.finditer(body, 0, MAX_ENVELOPE):
        said = token.group()
        if said == b"[" and depth == 2 and (keys.get(1), keys.get(2)) == (b'"request"', b'"objects"'):
            return token.end()
        if said in (b"{", b"["):
            depth += 1
            keys.pop(depth, None)
        elif said in (b"}", b"]"):
            depth -= 1
        elif said == b":":
            keys[depth] = last
        elif said == b",":
            keys.pop(depth, None)
        last = said
    raise BadReview(f"no list request.objects within the first {MAX_ENVELOPE} bytes")

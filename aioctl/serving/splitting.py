"""Takes a large review apart object by object, so that reading it is no single stretch.

A decoder walks 100 MB in about 0.1 s, which is too long for the loop. JSON values end where they end: if the bytes from an
object's start to some closing brace are one complete value, that value is the object. So braces in front of what looks
like the next object are tried, and the decoder says which one is right; `},{"apiVersion":"` cannot stand inside a string,
since its quotes would be escaped. A review written in another shape is simply not split, only read in one go.
"""

import re
from typing import Final

import msgspec

_HEAD: Final = re.compile(
    rb'\s*\{(?:"(?:kind|apiVersion)":"[^"\\]*",)*'
    rb'"request":\{(?:"(?:uid|desiredAPIVersion)":"[^"\\]*",)*"objects":\['
)
_SEAM: Final = b'},{"apiVersion":"'
_MAX_TRIES: Final = 64
"""Owner references and managed fields make a few false seams per object; more means a shape not worth splitting."""
_complete = msgspec.json.Decoder(msgspec.Raw)


class Splitter:
    """Splits the leading objects off; `rest` is the same review with what is left, at least one object.

    Objects are views into the body, not copies.
    """

    def __init__(self, body: bytes | bytearray) -> None:
        self._body = body
        self._view = memoryview(body)
        head = _HEAD.match(body)
        self._head = bytes(head.group()) if head is not None else b""
        self._at = len(self._head)
        self._splits = head is not None

    def next(self) -> msgspec.Raw | None:
        """The next object; None when no more can be split off."""
        seam = self._at
        for _ in range(_MAX_TRIES if self._splits else 0):
            seam = self._body.find(_SEAM, seam)
            if seam < 0:
                break
            try:
                found = _complete.decode(self._view[self._at : seam + 1])
            except msgspec.DecodeError:
                seam += 1
                continue
            self._at = seam + 2
            return found
        self._splits = False
        return None

    def rest(self) -> bytes | bytearray:
        """The review with the objects that were not split off: the body itself when nothing was."""
        if self._at == len(self._head):
            return self._body
        return self._head + self._view[self._at :]

"""Texts of objects, packed: objects of one kind resemble each other, so the first of them is the dictionary of the rest.

Measured on the children of a service: a Deployment of 6.2 kB takes 0.7 kB, a route of 9.1 kB 0.5 kB, which costs 40 µs when an
object comes and 3 to 9 µs when it is read, less than a third of what decoding it costs.
"""

import zlib
from typing import Final

_WINDOW: Final = 32 * 1024
"""Bytes that DEFLATE looks back (RFC 1951); a longer dictionary would be cut."""
_SMALLEST: Final = 256
"""Bytes of text below which nothing is to be gained."""
LARGEST: Final = 64 * 1024
"""Bytes of text that are packed: it takes half a millisecond, which no loop is held up by."""
_RAW_DEFLATE: Final = -zlib.MAX_WBITS
_FASTEST: Final = 1


class Text:
    """A text as it is kept. Two of them may share a dictionary, which lives as long as one of them does."""

    __slots__ = ("_dictionary", "_kept", "size")

    def __init__(self, kept: bytes, size: int, dictionary: bytes | None) -> None:
        """`size`: bytes of the text; `dictionary`: what it was packed with, None where `kept` is the text itself."""
        self._kept = kept
        self._dictionary = dictionary
        self.size = size

    def read(self) -> bytes:
        """The text, made anew where it is packed."""
        if self._dictionary is None:
            return self._kept
        return zlib.decompressobj(_RAW_DEFLATE, self._dictionary).decompress(self._kept)


def plain(text: bytes) -> Text:
    """The text as it is, in as many bytes as it has: msgspec's encoder returns bytes with up to half as much room behind."""
    return Text(bytes(memoryview(text)), len(text), None)


class Packing:
    """Packs texts that resemble each other."""

    def __init__(self) -> None:
        self._dictionary: bytes | None = None

    def pack(self, text: bytes) -> Text:
        """The text, packed where it is neither very short nor so long that packing it would hold up the loop."""
        if not _SMALLEST <= len(text) <= LARGEST:
            return plain(text)
        if self._dictionary is None:
            self._dictionary = bytes(memoryview(text)[:_WINDOW])
        packer = zlib.compressobj(_FASTEST, zlib.DEFLATED, _RAW_DEFLATE, zdict=self._dictionary)
        return Text(packer.compress(text) + packer.flush(), len(text), self._dictionary)

"""The first PEM block of a text, found as Go's encoding/pem finds it (Go 1.24.8), in time linear in the text.

Whoever may update a Secret chooses the text. So a block is sought from its end: the first end line, the last beginning
before it, and what failed is left behind together with that end.
"""

import base64
import binascii
from typing import Final

_BEGIN: Final = b"-----BEGIN "
_END: Final = b"\n-----END "
_DASHES: Final = b"-----"
_BLANKS: Final = b" \t"


def first_block(data: bytes) -> bytes | None:
    """DER bytes of the first PEM block, whatever its label says; None if there is none."""
    at = 0
    while (end := data.find(_END, at)) >= 0:
        begin, rest = data.rfind(_BEGIN, at, end), at
        at = end + len(_END)
        if begin < 0 or (begin > rest and data[begin - 1 : begin] != b"\n"):
            continue
        label, start = _line(data, begin + len(_BEGIN))
        if not label.endswith(_DASHES):
            continue
        body = _after_headers(data, start, end)
        if body > end + 1:
            return None  # the end line has a colon and was read as a header: Go gives up here
        found = _decoded(data[body:end]) if body <= end or body == start else None
        if found is not None and _line(data, at)[0] == label:
            return found
    return None


def _decoded(body: bytes) -> bytes | None:
    try:
        return base64.b64decode(body.translate(None, _BLANKS + b"\r\n"), validate=True)
    except binascii.Error:
        return None


def _after_headers(data: bytes, at: int, end: int) -> int:
    """Where the lines with a colon end that follow the label (RFC 1421 headers, which old tools write)."""
    while at <= end + 1 and at < len(data):
        line, following = _line(data, at)
        if b":" not in line:
            break
        at = following
    return at


def _line(data: bytes, at: int) -> tuple[bytes, int]:
    """The line at a position without blanks at its end, and where the next one starts."""
    stop = data.find(b"\n", at)
    stop = len(data) if stop < 0 else stop
    return data[at:stop].removesuffix(b"\r").rstrip(_BLANKS), stop + 1

"""The operators' page as one HTML document, with the policy that lets nothing but its own script and style run.

Its parts are files beside this one, put together at start: `page.html`, `page.css`, `page.js`, and uPlot (MIT, its licence
inside). Nothing of a cluster is in it: what is shown comes as JSON and is set as text.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).parent / "page"
_INCLUDE: Final = re.compile(r"/\* include: ([A-Za-z.-]+) \*/")


@dataclass(frozen=True, slots=True)
class Document:
    """The text, and the headers that go with it."""

    body: bytes
    headers: Mapping[str, str]


def document() -> Document:
    """The page. Raises OSError when a part of it was not installed."""
    text = _INCLUDE.sub(lambda match: _part(match[1]), _part("page.html"))
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src '{_hash(text, '<script>', '</script>')}'",
            f"style-src '{_hash(text, '<style>', '</style>')}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        )
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        **PRIVATE,
    }
    return Document(text.encode(), headers)


PRIVATE: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Headers of every answer: no other site may look into it, and nobody keeps it."""


def _part(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str, begin: str, end: str) -> str:
    """Of the one inline element between the two (Content Security Policy Level 3, 2.3.1)."""
    inline = text.partition(begin)[2].partition(end)[0]
    return f"sha256-{b64encode(sha256(inline.encode()).digest()).decode()}"

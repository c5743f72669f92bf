"""Booleans in texts, as Go's strconv.ParseBool reads them."""

from typing import Final

_WORDS: Final = {
    **dict.fromkeys(("1", "t", "T", "TRUE", "true", "True"), True),
    **dict.fromkeys(("0", "f", "F", "FALSE", "false", "False"), False),
}


def parse(text: str) -> bool | None:
    """What one of Go's words says; None for any other text."""
    return _WORDS.get(text)

"""Times as Go's time package reads them with the layout of RFC 3339."""

import re
from datetime import datetime
from typing import Final

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T)([0-9]{1,2})(:[0-9]{2}:[0-9]{2}(?:[.,][0-9]++)?(?:Z|[+-][0-9]{2}:[0-9]{2}))"
)


def rfc3339(text: str) -> datetime | None:
    """The moment, None for what Go does not read: ISO 8601 knows more forms (no seconds, no colons, weeks). An hour may have one
    digit. Years before 1 and offsets of a day and more, which Go reads, are None too: a datetime has none of these."""
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    day, hour, rest = found.groups()
    try:
        return datetime.fromisoformat(f"{day}{hour:0>2}{rest}")
    except ValueError:
        return None

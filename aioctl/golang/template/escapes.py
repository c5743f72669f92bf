"""A string as it stands in Go's JSON text, and back (TPL-1).

Go parses the JSON text of a whole object as one template, so inside an action a quote is `\\"`, a line break is `\\n`
and `<` is `\\u003c`. Templates are read string by string here, in exactly that form.
"""

import json
import re
from typing import Final

_GO_ONLY: Final = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}
_NEEDS_GO: Final = re.compile("[<>&\u2028\u2029]")


def escape(text: str) -> str:
    """The characters between the quotes of Go's JSON string."""
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return _NEEDS_GO.sub(lambda match: _GO_ONLY[match[0]], quoted)


def unescape(escaped: str) -> str:
    """The text again."""
    if "\\" not in escaped:
        return escaped
    text: str = json.loads(f'"{escaped}"')
    return text


def quote(text: str) -> str:
    """Go's %q for the short ASCII texts of errors."""
    return json.dumps(text, ensure_ascii=False)

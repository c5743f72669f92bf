"""docs/codes.md, made of the tables in `aioctl/tools/codes.py`. `python -m tests.codes_page` writes it anew."""

from pathlib import Path

from aioctl.tools import codes
from aioctl.tools.checks.codes import CHECK

PAGE = Path(__file__).parent.parent / "docs" / "codes.md"
_HEAD = """# Codes

What `aioctl explain` ends in and `aioctl check` finds, by code. Codes are stable: one is never given to something else. This page
is made from the code (`python -m tests.codes_page`).
"""


def every() -> list[codes.Code]:
    """All codes in order."""
    return sorted([*codes.every(), *CHECK.values()], key=lambda one: one.code)


def page() -> str:
    """The whole page: an entry each, in order, with what you see, why, and what to do."""
    entries = [
        f"## {one.code}\n\n- You see: {one.see}\n- Why: {one.why}\n- What to do: {one.cure}\n"
        for one in every()
    ]
    return "\n".join([_HEAD, *entries])


if __name__ == "__main__":
    PAGE.write_text(page())

"""`aioctl diff` on the command line: what is read, from where, and in which form it is shown."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from aioctl.tool_commands import quiet, session_in
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.options import reads_cluster
from aioctl.tools.output import Output, listing

if TYPE_CHECKING:
    from aioctl.tools.diff import Report

_DIFF: Final = "diff"


@click.command("diff")
@click.argument("name", default="")
@click.option(
    "-f",
    "--filename",
    "file",
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="What would follow from applying this file; - reads standard input.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice([_DIFF, *(form.value for form in Output)]),
    default=_DIFF,
    show_default=True,
    help="Form of what is printed.",
)
@reads_cluster(selector=True)
def diff(access: Access, name: str, file: Path | None, output: str) -> None:
    """Show what the controller would write now, and whose each changed field is. Reads only; exit code 1 if anything differs."""
    import anyio

    if not (name or file or access.everywhere or access.namespace or access.selector):
        raise ToolError("name a service, or give -f FILE, -l LABELS, -n NAMESPACE or -A", Exit.USAGE)
    given = _documents(file) if file is not None else []
    quiet()
    found, nothing = anyio.run(_reports, access, name, given)
    click.echo(_shown(found, output, nothing), nl=False)
    sys.exit(Exit.ACT if any(one.differences or one.problems for one in found) else Exit.FINE)


def _documents(file: Path) -> list[dict[str, Any]]:
    from aioctl.tools import manifests
    from aioctl.tools.checks.files import unknown_field_words

    found = manifests.read(file)
    if not found:
        raise ToolError(f"{file}: holds no object", Exit.USAGE)
    for path, obj in found:
        for said in unknown_field_words(obj):
            click.echo(f"Warning: {path}: {said}", err=True)
    return [obj for _, obj in found]


async def _reports(access: Access, name: str, given: list[dict[str, Any]]) -> "tuple[list[Report], str]":
    """And what is said where there is no service."""
    from aioctl.tools.connect import connected
    from aioctl.tools.rehearsal import rehearse

    async with connected(access) as connection:
        found = await rehearse(await session_in(connection, access), name, given)
        return found, access.nothing(connection.namespace)


def _shown(found: "list[Report]", output: str, nothing: str) -> str:
    from aioctl.tools.diff import COLUMNS, summary, text

    items = [difference.item() for one in found for difference in one.differences]
    end = summary(found) if found else nothing
    if output == _DIFF:
        return f"{''.join(text(found))}{end}\n"
    shown = listing(items, COLUMNS, Output(output), name="resource", kind="DifferenceList")
    return f"{shown}{end}\n" if output in (Output.TABLE.value, Output.WIDE.value) else shown


COMMANDS: Final[tuple[click.Command, ...]] = (diff,)

"""`aioctl storage` on the command line: what is stored in which version, who still uses v1alpha1, and the migration."""

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from aioctl.tool_commands import quiet, settings_in
from aioctl.tools.access import Access, Exit
from aioctl.tools.options import Number, output_option, reads_cluster
from aioctl.tools.output import Output, document, table

if TYPE_CHECKING:
    from aioctl.tools.storage import Status


@click.group("storage")
def storage() -> None:
    """In which versions objects are stored, who still uses v1alpha1, and the migration of what is stored."""


@storage.command("status")
@output_option(Output.TABLE, Output.JSON, Output.YAML)
@reads_cluster(scope=False)
def status(access: Access, output: str) -> None:
    """Show what is stored in which version, and who still uses v1alpha1. Reads only; exit code 1 while old versions are stored."""
    import anyio

    from aioctl.tools.connect import connected
    from aioctl.tools.storage import read_status

    async def read() -> "Status":
        async with connected(access) as connection:
            return await read_status(connection)

    quiet()
    found = anyio.run(read)
    form = Output(output)
    click.echo(text(found) if form is Output.TABLE else document(_data(found), form), nl=False)
    sys.exit(Exit.FINE if found.done else Exit.ACT if found.crds else Exit.UNREADABLE)


@storage.command("migrate")
@click.option(
    "--rate",
    default=0.0,
    type=Number(0, 1000),
    help="Objects a second; else the controller's AIOCTL_STORAGE_MIGRATION_RATE.",
)
@reads_cluster(scope=False)
def migrate(access: Access, rate: float) -> None:
    """Rewrite what is stored in an old version, and take that version out of the CRDs' status. May be interrupted: run it again."""
    import anyio

    from aioctl.engine.clock import SystemClock
    from aioctl.tools.connect import connected
    from aioctl.tools.storage import migrate as run

    async def tell() -> int:
        failed = False
        async with connected(access) as connection:
            pace = rate or (await settings_in(connection)).storage_migration_rate
            async for one in run(connection, rate=pace, clock=SystemClock()):
                click.echo(f"{one.service}: {one.said}", err=one.failed)
                failed |= one.failed
        return Exit.ACT if failed else Exit.FINE

    quiet()
    sys.exit(anyio.run(tell))


def _data(found: "Status") -> dict[str, Any]:
    """The fields that json and yaml promise."""
    return {
        "kind": "StorageStatus",
        "done": found.done,
        "crds": [
            {
                "resource": one.resource,
                "stores": one.storage,
                "storedVersions": list(one.versions),
                "objects": one.objects,
            }
            for one in found.crds
        ],
        "writers": [
            {
                "manager": one.manager,
                "resource": one.resource,
                "objects": one.objects,
                "last": one.last,
                "example": str(one.example),
            }
            for one in found.writers
        ],
        "requests": [
            {"resource": one.resource, "verb": one.verb, "count": one.count} for one in found.requests
        ],
        "notKnown": list(found.unread),
    }


def text(found: "Status") -> str:
    """For people."""
    rows = [
        [one.resource, one.storage, ", ".join(one.versions), "?" if one.objects is None else str(one.objects)]
        for one in found.crds
    ]
    shown = table(["CRD", "STORES", "MAY STILL HOLD", "OBJECTS"], rows)
    shown += "".join(f"{line}\n" for line in clients(found))
    if found.crds:
        old = "everything is stored in the storage version"
        shown += (
            f"{old if found.done else 'not migrated: `aioctl storage migrate`, or wait for the controller'}\n"
        )
    return shown + "".join(f"not known: {said}\n" for said in dict.fromkeys(found.unread))


def clients(found: "Status") -> list[str]:
    """Who still uses v1alpha1, a line each."""
    lines = [
        f"v1alpha1 is written by {one.manager}: {one.resource}, {one.objects} "
        f"{'object' if one.objects == 1 else 'objects'} such as {one.example}, last {one.last or 'at no known time'}"
        for one in found.writers
    ]
    lines += [
        f"v1alpha1 was asked for since this API server started: {one.verb} {one.resource} {one.count} times"
        for one in found.requests
    ]
    if lines or not found.crds:
        return lines  # where nothing was read, nobody was looked for
    return ["nobody was seen to use v1alpha1"]


COMMANDS: Final[tuple[click.Command, ...]] = (storage,)

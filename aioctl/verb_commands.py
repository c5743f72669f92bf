"""The operator's verbs on the command line: what may be named, and how it is told. What they change is in `tools/verbs.py`."""

import sys
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final

import click

from aioctl.plan.policy import Strategy
from aioctl.tool_commands import quiet, session_in
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.options import reads_cluster
from aioctl.tools.verbs import PLAIN, Change, Verb, rollout, strategy

if TYPE_CHECKING:
    from aioctl.api.objects import Object
    from aioctl.tools.writing import Told

_dry_run = click.option(
    "--dry-run", is_flag=True, help="Ask the API server, with admission, but change nothing."
)
_HELP: Final = {
    "pause": "Keep traffic where it is, whatever becomes of the pools, until `resume`.",
    "resume": "Take a pause back: the migration goes on.",
    "stop": "Take away what runs for the services; their specs and presets stay.",
    "start": "Make everything of stopped services again.",
}


async def _ask(
    access: Access, named: tuple[str, ...], decide: "Callable[[Object], Change]", *, dry_run: bool
) -> int:
    from aioctl.tools import writing
    from aioctl.tools.connect import connected

    async with connected(access) as connection:
        services = await writing.targets(connection, access, named)
        if not services:
            click.echo(access.nothing(connection.namespace))
            return Exit.FINE
        return await _tell(writing.change(connection, services, decide, dry_run=dry_run))


async def _tell(told: "AsyncIterator[Told]") -> int:
    """One line a service, as it is done; the exit code."""
    count = failed = 0
    async for one in told:
        click.echo(f"{one.service}: {one.said}", err=one.failed)
        count += 1
        failed += one.failed
    if count > 1 and failed:
        click.echo(f"{failed} of {count} services failed", err=True)
    return Exit.ACT if failed else Exit.FINE


def _plain(verb: Verb) -> click.Command:
    @click.command(verb.name, help=_HELP[verb.name])
    @click.argument("names", nargs=-1)
    @_dry_run
    @reads_cluster(selector=True)
    def command(access: Access, names: tuple[str, ...], *, dry_run: bool) -> None:
        import anyio

        quiet()
        sys.exit(anyio.run(lambda: _ask(access, names, verb.change, dry_run=dry_run)))

    return command


@click.command("strategy")
@click.argument("words", nargs=-1, required=True, metavar="[NAMES]... STRATEGY")
@_dry_run
@reads_cluster(selector=True)
def _strategy(access: Access, words: tuple[str, ...], *, dry_run: bool) -> None:
    """Set how traffic moves between the pool generations, for services that are named, or chosen with -l or -A."""
    import anyio

    *named, chosen = words
    try:
        verb = strategy(Strategy(chosen))
    except ValueError as error:
        allowed = ", ".join(each.value for each in Strategy)
        raise ToolError(
            f'"{chosen}" is no strategy: the last word is one of {allowed}', Exit.USAGE
        ) from error
    quiet()
    sys.exit(anyio.run(lambda: _ask(access, tuple(named), verb.change, dry_run=dry_run)))


@click.command("rollout")
@click.argument("names", nargs=-1)
@_dry_run
@reads_cluster(selector=True)
def _rollout(access: Access, names: tuple[str, ...], *, dry_run: bool) -> None:
    """Move pods that are held back to the form of this release, restarting them; again, tell how far that is."""
    import anyio

    quiet()
    sys.exit(anyio.run(lambda: _ask(access, names, rollout, dry_run=dry_run)))


@click.command("unlock")
@click.argument("names", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do it; else it is only told what would be done.")
@reads_cluster()
def _unlock(access: Access, names: tuple[str, ...], *, yes: bool) -> None:
    """Let traffic go back to v1alpha2: pause, and remove both copies of the lock; refused while only v1 serves."""
    import anyio

    quiet()
    sys.exit(anyio.run(lambda: _unlocked(access, names, yes=yes)))


async def _unlocked(access: Access, named: tuple[str, ...], *, yes: bool) -> int:
    from aioctl.tools import writing
    from aioctl.tools.connect import connected

    async with connected(access) as connection:
        opened = await session_in(connection, access)

        if len(named) > 1:  # a name that nobody has is told before anything is done
            for name in named:
                await opened.looks(name)

        async def each() -> "AsyncIterator[Told]":
            for name in named:
                for seen in (await opened.looks(name))[1]:
                    yield await writing.unlock(opened.connection, seen, yes=yes)

        return await _tell(each())


COMMANDS: Final[tuple[click.Command, ...]] = (*(_plain(verb) for verb in PLAIN), _strategy, _rollout, _unlock)

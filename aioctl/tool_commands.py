"""The operator's commands: they read, print and end with a code. What is found is decided in `tools/`.

Each imports what it runs, so that `aioctl --help` is quick.
"""

import sys
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import click

from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.options import output_option, reads_cluster
from aioctl.tools.output import Output, coloured, document, listing, uses_colour

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console
    from rich.text import Text

    from aioctl.settings import Settings
    from aioctl.tools.connect import Connection
    from aioctl.tools.look import Look
    from aioctl.tools.session import Session
    from aioctl.tools.snapshot import Snapshot

_COLOURS: Final = {"Migrated": "green", "Held": "red", "Unknown": "red", "ok": "green", "x": "red"}
WATCH_INTERVAL: Final = 2.0
"""Seconds between two looks of `--watch`, at least."""


def settings_from(environment: "Mapping[str, str]") -> "Settings":
    """Those of the controller in the cluster, where it was found, else those of this process's environment."""
    from aioctl.settings import SettingsError, load

    try:
        return load(environment or None)[0]
    except SettingsError as error:
        whose = "the controller's settings (environment of its Deployment)" if environment else "settings"
        raise ToolError(f"{whose} cannot be used:\n{error}", Exit.USAGE) from error


async def settings_in(connection: "Connection") -> "Settings":
    """What the controller of this cluster was started with. Raises ToolError."""
    from aioctl.tools.installation import Installation, deployment_of

    deployment, _ = await deployment_of(connection)
    return settings_from(Installation(deployment).environment)


async def session_in(connection: "Connection", access: Access) -> "Session":
    """The connection, with what the controller of this cluster decides by, and at which pace. Raises ToolError."""
    from aioctl.app import knobs_of, policy_of
    from aioctl.plan.waves import Pace
    from aioctl.tools.session import Session

    settings = await settings_in(connection)
    knobs = knobs_of(settings)
    return Session(connection, access, policy_of(settings), Pace(knobs.budget, knobs.window))


def quiet() -> None:
    """Only errors, for people: a command's output is its own."""
    from aioctl import logs
    from aioctl.settings import LogFormat, LogLevel

    logs.configure(LogLevel.ERROR, LogFormat.CONSOLE)


@click.command()
@click.argument("name", default="")
@click.option("-w", "--watch", is_flag=True, help="Go on, and show each change, until interrupted.")
@output_option()
@reads_cluster(selector=True)
def status(access: Access, name: str, output: str, *, watch: bool) -> None:
    """Show where each service stands and why, or one service as a tree. Reads only; exit code 1 if one waits for somebody."""
    import anyio

    form = Output(output)
    if watch and form not in (Output.TABLE, Output.WIDE):
        raise ToolError("--watch goes with -o table and -o wide only", Exit.USAGE)
    quiet()
    if watch:
        _watch(access, name, form)
        return
    text, code = anyio.run(_status_once, access, name, form)
    click.echo(text, nl=False)
    sys.exit(code)


async def _status_once(access: Access, name: str, form: Output) -> tuple[str, int]:
    from aioctl.tools.connect import connected

    async with connected(access) as connection:
        found, seen = await (await session_in(connection, access)).looks(name)
        nothing = access.nothing(connection.namespace)
        code = Exit.ACT if any(one.problem for one in seen) else Exit.FINE
        return _shown(found, seen, name, form, nothing), code


def _shown(found: "Snapshot", seen: "list[Look]", name: str, form: Output, nothing: str) -> str:
    """`nothing`: what is said where there is no service."""
    from aioctl.tools import fleet, tree

    if name and form is not Output.NAME:
        made = tree.tree(seen[0], found)
        if form in (Output.JSON, Output.YAML):
            return document({**fleet.public(fleet.item(seen[0])), "tree": made.as_data()}, form)
        return "".join(f"{_painted(line)}\n" for line in tree.lines(made))
    items = [fleet.item(one) for one in seen]
    if form in (Output.JSON, Output.YAML):
        items = [fleet.public(one) for one in items]
    text = listing(items, fleet.COLUMNS, form, name="resource", kind="ServiceStatusList")
    if form in (Output.TABLE, Output.WIDE):
        text += f"{fleet.summary(seen) if seen else nothing}\n"
        for said in dict.fromkeys(found.unread.values()):
            text += f"not known: {said}\n"
    return text


def _painted(line: str) -> str:
    """The marks of a tree in colour."""
    for mark in ("ok  ", "x   "):
        before, found, after = line.partition(mark)
        if found and not before.strip("├└│─ "):
            return f"{before}{coloured(mark, _COLOURS[mark.strip()])}{after}"
    return line


def _watch(access: Access, name: str, form: Output) -> None:
    """On a terminal the picture is drawn anew in its place; elsewhere it is printed when it changed."""
    import contextlib

    import anyio
    from rich.console import Console
    from rich.live import Live

    async def look_on() -> None:
        from aioctl.tools import fleet
        from aioctl.tools.connect import connected

        async with connected(access) as connection:
            opened = await session_in(connection, access)
            console = Console(no_color=not uses_colour())
            with (
                Live(console=console, auto_refresh=False)
                if sys.stdout.isatty()
                else contextlib.nullcontext() as live
            ):
                before: list[dict[str, Any]] = []
                while True:
                    begun = anyio.current_time()
                    found, seen = await opened.looks(name)
                    text = _shown(found, seen, name, form, access.nothing(connection.namespace))
                    items = 0 if name else len(seen)
                    standing = [fleet.public(fleet.item(one)) for one in seen]
                    if live is not None:
                        live.update(fitting(text, items, console), refresh=True)
                    elif standing != before:
                        click.echo(text)
                    before = standing
                    # A fleet that takes long to read is read more seldom: this shall not be what loads the API server.
                    await anyio.sleep(max(WATCH_INTERVAL, 5 * (anyio.current_time() - begun)))

    anyio.run(look_on)


def fitting(text: str, items: int, console: "Console") -> "Text":
    """What the terminal has room for. What follows the items of a table sums them up, so it stays: rich would cut the end off."""
    from rich.text import Text

    lines = [Text.from_ansi(line) for line in text.splitlines()]
    rows = [max(1, len(line.wrap(console, console.width))) for line in lines]
    if sum(rows) <= console.height or not items:
        return Text("\n").join(lines)
    last = len(lines) - items - 1
    room = console.height - 1 - sum(rows[len(rows) - last :])
    kept = sum(total <= room for total in accumulate(rows[: items + 1]))
    more = Text(f"... {items + 1 - kept} more (-l chooses)")
    return Text("\n").join([*lines[:kept], more, *lines[len(lines) - last :]])


@click.command()
@click.argument("name", default="")
@output_option(Output.TABLE, Output.JSON, Output.YAML)
@reads_cluster(selector=True)
def explain(access: Access, name: str, output: str) -> None:
    """Say why a service is where it is: from the symptom to the cause, and what to do. Without a name: every one that waits."""
    import anyio

    quiet()
    text, code = anyio.run(_explain, access, name, Output(output))
    click.echo(text, nl=False)
    sys.exit(code)


async def _explain(access: Access, name: str, form: Output) -> tuple[str, int]:
    from aioctl.tools.connect import connected

    async with connected(access) as connection:
        opened = await session_in(connection, access)
        seen, made = await opened.explained(name)
        nothing = access.nothing(connection.namespace)
    act = any(chain.act for _, several in made for chain in several)
    if form is not Output.TABLE:
        items = [
            {
                "namespace": one.key.namespace,
                "name": one.key.name,
                "chains": [chain.as_data() for chain in several],
            }
            for one, several in made
        ]
        return document({"kind": "ExplanationList", "items": items}, form), Exit.ACT if act else Exit.FINE
    lines = [line for _, several in made for chain in several for line in (*chain.lines(), "")]
    if name and not lines:
        lines = [
            f"{seen[0].key} is ready, and its migration is at its end ({seen[0].state}, {seen[0].reason})"
        ]
    elif not seen:
        lines = [nothing]
    elif not lines:
        lines = [f"nothing waits: {len(seen)} services are ready, and their migrations at their end"]
    return "\n".join(lines).rstrip("\n") + "\n", Exit.ACT if act else Exit.FINE


@click.command()
@output_option(Output.TABLE, Output.JSON, Output.YAML)
@reads_cluster(scope=False)
def version(access: Access, output: str) -> None:
    """Show the versions of this program, the controller and the CRDs, and who leads. Reads only."""
    import anyio

    quiet()
    click.echo(anyio.run(_version, access, Output(output)), nl=False)


async def _version(access: Access, form: Output) -> str:
    from datetime import UTC, datetime

    from aioctl import __version__
    from aioctl.api.kinds import ObjectKey
    from aioctl.tools import installation
    from aioctl.tools.connect import connected

    async with connected(access) as connection:
        deployment, _ = await installation.deployment_of(connection)
        settings = settings_from(installation.Installation(deployment).environment)
        lease = ObjectKey(settings.namespace, settings.lease_name)
        found = await installation.read_installation(connection, lease)
        told = installation.report(__version__, found, connection.server, datetime.now(UTC))
    return installation.text(told, found.unread) if form is Output.TABLE else document(told, form)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of a shell: `source <(aioctl completion bash)`."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    root = click.get_current_context().find_root()
    if made is None:  # not with the shells above
        raise click.ClickException(f"no completion for {shell}")
    click.echo(made(root.command, {}, "aioctl", "_AIOCTL_COMPLETE").source())


COMMANDS: Final = (status, explain, version, completion)

"""`aioctl finish` on the command line: the conditions with their evidence, what would go, and the going itself."""

import re
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from aioctl.tool_commands import quiet, settings_in
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.options import Number, reads_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aioctl.tools.finish import Options, Picture
    from aioctl.tools.writing import Told

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN: Final = 10
"""Services that a condition names; of more their number is told."""


@click.command("finish")
@click.option("--yes", is_flag=True, help="Do it; else it is only told what would be done.")
@click.option(
    "--undo", is_flag=True, help="With --yes take the marks off: v1alpha2 pools come back, locks stay."
)
@click.option(
    "--soak", default="24h", show_default=True, help="How long every lock must have held: 30m, 24h, 0."
)
@click.option(
    "--timeout",
    default=120.0,
    show_default=True,
    type=Number(1, 3600),
    help="Seconds that the controller has for one service.",
)
@click.option(
    "--restart-sidecars",
    is_flag=True,
    help="Restart model servers whose routing sidecar reads v1alpha2 pools, one service after another.",
)
@reads_cluster()
def finish(
    access: Access, soak: str, timeout: float, *, yes: bool, undo: bool, restart_sidecars: bool
) -> None:
    """Remove the v1alpha2 InferencePools once all services are migrated: of a namespace, or with -A of the cluster."""
    import anyio

    span = _span(soak)
    quiet()
    sys.exit(
        anyio.run(lambda: _run(access, span, timeout, yes=yes, undo=undo, restart_sidecars=restart_sidecars))
    )


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([smhd]?)", text.strip())
    if found is None or (not found[2] and int(found[1])):
        raise ToolError(f'--soak "{text}" is no time such as 30m, 24h, 7d or 0', Exit.USAGE)
    return timedelta(seconds=int(found[1]) * _UNITS.get(found[2], 0))


async def _run(
    access: Access, soak: timedelta, patience: float, *, yes: bool, undo: bool, restart_sidecars: bool
) -> int:
    from aioctl.api.kinds import ObjectKey
    from aioctl.app import policy_of
    from aioctl.engine.clock import SYSTEM_CLOCK
    from aioctl.storage_command import clients
    from aioctl.tools import finish as steps
    from aioctl.tools.connect import connected
    from aioctl.tools.session import Session
    from aioctl.tools.storage import migrate, read_status

    async with connected(access) as connection:
        settings = await settings_in(connection)
        opened = Session(connection, access, policy_of(settings))
        # Without leader election there is no lease to look at, and nobody but the operator to know who reconciles.
        lease = ObjectKey(settings.namespace, settings.lease_name) if settings.leader_election else None
        options = steps.Options(soak, settings.pool_create_rate, patience, lease, restart_sidecars)
        if undo:
            if not yes:
                click.echo(
                    "would take the marks off; v1alpha2 pools come back, locks stay. Nothing was done, --yes does it"
                )
                return Exit.FINE
            return await _tell(steps.undo(opened), "nothing is marked")
        found = await steps.picture(opened, options)
        _show(found)
        for line in clients(await read_status(connection)):
            click.echo(f"    {line}")
        if not found.allowed:
            click.echo("nothing was done: the conditions marked x do not hold", err=True)
            return Exit.ACT
        if not yes:
            click.echo(would(found, options, everywhere=not connection.namespace))
            return Exit.FINE
        code = await _tell(steps.remove(opened, found, options), "nothing is left to do")
        if code == Exit.FINE and not connection.namespace:
            # What is stored in an old version keeps that version in the CRDs, whatever becomes of the pools.
            rewritten = migrate(connection, rate=settings.storage_migration_rate, clock=SYSTEM_CLOCK)
            code = await _tell(rewritten, "")
            click.echo(
                "when no stranger's pool is left, the CRD may go: kubectl delete crd inferencepools.inference.networking.x-k8s.io"
            )
        return code


def _show(found: "Picture") -> None:
    for check in found.checks:
        click.echo(f"{'ok' if check.holds else 'x '}  {check.name}")
        for said in check.against[:_SHOWN]:
            click.echo(f"      {said}")
        if len(check.against) > _SHOWN:
            click.echo(f"      and {len(check.against) - _SHOWN} more")
    for pool in found.strangers:
        click.echo(f"    v1alpha2 InferencePool {pool} is no service's of ours, and stays")


def would(found: "Picture", options: "Options", *, everywhere: bool) -> str:
    """What `--yes` does."""
    from aioctl.plan.finished import is_marked

    deeds: list[str] = []
    if count := len(found.todo):
        services = f"{count} {'service' if count == 1 else 'services'}"
        rate = f" {options.rate:g} a second at most" if options.rate else ""
        restarted = len(found.reading & {one.key for one in found.todo})
        restarts = f", with a restart of what reads it in {restarted} of them" if restarted else ""
        deeds.append(f"take {services} off v1alpha2, one after another{rate}{restarts}")
    if everywhere and found.config_map is not None and not is_marked(found.config_map):
        deeds.append("mark ConfigMap inferenceservice-config")
    return (
        f"would {', then '.join(deeds)}; nothing was done, --yes does it"
        if deeds
        else "nothing is left to do"
    )


async def _tell(told: "AsyncIterator[Told]", nothing: str) -> int:
    failed = count = 0
    async for one in told:
        click.echo(f"{one.service}: {one.said}", err=one.failed)
        failed += one.failed
        count += 1
    if not count:
        click.echo(nothing)
    return Exit.ACT if failed else Exit.FINE


COMMANDS: Final[tuple[click.Command, ...]] = (finish,)

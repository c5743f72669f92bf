"""The players of the simulated cluster on any API server: what gateway and workload controllers would write there.

A real kube-apiserver has no controllers behind it; these answer for them. As a program of its own,
`python -m testbed.real_players --kubeconfig FILE`, it plays until its standard input ends.
"""

import argparse
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import anyio
import anyio.to_thread

from aioctl.api.objects import labels_of, namespace_of
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.sim.players.following import AGENT, Plays
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer

BROUGHT: Final = "bench.aioctl.dev/guest"
"""Label of what was brought to a cluster that has more than that."""


def stamp() -> str:
    """Now, as conditions write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def play(
    client: Client, gateway: GatewayScript, *, workload_delay: float, plays: Plays = lambda _: True
) -> None:
    """Gateway and workloads, endless."""
    async with anyio.create_task_group() as group:
        group.start_soon(GatewayPlayer(client, stamp=stamp, default=gateway, plays=plays).run)
        group.start_soon(WorkloadPlayer(client, delay=workload_delay, stamp=stamp, plays=plays).run)


def within(namespaces: Collection[str]) -> Plays:
    """Objects of these namespaces, and those of no namespace that were labelled as brought; all where none is given."""
    return lambda obj: not namespaces or namespace_of(obj) in namespaces or BROUGHT in labels_of(obj)


async def _main(options: argparse.Namespace) -> None:
    config = await load_config(options.kubeconfig)
    client = Client(config.wire(user_agent=AGENT), field_manager=AGENT.partition("/")[0])
    script = GatewayScript(BEHAVIOURS[options.gateway_behaviour], delay=options.gateway_delay)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(
                lambda: play(
                    client,
                    script,
                    workload_delay=options.workload_delay,
                    plays=within(options.namespaces),
                )
            )
            await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            group.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m testbed.real_players", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--gateway-delay", type=float, default=1.0, help="seconds until the gateway answers")
    parser.add_argument("--gateway-behaviour", choices=sorted(BEHAVIOURS), default="both")
    parser.add_argument("--workload-delay", type=float, default=1.0, help="seconds until pods are available")
    parser.add_argument(
        "--namespaces", nargs="*", default=(), help="play there only, and on what has no namespace if brought"
    )
    anyio.run(_main, parser.parse_args())


if __name__ == "__main__":
    main()

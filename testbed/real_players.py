"""The players of the simulated cluster on any API server: what gateway and workload controllers would write there.

A real kube-apiserver has no controllers behind it; these answer for them. As a program of its own,
`python -m testbed.real_players --kubeconfig FILE`, it plays until its standard input ends.
"""

import argparse
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import anyio
import anyio.to_thread
import msgspec

from aioctl.api.kinds import Kind
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.kube.errors import Gone, KubeError, NotFound
from aioctl.sim.players.client import AGENT, Event, Object, TryAgain
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer


class ClusterPlayerClient:
    """Implements `aioctl.sim.players.client.PlayerClient` over the project's own client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return await self._client.get(kind, namespace, name)
        except NotFound:
            return None
        except KubeError as error:
            raise TryAgain(str(error)) from error

    async def list(self, kind: Kind) -> tuple[list[Object], str] | None:
        found: list[Object] = []
        version = ""
        try:
            async for page in self._client.list_pages(kind):
                found += [msgspec.json.decode(raw) for raw in page.items]
                version = page.resource_version
        except NotFound:
            return None
        except KubeError as error:
            raise TryAgain(str(error)) from error
        # Items of a list lack what the list says once.
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **obj} for obj in found], version

    async def watch(self, kind: Kind, since: str) -> AsyncIterator[Event]:
        try:
            async with self._client.watch(kind, resource_version=since) as events:
                async for event in events:
                    if event.type != "BOOKMARK":
                        yield Event(event.type, msgspec.json.decode(event.object))
        except (Gone, NotFound):
            return
        except KubeError as error:
            raise TryAgain(str(error)) from error

    async def patch_status(self, kind: Kind, namespace: str, name: str, status: Object) -> Object | None:
        try:
            return await self._client.patch(kind, namespace, name, {"status": status}, subresource="status")
        except NotFound:
            return None
        except KubeError as error:
            raise TryAgain(str(error)) from error


def stamp() -> str:
    """Now, as conditions write it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def play(client: Client, gateway: GatewayScript, *, workload_delay: float) -> None:
    """Gateway and workloads, endless."""
    players = ClusterPlayerClient(client)
    async with anyio.create_task_group() as group:
        group.start_soon(GatewayPlayer(players, stamp=stamp, default=gateway).run)
        group.start_soon(WorkloadPlayer(players, delay=workload_delay, stamp=stamp).run)


async def _main(options: argparse.Namespace) -> None:
    config = await load_config(options.kubeconfig)
    client = Client(config.wire(user_agent=AGENT))
    script = GatewayScript(BEHAVIOURS[options.gateway_behaviour], delay=options.gateway_delay)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: play(client, script, workload_delay=options.workload_delay))
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
    anyio.run(_main, parser.parse_args())


if __name__ == "__main__":
    main()

"""`python -m aioctl.sim`: the simulated cluster as a process of its own.

Serves the API, plays gateway and workloads, counts the data plane; prints one JSON line when ready (`port`, `server`, `pid`,
`kubeconfig`); stops on SIGTERM or SIGINT, and when its standard input (if that is a pipe) closes, so that a dead parent
leaves nothing behind.
"""

import argparse
import asyncio
import base64
import gc
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import anyio
import anyio.abc

from aioctl import piped
from aioctl.sim import seed
from aioctl.sim.api import SimCluster
from aioctl.sim.dataplane import DataPlane
from aioctl.sim.facts import ABSENT_BY_DEFAULT, custom_kinds
from aioctl.sim.hooks import install_webhooks
from aioctl.sim.http import serve, write_kubeconfig
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import BEHAVIOURS, GatewayPlayer, GatewayScript
from aioctl.sim.players.workload import WorkloadPlayer
from aioctl.sim.webhooks import HttpsWebhooks

_GC_THRESHOLDS: Final = (50_000, 20, 50)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m aioctl.sim", description="A simulated Kubernetes cluster."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port; 0 takes any free one (default)")
    parser.add_argument("--kubeconfig", type=Path, help="write a kubeconfig here")
    parser.add_argument(
        "--scenario",
        choices=("demo", "empty"),
        default="demo",
        help="demo: namespaces, configuration and gateway of a KServe installation; empty: nothing (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="for uids and generated names")
    parser.add_argument("--gateway-delay", type=float, default=1.0, help="seconds until the gateway answers")
    parser.add_argument("--gateway-behaviour", choices=sorted(BEHAVIOURS), default="both")
    parser.add_argument(
        "--gateway-controller", default=seed.ISTIO, help="whose GatewayClass it is (default: %(default)s)"
    )
    parser.add_argument(
        "--workload-delay", type=float, default=1.0, help="seconds until workloads are available"
    )
    parser.add_argument("--absent", action="append", default=[], metavar="CRD", help="a CRD not to install")
    parser.add_argument("--history", type=int, default=20_000, help="changes a watch can look back")
    parser.add_argument(
        "--webhook-url", default="", help="base URL of the webhook server, such as https://127.0.0.1:9443"
    )
    parser.add_argument("--webhook-ca", type=Path, help="PEM file that --webhook-url is trusted by")
    parser.add_argument("--match-policy", choices=("Exact", "Equivalent"), default="Exact")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.absent if name not in custom_kinds()]
    if unknown:
        parser.error(f"--absent {unknown[0]}: no such CRD; known are {', '.join(custom_kinds())}")
    return arguments


async def _until_stopped(signals: AsyncIterator[signal.Signals]) -> None:
    """Until a signal, or until the parent closes our standard input."""
    async with anyio.create_task_group() as group:

        async def stop_after(waiting: anyio.Event) -> None:
            await waiting.wait()
            group.cancel_scope.cancel()

        ended = anyio.Event()
        group.start_soon(stop_after, ended)
        group.start_soon(_signals, signals, ended)
        group.start_soon(_stdin, ended)


async def _signals(signals: AsyncIterator[signal.Signals], ended: anyio.Event) -> None:
    await anext(signals)
    ended.set()


async def _stdin(ended: anyio.Event) -> None:
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode
    except (OSError, ValueError):
        return  # no standard input at all: only signals stop us
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        while await reader.read(1024):
            pass
    finally:
        transport.close()
    ended.set()


async def run(arguments: argparse.Namespace) -> None:
    """Serves until told to stop."""
    script = GatewayScript(
        BEHAVIOURS[arguments.gateway_behaviour],
        delay=arguments.gateway_delay,
        controller=arguments.gateway_controller,
    )
    async with AsyncExitStack() as stack:
        # Before anything announces us: a parent may stop us at once.
        signals = stack.enter_context(anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT))
        hooks = await stack.enter_async_context(HttpsWebhooks())
        cluster = await stack.enter_async_context(
            SimCluster(
                webhooks=hooks,
                absent=ABSENT_BY_DEFAULT | set(arguments.absent),
                history=arguments.history,
                seed=arguments.seed,
            )
        )
        DataPlane(cluster)
        client = player_client(cluster)
        stamp = cluster.core.clock.stamp
        players = await stack.enter_async_context(anyio.create_task_group())
        players.start_soon(GatewayPlayer(client, stamp=stamp, default=script).run)
        players.start_soon(WorkloadPlayer(client, delay=arguments.workload_delay, stamp=stamp).run)
        if arguments.scenario == "demo":
            for obj in seed.world(controller=arguments.gateway_controller):
                await cluster.create(obj, client="sim")
        if arguments.webhook_url:
            bundle = arguments.webhook_ca.read_bytes() if arguments.webhook_ca else b""
            await install_webhooks(
                cluster,
                arguments.webhook_url,
                base64.b64encode(bundle).decode(),
                match_policy=arguments.match_policy,
            )
        port = await stack.enter_async_context(serve(cluster, host=arguments.host, port=arguments.port))
        _announce(arguments, port)
        await _until_stopped(signals)
        players.cancel_scope.cancel()


def _announce(arguments: argparse.Namespace, port: int) -> None:
    server = f"http://{arguments.host}:{port}"
    if arguments.kubeconfig:
        write_kubeconfig(arguments.kubeconfig, server)
    ready = {
        "server": server,
        "port": port,
        "pid": os.getpid(),
        "kubeconfig": str(arguments.kubeconfig) if arguments.kubeconfig else None,
    }
    sys.stdout.write(json.dumps(ready) + "\n")
    sys.stdout.flush()


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point."""
    # With the defaults, collections stop this process for up to 0.24 s in a burst, which no kube-apiserver does.
    gc.set_threshold(*_GC_THRESHOLDS)
    asyncio.run(run(_arguments(argv)))


if __name__ == "__main__":
    piped.command(main)

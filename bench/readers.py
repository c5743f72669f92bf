"""Clients that read in the old version, many at the same moment: each GET costs the webhook one conversion.

`python -m bench.readers` is started by the storm as a process of its own, so that its work does not slow the witness. It
sends waves until its standard input ends, waits for the last one, and prints what it saw as one line of JSON.
"""

import argparse
import itertools
import json
import sys
from dataclasses import dataclass, field
from time import monotonic

import anyio
import anyio.to_thread
import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.kube.errors import KubeError, NotFound
from bench.machine import quantile

_PAUSE = 5.0
"""Seconds between two waves. The simulated API server makes the calls of a wave, and needs time for everything else, too."""
_LOOK = 0.25


@dataclass
class Readers:
    """One storm of reads."""

    client: Client
    at_once: int
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    waves: int = 0

    async def run(self, end: anyio.Event) -> None:
        """Until `end` is set; a wave that has begun is seen through, so that no read is cut off."""
        while not end.is_set():
            services = await self._services()
            async with anyio.create_task_group() as group:
                for key in itertools.islice(itertools.cycle(services), self.at_once if services else 0):
                    group.start_soon(self._read, key)
            self.waves += bool(services)
            with anyio.move_on_after(_PAUSE if services else _LOOK):
                await end.wait()

    def summary(self) -> dict[str, object]:
        return {
            "at_once": self.at_once,
            "waves": self.waves,
            "reads": len(self.seconds),
            "failures": len(self.failures),
            "examples": self.failures[:3],
            "p50_s": round(quantile(self.seconds, 0.5), 3),
            "p99_s": round(quantile(self.seconds, 0.99), 3),
            "max_s": round(max(self.seconds, default=0.0), 3),
        }

    async def _services(self) -> list[ObjectKey]:
        found: list[ObjectKey] = []
        async for page in self.client.list_pages(kinds.SERVICE, metadata_only=True):
            for raw in page.items:
                metadata = msgspec.json.decode(raw)["metadata"]
                found.append(ObjectKey(metadata["namespace"], metadata["name"]))
        return found

    async def _read(self, key: ObjectKey) -> None:
        started = monotonic()
        try:
            await self.client.get(kinds.SERVICE_V1ALPHA1, *key)
        except NotFound:
            return
        except KubeError as error:
            self.failures.append(str(error))
        self.seconds.append(monotonic() - started)


async def _main(kubeconfig: str, at_once: int) -> None:
    config = await load_config(kubeconfig)
    client = Client(config.wire(connections=at_once + 10, user_agent="bench-readers/1"))
    readers = Readers(client, at_once)
    try:
        end = anyio.Event()
        async with anyio.create_task_group() as group:
            group.start_soon(readers.run, end)
            await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
            end.set()
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()
    print(json.dumps(readers.summary()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.readers", description=__doc__)
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--at-once", type=int, required=True)
    options = parser.parse_args()
    anyio.run(_main, options.kubeconfig, options.at_once)


if __name__ == "__main__":
    main()

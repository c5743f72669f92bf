"""Clients that read in the old version, many at the same moment: each GET costs the webhook one conversion, each list as many
as there are services, in one review.

`python -m bench.readers` is started by a scenario as a process of its own, so that its work does not slow the witness. It
sends waves until its standard input ends, waits for the last one, and prints what it saw as one line of JSON.
"""

import argparse
import itertools
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
import msgspec

from aioctl import piped
from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.kube.errors import Gone, KubeError, NotFound
from bench.machine import quantile

if TYPE_CHECKING:
    from bench.stage import Stage

_PAUSE: Final = 5.0
"""Seconds between two waves. The simulated API server makes the calls of a wave, and needs time for everything else, too."""
_LOOK: Final = 0.25
_TRIES: Final = 9
_KEPT: Final = 1000
"""Latencies that go into the record, evenly taken of all."""


@dataclass
class Readers:
    """One storm of reads."""

    client: Client
    at_once: int
    seconds: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    waves: int = 0
    lists: bool = False
    """Whole lists instead of single services."""
    pause: float = _PAUSE

    async def run(self, end: anyio.Event) -> None:
        """Until `end` is set; a wave that has begun is seen through, so that no read is cut off."""
        while not end.is_set():
            services = await services_of(self.client)
            await self.wave(services)
            with anyio.move_on_after(self.pause if services else _LOOK):
                await end.wait()

    async def wave(self, services: Sequence[ObjectKey]) -> None:
        """So many reads of these at once, and waits for all of them."""
        async with anyio.create_task_group() as group:
            for key in itertools.islice(itertools.cycle(services), self.at_once if services else 0):
                group.start_soon(self._read, key)
        self.waves += bool(services)

    def summary(self) -> dict[str, object]:
        return {
            "at_once": self.at_once,
            "waves": self.waves,
            "reads": len(self.seconds),
            "failures": len(self.failures),
            "seconds": [
                round(each, 4) for each in sorted(self.seconds)[:: max(1, len(self.seconds) // _KEPT)]
            ],
            "examples": self.failures[:3],
            "p50_s": round(quantile(self.seconds, 0.5), 3),
            "p99_s": round(quantile(self.seconds, 0.99), 3),
            "max_s": round(max(self.seconds, default=0.0), 3),
        }

    async def _read(self, key: ObjectKey) -> None:
        started = monotonic()
        try:
            if self.lists:
                await self._list()
            else:
                await self.client.get(kinds.SERVICE_V1ALPHA1, *key)
        except NotFound:
            return
        except KubeError as error:
            self.failures.append(str(error))
        self.seconds.append(monotonic() - started)

    async def _list(self) -> None:
        """What is stored, in the old version. A list of the newest state comes out of the API server's cache, which holds each
        version converted already."""
        for _ in range(_TRIES):
            with suppress(Gone):  # written to in between
                return await self._list_exactly()
        return await self._list_exactly()

    async def _list_exactly(self) -> None:
        newest = [page async for page in self.client.list_pages(kinds.SERVICE, metadata_only=True, limit=1)]
        exact = (("resourceVersion", newest[0].resource_version), ("resourceVersionMatch", "Exact"))
        await self.client.get_raw(kinds.SERVICE_V1ALPHA1.path(), query=exact)


async def services_of(client: Client) -> list[ObjectKey]:
    """All there are. Raises KubeError."""
    found: list[ObjectKey] = []
    async for page in client.list_pages(kinds.SERVICE, metadata_only=True):
        for raw in page.items:
            metadata = msgspec.json.decode(raw)["metadata"]
            found.append(ObjectKey(metadata["namespace"], metadata["name"]))
    return found


@asynccontextmanager
async def waves(
    place: "Stage", at_once: int, *, lists: bool = False, pause: float = _PAUSE
) -> AsyncIterator[dict[str, Any]]:
    """Reads go on while inside; what the readers saw is there afterwards. None at once: nothing happens."""
    found: dict[str, Any] = {}
    if not at_once:
        yield found
        return
    command = [sys.executable, "-m", "bench.readers", "--kubeconfig", str(place.arena.kubeconfig)]
    command += ["--at-once", str(at_once), "--pause", str(pause), *(["--lists"] if lists else [])]
    async with processes.process("readers", command, place.folder) as child:
        yield found
        if child.stdin is not None:
            await child.stdin.aclose()
        said = b"".join([piece async for piece in child.stdout]) if child.stdout is not None else b"{}"
    found |= json.loads(said)


async def _main(options: argparse.Namespace) -> None:
    config = await load_config(options.kubeconfig)
    client = Client(config.wire(connections=options.at_once + 10, user_agent="bench-readers/1"))
    readers = Readers(client, options.at_once, lists=options.lists, pause=options.pause)
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
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--pause", type=float, default=_PAUSE)
    anyio.run(_main, parser.parse_args())


if __name__ == "__main__":
    piped.command(main)

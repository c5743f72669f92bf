"""Services that may not be planned in this process: those whose plan killed one, or ran out of its limits.

A service is confined when a process died while it planned it (`marks.py`), or when its status says `PlanTooExpensive`,
which every replica sees: so each replica ends at most once for each of them. A confined service has a queue and a worker
of its own, goes after all others that are ready, and is planned in a child process under limits of CPU time, memory and
time (`child.py`). Once it has settled it is free again.

A plan that runs out of its limits is told by condition and event and tried again ever more seldom, or as soon as the
service, or a configuration that it is put together from, has changed.
"""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import anyio
from anyio.abc import Process

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, annotations_of, generation_of, labels_of
from aioctl.controller.caches import Caches
from aioctl.controller.child import LENGTH, Word, decode, encode
from aioctl.controller.interests import Interests
from aioctl.controller.knobs import ChildLimits
from aioctl.controller.marks import Marks
from aioctl.controller.planner import Conclusion, PlanTooExpensive
from aioctl.engine.clock import Clock
from aioctl.engine.turnstile import Turnstile
from aioctl.plan.model import Outcome, Plan, Step
from aioctl.plan.observation import Observation
from aioctl.plan.policy import Policy

_CHILD: Final = "import sys; from aioctl.controller.child import main; main(*sys.argv[1:])"
COMMAND: Final[Sequence[str]] = (sys.executable, "-c", _CHILD)
FIRST_RETRY: Final = 60.0
LONGEST_RETRY: Final = 3600.0
"""Seconds until a plan that ran out of its limits is tried again, doubling: each try costs a CPU for the whole limit."""
LONGEST_WAIT: Final = 60.0
"""Seconds that a confined service lets others go first; a fleet that never rests must not hold it up for ever."""
_MOST_ANSWER: Final = 32 << 20
"""Bytes of one message from the child. A plan has a few dozen objects; the API server takes 3 MB for one."""
_CONFIGURING: Final = (kinds.CONFIG, kinds.CONFIG_MAP)
CLOCK_PER_CPU: Final = 4
"""A child may take so many times its CPU limit in seconds for one decision: it gives way to everybody."""


@dataclass(slots=True)
class _Confined:
    """`retry_at`: not planned before, unless `inputs` changed. `waits_since`: it lets the others go first since then."""

    failures: int = 0
    retry_at: float = 0.0
    inputs: Any = None
    waits_since: float | None = None


@dataclass
class Confinement:
    """Which services are confined, and when each may be planned next."""

    marks: Marks
    caches: Caches
    interests: Interests
    clock: Clock
    _confined: dict[ObjectKey, _Confined] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, deaths in self.marks.suspects.items():
            # The second death of the same service happened although it was confined: in what follows the plan.
            self._confined[key] = found = _Confined(failures=deaths - 1)
            if deaths > 1:
                found.retry_at = self.clock.monotonic() + _retry(deaths - 2)

    def holds(self, key: ObjectKey) -> bool:
        return key in self._confined

    def keys(self) -> Iterable[ObjectKey]:
        return list(self._confined)

    def add(self, key: ObjectKey) -> None:
        self._confined.setdefault(key, _Confined())

    def release(self, key: ObjectKey) -> None:
        """It has settled, or is gone."""
        self._confined.pop(key, None)
        self.marks.settled(key)

    def wait(self, key: ObjectKey, service: Object, *, others: bool) -> float:
        """Seconds until it may be planned, 0.0 when it may now. `others`: services that are not confined have work."""
        confined = self._confined[key]
        now = self.clock.monotonic()
        if now < confined.retry_at and confined.inputs in (None, self._inputs(key, service)):
            return confined.retry_at - now
        if confined.waits_since is None:
            confined.waits_since = now
        if others and now - confined.waits_since < LONGEST_WAIT:
            return _LOOK_AGAIN
        confined.waits_since = None
        return 0.0

    def failed(self, key: ObjectKey, service: Object) -> tuple[float, bool]:
        """The plan ran out of its limits: seconds until the next try, and whether that is news since the last change."""
        confined = self._confined[key]
        inputs = self._inputs(key, service)
        news = confined.inputs != inputs
        confined.failures = 1 if news else confined.failures + 1
        confined.inputs = inputs
        wait = _retry(confined.failures - 1)
        confined.retry_at = self.clock.monotonic() + wait
        return wait, news

    def _inputs(self, key: ObjectKey, service: Object) -> Any:
        """What people change to cure a plan, comparable. Not the service's version: our own status changes that."""
        versions = []
        for ref in self.interests.reads(key):
            if ref.kind in _CONFIGURING:
                found = self.caches.get(ref.kind, ref.key)
                versions.append((ref, found.resource_version if found is not None else ""))
        return (
            generation_of(service),
            dict(labels_of(service)),
            dict(annotations_of(service)),
            sorted(versions),
        )


_LOOK_AGAIN: Final = 0.5


def _retry(failures: int) -> float:
    return min(FIRST_RETRY * 2.0 ** min(failures, 16), LONGEST_RETRY)


class ChildPlanner:
    """Decides for one run of one service in a child process; implements `planner.Planner`. See `confined_planner`."""

    def __init__(self, process: Process, policy: Policy, turnstile: Turnstile, limits: ChildLimits) -> None:
        self._process = process
        self._policy = policy
        self._turnstile = turnstile
        self._limits = limits
        self._rest = bytearray()

    async def plan(
        self, obs: Observation, service: Object, now: datetime, read: Callable[[], None], turn: str = ""
    ) -> Plan:
        policy = replace(self._policy, turn=turn)
        decided: Plan = await self._decide((Word.PLAN, service, policy, now), obs, read)
        return decided

    async def conclude(
        self, plan: Plan, outcome: Outcome, obs: Observation, now: datetime, read: Callable[[], None]
    ) -> Conclusion:
        steps = (outcome.failed, outcome.beside, outcome.blocked)
        places = tuple(_place(plan, step) for step in steps)
        sent = replace(outcome, failed=None, beside=None, blocked=None)
        concluded: Conclusion = await self._decide((Word.CONCLUDE, places, sent, now), obs, read)
        return concluded

    async def _decide(self, question: tuple[Any, ...], obs: Observation, read: Callable[[], None]) -> Any:
        seconds = self._limits.cpu * CLOCK_PER_CPU
        try:
            with anyio.fail_after(seconds):
                return await self._converse(question, obs, read)
        except TimeoutError:
            raise PlanTooExpensive(f"planning took more than {seconds:g} s") from None
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise PlanTooExpensive(await self._why_it_ended()) from None

    async def _converse(self, question: tuple[Any, ...], obs: Observation, read: Callable[[], None]) -> Any:
        message: Any = question
        while True:
            async with self._turnstile.turn():
                text = encode(message)
            await self._send(text)
            text = await self._receive()
            async with self._turnstile.turn():
                word, *fields = decode(text)
                match word:
                    case Word.DONE:
                        return fields[0]
                    case Word.NO_MEMORY:
                        raise PlanTooExpensive(
                            f"planning took more than {self._limits.memory >> 20} MiB of memory"
                        )
                    case Word.FAILED:
                        raise RuntimeError(fields[0])
                    case Word.GET:
                        kind, namespace, name, named_by_user = fields
                        message = obs.get(kind, namespace, name, named_by_user=named_by_user)
                    case Word.SELECT:
                        message = obs.select(*fields)
                    case Word.OTHERS_RUN:
                        message = obs.others_run(*fields)
                    case Word.NAMESAKES:
                        message = obs.namesakes(*fields)
                    case Word.SERVED:
                        message = obs.served(*fields)
                    case Word.TRY_OUT:
                        message = obs.try_out(*fields)
                    case Word.SERVER_VERSION:
                        message = obs.server_version()
                    case Word.HEARD:
                        message = obs.heard(*fields)
                    case Word.REACHES:
                        message = obs.reaches(*fields)
                    case _:
                        raise TypeError(f"the child sent {word}")
                read()

    async def _send(self, text: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101  opened with a pipe
        await self._process.stdin.send(text)

    async def _receive(self) -> bytes:
        size = int.from_bytes(await self._exactly(LENGTH), "big")
        if size > _MOST_ANSWER:
            raise PlanTooExpensive(f"the plan has {size >> 20} MiB")
        return await self._exactly(size)

    async def _exactly(self, size: int) -> bytes:
        assert self._process.stdout is not None  # noqa: S101  opened with a pipe
        while len(self._rest) < size:
            self._rest += await self._process.stdout.receive()
        found = bytes(self._rest[:size])
        del self._rest[:size]
        return found

    async def _why_it_ended(self) -> str:
        code = await self._process.wait()
        if code == -signal.SIGXCPU:
            return f"planning took more than {self._limits.cpu:g} s of CPU time"
        return f"the process that planned ended with {f'signal {-code}' if code < 0 else f'code {code}'}"


@asynccontextmanager
async def confined_planner(
    policy: Policy, turnstile: Turnstile, limits: ChildLimits, command: Sequence[str] = COMMAND
) -> AsyncIterator[ChildPlanner]:
    """A child process for one run, which has ended when the block ends. Raises OSError when it cannot be started."""
    words = [*command, str(max(1, round(limits.cpu))), str(limits.memory)]
    process = await anyio.open_process(words, stderr=subprocess.DEVNULL)
    try:
        yield ChildPlanner(process, policy, turnstile, limits)
    finally:
        with anyio.CancelScope(shield=True):
            with suppress(ProcessLookupError):
                process.kill()
            await process.aclose()


def _place(plan: Plan, step: Step | None) -> int | None:
    if step is None:
        return None
    return next(place for place, found in enumerate(plan.steps) if found is step or found == step)

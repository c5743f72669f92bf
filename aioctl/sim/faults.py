"""Scripts of misfortune: errors, latency, lost answers, partitions, half-open connections, watches that are cut, late or
repeat themselves, stale reads, a store that hangs, restarts, crashes.

A fault has a matcher and a count; the cluster asks `Faults` at its edges and never decides itself. Everything is off until
a test or the bench adds it, and every fault can be taken away again.
"""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from aioctl.sim.errors import StatusError
from aioctl.sim.records import Key, Record
from aioctl.sim.views import Watcher


class ConnectionLost(Exception):
    """The client gets no answer, or the stream breaks. `was_done` tells whether the request had its effect."""

    def __init__(self, why: str, *, was_done: bool = False) -> None:
        super().__init__(why)
        self.was_done = was_done


@dataclass(frozen=True, slots=True)
class Call:
    """What a fault can look at. `resource` is dotted, with `/status` for the subresource."""

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    client: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """Which calls: every field that is set must fit. `resource` may leave out the group; `client` is a prefix."""

    verb: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    client: str = ""

    def fits(self, call: Call) -> bool:
        return (
            call.client.startswith(self.client)
            and self.verb in ("", call.verb)
            and self.namespace in ("", call.namespace)
            and self.name in ("", call.name)
            and (self.resource in ("", call.resource) or self.resource == _without_group(call.resource))
        )


def _without_group(resource: str) -> str:
    plural, slash, subresource = resource.partition("/")
    return plural.partition(".")[0] + slash + subresource


@dataclass(eq=False, slots=True)
class Fault:
    """One rule. It hits calls `first` to `first + times - 1` of those that match (`times` 0: all from `first` on)."""

    match: Match
    error: StatusError | None = None
    latency: float = 0.0
    lose: str = ""
    """`before`: the request is lost; `after`: it takes effect and the answer is lost."""
    first: int = 1
    times: int = 0
    seen: int = 0
    hits: int = 0

    def strikes(self, call: Call) -> bool:
        if not self.match.fits(call):
            return False
        self.seen += 1
        is_hit = self.seen >= self.first and (not self.times or self.seen < self.first + self.times)
        self.hits += is_hit
        return is_hit


@dataclass(eq=False, slots=True)
class StaleReads:
    """Reads that match see a collection as it was when this was added."""

    match: Match
    records: dict[Key, Record]
    revision: int


@dataclass(eq=False, slots=True)
class _Crash:
    countdown: int
    client: str
    callback: Callable[[], object]
    loses_answer: bool


@dataclass
class Faults:
    """All scripts of one cluster."""

    rules: list[Fault] = field(default_factory=list)
    partitions: set[str] = field(default_factory=set)
    lags: dict[Match, float] = field(default_factory=dict)
    stale: dict[str, StaleReads] = field(default_factory=dict)
    repeated: set[Match] = field(default_factory=set)
    halted: anyio.Event | None = None
    """While the store hangs; set when it goes on."""
    is_down: bool = False
    watchers: Callable[[Match], list[Watcher]] = field(default=lambda _match: [])
    """Set by the cluster: open watches that fit."""
    _crashes: list[_Crash] = field(default_factory=list)

    def add(self, fault: Fault) -> Fault:
        self.rules.append(fault)
        return fault

    def fail(self, match: Match, error: StatusError, *, first: int = 1, times: int = 1) -> Fault:
        """Matching calls answer with an error and do nothing."""
        return self.add(Fault(match, error=error, first=first, times=times))

    def slow(self, match: Match, seconds: float, *, times: int = 0) -> Fault:
        """Matching calls take longer before they start."""
        return self.add(Fault(match, latency=seconds, times=times))

    def lose(self, match: Match, when: str = "after", *, first: int = 1, times: int = 1) -> Fault:
        """Matching calls get no answer, `before` or `after` they took effect."""
        return self.add(Fault(match, lose=when, first=first, times=times))

    def remove(self, fault: Fault) -> None:
        self.rules.remove(fault)

    def partition(self, client: str) -> None:
        """A client (by user agent prefix) is cut off: calls fail, its watches fall silent but stay open."""
        self.partitions.add(client)
        for watcher in self.watchers(Match(client=client)):
            watcher.stall(on=True)

    def heal(self, client: str) -> None:
        """Ends a partition; what its watches missed arrives now."""
        self.partitions.discard(client)
        for watcher in self.watchers(Match(client=client)):
            watcher.stall(on=False)

    def lag_watches(self, match: Match, seconds: float) -> None:
        """Matching watches, open and new ones, see every change this much later; 0 ends it."""
        self.lags.pop(match, None)
        if seconds:
            self.lags[match] = seconds
        for watcher in self.watchers(match):
            watcher.delay = seconds

    def repeat_watches(self, match: Match, *, on: bool = True) -> None:
        """Matching watches, open and new ones, say every line twice, as one does that begins again a little before its end."""
        (self.repeated.add if on else self.repeated.discard)(match)
        for watcher in self.watchers(match):
            watcher.repeats = on

    def abandon_watches(self, match: Match) -> int:
        """Matching watches stay open and never say anything again, as on a connection of which only one side knows that it
        has ended; how many."""
        found = self.watchers(match)
        for watcher in found:
            watcher.abandon()
        return len(found)

    def halt_store(self) -> None:
        """What reads or writes objects hangs, and takes effect afterwards though its client may have given up; open watches
        are silent, discovery goes on."""
        self.halted = self.halted or anyio.Event()

    def resume_store(self) -> None:
        """Ends it; what hangs goes on."""
        if self.halted is not None:
            self.halted.set()
        self.halted = None

    def cut_watches(self, match: Match | None = None) -> int:
        """Ends matching watches as a server does that closes them; how many."""
        cut = self.watchers(match or Match())
        for watcher in cut:
            watcher.close()
        return len(cut)

    def lag_of(self, call: Call) -> float:
        return max((seconds for match, seconds in self.lags.items() if match.fits(call)), default=0.0)

    def is_repeated(self, call: Call) -> bool:
        return any(match.fits(call) for match in self.repeated)

    def crash_after(
        self, writes: int, callback: Callable[[], object], *, client: str = "", loses_answer: bool = True
    ) -> None:
        """Calls back right after a client's n-th write took effect, before it has the answer (which it then loses)."""
        self._crashes.append(_Crash(writes, client, callback, loses_answer))

    async def before(self, call: Call) -> None:
        """At the door. Raises StatusError or ConnectionLost."""
        if self.is_down:
            raise ConnectionLost("connection refused")
        if any(call.client.startswith(client) for client in self.partitions):
            raise ConnectionLost("no route to host")
        for rule in list(self.rules):
            if rule.lose != "after" and rule.strikes(call):
                if rule.latency:
                    await anyio.sleep(rule.latency)
                if rule.lose:
                    raise ConnectionLost("connection reset by peer")
                if rule.error is not None:
                    raise rule.error

    async def after(self, call: Call, *, wrote: bool) -> None:
        """Behind the effect. Raises ConnectionLost."""
        if wrote:
            for crash in list(self._crashes):
                if call.client.startswith(crash.client):
                    crash.countdown -= 1
                    if crash.countdown == 0:
                        self._crashes.remove(crash)
                        await _called(crash.callback)
                        if crash.loses_answer:
                            raise ConnectionLost("the client is gone", was_done=True)
        for rule in list(self.rules):
            if rule.lose == "after" and rule.strikes(call):
                raise ConnectionLost("connection reset by peer", was_done=True)


async def _called(callback: Callable[[], object]) -> None:
    result = callback()
    if inspect.isawaitable(result):
        waiting: Awaitable[object] = result
        await waiting

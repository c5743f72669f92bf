"""Who may be connected, and who goes when it gets full.

The API server's calls may all come from one address, 700 of them at once, and so may a stranger's. So an address has a bound only
well above what an API server opens, and what decides is whether a connection does anything: one that is answered is never closed
for another, one that waits for its client gives way.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import anyio

from aioctl.serving.limits import Limits

GRACE: Final = 0.25
"""Seconds without a byte after which a connection is idle. In a burst all are new at once: none may cost another its
handshake, and those for which there is no room wait in the kernel's queue until there is."""
_TRIES: Final = 32
"""Connections that are looked at for one without unread bytes in the kernel."""


@dataclass(slots=True, eq=False)
class Guest:
    """One connection. `idle_since` is None while a request of it is read or answered."""

    peer: str
    close: Callable[[], bool]
    """Closes the connection at once, and `Room.leave` follows, now or later. Returns False when it is about to be busy."""
    idle_since: float = 0.0
    """Loop time since which its client has been silent; of no meaning while it is busy."""
    served: bool = False
    """Has had an answer: it may be one of those that an API server keeps."""


@dataclass(slots=True)
class _Peer:
    count: int = 0
    fresh: dict[Guest, None] = field(default_factory=dict)
    """Idle ones without an answer yet, the longest idle first."""
    kept: dict[Guest, None] = field(default_factory=dict)
    """Idle ones between two requests, the longest idle first."""

    @property
    def idle(self) -> int:
        return len(self.fresh) + len(self.kept)

    def longest_idle(self, before: float) -> Guest | None:
        """One that has been silent since then: first among those that never had an answer, then among those kept."""
        for guests in (self.fresh, self.kept):
            first = next(iter(guests), None)
            if first is not None and first.idle_since <= before:
                return first
        return None

    def ripe_at(self) -> float:
        """When there will be one that is silent for long enough, if nothing happens."""
        firsts = (next(iter(guests), None) for guests in (self.fresh, self.kept))
        return min((first.idle_since + GRACE for first in firsts if first is not None), default=math.inf)

    def forget(self, guest: Guest) -> None:
        self.fresh.pop(guest, None)
        self.kept.pop(guest, None)


class Room:
    """The connections of one server. `evicted` is told when one gives way, `refused` when one is turned away."""

    def __init__(self, limits: Limits, *, evicted: Callable[[], None], refused: Callable[[], None]) -> None:
        self._total = limits.connections
        self._per_peer = limits.connections_per_peer
        self._evicted = evicted
        self._refused = refused
        self._peers: dict[str, _Peer] = {}
        self._changed = anyio.Event()
        self.count = 0
        """Connections that are open, those that are closing included."""

    async def wait(self) -> None:
        """Returns as soon as one more can be let in, at the cost of an idle one if need be."""
        while self.count >= self._total:
            ripe = min((peer.ripe_at() for peer in self._peers.values()), default=math.inf)
            if ripe <= anyio.current_time():
                return
            self._changed = anyio.Event()
            with anyio.CancelScope(deadline=ripe):
                await self._changed.wait()

    def enter(self, guest: Guest) -> bool:
        """Lets an idle guest in, after the longest idle one was closed if it is full. False: turned away.

        When all is full the place is taken from the address with the most idle connections: whoever opens many pays for it.
        """
        peer = self._peers.get(guest.peer)
        if peer is not None and peer.count >= self._per_peer:
            let_in = self._make_way(peer)
        elif self.count >= self._total:
            let_in = any(map(self._make_way, sorted(self._peers.values(), key=_crowd, reverse=True)))
        else:
            let_in = True
        if not let_in:
            self._refused()
            return False
        self._peers.setdefault(guest.peer, _Peer()).count += 1
        self.count += 1
        self.idle(guest)
        return True

    def idle(self, guest: Guest, *, served: bool = False) -> None:
        """The guest's client is to act: it may be closed for another. `served`: it has just had an answer."""
        peer = self._peers[guest.peer]
        peer.forget(guest)
        guest.served = guest.served or served
        guest.idle_since = anyio.current_time()
        (peer.kept if guest.served else peer.fresh)[guest] = None
        self._changed.set()

    def busy(self, guest: Guest) -> None:
        """The client has said something, and it is our turn to act."""
        self._peers[guest.peer].forget(guest)

    def leave(self, guest: Guest) -> None:
        """The connection is closed."""
        peer = self._peers[guest.peer]
        peer.forget(guest)
        peer.count -= 1
        self.count -= 1
        if not peer.count:
            del self._peers[guest.peer]
        self._changed.set()

    def _make_way(self, peer: _Peer) -> bool:
        """Closes the idle connection of this address that is missed least. False if there is none."""
        before = anyio.current_time() - GRACE
        for _ in range(_TRIES):
            victim = peer.longest_idle(before)
            if victim is None:
                return False
            peer.forget(victim)
            if victim.close():
                self._evicted()
                return True
            self.idle(victim)
        return False


def _crowd(peer: _Peer) -> int:
    return peer.idle


class FairPlaces:
    """A semaphore whose waiters are let in address by address, in turn: one that asks a thousand times waits for itself."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[str, deque[anyio.Event]] = {}
        """By address; the first in order is the next."""

    async def acquire(self, peer: str) -> None:
        if self._free:
            self._free -= 1
            return
        event = anyio.Event()
        self._waiting.setdefault(peer, deque()).append(event)
        try:
            await event.wait()
        except BaseException:
            if event.is_set():  # let in and cancelled in the same moment
                self.release()
            else:
                self._forget(peer, event)
            raise

    def release(self) -> None:
        peer = next(iter(self._waiting), None)
        if peer is None:
            self._free += 1
            return
        queue = self._waiting.pop(peer)
        queue.popleft().set()
        if queue:
            self._waiting[peer] = queue

    def _forget(self, peer: str, event: anyio.Event) -> None:
        queue = self._waiting[peer]
        queue.remove(event)
        if not queue:
            del self._waiting[peer]

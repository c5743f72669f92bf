"""What one server lets in at once, and for how long it waits (ARCH-9). Numbers only; others enforce them.

Calls wait in line rather than being refused, because a refused conversion is a failed one.
"""

from dataclasses import dataclass
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Durations in seconds, sizes in bytes."""

    handshake: float = 10.0
    """From the opening of a connection to its place for the handshake, and from there to the end of it: what the API server
    gives it."""
    header: float = 10.0
    """From the first byte of a request to the end of its header."""
    body: float = 30.0
    """From the end of the header to the end of the body, waits in line not counted: the API server gives up then."""
    body_grace: float = 2.0
    """For a body to begin; from then on it has to keep the pace."""
    body_pace: int = 64 * KIB
    """Bytes a second, on average, that a body has to come with: an API server is never so slow, in one cluster."""
    answer: float = 30.0
    """From the first byte of a large answer to its last. Whoever reads no faster has given up, or is gone without a word, and
    would hold its share of the bytes in flight for as long as TCP hopes."""
    line: float = 30.0
    """The longest wait in line; after that the caller has gone."""
    idle: float = 120.0
    """Between two requests, and before the first; longer than the 90 s of Go's client, so that it closes first and never meets
    a closed one."""
    drain: float = 10.0
    """What calls in flight get when the server stops."""

    connections: int = 2500
    """More than may wait in line. The longest idle one is closed for one more."""
    connections_per_peer: int = 2000
    """From one address: as many as may wait in line, for all calls of an API server may come from one. The rest is for others."""
    handshakes: int = 32
    """Computed at once; a place is for the server's first flight only, and nobody holds one while the client is to act. Each
    costs about 0.45 ms of CPU, and all of them may fall into one turn of the loop: at a burst of 700 the loop's longest
    stretch was 12 ms with 16, 15 ms with 32, 54 ms with 64, and none of them was slower than the others."""
    backlog: int = 4096
    """The kernel's queue; a connection that does not fit comes back a second later (WEB-2)."""

    waiting: int = 2000
    """Calls in line; one more is refused."""
    tiny_body: int = 64 * KIB
    """Up to here a body is tiny: it is read before it takes its place in line, as any of the connections may keep so much.
    Tiny, small and large bodies have lanes of their own: a list must not hold up single objects, and who sends slowly must
    not hold up those that came whole."""
    small_body: int = MIB
    """Up to here a body is small."""
    tiny_bytes: int = 32 * MIB
    """Tiny bodies in flight, taken together, and what they became."""
    small_bytes: int = 32 * MIB
    """The same of small ones."""
    large_bytes: int = 64 * MIB
    """The same of large ones; a single one may go beyond that."""
    small_silence: float = 0.5
    """After so much silence amid a small body it gives way, if others wait for its memory."""
    large_silence: float = 2.0
    """The same of a large one."""

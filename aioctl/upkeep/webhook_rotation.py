"""How the webhook server's own certificates grow old and are replaced, as a pure state machine.

One generation is a CA and a leaf of the same life. A rotation takes four steps, each one write of the Secret:

    steady --begin--> spreading --trusted--> overlapping --switch--> settling --settle--> steady

`spreading`: the bundle names both CAs and has to reach the CRDs and webhook configurations. `overlapping`: it has; a
fixed time passes until whoever caches the bundle has it. Only then is the new leaf served (`switch`); the old CA stays in
the bundle for the same time, for replicas that still serve the old leaf. So at every moment whatever leaf a replica
serves is covered by whatever bundle an API server holds, as long as both lag by less than the overlap.

Nothing here reads a clock or calls anybody; new keys come from `aioctl.pki.pairs`.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from aioctl.pki.pairs import Pair, ParsedPair, create_ca, issue_leaf, parse_pair

LIFETIME: Final = timedelta(days=365)
COMMON_NAME: Final = "aioctl webhook CA"
_RENEW_AT: Final = 0.6
"""Share of the life after which a rotation begins and two overlaps have to fit in before two thirds are over."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A CA, and the leaf it signed."""

    ca: Pair
    leaf: Pair


@dataclass(frozen=True, slots=True)
class RotationPolicy:
    """`dns_names`: what the leaf must carry, the first one is its common name."""

    dns_names: tuple[str, ...]
    overlap: timedelta
    lifetime: timedelta = LIFETIME


@dataclass(frozen=True, slots=True)
class RotationState:
    """What the Secret holds."""

    current: Generation
    next: Generation | None = None
    previous_ca: bytes = b""
    since: datetime | None = None
    """Overlapping: when all bundles had both CAs. Settling: when the leaf was switched. Else None."""

    @property
    def bundle(self) -> bytes:
        """The CAs that clients have to trust, PEM, the serving one first."""
        return self.current.ca.crt + (self.next.ca.crt if self.next is not None else self.previous_ca)


class RotationStep(Enum):
    """What to do with the state now."""

    KEEP = "keep"
    REISSUE = "reissue"
    """The names have changed: a new leaf of the same CA, which everybody trusts already."""
    RENEW = "renew"
    """Too late for a rotation: nothing that is served can be trusted any more."""
    BEGIN = "begin"
    TRUSTED = "trusted"
    RESTART = "restart"
    """Somebody had removed a CA from a bundle: the overlap counts from anew."""
    SWITCH = "switch"
    SETTLE = "settle"


def decide(state: RotationState, now: datetime, policy: RotationPolicy, *, trusted: bool) -> RotationStep:
    """The next step. `trusted`: every bundle was seen to be `state.bundle` without a write of ours just now."""
    ca, leaf = _parsed(state.current.ca), _parsed(state.current.leaf)
    if now >= min(ca.not_after, leaf.not_after):
        return RotationStep.RENEW
    if not leaf.dns_names.issuperset(policy.dns_names):
        return RotationStep.REISSUE
    if state.next is not None:
        return _rotating(state, now, policy, trusted=trusted)
    if state.previous_ca:
        over = state.since is None or now >= state.since + policy.overlap
        return RotationStep.SETTLE if over else RotationStep.KEEP
    return RotationStep.BEGIN if now >= _renewal(ca, policy) else RotationStep.KEEP


def _rotating(state: RotationState, now: datetime, policy: RotationPolicy, *, trusted: bool) -> RotationStep:
    if state.since is None:
        return RotationStep.TRUSTED if trusted else RotationStep.KEEP
    if not trusted:
        return RotationStep.RESTART
    return RotationStep.SWITCH if now >= state.since + policy.overlap else RotationStep.KEEP


def advance(state: RotationState, step: RotationStep, now: datetime, policy: RotationPolicy) -> RotationState:
    """The state after the step; new keys are made where the step needs them."""
    match step:
        case RotationStep.KEEP:
            return state
        case RotationStep.REISSUE:
            return _reissued(state, now, policy)
        case RotationStep.RENEW:
            return RotationState(new_generation(now, policy))
        case RotationStep.BEGIN:
            return replace(state, next=new_generation(now, policy), since=None)
        case RotationStep.TRUSTED:
            return replace(state, since=now)
        case RotationStep.RESTART:
            return replace(state, since=None)
        case RotationStep.SWITCH:
            current = state.next or state.current
            return RotationState(current, previous_ca=state.current.ca.crt, since=now)
        case RotationStep.SETTLE:
            return replace(state, previous_ca=b"", since=None)


def new_generation(now: datetime, policy: RotationPolicy) -> Generation:
    ca = create_ca(COMMON_NAME, now=now, lifetime=policy.lifetime)
    return Generation(ca, issue_leaf(ca, policy.dns_names, now=now, lifetime=policy.lifetime))


def _reissued(state: RotationState, now: datetime, policy: RotationPolicy) -> RotationState:
    def anew(generation: Generation) -> Generation:
        left = _parsed(generation.ca).not_after - now
        # The old names stay: two replicas that were told different names would replace each other's leaf for ever.
        old = _parsed(generation.leaf).dns_names.difference(policy.dns_names)
        names = (*policy.dns_names, *sorted(old))
        return replace(generation, leaf=issue_leaf(generation.ca, names, now=now, lifetime=left))

    following = anew(state.next) if state.next is not None else None
    return replace(state, current=anew(state.current), next=following)


def _renewal(ca: ParsedPair, policy: RotationPolicy) -> datetime:
    life = ca.not_after - ca.not_before
    return ca.not_before + max(life * _RENEW_AT - 2 * policy.overlap, life / 3)


def _parsed(pair: Pair) -> ParsedPair:
    match parse_pair(pair.crt, pair.key):
        case ParsedPair() as parsed:
            return parsed
        case problem:
            raise ValueError(problem)


# The Secret's entries. `ca.crt` is derived; it is there for people and for clients that read it from the Secret.
_CURRENT: Final = ("signer.crt", "signer.key", "tls.crt", "tls.key")
_NEXT: Final = ("next-signer.crt", "next-signer.key", "next.crt", "next.key")
_PREVIOUS: Final = "previous-signer.crt"
_SINCE: Final = "since"


def to_secret_data(state: RotationState) -> dict[str, str]:
    """The Secret's `data`, base64."""
    entries = dict(zip(_CURRENT, _parts(state.current), strict=True))
    entries["ca.crt"] = state.bundle
    if state.next is not None:
        entries.update(zip(_NEXT, _parts(state.next), strict=True))
    if state.previous_ca:
        entries[_PREVIOUS] = state.previous_ca
    if state.since is not None:
        entries[_SINCE] = state.since.isoformat().encode()
    return {name: base64.b64encode(value).decode() for name, value in entries.items()}


def from_secret_data(data: Mapping[str, str]) -> RotationState | str:
    """The state, or what is wrong with the Secret, naming the entry."""
    entries: dict[str, bytes] = {}
    for name, value in data.items():
        try:
            entries[name] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError):
            return f"{name} is not base64"
    current = _generation(entries, _CURRENT)
    if isinstance(current, str):
        return current
    following = _generation(entries, _NEXT) if _NEXT[0] in entries else None
    if isinstance(following, str):
        return following
    try:
        since = datetime.fromisoformat(entries[_SINCE].decode()) if _SINCE in entries else None
    except ValueError:
        return f"{_SINCE} is not a time"
    if since is not None and since.tzinfo is None:
        return f"{_SINCE} has no time zone"
    return RotationState(current, following, entries.get(_PREVIOUS, b""), since)


def _parts(generation: Generation) -> tuple[bytes, bytes, bytes, bytes]:
    return generation.ca.crt, generation.ca.key, generation.leaf.crt, generation.leaf.key


def _generation(entries: Mapping[str, bytes], names: tuple[str, ...]) -> Generation | str:
    for name in names:
        if not entries.get(name):
            return f"{name} is missing"
    ca, leaf = Pair(entries[names[0]], entries[names[1]]), Pair(entries[names[2]], entries[names[3]])
    for pair, name in ((ca, names[0]), (leaf, names[2])):
        parsed = parse_pair(pair.crt, pair.key)
        if isinstance(parsed, str):
            return f"{name} and its key: {parsed}"
    return Generation(ca, leaf)

"""What a plan found settled, kept with what it had read: only the parts whose reads changed are decided again (ARCH-11).

A `Memo` is data that belongs to one service; a `Remembering` is one plan's view of the cluster through it. What a part asks
of the view is its reads. Beside a result stands a stamp of the versions that these reads had: as long as the stamp is the same,
deciding the part again would come to the same. Nothing is kept of a part that has something to write, failed, or could not be
answered. That a plan with a memo is the plan without one is a law, tested over random histories.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, TypeVar

from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.objects import Object
from aioctl.plan.hearsay import Heard
from aioctl.plan.model import (
    Certificate,
    Context,
    GatewayRequest,
    Observation,
    Overlay,
    Read,
    Step,
    Unknown,
    Versions,
    never_again,
)
from aioctl.plan.trial import DryRunResult

T = TypeVar("T")
Asked = tuple[Any, ...]
"""One question to an observation: the name of its method and the arguments, all hashable."""

_PASSED: Final = "passed"


@dataclass(slots=True)
class Entry:
    """A result, what it was made of, and the stamp of that."""

    reads: tuple[Asked, ...]
    stamp: int
    value: Any


@dataclass(slots=True)
class Memo:
    """What is kept of one service between its plans."""

    basis: Hashable = None
    """What every part may look at without asking: the service and the policy. Another basis voids everything."""
    first: Entry | None = None
    """What comes before the parts, and is in all of them; its value goes when the service comes to rest."""
    parts: dict[str, Entry] = field(default_factory=dict)

    def rest(self) -> None:
        """Lets go of what is large and can be made again: a combined spec takes 75 kB as a tree."""
        if self.first is not None:
            self.first.value = None


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was asked of an observation, and the stamp of what was said."""

    asked: tuple[Asked, ...]
    stamp: int


class Remembering:
    """An observation that knows what was asked of it, and by which part."""

    def __init__(self, below: Observation, memo: Memo, now: datetime) -> None:
        """`now`: the time of the plan, for what only time changes."""
        self.below = below
        self.asked: dict[Asked, None] = {}
        """Everything that was asked, by whichever part, and what kept results had asked."""
        self._memo = memo
        self._now = now
        self._asking = [self.asked]
        self._versions: dict[Asked, Hashable] = {}
        self._keeps = False

    # Keeping

    def begin(self, basis: Hashable, make: Callable[[], T], keep: Callable[[T], bool]) -> T:
        """What comes before the parts, made, or as it was kept; from here on results of parts are kept.

        `basis` is what is looked at without asking: while it is not the same as before, nothing is kept of before.
        """
        memo = self._memo
        if memo.basis != basis:
            memo.basis, memo.first = basis, None
            memo.parts.clear()
        before = memo.first
        same = before is not None and self.stamp(before.reads) == before.stamp
        if before is not None and same and before.value is not None:
            self._ask(before.reads)
            kept: T = before.value
        else:
            kept, reads = self._made(make)
            if not same:
                memo.parts.clear()
            memo.first = Entry(reads, self.stamp(reads), kept) if keep(kept) else None
        self._keeps = memo.first is not None
        return kept

    def kept(self, name: str, make: Callable[[], T], keep: Callable[[T], bool]) -> T:
        """The result of a part, made, or as it was kept under the name. What `keep` refuses is made each time."""
        if not self._keeps:
            return make()
        parts = self._memo.parts
        before = parts.get(name)
        if before is not None and self.stamp(before.reads) == before.stamp:
            self._ask(before.reads)
            kept: T = before.value
            return kept
        value, reads = self._made(make)
        if keep(value):
            parts[name] = Entry(reads, self.stamp(reads), value)
        else:
            parts.pop(name, None)
        return value

    def shared(self, make: Callable[[], T]) -> Callable[[], T]:
        """`make`, called once; its reads are those of each part that asks for the result."""
        found: list[tuple[T, tuple[Asked, ...]]] = []

        def get() -> T:
            if not found:
                found.append(self._made(make))
            else:
                self._ask(found[0][1])
            return found[0][0]

        return get

    def stamp(self, reads: Iterable[Asked]) -> int:
        """A number that is the same as long as the same is read."""
        return hash(tuple([self._version(asked) for asked in reads]))

    def seen(self) -> Seen:
        """Everything that was asked so far. To be taken before anything is awaited, as what is below may change then."""
        asked = tuple(self.asked)
        return Seen(asked, self.stamp(asked))

    def shows(self, seen: Seen) -> bool:
        """Whether the same is to be seen now."""
        return self.stamp(seen.asked) == seen.stamp

    def passed(self, moment: datetime) -> bool:
        """Whether the moment has come."""
        self._note(_PASSED, moment)
        return moment <= self._now

    def _made(self, make: Callable[[], T]) -> tuple[T, tuple[Asked, ...]]:
        reads: dict[Asked, None] = {}
        self._asking.append(reads)
        try:
            value = make()
        finally:
            self._asking.pop()
            self._ask(reads)
        return value, tuple(reads)

    def _ask(self, reads: Iterable[Asked]) -> None:
        self._asking[-1].update(dict.fromkeys(reads))

    def _note(self, *asked: Any) -> None:
        self._asking[-1][asked] = None

    def _version(self, asked: Asked) -> Hashable:
        found = self._versions.get(asked)
        if found is None:
            found = self._versions[asked] = self._look(*asked)
        return found

    def _look(self, name: str, *arguments: Any) -> Hashable:
        match name:
            case "get":
                kind, namespace, wanted, by_user = arguments
                return self.below.revision(kind, namespace, wanted, named_by_user=by_user)
            case "select":
                kind, namespace, labels = arguments
                return self.below.revisions(kind, namespace, dict(labels))
            case "try_out":
                return self.below.tried()
            case "passed":
                return bool(arguments[0] <= self._now)
            case _:
                found = getattr(self.below, name)(*arguments)
                return never_again() if isinstance(found, Unknown) else (name, repr(found))

    # An observation

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        self._note("get", kind, namespace, name, named_by_user)
        return self.below.get(kind, namespace, name, named_by_user=named_by_user)

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        self._note("select", kind, namespace, tuple(sorted(labels.items())))
        return self.below.select(kind, namespace, labels)

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        self._note("others_run", namespace, name)
        return self.below.others_run(namespace, name)

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        self._note("namesakes", namespace, name, group, models)
        return self.below.namesakes(namespace, name, group, models)

    def served(self, kind: Kind) -> Served:
        self._note("served", kind)
        return self.below.served(kind)

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        self._note("try_out")
        return self.below.try_out(candidate)

    def server_version(self) -> tuple[str, str] | None:
        self._note("server_version")
        return self.below.server_version()

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        self._note("heard", gateway, apart_from)
        return self.below.heard(gateway, apart_from)

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        self._note("reaches", request)
        return self.below.reaches(request)

    def certificate(self, secret: Object) -> Certificate | str:
        return self.below.certificate(secret)  # says nothing that the Secret, which was read, does not

    def signer(self, secret: Object) -> str:
        return self.below.signer(secret)

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        return self.below.revision(kind, namespace, name, named_by_user=named_by_user)

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Versions | int:
        return self.below.revisions(kind, namespace, labels)

    def tried(self) -> Hashable:
        return self.below.tried()


def is_settled(*steps: Step | None) -> bool:
    """Nothing is to be written, nothing failed, and everything was answered."""
    return not any(step is not None and (step.writes or step.error or step.unanswered) for step in steps)


def kept(ctx: Context, name: str, make: Callable[[], T], keep: Callable[[T], bool]) -> T:
    """`Remembering.kept` where the context's observation has a memo; else just made."""
    return ctx.obs.kept(name, make, keep) if isinstance(ctx.obs, Remembering) else make()


def kept_step(ctx: Context, name: str, make: Callable[[], Step]) -> Step:
    """A step, as it was kept as long as it is settled."""
    return kept(ctx, name, make, is_settled)


def shared(ctx: Context, make: Callable[[], T]) -> Callable[[], T]:
    """`make`, called at most once; see `Remembering.shared`."""
    return ctx.obs.shared(make) if isinstance(ctx.obs, Remembering) else cache(make)


def passed(ctx: Context, moment: datetime) -> bool:
    """Whether the moment has come: the only way in which what a part decides may depend on the time."""
    obs = ctx.obs
    while isinstance(obs, Overlay):
        obs = obs.below
    return obs.passed(moment) if isinstance(obs, Remembering) else moment <= ctx.now


def left_until(ctx: Context, moment: datetime) -> timedelta:
    """The time until the moment, zero once it has come; a part may only ask whether it has."""
    return timedelta(0) if passed(ctx, moment) else moment - ctx.now

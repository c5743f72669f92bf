"""What a plan found settled, kept with what it had read: only the parts whose reads changed are decided again (ARCH-11).

A `Memo` is data that belongs to one service; a `Remembering` is one plan's view of the cluster through it. What a part asks
of the view is its reads. Beside a result stands a stamp of the versions that these reads had: as long as the stamp is the same,
deciding the part again would come to the same. Nothing is kept of a part that has something to write, failed, or could not be
answered. That a plan with a memo is the plan without one is a law, tested over random histories.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Final, TypeVar

from aioctl.api.kinds import Kind, ObjectKey, ObjectRef, Served
from aioctl.api.objects import Object, integer
from aioctl.plan import standing
from aioctl.plan.facts import Overlay
from aioctl.plan.hearsay import Heard
from aioctl.plan.model import Context, Step
from aioctl.plan.observation import (
    ABSENT,
    Absent,
    Certificate,
    GatewayRequest,
    Observation,
    Present,
    Read,
    Unknown,
    Versions,
    never_again,
    version_of,
)
from aioctl.plan.remembered import STATUS, Basis, Entry, Ground, Memo, Reads, Seen
from aioctl.plan.trial import DryRunResult

T = TypeVar("T")

_PASSED: Final = "passed"
_COUNT: Final = "count"
_TOLD: Final = "told"
MOST_QUESTIONS: Final = 1000
"""A plan asks some hundred; more have gathered over a long time, and most of them nobody asks any more."""


class Remembering:
    """An observation that knows what was asked of it, and by which part."""

    def __init__(self, below: Observation, memo: Memo, now: datetime, *, keeps: bool = False) -> None:
        """`now`: the time of the plan, for what only time changes. `keeps`: results are kept although nothing is begun here, as a
        plan on the same memo just was."""
        self.below = below
        self._memo = memo
        self._now = now
        if len(memo.questions) > MOST_QUESTIONS:
            memo.void()
        self._start()
        self.keeps = keeps and memo.first is not None
        """Results of parts are kept."""

    def _start(self) -> None:
        self._questions = self._memo.questions
        self._all: dict[int, None] = {}
        # What was asked, by whichever part, and what kept results had asked.
        self._asking = [self._all]
        self._versions: dict[int, Hashable] = {}
        self._said: dict[int, Any] = {}
        self._once: dict[Hashable, tuple[Any, Reads]] = {}

    # Keeping

    def begin(
        self,
        version: Hashable,
        basis: Callable[[], Basis],
        make: Callable[[], T],
        ground: Callable[[T], Ground | None],
        renumbered: Callable[[T], T | None],
    ) -> T:
        """What comes before the parts, made, or as it was kept; from here on results of parts are kept.

        `basis` gives what is looked at without asking, and is not asked for the same `version`: while it is not the same as
        before, it is made again. Where only numbers differ, `renumbered` gives what was made with today's, None where it has to be
        made again. `ground` gives what the parts may look at of what was made, None where it may not be kept: while
        that is the same, the parts' results stand, whatever it was made of.
        """
        memo = self._memo
        self._once.clear()
        if memo.version != version:
            found = basis()
            memo.version, memo.told = version, found.told
            self._versions.clear()
            if memo.basis != found.digest:
                memo.basis, memo.first = found.digest, None
            if memo.numbers != found.numbers:
                memo.numbers = found.numbers
                self._renumber(ground, renumbered)
        before = memo.first
        same = before is not None and self.stamp(before.reads) == before.stamp
        if before is not None and same and before.value is not None:
            self._ask(before.reads)
            kept: T = before.value
        else:
            kept, reads = self._made(make)
            standing = ground(kept)
            if standing is not None:
                self._stand_on(standing)
            memo.first = Entry(reads, self.stamp(reads), kept) if standing else None
        self.keeps = memo.first is not None
        return kept

    def _renumber(self, ground: Callable[[T], Ground | None], renumbered: Callable[[T], T | None]) -> None:
        first = self._memo.first
        value = renumbered(first.value) if first is not None and first.value is not None else None
        standing = ground(value) if value is not None else None
        if first is None or standing is None:
            self._memo.first = None
        else:
            first.value = value
            self._stand_on(standing)

    def _stand_on(self, ground: Ground) -> None:
        memo = self._memo
        if memo.ground != ground.digest:
            memo.ground = ground.digest
            memo.parts.clear()
        if memo.counts != ground.counts:
            memo.counts = ground.counts
            self._versions.clear()

    def kept(self, name: str, make: Callable[[], T], keep: Callable[[T], bool]) -> T:
        """The result of a part, made, or as it was kept under the name. What `keep` refuses is made each time."""
        if not self.keeps:
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

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, called once for the name; its reads are those of each part that asks. An error is not kept."""
        found = self._once.get(name)
        if found is None:
            found = self._once[name] = self._made(make)
        else:
            self._ask(found[1])
        value: T = found[0]
        return value

    def stamp(self, reads: Reads) -> int:
        """A number that is the same as long as the same is read."""
        known = self._versions
        return hash(tuple([known[asked] if asked in known else self._version(asked) for asked in reads]))

    def seen(self) -> Seen:
        """Everything that was asked so far. To be taken before anything is awaited, as what is below may change then."""
        asked = tuple(self._all)
        return Seen(self._questions, asked, self.stamp(asked))

    def shows(self, seen: Seen) -> bool:
        """Whether the same is to be seen now."""
        return seen.questions is self._questions and self.stamp(seen.asked) == seen.stamp

    def count(self, path: tuple[str, ...]) -> Any:
        """The number at this path of the combined spec, or what stands in its place."""
        self._note(_COUNT, path)
        return self._memo.counts.get(path)

    def told(self, name: str) -> bool:
        """What the version of the service says of itself under this name."""
        self._note(_TOLD, name)
        return self._memo.told.get(name, False)

    def passed(self, moment: datetime) -> bool:
        """Whether the moment has come."""
        self._note(_PASSED, moment)
        return moment <= self._now

    def _made(self, make: Callable[[], T]) -> tuple[T, Reads]:
        reads: dict[int, None] = {}
        self._asking.append(reads)
        try:
            value = make()
        finally:
            self._asking.pop()
            self._ask(reads)
        return value, tuple(reads)

    def _ask(self, reads: Iterable[int]) -> None:
        self._asking[-1].update(dict.fromkeys(reads))

    def _note(self, *asked: Any) -> int:
        number = self._questions.number(asked)
        self._asking[-1][number] = None
        return number

    def _version(self, number: int) -> Hashable:
        asked = self._questions[number]
        if asked[0] == "get":  # two of three questions
            said = self._said.get(number)
            if isinstance(said, Present):
                found = version_of(said.obj)
            elif isinstance(said, Absent):
                found = ABSENT
            else:
                _, kind, namespace, wanted, by_user = asked
                found = self.below.revision(kind, namespace, wanted, named_by_user=by_user)
        else:
            found = self._look(number, *asked)
        self._versions[number] = found
        return found

    def _look(self, number: int, name: str, *arguments: Any) -> Hashable:
        match name:
            case "select":
                kind, namespace, labels = arguments
                return self.below.revisions(kind, namespace, dict(labels))
            case "try_out":
                return self.below.tried()
            case "standing":
                return self._standing(number, *arguments)
            case "passed":
                return bool(arguments[0] <= self._now)
            case "told":
                return self._memo.told.get(arguments[0])
            case "count":
                return repr(self._memo.counts.get(arguments[0]))
            case _:
                said = self._said
                found = said[number] if number in said else getattr(self.below, name)(*arguments)
                return never_again() if isinstance(found, Unknown) else (name, repr(found))

    # An observation: what is below is asked once, as it does not change while one plan is made

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        number = self._note("get", kind, namespace, name, named_by_user)
        found: Read | None = self._said.get(number)
        if found is None:
            found = self._said[number] = self.below.get(kind, namespace, name, named_by_user=named_by_user)
        return found

    def standing(self, kind: Kind, namespace: str, name: str) -> Read:
        """The object but for its status: while only that changes, who asks so is not decided again."""
        number = self._note("standing", kind, namespace, name)
        found: Read | None = self._said.get(number)
        if found is None:
            found = self._said[number] = standing.of_read(self._got(kind, namespace, name))
        return found

    def _got(self, kind: Kind, namespace: str, name: str) -> Read:
        """As `get`, but whoever asks is not noted."""
        number = self._questions.number(("get", kind, namespace, name, False))
        found: Read | None = self._said.get(number)
        if found is None:
            found = self._said[number] = self.below.get(kind, namespace, name)
        return found

    def _standing(self, number: int, kind: Kind, namespace: str, name: str) -> Hashable:
        said = self._said.get(number)
        version = (
            version_of(said.obj) if isinstance(said, Present) else self.below.revision(kind, namespace, name)
        )
        seen = hash(version)
        known = self._memo.standing.get(number)
        if known is None or known[0] != seen:
            read = said or self._got(kind, namespace, name)
            if isinstance(read, Unknown):
                return never_again()
            known = self._memo.standing[number] = (
                seen,
                hash(standing.digest(read.obj) if isinstance(read, Present) else ABSENT),
            )
        return known[1]

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        return self._told(
            lambda: self.below.select(kind, namespace, labels),
            "select",
            kind,
            namespace,
            tuple(sorted(labels.items())),
        )

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        return self._told(lambda: self.below.others_run(namespace, name), "others_run", namespace, name)

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        return self._told(
            lambda: self.below.namesakes(namespace, name, group, models),
            "namesakes",
            namespace,
            name,
            group,
            models,
        )

    def served(self, kind: Kind) -> Served:
        number = self._note("served", kind)
        found: Served | None = self._said.get(number)
        if found is None:
            found = self._said[number] = self.below.served(kind)
        return found

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        self._note("try_out")
        return self.below.try_out(candidate)

    def server_version(self) -> tuple[str, str] | None:
        return self._told(self.below.server_version, "server_version")

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        return self._told(lambda: self.below.heard(gateway, apart_from), "heard", gateway, apart_from)

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        return self._told(lambda: self.below.reaches(request), "reaches", request)

    def _told(self, ask: Callable[[], T], *asked: Any) -> T:
        number = self._note(*asked)
        if number not in self._said:
            self._said[number] = ask()
        found: T = self._said[number]
        return found

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


def concluded(ctx: Context, name: str, make: Callable[[], T]) -> T:
    """What follows from the context for the status, as it was kept; nothing is to be written for it, so it always can be."""
    return kept(ctx, f"{STATUS}{name}", make, lambda _: True)


def kept_step(ctx: Context, name: str, make: Callable[[], Step]) -> Step:
    """A step, as it was kept as long as it is settled."""
    return kept(ctx, name, make, is_settled)


def laid_over(obs: Observation, answers: Mapping[ObjectRef, Object | None]) -> Observation:
    """The observation with the answers laid over it, unless they are already."""
    if isinstance(obs, Remembering) and isinstance(obs.below, Overlay) and obs.below.answers is answers:
        return obs
    return Overlay(obs, answers)


def once(ctx: Context, name: Hashable, make: Callable[[], T]) -> T:
    """`make`, called once in one view of the cluster; see `Remembering.once`.

    Only for what follows from the context, whichever part asks.
    """
    if isinstance(ctx.obs, Remembering):
        return ctx.obs.once(name, make)
    if name not in ctx.found:
        ctx.found[name] = make()
    value: T = ctx.found[name]
    return value


def shared(ctx: Context, name: Hashable, make: Callable[[], T]) -> Callable[[], T]:
    """`make`, called at most once for those who get what is returned; see `Remembering.once`."""
    return partial(ctx.obs.once, name, make) if isinstance(ctx.obs, Remembering) else cache(make)


def count(ctx: Context, *path: str) -> int | None:
    """A number of the combined spec that changes alone (`lasting.counts`): only who asks is decided again when it changes.

    Raises FieldError when it is something else.
    """
    obs = _remembering(ctx.obs)
    if obs is None or not obs.keeps:
        return integer({"spec": ctx.spec}, "spec", *path)
    spec = obs.count(path)
    for name in reversed(path):
        spec = {name: spec}
    return integer({"spec": spec}, "spec", *path)


def told(ctx: Context, name: str, look: Callable[[], bool]) -> bool:
    """What the stored service says of itself though it does not last: only who asks is decided again when it changes.

    `look` sees it in the context's service, where no memo is kept.
    """
    obs = _remembering(ctx.obs)
    return look() if obs is None or not obs.keeps else obs.told(name)


def get_standing(ctx: Context, kind: Kind, name: str, namespace: str | None = None) -> Read:
    """What is read of a child, but for its status where others write that: while only this changes, who asks so is not decided again."""
    at = ctx.namespace if namespace is None else namespace
    if kind not in standing.KINDS:
        return ctx.obs.get(kind, at, name)
    if isinstance(ctx.obs, Remembering):
        return ctx.obs.standing(kind, at, name)
    return standing.of_read(ctx.obs.get(kind, at, name))


def passed(ctx: Context, moment: datetime) -> bool:
    """Whether the moment has come: the only way in which what a part decides may depend on the time."""
    obs = _remembering(ctx.obs)
    return moment <= ctx.now if obs is None else obs.passed(moment)


def _remembering(obs: Observation) -> Remembering | None:
    while isinstance(obs, Overlay):
        obs = obs.below
    return obs if isinstance(obs, Remembering) else None


def left_until(ctx: Context, moment: datetime) -> timedelta:
    """The time until the moment, zero once it has come; a part may only ask whether it has."""
    return timedelta(0) if passed(ctx, moment) else moment - ctx.now

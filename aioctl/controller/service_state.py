"""What a process remembers of each service between its runs: one record, which goes when the service goes.

Each field belongs to the module that its comment names; nobody else reads or writes it.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import Object
from aioctl.engine.limits import GRAIN
from aioctl.plan.observation import Certificate
from aioctl.plan.remembered import Memo, Seen
from aioctl.plan.trial import DryRunResult

MOST_WARM: Final = 64
"""Services whose memos stay whole: 85 kB each, so 5 MB in all. Where all services of a storm come in turns, ten times as many as
that cost 8 % more calls of functions than with all memos whole."""


@dataclass(slots=True)
class PendingStatus:
    """A status that differs from the stored one, the moment it last changed, and the latest moment for its write.

    Our own writes put `latest` off, never beyond `last`. `soon` is an earlier one, as long as the status says what people
    wait for.
    """

    wanted: Object
    changed: float
    latest: float
    last: float
    soon: float | None = None


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a dry run, the digest of what was asked, and until when it holds."""

    digest: bytes
    verdict: DryRunResult
    until: float
    accepted: bytes = b""
    """The digest under which an acceptance holds for other numbers of replicas, too; empty for other verdicts."""


@dataclass(frozen=True, slots=True)
class Unsettled:
    """What is kept of a run until the status that it came to has settled.

    In a storm every service waits so, for seconds: the plan and all that it has read take 250 kB, this takes 8.
    """

    status: Object
    problem: bool
    """Somebody has to do something about the service."""
    unknown: bool
    """Something was not known."""
    wrote: bool
    """The run wrote something."""
    again: float | None
    """Seconds from `at` until the service is to be looked at though nothing has changed; None: not at all."""
    at: float
    """On the clock's steady line."""

    def left(self, now: float) -> float | None:
        """Seconds from now until it is to be looked at though nothing has changed."""
        if self.again is None:
            return None
        left = self.again - (now - self.at)
        return left if left > GRAIN else 0.0


@dataclass(frozen=True, slots=True)
class AtRest:
    """What the last plan of a run looked at, which left nothing to do: nothing need be decided again as long as it is the same."""

    version: str
    """The service's resource version."""
    planned: Seen
    concluded: Seen
    unsettled: Unsettled | None = None
    """The status that it came to; None once nothing is left to be written."""


@dataclass(frozen=True, slots=True)
class IdleLooks:
    """Looks in a row that found nothing to do, and when the last of them was."""

    in_a_row: int
    last: float


@dataclass(slots=True)
class ServiceState:
    """Times are of the clock's steady line, in seconds."""

    uid: str = ""
    """`reconcile.py`: the service that all the rest is about; another one of the same name inherits nothing."""
    wish: bytes | None = None
    """`converging.py`: digest of labels, annotations and the spec but for its numbers of replicas, as the last run found them."""
    wished: float = 0.0
    """`converging.py`: when these last changed."""
    problem: str = ""
    """`telling.py`: what of its migration was told by an event."""
    readiness: str = ""
    """`telling.py`: the status of its condition Ready when that was last True or False; empty when it never was."""
    misfits: tuple[str, ...] = ()
    """`telling.py`: what was told in the log."""
    noticed: tuple[int, frozenset[tuple[str, str]]] = (0, frozenset())
    """`telling.py`: reason and message of what was told by events and has not gone before this generation."""
    conflicts: int = 0
    """`reconcile.py`: runs in a row that ended in a conflict."""
    unknowns: int = 0
    """`reconcile.py`: runs in a row that had nothing to do but for what is not known."""
    pending: PendingStatus | None = None
    """`settling.py`: the status that is not written yet."""
    pool_times: deque[float] = field(default_factory=deque)
    """`pacing.py`: times that are reserved for the creation of its pools."""
    last_pool: float | None = None
    """`pacing.py`: when it last got one."""
    reads: tuple[ObjectRef, ...] = ()
    """`interests.py`: what its last plan looked at, each once; a set of as many takes 8 kB."""
    certificates: dict[ObjectKey, tuple[bytes, Certificate | str]] = field(default_factory=dict)
    """`observe.py`: its Secrets, parsed, with the text that was parsed."""
    memo: Memo = field(default_factory=Memo)
    """`reconcile.py`: the parts of its last plan that were settled."""
    at_rest: AtRest | None = None
    """`reconcile.py`: set while its last run left nothing to do."""
    idle: IdleLooks | None = None
    """`idle_looks.py`: None after a look that had something to do."""
    tried: Tried | None = None
    """`trials.py`: what the API server says of its combined spec."""


class ServiceStates:
    """The records of all services that were reconciled and are not known to be gone."""

    def __init__(self) -> None:
        self._by_key: dict[ObjectKey, ServiceState] = {}

    def __len__(self) -> int:
        return len(self._by_key)

    def of(self, service: ObjectKey) -> ServiceState:
        """The service's record, made when there is none."""
        found = self._by_key.get(service)
        if found is None:
            found = self._by_key[service] = ServiceState()
        return found

    def known(self, service: ObjectKey) -> ServiceState | None:
        """The service's record, if there is one."""
        return self._by_key.get(service)

    def pop(self, service: ObjectKey) -> ServiceState | None:
        """Forgets the service; returns what was remembered."""
        return self._by_key.pop(service, None)


class WarmMemos:
    """The memos of the services that were planned last, whole; those before them keep what is small (`Memo.rest`).

    Who was just edited is looked at again once its pods follow, and when others look at what was written. In a storm of more
    services than that a plan begins with combining the spec again: it need not decide again what is settled.
    """

    def __init__(self, most: int = MOST_WARM) -> None:
        self._most = most
        self._memos: OrderedDict[ObjectKey, Memo] = OrderedDict()

    def add(self, service: ObjectKey, memo: Memo) -> None:
        """The service was planned."""
        self._memos[service] = memo
        self._memos.move_to_end(service)
        if len(self._memos) > self._most:
            self._memos.popitem(last=False)[1].rest()

    def forget(self, service: ObjectKey) -> None:
        """The service is gone."""
        self._memos.pop(service, None)

"""The vocabulary of planning: what shall be written, why, and what came of it.

The flow of one reconcile (ARCH-3): an `Observation` returns what the caches hold; builders turn it into
ordered `Step`s of `Write`s; `controller/apply.py` runs them and reports an `Outcome`; `plan/status.py` turns plan and
outcome into the status. Everything here is frozen data; nothing waits.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from functools import wraps
from typing import Any, Final, TypeVar

from aioctl.api.defaulting import is_stopped
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import FieldError, Object, name_of, namespace_of, uid_of
from aioctl.api.records import Record
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.observation import Observation, Unanswered
from aioctl.plan.policy import Policy

T = TypeVar("T")

NETWORKING: Final = "failed to reconcile networking: "
"""What every error of the router part begins with (ERR-1)."""


class PlanError(Exception):
    """A step cannot be planned; the text is what condition and event say below the step's prefixes. `revisit`: as of the step."""

    def __init__(self, text: str, *, revisit: float = 0.0) -> None:
        super().__init__(text)
        self.revisit = revisit


class Verb(Enum):
    """What a write does. UPDATE is a full replace with resourceVersion; PATCH a JSON merge patch."""

    CREATE = "create"
    UPDATE = "update"
    PATCH = "patch"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Sign:
    """Fill tls.crt and tls.key of the body before it is sent (CERT-2). No signer: self-signed."""

    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    signer: ObjectRef | None


class Write(Record, frozen=True):
    """One request to the API server, decided. `live` is what the decision was based on (None for CREATE)."""

    verb: Verb
    kind: Kind
    namespace: str
    name: str
    body: Object | None = None
    live: Object | None = None
    event: str = ""
    """Message of the Normal event after success, such as `Created v1.Service ns/name`; its reason is the first word."""
    error: str = ""
    """Prefix of the error text, such as `failed to create v1.Service ns/name: `."""
    confirm: bool = False
    """UPDATE only: ask with dryRun=All first and send only if the answer differs from `live` (EQ-3)."""
    scales: bool = False
    """Of one to confirm: it differs in a number of pods that stay as they are, which no default makes equal, so nobody is asked
    first. What is refused is told as if the dry run had been (CHILD-2)."""
    paced: bool = False
    """CREATE of an InferencePool: goes through the pacer (ARCH-5)."""
    rolls: bool = False
    """UPDATE that replaces model servers for their form alone: they go one after another (FORM-2)."""
    exists_is_fine: bool = False
    """CREATE of a shared object: AlreadyExists counts as done (MON-1)."""
    releases: bool = False
    """PATCH that takes our finalizer off an object in deletion: NotFound counts as done, somebody else was the last."""
    through_old: bool = False
    """PATCH of a service: sent to v1alpha1, whose conversion leaves behind what v1alpha2's schema refuses (CONV-9)."""
    sign: Sign | None = None
    announce: tuple[str, str] | None = None
    """(reason, message) of a further Normal event after success, such as InferencePoolMigrated."""
    warnings: tuple[tuple[str, str], ...] = ()
    """(reason, message) of Warning events and lines of the log after success: what was written is not all that was asked for, or
    takes away what nobody said should go."""
    best_effort: bool = False
    """A failure is logged and passed over; what follows is sent all the same (LIFE-1)."""

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef(self.kind, self.namespace, self.name)


class Part(Enum):
    """The parts of one reconcile, in the order of WORK-1, ROUTE-5. Conditions name them."""

    FINALIZER = "finalizer"
    CA_BUNDLE = "ca-bundle"
    CONFIG = "config"
    LEFT_OVERS = "left-overs"
    COMBINE = "combine"
    CERTIFICATE = "certificate"
    PERMISSIONS = "permissions"
    MULTI_NODE = "multi-node"
    SINGLE_NODE = "single-node"
    WORKLOAD_SERVICE = "workload-service"
    SCALING = "scaling"
    AUTH = "auth"
    VALIDATION = "validation"
    SCHEDULER = "scheduler"
    ROUTES = "routes"
    DESTINATION_RULES = "destination-rules"
    EVALUATION = "evaluation"
    MONITORING = "monitoring"
    ADDRESSES = "addresses"
    FINALIZE = "finalize"


@dataclass(frozen=True, slots=True)
class Held:
    """A workload whose pods keep their form, though today's is another one."""

    kind: str
    name: str
    rolls: bool = False
    """It is to be rolled, and waits for its turn."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class Step(Record, frozen=True):
    """Writes that belong together. A failing write, or `error`, ends the reconcile after this step, unless it stands `aside`.

    The reconcile error is outer + inner + text; conditions show inner + text (COND-3).
    """

    part: Part
    outer: str = ""
    inner: str = ""
    writes: tuple[Write, ...] = ()
    error: str = ""
    """The step could not be planned; its writes (if any) are still sent first."""
    condition: tuple[str, str, str] | None = None
    """(type, reason, message) that `error` sets instead of the part's usual condition, e.g. RefsInvalid. Without `error`: what is so
    though nothing failed."""
    held: tuple["Held", ...] = ()
    """Workloads of the step whose pods keep the form that they have (FORM-1)."""
    warning: tuple[str, str] | None = None
    """(reason, message) of a Warning event when the step fails, beside the one that every failure has; told once as long as it stands."""
    unsure: bool = False
    """`condition` becomes Unknown instead of False: it is not known whether anything is wrong."""
    revisit: float = 0.0
    """Seconds until a failure is looked at again; 0: the queue's back-off decides. Without `error`: until a service that is
    being deleted is, which waits for others, as `condition` says."""
    unanswered: str = ""
    """A read was unknown: nothing of this step is written, and the reconcile is repeated soon."""
    aside: bool = False
    """Its failure ends nothing but the steps of its kind after it: those that follow do not need it, and it is told with theirs."""
    terminal: bool = False
    """`error` stands until something that the plan has read changes: the reconcile is not repeated for it."""


def step(part: Part, build: Callable[[], Iterable[Write]], *, outer: str = "", inner: str = "") -> Step:
    """Runs a builder and turns what it raises into a step: PlanError and FieldError become `error`.

    What the builder decided before such an error is still written, in its order, as the Go controller does; a read that
    is unknown leaves the whole step alone.
    """
    writes: list[Write] = []
    try:
        for write in build():
            writes.append(write)  # noqa: PERF402 - what came before an exception is kept
    except Unanswered as unanswered:
        return Step(part, outer, inner, unanswered=str(unanswered))
    except PlanError as error:
        return Step(part, outer, inner, writes=tuple(writes), error=str(error), revisit=error.revisit)
    except FieldError as error:
        return Step(part, outer, inner, writes=tuple(writes), error=str(error))
    return Step(part, outer, inner, writes=tuple(writes))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the writes of a plan."""

    failed: Step | None = None
    """The step that ended the reconcile, None when all went through."""
    error: str = ""
    """Text below the failed step's prefixes."""
    answers: Mapping[ObjectRef, Object | None] = field(default_factory=dict)
    """What the API server answered to each write; None = deleted."""
    deferred: float | None = None
    """Seconds until what had to wait may go: a pool creation, or a write that the API server put off."""
    retry: bool = False
    """A read was unknown or a write conflicted: repeat quietly."""
    roll: float | None = None
    """Seconds until the first of the rollouts that wait for their turn; everything else goes on."""
    blocked: Step | None = None
    """The step in which a write conflicted or was put off; what comes after it was not written."""
    beside: Step | None = None
    """A step that stands aside and failed before another one ended the reconcile; one that failed alone is `failed`."""
    beside_error: str = ""
    """Text below its prefixes."""

    @property
    def put_off(self) -> bool:
        """The API server wants to be asked again, but not before `deferred`."""
        return self.blocked is not None and not self.retry


@dataclass(frozen=True, slots=True)
class Context:
    """What every builder of children gets: one service, its combined spec, and what is known around it."""

    obs: Observation
    service: Object
    """As stored."""
    spec: Mapping[str, Any]
    """The combined spec (PRESET-3): presets, baseRefs and service merged, variables replaced."""
    config: GlobalConfig
    policy: Policy
    now: datetime
    name: str = field(init=False)
    """With the three below looked up once: a plan asks some 350 times."""
    namespace: str = field(init=False)
    uid: str = field(init=False)
    stopped: bool = field(init=False)
    found: dict[Hashable, Any] = field(init=False, compare=False, repr=False, default_factory=dict)
    """What was worked out of this context and is asked for again, by what it is (`of_context`, `memo.once`)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", name_of(self.service))
        object.__setattr__(self, "namespace", namespace_of(self.service))
        object.__setattr__(self, "uid", uid_of(self.service))
        object.__setattr__(self, "stopped", is_stopped(self.service))


def of_context(make: Callable[[Context], T]) -> Callable[[Context], T]:
    """Decorator for what follows from a context without a look at the cluster: worked out once for each, and shared, so never to be
    changed in place. What is raised is not kept."""

    name = f"{make.__module__}.{make.__qualname__}"  # no function, as a context may go to another process

    @wraps(make)
    def found(ctx: Context) -> T:
        known = ctx.found
        if name not in known:
            known[name] = make(ctx)
        value: T = known[name]
        return value

    return found


@dataclass(frozen=True, slots=True)
class Plan:
    """One reconcile, decided: the steps in order, and the context the status is concluded from."""

    service: Object
    """As stored, before defaults."""
    steps: tuple[Step, ...] = ()
    context: Context | None = None
    """None when configuration or combination failed: the parts after it were not looked at."""
    combined: str | None = ""
    """Of a stopped service, which needs no spec to be taken away: why it has none, empty when it has, None when unknown."""
    applied: tuple[Mapping[str, str], ...] | None = None
    """What status.appliedConfigs shall say; None: what it says."""
    image_volume: bool | None = None
    """Without a context: whether the model would come as an image volume, of which the cluster may be warned; None: not known."""

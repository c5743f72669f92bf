"""The vocabulary of planning: what was observed, what shall be written, what came of it.

The flow of one reconcile (ARCH-3): an `Observation` returns what the caches hold; builders turn it into
ordered `Step`s of `Write`s; `controller/apply.py` runs them and reports an `Outcome`; `plan/status.py` turns plan and
outcome into the status. Everything here is frozen data or a protocol; nothing waits.

A read is present, absent or unknown, three different things. Unknown means "do not act on this": a builder that needs
the answer calls `need`, which raises `Unanswered`; the step is then left alone, never undone.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Any, Final, Protocol

from aioctl.api import served_models
from aioctl.api.defaulting import is_stopped, runs
from aioctl.api.encoding import to_sorted_json
from aioctl.api.kinds import SERVICE, Kind, ObjectKey, ObjectRef, Served
from aioctl.api.names import CONFIG_PREFIX, has_our_labels
from aioctl.api.objects import (
    FieldError,
    Object,
    labels_of,
    name_of,
    namespace_of,
    resource_version_of,
    uid_of,
)
from aioctl.api.records import Record
from aioctl.plan import trial
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.hearsay import NOTHING, Heard
from aioctl.plan.trial import DryRunResult


@dataclass(frozen=True, slots=True)
class Present:
    """The object, as last seen."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Absent:
    """The object is not there: the cache is in sync and holds nothing, or the API server said 404."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing can be said: cache not in sync, read failed, discovery failed, or not read yet."""

    reason: str


Read = Present | Absent | Unknown


NETWORKING: Final = "failed to reconcile networking: "
"""What every error of the router part begins with (ERR-1)."""


class PlanError(Exception):
    """A step cannot be planned; the text is what condition and event say below the step's prefixes."""


class Unanswered(Exception):
    """A builder needs a read whose answer is unknown. The reconcile is repeated later; nothing is changed for it."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What planning must know of a stored key pair. Times are UTC."""

    dns_names: frozenset[str]
    ip_addresses: frozenset[str]
    not_after: datetime


@dataclass(frozen=True, slots=True)
class GatewayRequest:
    """A GET through a gateway: to that URL, with that Host."""

    url: str
    host: str
    made_by: str = ""
    """The GatewayClass of the gateway in its present generation: what one answered says nothing of the next."""


class Observation(Protocol):
    """Everything a plan may know of the cluster. Synchronous: answers come from caches, never from the network."""

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        """One object. Kinds that are not served return Absent.

        `named_by_user`: the object may be anybody's, even if the name is one that we give to ours.
        """
        ...

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        """Objects of the namespace ('' = all) that carry all the labels, sorted by namespace and name."""
        ...

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        """Whether the namespace has another service than that one which is neither stopped nor being deleted."""
        ...

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        """Names of the namespace's other services that can be asked for one of these qualified models, sorted: none that is
        being deleted, or names that traffic group; stopped ones count, as they will be asked again."""
        ...

    def served(self, kind: Kind) -> Served:
        """Whether the kind exists in this cluster."""
        ...

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        """Whether the API server would create this service; it has no name yet (PRESET-8)."""
        ...

    def server_version(self) -> tuple[str, str] | None:
        """Major and minor of the API server as it tells them, None when that is not known."""
        ...

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        """What managed HTTPRoutes, but those named, say of a gateway (MIG-12)."""
        ...

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        """What is the same as long as `get` returns the same, without reading the object; `never_again()` for what is unknown."""
        ...

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> "Versions | int":
        """The same for `select`: the objects' namespaces, names and versions, or `never_again()`."""
        ...

    def tried(self) -> Hashable:
        """The same for `try_out`, as long as it is asked about the same candidate."""
        ...

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        """Whether somebody behind the gateway answers (MIG-13)."""
        ...

    def certificate(self, secret: Object) -> Certificate | str:
        """The stored pair (tls.crt, tls.key; key as PKCS#8), or why it cannot be used."""
        ...

    def signer(self, secret: Object) -> str:
        """Empty when the CA secret can sign, else the reason in the words of CERT-2."""
        ...


Versions = tuple[tuple[str, str, Hashable], ...]
ABSENT: Final = "absent"
"""The version of what is not there."""
_NUMBERS: Final = count()


def never_again() -> int:
    """A version that nothing else has had or will have: what is not known is not known to be the same."""
    return next(_NUMBERS)


def version_of(obj: Object) -> Hashable:
    """The version of an object: what the API server calls so, or all that it says where it has none."""
    version = resource_version_of(obj)
    return (uid_of(obj), version) if version else to_sorted_json(obj)


def need(read: Read) -> Object | None:
    """The object or None; raises Unanswered when that is not known."""
    match read:
        case Present(obj):
            return obj
        case Absent():
            return None
        case Unknown(reason):
            raise Unanswered(reason)


def need_list(found: Sequence[Object] | Unknown) -> Sequence[Object]:
    """The list; raises Unanswered when it is not known."""
    if isinstance(found, Unknown):
        raise Unanswered(found.reason)
    return found


@dataclass(frozen=True, slots=True)
class Facts:
    """An observation given as data: for `aioctl render`, tests and model checking. Unserved kinds are listed."""

    objects: Mapping[ObjectRef, Object] = field(default_factory=dict)
    unknown: Mapping[ObjectRef, str] = field(default_factory=dict)
    unserved: frozenset[Kind] = frozenset()
    unsure: frozenset[Kind] = frozenset()
    """Kinds whose discovery failed: `served` returns UNKNOWN."""
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    """By `namespace/name` of the secret; a secret that is not listed counts as unusable."""
    admission: Callable[[Object], DryRunResult] = trial.accept
    """What an API server would say of a service."""
    version: tuple[str, str] | None = None
    reached: frozenset[GatewayRequest] = frozenset()
    """Requests that are answered."""
    hearsay: Callable[[ObjectKey, frozenset[ObjectKey]], Heard] | None = None
    """What routes of other services say; None: there are no others."""

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        ref = ObjectRef(kind, namespace, name)
        if ref in self.unknown:
            return Unknown(self.unknown[ref])
        found = self.objects.get(ref)
        return Present(found) if found is not None else Absent()

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        found = [
            obj
            for ref, obj in self.objects.items()
            if ref.kind == kind
            and namespace in ("", ref.namespace)
            and has_our_labels(labels_of(obj), labels)
        ]
        return sorted(found, key=lambda obj: (namespace_of(obj), name_of(obj)))

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        return any(
            ref.kind == SERVICE and ref.namespace == namespace and ref.name != name and runs(obj)
            for ref, obj in self.objects.items()
        )

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        services = (
            obj for ref, obj in self.objects.items() if ref.kind == SERVICE and ref.namespace == namespace
        )
        return served_models.namesakes(services, name, group, models)

    def served(self, kind: Kind) -> Served:
        if kind in self.unsure:
            return Served.UNKNOWN
        return Served.NO if kind in self.unserved else Served.YES

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        return self.admission(candidate)

    def server_version(self) -> tuple[str, str] | None:
        return self.version

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        return request in self.reached

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        return NOTHING if self.hearsay is None else self.hearsay(gateway, apart_from)

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        ref = ObjectRef(kind, namespace, name)
        if ref in self.unknown:
            return never_again()
        found = self.objects.get(ref)
        return ABSENT if found is None else version_of(found)

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Versions | int:
        found = self.select(kind, namespace, labels)
        if isinstance(found, Unknown):
            return never_again()
        return tuple((namespace_of(obj), name_of(obj), version_of(obj)) for obj in found)

    def tried(self) -> Hashable:
        return id(self.admission)

    def certificate(self, secret: Object) -> Certificate | str:
        known = self.certificates.get(f"{namespace_of(secret)}/{name_of(secret)}")
        return known if known is not None else "not a certificate"

    def signer(self, secret: Object) -> str:
        return ""


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
    """(reason, message) of Warning events after success: what was written is not all that was asked for."""
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
    """Writes that belong together. A failing write, or `error`, ends the reconcile after this step.

    The reconcile error is outer + inner + text; conditions show inner + text (COND-3).
    """

    part: Part
    outer: str = ""
    inner: str = ""
    writes: tuple[Write, ...] = ()
    error: str = ""
    """The step could not be planned; its writes (if any) are still sent first."""
    condition: tuple[str, str, str] | None = None
    """(type, reason, message) that `error` sets instead of the part's usual condition, e.g. RefsInvalid."""
    held: tuple["Held", ...] = ()
    """Workloads of the step whose pods keep the form that they have (FORM-1)."""
    warning: tuple[str, str] | None = None
    """(reason, message) of a Warning event when the step fails, beside the one that every failure has."""
    unsure: bool = False
    """`condition` becomes Unknown instead of False: it is not known whether anything is wrong."""
    revisit: float = 0.0
    """Seconds until a failure is looked at again; 0: the queue's back-off decides. Without `error`: until a service that is
    being deleted is, which waits for others, as `condition` says."""
    unanswered: str = ""
    """A read was unknown: nothing of this step is written, and the reconcile is repeated soon."""
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
    except (PlanError, FieldError) as error:
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

    @property
    def put_off(self) -> bool:
        """The API server wants to be asked again, but not before `deferred`."""
        return self.blocked is not None and not self.retry


@dataclass(frozen=True, slots=True)
class Overlay:
    """An observation with the answers to our own writes laid over it."""

    below: Observation
    answers: Mapping[ObjectRef, Object | None]

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        if self.answers and (ref := ObjectRef(kind, namespace, name)) in self.answers:
            found = self.answers[ref]
            return Present(found) if found is not None else Absent()
        return self.below.get(kind, namespace, name, named_by_user=named_by_user)

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        below = self.below.select(kind, namespace, labels)
        ours = self._ours(kind)
        if isinstance(below, Unknown) or not ours:
            return below
        merged = {(namespace_of(obj), name_of(obj)): obj for obj in below}
        for ref, obj in ours.items():
            merged.pop((ref.namespace, ref.name), None)
            if obj is not None and _fits(ref, obj, namespace, labels):
                merged[ref.namespace, ref.name] = obj
        return [merged[key] for key in sorted(merged)]

    def _ours(self, kind: Kind) -> dict[ObjectRef, Object | None]:
        return {ref: obj for ref, obj in self.answers.items() if ref.kind == kind}

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        return self.below.others_run(namespace, name)

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        return self.below.namesakes(namespace, name, group, models)

    def served(self, kind: Kind) -> Served:
        return self.below.served(kind)

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        return self.below.try_out(candidate)

    def server_version(self) -> tuple[str, str] | None:
        return self.below.server_version()

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        return self.below.reaches(request)

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        return self.below.heard(gateway, apart_from)

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        if self.answers and (ref := ObjectRef(kind, namespace, name)) in self.answers:
            found = self.answers[ref]
            return ABSENT if found is None else version_of(found)
        return self.below.revision(kind, namespace, name, named_by_user=named_by_user)

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Versions | int:
        below = self.below.revisions(kind, namespace, labels)
        ours = self._ours(kind)
        if isinstance(below, int) or not ours:
            return below
        merged = {(at, name): version for at, name, version in below}
        for ref, obj in ours.items():
            merged.pop((ref.namespace, ref.name), None)
            if obj is not None and _fits(ref, obj, namespace, labels):
                merged[ref.namespace, ref.name] = version_of(obj)
        return tuple((*key, merged[key]) for key in sorted(merged))

    def tried(self) -> Hashable:
        return self.below.tried()

    def certificate(self, secret: Object) -> Certificate | str:
        return self.below.certificate(secret)

    def signer(self, secret: Object) -> str:
        return self.below.signer(secret)


def _fits(ref: ObjectRef, obj: Object, namespace: str, labels: Mapping[str, str]) -> bool:
    return namespace in ("", ref.namespace) and has_our_labels(labels_of(obj), labels)


class Strategy(Enum):
    """How traffic moves between the pool generations (MIG-1)."""

    AUTO = "auto"
    """By what each gateway is known to do (MIG-7)."""
    WEIGHTED = "weighted"
    SWAP = "swap"
    HOLD = "hold"


class PodForm(Enum):
    """Whether pods of model servers that nobody changed take the form of today (FORM-1)."""

    KEEP = "keep"
    CURRENT = "current"


class Probe(Enum):
    """Whether gateways are asked with a route of their own what they serve (MIG-8)."""

    OFF = "off"
    STATUS = "status"
    TRAFFIC = "traffic"
    """Their word counts once a request goes through as well (MIG-13)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided, from the environment; the same for every service."""

    system_namespace: str = "kserve"
    cluster_domain: str = "cluster.local"
    wildcard_hostname: str = "inference"
    auth_disabled: bool = True
    """Authentication is asked for where a distribution brings what checks it: off unless somebody turns it on (AUTH-1)."""
    monitoring_disabled: bool = False
    scc_disabled: bool = False
    strategy: Strategy = Strategy.WEIGHTED
    pod_form: PodForm = PodForm.KEEP
    probe: Probe = Probe.STATUS
    pool_status_grace: float = 120.0
    """Seconds after which a gateway that has written no status of a pool counts as one that writes none (POOL-7)."""
    signer: ObjectRef | None = None
    """The CA secret for the services' certificates; None: always self-signed."""
    config_prefix: str = CONFIG_PREFIX
    """What the names of well-known configs begin with (PRESET-1)."""
    pins_configs: bool = True
    """A service keeps the well-known configs it began with (PRESET-6)."""
    turn: str = ""
    """Of one plan only: what a service that is to move waits for, as others are on the move; empty when it may (MIG-10)."""
    istio_ca_path: str = "/var/run/secrets/kubernetes.io/serviceaccount/service-ca.crt"


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

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", name_of(self.service))
        object.__setattr__(self, "namespace", namespace_of(self.service))
        object.__setattr__(self, "uid", uid_of(self.service))
        object.__setattr__(self, "stopped", is_stopped(self.service))


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

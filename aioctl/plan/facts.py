"""Observations that are data: `Facts` alone, and an `Overlay` of answers to our own writes over another one."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from aioctl.api import served_models
from aioctl.api.defaulting import runs
from aioctl.api.kinds import SERVICE, Kind, ObjectKey, ObjectRef, Served
from aioctl.api.names import has_our_labels
from aioctl.api.objects import Object, labels_of, name_of, namespace_of
from aioctl.plan import trial
from aioctl.plan.hearsay import NOTHING, Heard
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
from aioctl.plan.trial import DryRunResult


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


@dataclass(frozen=True, slots=True)
class Told(Overlay):
    """An observation that is asked for each object once: what is below does not change while one plan is made."""

    answers: Mapping[ObjectRef, Object | None] = field(default_factory=dict)
    reads: dict[tuple[Kind, str, str, bool], Read] = field(default_factory=dict)

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        asked = kind, namespace, name, named_by_user
        known = self.reads.get(asked)
        if known is None:
            known = self.reads[asked] = self.below.get(kind, namespace, name, named_by_user=named_by_user)
        return known


def _fits(ref: ObjectRef, obj: Object, namespace: str, labels: Mapping[str, str]) -> bool:
    return namespace in ("", ref.namespace) and has_our_labels(labels_of(obj), labels)

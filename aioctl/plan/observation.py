"""What a plan may know of the cluster: an `Observation`, and what its reads come to.

A read is present, absent or unknown, three different things. Unknown means "do not act on this": a builder that needs
the answer calls `need`, which raises `Unanswered`; the step is then left alone, never undone.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Final, Protocol

from aioctl.api.encoding import to_sorted_json
from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.objects import Object, resource_version_of, uid_of
from aioctl.plan.hearsay import Heard
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

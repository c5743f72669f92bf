"""The observation a plan gets: caches, discovery and the few single reads, behind `plan.observation.Observation`.

Reads only; nothing waits. What was read is recorded (for `interests.py`), and what nobody watches and was not read yet
is recorded as a demand, which the reconciler fetches before it plans again; so is a dry run (`trials.py`).
"""

import base64
import binascii
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from typing import Any, Final

from aioctl.api import kinds, names, weight
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef, Served
from aioctl.api.objects import Object, dig, name_of, namespace_of
from aioctl.caching import LARGEST
from aioctl.controller.caches import Caches
from aioctl.controller.hearsay import Hearsay, heard_of
from aioctl.controller.interests import members_of
from aioctl.controller.live_reads import LiveReads
from aioctl.controller.traffic import Traffic
from aioctl.controller.trials import CRD, Trial, Trials
from aioctl.kube.cached import Cached
from aioctl.kube.discovery import ServerVersion
from aioctl.pki import pairs
from aioctl.plan.hearsay import Heard
from aioctl.plan.observation import (
    ABSENT,
    Absent,
    Certificate,
    GatewayRequest,
    Present,
    Read,
    Unknown,
    Versions,
    never_again,
    version_of,
)
from aioctl.plan.trial import DryRunResult

_SHARED: Final = (kinds.CONFIG, kinds.CONFIG_MAP, kinds.GATEWAY, kinds.GATEWAY_CLASS)
"""Kinds that many services read and few objects exist of: decoded once per version."""
_PARTLY_WATCHED: Final = (kinds.SECRET, kinds.SERVICE_ACCOUNT, kinds.CONFIG_MAP)
"""Kinds of which only ours are watched: absence from the cache says nothing about a user's object."""

SERVER_VERSION: Final = ObjectRef(Kind("", "v1", "Version", "version", namespaced=False), "", "version")
"""What is read of whoever asks for the API server's version. No object, but as an object does it wake its readers."""

Certificates = dict[ObjectKey, tuple[bytes, Certificate | str]]
"""The text of key pairs, and what it says; parsing one takes 0.1 ms."""

SeenObjects = dict[int, tuple[Cached, dict[str, Any]]]
"""What was decoded, by the identity of the cached object, which is kept beside it."""


class Decoded:
    """Decoded forms of shared objects, by version, so that a fleet decodes each once."""

    def __init__(self) -> None:
        self._objects: dict[ObjectRef, tuple[str, dict[str, Any]]] = {}

    def object(self, ref: ObjectRef, version: str, decode: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        known = self._objects.get(ref)
        if known is None or known[0] != version:
            known = (version, decode())
            self._objects[ref] = known
        return known[1]

    def forget(self, ref: ObjectRef) -> None:
        """Drops what is kept of an object that is gone."""
        self._objects.pop(ref, None)


class CacheObservation:
    """One reconcile's view. `reads` and `demands` fill while the plan asks; all of it shares the objects: change none."""

    def __init__(
        self,
        service: ObjectKey,
        caches: Caches,
        presence: Callable[[Kind], Served],
        live: LiveReads,
        decoded: Decoded,
        certificates: Certificates | None = None,
        trials: Trials | None = None,
        version: Callable[[], ServerVersion | None] = lambda: None,
        hearsay: Hearsay | None = None,
        traffic: Traffic | None = None,
        since: float = 0.0,
        seen: SeenObjects | None = None,
    ) -> None:
        """`certificates`: what earlier views of the service have parsed; this one adds to it.

        `trials`: what dry runs said; None: nobody is asked. `version`: of the API server. `hearsay`: what
        routes of other services say. `traffic`: sends requests through gateways. `since`: no
        answer of `live` that was asked for earlier is of use. `seen`: what earlier views of the same run have decoded.
        """
        self._service = service
        self._trials = trials
        self._caches = caches
        self._presence = presence
        self._live = live
        self._decoded = decoded
        self._certificates = {} if certificates is None else certificates
        self._version = version
        self._hearsay = hearsay or Hearsay()
        self._traffic = traffic
        self._since = since
        self._ours = _our_names(service.name)
        self._seen: SeenObjects = {} if seen is None else seen
        self._told: dict[ObjectRef, Read] = {}
        self.reads: set[ObjectRef] = set()
        self.demands: set[ObjectRef] = set()
        self.unknown: set[str] = set()
        """Why something that was asked is not known, apart from `demands`: no watch tells when it will be."""
        self.trial: Trial | None = None
        """A dry run that the plan needs and that was not made yet."""

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        ref = ObjectRef(kind, namespace if kind.namespaced else "", name)
        self.reads.add(ref)
        if kind.optional and self._presence(kind) is Served.NO:
            return Absent()
        cached = self._caches.get(kind, ref.key)
        if cached is not None:
            if kind in _SHARED:
                decode = (lambda: weight.decode(cached.raw)) if kind == kinds.CONFIG else cached.decode
                return Present(
                    self._made(cached, decode)
                    if cached.text.size > LARGEST
                    else self._decoded.object(ref, cached.resource_version, decode)
                )
            return Present(self._made(cached, cached.decode))
        return self._beside_caches(ref, named_by_user=named_by_user)

    def _beside_caches(self, ref: ObjectRef, *, named_by_user: bool) -> Read:
        """What is known of an object that no cache holds."""
        # What one reconcile was told once stays so to its end, though the answer may be too old for the next.
        answer = self._told.get(ref) or self._live.get(ref, self._since)
        if answer is not None:
            self._told[ref] = answer
            return self._noted(answer) if isinstance(answer, Unknown) else answer
        if self._is_watched(ref, named_by_user=named_by_user):
            return Absent() if self._caches.synced(ref.kind) else self._out_of_date(ref.kind)
        self.demands.add(ref)
        return Unknown(f"{ref} was not read yet")

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        if kind.optional and self._presence(kind) is Served.NO:
            return ()
        if kind == kinds.SERVICE and names.ROUTING_GROUP in labels:
            self.reads.add(members_of(namespace, labels[names.ROUTING_GROUP]))
        if not self._caches.synced(kind):
            return self._out_of_date(kind)
        found = self._caches.select(kind, namespace, labels)
        if kind == kinds.SERVICE:
            return [self._made(item, partial(weight.decode, item.raw)) for item in found]
        return [self._made(item, item.decode) for item in found]

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        if not self._caches.synced(kinds.SERVICE):
            return self._out_of_date(kinds.SERVICE)
        return self._caches.others_run(ObjectKey(namespace, name))

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        if not self._caches.synced(kinds.SERVICE):
            return self._out_of_date(kinds.SERVICE)
        return self._caches.namesakes(ObjectKey(namespace, name), group, models)

    def served(self, kind: Kind) -> Served:
        if not kind.optional:
            return Served.YES
        return self._presence(kind)

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        if self._trials is None:
            return Unknown("nobody can be asked")
        self.reads.add(CRD)
        asked = self._trials.trial(candidate)
        verdict = self._trials.known(self._service, asked)
        if verdict is None:
            self.trial = asked
            return Unknown("the combined spec was not tried yet")
        return verdict

    def server_version(self) -> ServerVersion | None:
        self.reads.add(SERVER_VERSION)
        return self._version()

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        self.reads.add(heard_of(gateway))
        return self._hearsay.heard(gateway, apart_from)

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        ref = ObjectRef(kind, namespace if kind.namespaced else "", name)
        self.reads.add(ref)
        if kind.optional and self._presence(kind) is Served.NO:
            return ABSENT
        cached = self._caches.get(kind, ref.key)
        if cached is not None:
            return cached.uid, cached.resource_version
        match self._beside_caches(ref, named_by_user=named_by_user):
            case Present(obj):
                return version_of(obj)
            case Absent():
                return ABSENT
            case _:
                return never_again()

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Versions | int:
        if kind.optional and self._presence(kind) is Served.NO:
            return ()
        if kind == kinds.SERVICE and names.ROUTING_GROUP in labels:
            self.reads.add(members_of(namespace, labels[names.ROUTING_GROUP]))
        if not self._caches.synced(kind):
            return never_again()
        found = self._caches.select(kind, namespace, labels)
        return tuple((*item.key, (item.uid, item.resource_version)) for item in found)

    def tried(self) -> Hashable:
        if self._trials is None:
            return never_again()
        self.reads.add(CRD)
        return self._trials.last(self._service) or never_again()

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        found = self._traffic.known(self._service, request) if self._traffic is not None else None
        return Unknown(f"{request.url} was not asked yet") if found is None else found

    def certificate(self, secret: Object) -> Certificate | str:
        return certificate_of(secret, self._certificates)

    def signer(self, secret: Object) -> str:
        return signer_problem(secret)

    def _out_of_date(self, kind: Kind) -> Unknown:
        return self._noted(Unknown(f"the cache of {kind.resource} is not in sync"))

    def _noted(self, unknown: Unknown) -> Unknown:
        self.unknown.add(unknown.reason)
        return unknown

    def _made(self, cached: Cached, decode: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Once for each version: a plan reads most of its objects more than once."""
        found = self._seen.get(id(cached))
        if found is None:
            found = self._seen[id(cached)] = cached, decode()
        return found[1]

    def _is_watched(self, ref: ObjectRef, *, named_by_user: bool) -> bool:
        if not self._caches.holds(ref.kind) or (named_by_user and ref.kind == kinds.CORE_SERVICE):
            return False
        if ref.kind in _PARTLY_WATCHED:
            return (ref.name in self._ours and not named_by_user) or any(
                watch.kind == ref.kind
                and watch.fields == f"metadata.name={ref.name}"
                and watch.namespace == ref.namespace
                for watch in self._caches.stores
            )
        return True


def _our_names(service: str) -> frozenset[str]:
    """Names under which this controller makes Secrets and ServiceAccounts: the cache's word is enough for them."""
    return frozenset(
        {
            names.tls_secret_name(service),
            names.epp_service_account_name(service),
            *(
                rule(service, suffix)
                for rule in (names.child, names.safe)
                for suffix in ("-kserve", "-kserve-mn", "-kserve-mn-prefill")
            ),
            "kserve-metrics-reader-sa",
            "kserve-metrics-reader-sa-secret",
        }
    )


def secret_entry(secret: Object, key: str) -> bytes | None:
    """The bytes of one entry of a Secret; None where it is absent or no base64."""
    value = dig(secret, "data", key)
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return None


def certificate_of(secret: Object, known: Certificates) -> Certificate | str:
    """The key pair of a Secret, or why it cannot be used; what is known of another text of it is replaced."""
    crt, key = secret_entry(secret, "tls.crt"), secret_entry(secret, "tls.key")
    if crt is None or key is None:
        return "tls.crt or tls.key is missing or not base64"
    at, content = ObjectKey(namespace_of(secret), name_of(secret)), blake2b(crt + b"\0" + key).digest()
    found = known.get(at)
    if found is None or found[0] != content:
        found = known[at] = content, _parse(crt, key)
    return found[1]


def signer_problem(secret: Object) -> str:
    """Empty when the CA secret can sign, else what is wrong with it."""
    crt, key = secret_entry(secret, "tls.crt"), secret_entry(secret, "tls.key")
    return pairs.signer_problem(crt, key, namespace_of(secret), name_of(secret))


def _parse(crt: bytes, key: bytes) -> Certificate | str:
    parsed = pairs.parse_pair(crt, key)
    if isinstance(parsed, str):
        return parsed
    return Certificate(
        frozenset(parsed.dns_names), frozenset(str(ip) for ip in parsed.ip_addresses), parsed.not_after
    )

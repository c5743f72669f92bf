"""What each gateway of a service is known to do with the two InferencePool generations, and who said so (MIG-7, MIG-12).

Four questions for each gateway: does it serve v1, does it serve v1alpha2, does it take both in one rule, does it write the
status of pools. Sources in order of their strength; a stronger one overrides. Nothing is stored: all of it can be read again
after a restart.

A pool's status outlives the gateway version that wrote it, so it never counts against what a route's ResolvedRefs of the
present generation says. Refusal of one generation says nothing of the other.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import partial
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, Kind, ObjectKey
from aioctl.api.objects import (
    FieldError,
    Object,
    controller_of,
    generation_of,
    key_of,
    labels_of,
    mapping,
    sequence,
    text,
)
from aioctl.plan import refusals
from aioctl.plan.facts import Facts
from aioctl.plan.hearsay import ASKS, ASKS_BOTH, BESIDE, BOTH, NOTHING, Heard, Word, gather
from aioctl.plan.observation import Observation, Present
from aioctl.plan.parents import parents_of
from aioctl.plan.readiness import Condition, accepted_by, find_condition, holds, is_stale
from aioctl.plan.refusals import INVALID_KIND
from aioctl.plan.routing import gateways_of, is_any_pool_ref, is_pool_ref

_GROUPS: Final = (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)
_UNSUPPORTED: Final = ("NotSupportedByParent", "NotSupportedByGateway")
"""Reasons of Accepted False that mean the kind, not the pool: Inference Extension v1, and v1alpha2."""
_FEATURES: Final = ("SupportInferencePool", "InferencePool")


class Support(Enum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Source(StrEnum):
    """Who said it, the strongest first."""

    PROBE = "probe"
    ROUTE = "HTTPRoute"
    OTHERS = "HTTPRoute of another service"
    BESIDE = "probe that names both generations"
    POOL = "InferencePool status"
    FEATURES = "GatewayClass features"
    CONTROLLER = "GatewayClass controller"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Finding:
    support: Support = Support.UNKNOWN
    source: Source = Source.NOBODY

    @property
    def shown(self) -> bool:
        """Seen on a route, and not only said of a pool."""
        return self.source in (Source.PROBE, Source.ROUTE, Source.OTHERS, Source.BESIDE)


@dataclass(frozen=True, slots=True)
class GatewayEvidence:
    """The four answers of one gateway. `controller`: the controllerName of its class, empty where that is not known."""

    gateway: ObjectKey
    controller: str = ""
    v1: Finding = Finding()
    v1alpha2: Finding = Finding()
    mixed: Finding = Finding()
    writes_status: Finding = Finding()


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known of an implementation before it has said anything. UNKNOWN: nothing."""

    mixed: Support = Support.UNKNOWN
    writes_status: Support = Support.UNKNOWN
    resolves_blindly: bool = False
    """ResolvedRefs True of a mixed rule is no sign that it serves it."""
    switch: str = "switch on its support for the Gateway API Inference Extension"
    """What makes it serve InferencePools."""


_ISTIO: Final = Prior(Support.NO, switch="set ENABLE_GATEWAY_API_INFERENCE_EXTENSION=true in istiod")
_ENVOY: Final = Prior(
    Support.NO, switch="install Envoy AI Gateway with InferencePool v1 among its backend resources"
)
_KGATEWAY: Final = Prior(Support.NO, Support.NO, resolves_blindly=True)
_NGINX: Final = Prior(Support.NO)
PRIORS: Final[Mapping[str, Prior]] = {
    "istio.io/gateway-controller": _ISTIO,
    "istio.io/unmanaged-gateway": _ISTIO,
    "openshift.io/gateway-controller/v1": _ISTIO,
    "gateway.envoyproxy.io/gatewayclass-controller": _ENVOY,
    "kgateway.dev/kgateway": _KGATEWAY,
    "agentgateway.dev/agentgateway": Prior(writes_status=Support.YES),
    "gateway.nginx.org/nginx-gateway-controller": _NGINX,
}
"""By controllerName. Istio: v1alpha2 alone up to 1.27, v1 alone from 1.28 on (measured). Envoy Gateway: one invalid
reference fails the rule (envoyproxy/gateway#7483). kgateway: two weighted pools give 503 although they resolve
(kgateway#11667), and it writes no pool status (kgateway#13456). NGINX Gateway Fabric: one pool in a rule (its pull request
4439)."""


def switch_of(controller: str) -> str:
    """What to do to make gateways of that controller serve InferencePools."""
    return PRIORS.get(controller, Prior()).switch


Trusts = Callable[[Object, ObjectKey], bool]
"""Whether what a gateway affirms on a probe counts."""


def of_gateways(
    obs: Observation,
    gateways: Sequence[ObjectKey],
    route: Object | None,
    pools: Mapping[Kind, Object],
    names: frozenset[str],
    probes: Sequence[Object] = (),
    heard: Mapping[ObjectKey, Heard] | None = None,
    trusts: Trusts | None = None,
) -> tuple[GatewayEvidence, ...]:
    """The evidence of each gateway. `route`: the live managed one; `pools`: those of the service that exist; `names`: by
    which a reference means one of them; `probes`: routes that ask and carry no traffic, the one that asks about v1 first;
    `heard`: what routes of other services say, by gateway; `trusts`: None where the gateways' word is enough."""
    heard = heard or {}
    return tuple(
        _of(
            obs,
            gateway,
            route,
            pools,
            names,
            _answers(probes, gateway, obs, names, trusts),
            heard.get(gateway, NOTHING),
            tried=trusts is not None,
        )
        for gateway in gateways
    )


def words_of(route: Object) -> Iterator[Word]:
    """What a managed HTTPRoute, or a probe, of whichever service says of its gateways. Raises FieldError for no HTTPRoute."""
    if text(controller_of(route), "kind") != kinds.SERVICE.kind:
        return
    asked = names.PROBE in labels_of(route)
    for gateway in gateways_of(route):
        if asked:
            yield Word(gateway, ASKS_BOTH if _asks_about_both(route) else ASKS, serves=True, asked=True)
        said = said_by_probe if asked else said_by
        for about, support in said(route, gateway, Facts(), None).items():
            yield Word(gateway, about, support is Support.YES, asked)


def listen(routes: Iterable[Object]) -> Callable[[ObjectKey, frozenset[ObjectKey]], Heard]:
    """`Observation.heard` of these routes."""
    said: defaultdict[Word, set[ObjectKey]] = defaultdict(set)
    for route in routes:
        with suppress(FieldError):
            for word in list(words_of(route)):
                said[word].add(key_of(route))
    return partial(gather, lambda word: said.get(word, ()))


def _of(
    obs: Observation,
    gateway: ObjectKey,
    route: Object | None,
    pools: Mapping[Kind, Object],
    names: frozenset[str],
    asked: Mapping[str, Support],
    heard: Heard,
    *,
    tried: bool,
) -> GatewayEvidence:
    cls = class_of(obs, gateway)
    controller = text(cls, "spec", "controllerName")
    prior = PRIORS.get(controller, Prior())
    seen = said_by(route, gateway, obs, names) if route is not None else {}
    others = {
        about: Support.YES if yes else Support.NO for about, yes in {**heard.routes, **heard.probes}.items()
    }
    entries = {kind: accepted_by(pool, kind, gateway) for kind, pool in pools.items()}

    def generation(kind: Kind) -> Finding:
        return _strongest(
            (Source.PROBE, asked.get(kind.group)),
            (Source.ROUTE, seen.get(kind.group)),
            (Source.OTHERS, others.get(kind.group)),
            (Source.BESIDE, asked.get(BESIDE[kind.group]) or others.get(BESIDE[kind.group])),
            (Source.POOL, _of_pool(entries.get(kind, ()), pools.get(kind))),
            (Source.FEATURES, Support.YES if kind == kinds.POOL_V1 and _has_feature(cls) else None),
        )

    spoken = any(entries.values())
    return GatewayEvidence(
        gateway,
        controller,
        v1=generation(kinds.POOL_V1),
        v1alpha2=generation(kinds.POOL_V1ALPHA2),
        mixed=_strongest(
            *(
                (source, said.get(BOTH))
                for source, said in ((Source.PROBE, asked), (Source.ROUTE, seen), (Source.OTHERS, others))
                if not (prior.resolves_blindly and said.get(BOTH) is Support.YES)
                or (source is Source.PROBE and tried)
            ),
            (Source.CONTROLLER, prior.mixed),
        ),
        writes_status=_strongest(
            (Source.POOL, Support.YES if spoken else None), (Source.CONTROLLER, prior.writes_status)
        ),
    )


def _strongest(*said: tuple[Source, Support | None]) -> Finding:
    return next(
        (
            Finding(support, source)
            for source, support in said
            if support is not None and support is not Support.UNKNOWN
        ),
        Finding(),
    )


def is_open(found: GatewayEvidence, *, tried: bool) -> bool:
    """Whether the gateway can be asked if it takes both in one rule: nobody but a probe has said so. `tried`: with requests, which
    show more than what its class is known for where that resolves blindly."""
    blind = PRIORS.get(found.controller, Prior()).resolves_blindly
    source = found.mixed.source
    return source in (Source.NOBODY, Source.PROBE) or (tried and blind and source is Source.CONTROLLER)


def _answers(
    probes: Sequence[Object],
    gateway: ObjectKey,
    obs: Observation,
    names: frozenset[str],
    trusts: Trusts | None,
) -> dict[str, Support]:
    """What the gateway says of the probes; where they differ, of the first."""
    found: dict[str, Support] = {}
    for probe in probes:
        said = said_by_probe(probe, gateway, obs, names)
        if Support.YES in said.values() and trusts is not None and not trusts(probe, gateway):
            said = {about: support for about, support in said.items() if support is not Support.YES}
        found = {**said, **found}
    return found


def said_by_probe(
    probe: Object, gateway: ObjectKey, obs: Observation, names: frozenset[str] | None
) -> dict[str, Support]:
    """As `said_by`. Of both in one rule True speaks for each; refusal of one that it names is kept apart from what a gateway says of
    that one alone, which is stronger: it may be that they do not go together."""
    said = said_by(probe, gateway, obs, names)
    if not _asks_about_both(probe):
        return said
    if said.get(BOTH) is Support.YES:
        return {**said, **dict.fromkeys((POOL_GROUP_V1, POOL_GROUP_V1ALPHA2), Support.YES)}
    return {BESIDE.get(about, about): support for about, support in said.items()}


def _asks_about_both(probe: Object) -> bool:
    return len(references(probe, None)[0]) > 1


def said_by(
    route: Object, gateway: ObjectKey, obs: Observation, names: frozenset[str] | None
) -> dict[str, Support]:
    """What ResolvedRefs of the route's present generation says, by group or BOTH. Empty where it says nothing about kinds.

    `names`: as of `references`. True speaks for the one that carries all the traffic, and for both where that is v1alpha2 or
    shared: istiod resolves a rule whose only v1alpha2 reference has weight zero, and serves no v1alpha2.
    """
    conditions = list(_resolutions(route, gateway, obs))
    carrying, idle = references(route, names)
    both = len(carrying | idle) > 1
    if not conditions or None in conditions:
        return {}
    against = [each for each in conditions if each is not None and each.get("status") == "False"]
    if not against:
        found = dict.fromkeys(carrying, Support.YES) if len(carrying) == 1 else {}
        if both and POOL_GROUP_V1ALPHA2 in carrying:
            found[BOTH] = Support.YES
        return found
    if not all(INVALID_KIND in refusals.reasons(each) for each in against):
        return {}
    return {about: Support.NO for each in against for about in _refused(each, route, names)}


def _resolutions(route: Object, gateway: ObjectKey, obs: Observation) -> Iterator[Condition | None]:
    """ResolvedRefs of each parentRef to the gateway; None for one that has not spoken of the present generation."""
    for parent in parents_of(route, obs):
        if parent.key != gateway:
            continue
        found = (find_condition(sequence(entry, "conditions"), "ResolvedRefs") for entry in parent.entries)
        current = [each for each in found if each is not None and not is_stale(each, generation_of(route))]
        # Where several speak for a parent, a refusal by one of them is one.
        yield next(
            (each for each in current if each.get("status") == "False"), current[0] if current else None
        )


def _refused(refusal: Condition, route: Object, names: frozenset[str] | None) -> set[str]:
    """What InvalidKind is about: the groups of the references that it names, else of the only one that carries traffic; and BOTH."""
    carrying, idle = references(route, names)
    found = refusals.of_kinds(refusal, mapping(route, "spec"))
    if found:
        groups = {ref["group"] for ref in found if _is_one_of(ref, names)}
        if not groups:
            return set()
    elif refusals.reasons(refusal) == {INVALID_KIND}:
        groups = carrying if len(carrying) == 1 else set()
    else:
        return set()
    return groups | {BOTH} if len(carrying | idle) > 1 else groups


def references(route: Object, names: frozenset[str] | None) -> tuple[set[str], set[str]]:
    """The groups of the route's references to the pools: those with traffic in some rule, and those with none.

    `names`: of the pools; None: any InferencePool counts.
    """
    carrying: set[str] = set()
    found: set[str] = set()
    for rule in sequence(route, "spec", "rules"):
        refs = sequence(rule, "backendRefs")
        for ref in refs:
            if _is_one_of(ref, names):
                found.add(ref["group"])
                if len(refs) == 1 or ref.get("weight") != 0:
                    carrying.add(ref["group"])
    return carrying, found - carrying


def _is_one_of(ref: Any, names: frozenset[str] | None) -> bool:
    return is_any_pool_ref(ref) if names is None else is_pool_ref(ref, names)


def _of_pool(entries: Iterable[Condition], pool: Object | None) -> Support | None:
    if pool is None:
        return None
    for condition in entries:
        if holds(condition, generation_of(pool)):
            return Support.YES
        current = not is_stale(condition, generation_of(pool))
        if current and condition.get("status") == "False" and condition.get("reason") in _UNSUPPORTED:
            return Support.NO
    return None


def class_of(obs: Observation, gateway: ObjectKey) -> Mapping[str, Any]:
    """The gateway's GatewayClass; empty where one of them is not known."""
    found = obs.get(kinds.GATEWAY, gateway.namespace, gateway.name)
    if not isinstance(found, Present):
        return {}
    cls = obs.get(kinds.GATEWAY_CLASS, "", text(found.obj, "spec", "gatewayClassName"))
    return cls.obj if isinstance(cls, Present) else {}


def _has_feature(cls: Mapping[str, Any]) -> bool:
    features = sequence(mapping(cls, "status"), "supportedFeatures")
    return any((text(each, "name") if isinstance(each, Mapping) else each) in _FEATURES for each in features)

"""Gateways: class, controller, and what each is known to do with both InferencePool generations, and from what (MIG-7)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectKey, ObjectRef
from aioctl.api.objects import (
    FieldError,
    Object,
    dig,
    key_of,
    labels_of,
    name_of,
    namespace_of,
    sequence,
    text,
)
from aioctl.plan import evidence
from aioctl.plan.evidence import GatewayEvidence, Source, Support
from aioctl.plan.facts import Facts
from aioctl.plan.parents import parents_of
from aioctl.plan.readiness import find_condition
from aioctl.tools.checks.finding import Finding, bad, fine, warn
from aioctl.tools.checks.survey import Survey

_QUESTIONS: Final = {
    "v1": "v1",
    "v1alpha2": "v1alpha2",
    "mixed": "both in one rule",
    "writes_status": "writes pool status",
}
_ORDER: Final = tuple(Source)


def gateways(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.GATEWAY_CLASS):
        return
    known = _known(facts)
    for gateway in facts.all(kinds.GATEWAY):
        name = text(gateway, "spec", "gatewayClassName")
        where = f"Gateway {key_of(gateway)}"
        cls = facts.named(kinds.GATEWAY_CLASS, name)
        if cls is None:
            yield bad("AIO-GW-001", f"{where}: GatewayClass {name} does not exist")
            continue
        said = find_condition(sequence(gateway, "status", "conditions"), "Programmed")
        if said is None or said.get("status") != "True":
            why = (
                f"{said.get('reason', '')}: {said.get('message', '')}"
                if said
                else "its controller has said nothing"
            )
            yield bad("AIO-GW-002", f"{where} of class {name}: {why}")
        features = sequence(cls, "status", "supportedFeatures")
        if features and not any("InferencePool" in str(dig(each, "name") or each) for each in features):
            yield warn(
                "AIO-GW-003", f"{where}: class {name} lists its features, and InferencePool is not among them"
            )
        about = known.get(key_of(gateway)) or [GatewayEvidence(key_of(gateway))]
        yield from _serves(where, about, cls)
        yield fine("GW", f"{where}, class {name} of {text(cls, 'spec', 'controllerName')}: {_told(about)}")


def _serves(where: str, about: list[GatewayEvidence], cls: Object) -> Iterator[Finding]:
    v1, old = (_answer(about, question)[0] for question in ("v1", "v1alpha2"))
    switch = evidence.switch_of(text(cls, "spec", "controllerName"))
    if v1 is Support.NO and old is Support.NO:
        yield bad("AIO-GW-004", f"{where} refuses InferencePools of both generations: {switch}")
    elif v1 is Support.NO:
        yield warn("AIO-GW-005", f"{where} refuses the v1 InferencePool: {switch}")


def _told(about: list[GatewayEvidence]) -> str:
    """`v1 yes (HTTPRoute), v1alpha2 unknown, ...`."""
    found = []
    for question, words in _QUESTIONS.items():
        support, source = _answer(about, question)
        by = f" ({source.value})" if source is not Source.NOBODY else ""
        found.append(f"{words} {'not known' if support is Support.UNKNOWN else support.value}{by}")
    return ", ".join(found)


def _answer(about: Iterable[GatewayEvidence], question: str) -> tuple[Support, Source]:
    """The strongest source over all routes; of two of the same strength the one that refuses."""
    found = [getattr(one, question) for one in about]
    best = min(found, key=lambda one: (_ORDER.index(one.source), one.support is not Support.NO))
    return best.support, best.source


def _known(facts: Survey) -> dict[ObjectKey, list[GatewayEvidence]]:
    """What the managed routes, their services' pools and the classes say of each gateway."""
    here = (kinds.GATEWAY, kinds.GATEWAY_CLASS)
    obs = Facts({ObjectRef(kind, *key_of(obj)): obj for kind in here for obj in facts.all(kind)})
    found: defaultdict[ObjectKey, list[GatewayEvidence]] = defaultdict(list)
    bare = {key_of(gateway): None for gateway in facts.all(kinds.GATEWAY)}
    for gateway in bare:
        found[gateway] += evidence.of_gateways(obs, [gateway], None, {}, frozenset())
    pools = _pools(facts)
    for route in facts.all(kinds.HTTP_ROUTE):
        labels = labels_of(route)
        if labels.get(names.PART_OF) != names.PART_OF_VALUE:
            continue
        owned = pools.get((namespace_of(route), labels.get(names.NAME, "")), {})
        named = frozenset(name_of(pool) for pool in owned.values())
        try:
            parents = list(dict.fromkeys(parent.key for parent in parents_of(route, obs)))
            probe = names.PROBE in labels
            of_route = evidence.of_gateways(
                obs, parents, None if probe else route, owned, named, [route] if probe else []
            )
        except FieldError:
            continue  # a route that makes no sense says nothing
        for one in of_route:
            found[one.gateway].append(one)
    return found


def _pools(facts: Survey) -> dict[tuple[str, str], dict[Kind, Object]]:
    """Our pools by the namespace and name of their service, which their controller is."""
    found: defaultdict[tuple[str, str], dict[Kind, Object]] = defaultdict(dict)
    for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2):
        for pool in facts.all(kind):
            for owner in sequence(pool, "metadata", "ownerReferences"):
                if dig(owner, "kind") == kinds.SERVICE.kind:
                    found[namespace_of(pool), str(dig(owner, "name"))][kind] = pool
    return found

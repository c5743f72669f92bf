"""Who brings routes, gateways and weights, and what the scheduler may be told."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from aioctl.api.objects import Object, dig, integer, mapping, present, sequence, text
from aioctl.api.problems import Problem, invalid, required
from aioctl.golang import gojson
from aioctl.golang.gotypes import go_type

_ROUTE: Final = "spec.router.route"
_HTTP: Final = f"{_ROUTE}.http"
_SCHEDULER: Final = "spec.router.scheduler"
_CONFIG: Final = go_type("kserve.SchedulerConfigSpec")
_KEY_SELECTOR: Final = go_type("core.ConfigMapKeySelector")
_SHORTEST_CONFIG: Final = 3
"""Characters of JSON: `{}` configures nothing."""

_BOTH_ROUTES: Final = (
    "unsupported configuration: cannot use both custom HTTPRoute refs ('spec.router.route.http.refs') "
    "and an inline route spec ('spec.router.route.http.spec'); choose one"
)
_REFS_AND_MANAGED_GATEWAY: Final = (
    "unsupported configuration: custom HTTP routes ('spec.router.route.http.refs') cannot be used with a managed "
    "gateway ('spec.router.gateway'); either remove 'spec.router.route.http.refs' or set 'spec.router.gateway.refs'"
)
_OTHER_PARENTS: Final = (
    "unsupported configuration: managed HTTP route spec ('spec.router.route.http.spec') has parentRefs that conflict "
    "with custom gateway refs ('spec.router.gateway.refs'); either remove 'spec.router.gateway.refs' or "
    "'spec.router.route.http.spec.parentRefs'"
)
_SAME_PARENTS: Final = (
    "spec.router.route.http.spec.parentRefs can be omitted when spec.router.gateway.refs is set; "
    "parentRefs will be derived automatically from gateway refs"
)
_INGRESS_AND_GROUP: Final = (
    "traffic splitting requires Gateway API routing; the controller manages HTTPRoutes, not Ingress resources"
)
_REFS_AND_GROUP: Final = (
    "traffic splitting cannot be used with custom HTTPRoute refs; "
    "controller-managed routes (route.http.spec or route.http: {}) are required"
)


def routes(service: Object) -> Iterator[Problem]:
    """Rules 1 to 3: who brings the route and who brings the gateway."""
    http = dig(service, "spec", "router", "route", "http")
    refs = sequence(service, "spec", "router", "route", "http", "refs")
    if refs and dig(http, "spec") is not None:
        yield invalid("1", _HTTP, http, _BOTH_ROUTES, gojson.ROUTE)
    if refs and present(service, "spec", "router", "gateway") and not _gateways(service):
        yield invalid("2", f"{_HTTP}.refs", refs, _REFS_AND_MANAGED_GATEWAY)
    if _names_parents_twice(service) and not _parents_agree(service):
        yield invalid("3", f"{_HTTP}.spec", dig(http, "spec"), _OTHER_PARENTS, gojson.ROUTE_SPEC)


def route_warnings(service: Object) -> Iterator[str]:
    """Parents that say what the gateways of the router say already."""
    if _names_parents_twice(service) and _parents_agree(service):
        yield _SAME_PARENTS


def _gateways(service: Object) -> Sequence[Any]:
    return sequence(service, "spec", "router", "gateway", "refs")


def _parents(service: Object) -> Sequence[Any]:
    return sequence(service, "spec", "router", "route", "http", "spec", "parentRefs")


def _names_parents_twice(service: Object) -> bool:
    return bool(_parents(service)) and bool(_gateways(service))


def _parents_agree(service: Object) -> bool:
    """Whether both lists name the same listeners of the same gateways, in whichever order."""
    return _listeners(_parents(service)) == _listeners(_gateways(service))


def _listeners(refs: Sequence[Any]) -> list[tuple[str, ...]]:
    return sorted(tuple(text(ref, part) for part in ("namespace", "name", "sectionName")) for ref in refs)


def traffic(service: Object) -> Iterator[Problem]:
    """Groups of services that share traffic by weight."""
    route = mapping(service, "spec", "router", "route")
    weight, group = integer(route, "weight"), route.get("group")
    if weight is None and group is None:
        return
    if present(service, "spec", "router", "ingress"):
        yield invalid("traffic-ingress", f"{_ROUTE}.group", text(route, "group"), _INGRESS_AND_GROUP)
    elif group is None:
        yield required("traffic-group", f"{_ROUTE}.group", "weight requires group")
    elif weight is None:
        yield required("traffic-weight", f"{_ROUTE}.weight", "group requires weight")
    elif sequence(route, "http", "refs"):
        yield invalid("traffic-refs", f"{_ROUTE}.group", text(route, "group"), _REFS_AND_GROUP)


def scheduler(service: Object) -> Iterator[Problem]:
    """Replicas of the endpoint picker, and where its configuration comes from."""
    found = mapping(service, "spec", "router", "scheduler")
    yield from scheduler_replicas(service)
    config = found.get("config")
    if config is None:
        return
    at = f"{_SCHEDULER}.config"
    inline, ref = mapping(found, "config").get("inline"), config.get("ref")
    if inline is None and ref is None:
        yield invalid("config-none", at, config, "either inline or ref is required", _CONFIG)
    if inline is not None and ref is not None:
        both = "both inline and ref are set, either specify inline or ref"
        yield invalid("config-both", at, config, both, _CONFIG)
    if inline is not None and len(gojson.dump(inline)) < _SHORTEST_CONFIG:
        yield invalid("config-inline", f"{at}.inline", inline, "inline configuration is invalid")
    if ref is not None and not text(config, "ref", "name"):
        yield invalid("config-ref", f"{at}.ref.name", ref, "name is empty", _KEY_SELECTOR)


def scheduler_replicas(owner: Object) -> Iterator[Problem]:
    """Of a service or of a config."""
    replicas = integer(owner, "spec", "router", "scheduler", "replicas")
    if replicas is not None and replicas <= 0:
        detail = "scheduler replicas must be greater than zero"
        yield invalid("scheduler-replicas", f"{_SCHEDULER}.replicas", replicas, detail)

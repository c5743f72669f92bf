"""The kinds of Gateway API 1.2.1 to 1.4.0 that routing needs: HTTPRoute, Gateway, GatewayClass.

The route spec is embedded in our own kinds too (SCHEMA-4).
"""

from typing import Any

from aioctl.sim.custom_facts import GATEWAY_API, custom, parent_status, waiting
from aioctl.sim.resources import Resource
from aioctl.sim.schema import list_of, object_of, text, whole


def route_spec(*, may_be_template: bool = False) -> dict[str, Any]:
    """Gateway API HTTPRouteSpec: the defaults of SCHEMA-4 and the required names.

    `may_be_template` drops the pattern of a parent's namespace, as the Config kind does (SCHEMA-3).
    """
    namespace = text(minLength=1, maxLength=63)
    if not may_be_template:
        namespace["pattern"] = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
    any_path = {"type": "PathPrefix", "value": "/"}
    backend = {"group": text(""), "kind": text("Service"), "name": text(minLength=1, maxLength=253)}
    redirect = object_of({"statusCode": whole(302), "path": object_of({}, needs=("type",))})
    mirror = object_of(
        {
            "backendRef": object_of(backend, needs=("name",)),
            "fraction": object_of({"denominator": whole(100)}, needs=("numerator",)),
        },
        needs=("backendRef",),
    )
    rewrite = object_of({"path": object_of({"type": text()}, needs=("type",))})
    filters = list_of(
        object_of(
            {
                "type": text(),
                "requestRedirect": redirect,
                "requestMirror": mirror,
                "urlRewrite": rewrite,
                "cors": object_of({"maxAge": whole(5)}),
            },
            needs=("type",),
        )
    )
    match_type = list_of(object_of({"type": text("Exact")}))
    match = object_of(
        {
            "path": object_of({"type": text("PathPrefix"), "value": text("/")}, default=any_path),
            "headers": match_type,
            "queryParams": match_type,
        }
    )
    reference = object_of(
        {**backend, "weight": whole(1, minimum=0, maximum=1_000_000), "filters": filters}, needs=("name",)
    )
    session = object_of(
        {"type": text("Cookie"), "cookieConfig": object_of({"lifetimeType": text("Session")})}
    )
    rule = object_of(
        {
            "matches": list_of(match, default=[{"path": any_path}]),
            "filters": filters,
            "backendRefs": list_of(reference),
            "sessionPersistence": session,
        }
    )
    parent = object_of(
        {
            "group": text(GATEWAY_API),
            "kind": text("Gateway"),
            "name": text(minLength=1, maxLength=253),
            "namespace": namespace,
        },
        needs=("name",),
    )
    return object_of(
        {
            "parentRefs": list_of(parent, maxItems=32),
            "rules": list_of(rule, default=[{"matches": [{"path": any_path}]}], maxItems=16),
        }
    )


def _gateway_schema() -> dict[str, Any]:
    listener = object_of(
        {
            "allowedRoutes": object_of(
                {"namespaces": object_of({"from": text("Same")}, default={"from": "Same"})},
                default={"namespaces": {"from": "Same"}},
            ),
            "tls": object_of({"mode": text("Terminate")}),
        },
        needs=("name", "port", "protocol"),
    )
    status = object_of(
        {"addresses": list_of(object_of({"type": text("IPAddress")}, needs=("value",)))},
        default={"conditions": [waiting("Accepted"), waiting("Programmed")]},
    )
    spec = object_of({"listeners": list_of(listener)}, needs=("gatewayClassName", "listeners"))
    return object_of({"spec": spec, "status": status}, needs=("spec",))


def gateway_api() -> tuple[Resource, Resource, Resource]:
    """HTTPRoute, Gateway, GatewayClass."""
    route = object_of(
        {"spec": route_spec(), "status": object_of({"parents": parent_status("parents")})}, needs=("spec",)
    )
    gateway = _gateway_schema()
    gateway_class = object_of(
        {
            "spec": object_of({"controllerName": text()}, needs=("controllerName",)),
            "status": object_of({}, default={"conditions": [waiting("Accepted")]}),
        },
        needs=("spec",),
    )
    categories = ("gateway-api",)
    return (
        custom(
            GATEWAY_API,
            "HTTPRoute",
            "httproutes",
            {"v1": (route, ()), "v1beta1": (route, ())},
            categories=categories,
        ),
        custom(
            GATEWAY_API,
            "Gateway",
            "gateways",
            {"v1": (gateway, ()), "v1beta1": (gateway, ())},
            short_names=("gtw",),
            categories=categories,
        ),
        custom(
            GATEWAY_API,
            "GatewayClass",
            "gatewayclasses",
            {"v1": (gateway_class, ()), "v1beta1": (gateway_class, ())},
            namespaced=False,
            short_names=("gc",),
            categories=categories,
        ),
    )

"""`status.addresses` and `status.url` of a whole service (URL-2, URL-3)."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan import addresses
from aioctl.plan.facts import Facts
from aioctl.plan.global_config import GlobalConfig, RoutingConfig
from aioctl.plan.model import Context, Part, PlanError
from aioctl.plan.model_routing import managed_spec
from aioctl.plan.policy import Policy
from aioctl.plan.route_defaults import defaulted
from tests.plan.router_world import MANAGED, RouterWorld, gateway
from tests.plan.test_urls import listener, rule

A = "203.0.113.1"
C = "gw-svc.gns.svc.cluster.local"
HEADER = "X-Gateway-Model-Name"
PUBLISHER = "/publishers/ns/models/m"
SERVICE = {"kind": "Service", "name": "llm-kserve-workload-svc", "port": 8000}
POOL = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "llm-inference-pool"}
HTTP = listener(80, name="http")
HTTPS = listener(443, "HTTPS", name="https")
PLAIN_RULES = [
    rule("/ns/llm/v1/completions", backend=POOL),
    rule(f"{PUBLISHER}/v1/completions", backend=POOL),
    rule(PUBLISHER, backend=SERVICE),
    rule("/ns/llm", backend=SERVICE),
]
"""What the default route has with routing by model off; with it on, also a rule for the header alone."""
RULES = [*PLAIN_RULES, rule(None, backend=SERVICE, header=HEADER)]
OWN_PATH = [rule("/ns/llm", backend=SERVICE)]
EXTERNAL, INTERNAL, INSIDE = "gateway-external", "internal", "gateway-internal"


def context(
    *,
    rules: Any = (),
    listeners: Any = (HTTP,),
    at: Any = (A,),
    ports: list[int] | None = None,
    scheme: str = "http",
    hostnames: Any = (),
    parents: Any = ({"name": "gw", "namespace": "gns"},),
    adapters: Any = (),
    more: Any = (),
) -> Context:
    """Service ns/llm with its managed route as it is in the cluster. `ports`: of the gateway's Service, None without one."""
    spec: dict[str, Any] = {
        "model": {"name": "m", "lora": {"adapters": list(adapters)}},
        "router": {"route": {"http": {"spec": {"parentRefs": list(parents)}}}},
    }
    live = {
        "metadata": {"namespace": "ns", "name": "llm-kserve-route"},
        "spec": {"parentRefs": list(parents), "rules": list(rules), "hostnames": list(hostnames)},
    }
    objects: dict[ObjectRef, Any] = {ObjectRef(kinds.HTTP_ROUTE, "ns", "llm-kserve-route"): live}
    gateways = [gateway("gns", "gw", *at, listeners=list(listeners)), *more]
    for each in gateways:
        objects[ObjectRef(kinds.GATEWAY, each["metadata"]["namespace"], each["metadata"]["name"])] = each
    objects[ObjectRef(kinds.GATEWAY_CLASS, "", "other")] = {"metadata": {"name": "other"}}
    if ports is not None:
        objects[ObjectRef(kinds.CORE_SERVICE, "gns", "gw-svc")] = {
            "metadata": {
                "namespace": "gns",
                "name": "gw-svc",
                "labels": {"gateway.networking.k8s.io/gateway-name": "gw"},
            },
            "spec": {"ports": [{"port": port} for port in ports]},
        }
    config = GlobalConfig("kserve", routing=RoutingConfig(scheme))
    service = {"metadata": {"namespace": "ns", "name": "llm"}, "spec": {}}
    return Context(
        Facts(objects=objects), service, spec, config, Policy(), datetime(2026, 11, 29, tzinfo=UTC)
    )


def named(kind: str, *urls: str) -> list[tuple[str, str]]:
    """What is expected of addresses at paths (`kind`), and of those at the root."""
    return [(f"{kind}-model-routing" if url.endswith("/") else kind, url) for url in urls]


EXAMPLES: list[tuple[dict[str, Any], list[tuple[str, str]], str]] = [
    (
        {"rules": [rule("/?x", backend=SERVICE)]},
        [("gateway-external-model-routing", f"http://{A}/?x")],
        f"http://{A}/?x",
    ),
    (
        {"rules": [rule("/ns/llm?x", backend=SERVICE)]},
        named(EXTERNAL, f"http://{A}/ns/llm?x"),
        f"http://{A}/ns/llm?x",
    ),
    (
        {"rules": PLAIN_RULES},
        named(EXTERNAL, f"http://{A}/ns/llm", f"http://{A}{PUBLISHER}"),
        f"http://{A}/ns/llm",
    ),
    (
        {"rules": RULES},
        named(EXTERNAL, f"http://{A}/", f"http://{A}/ns/llm", f"http://{A}{PUBLISHER}"),
        f"http://{A}/ns/llm",
    ),
    (
        {"rules": OWN_PATH, "listeners": [HTTP, HTTPS], "ports": [80, 443], "scheme": "https"},
        [
            *named(EXTERNAL, f"http://{A}/ns/llm"),
            *named(INSIDE, f"http://{C}/ns/llm"),
            *named(EXTERNAL, f"https://{A}/ns/llm"),
            *named(INSIDE, f"https://{C}/ns/llm"),
        ],
        f"http://{A}/ns/llm",
    ),
    (
        {"rules": OWN_PATH, "listeners": [HTTP, HTTPS], "ports": [80, 443], "scheme": "https", "at": ()},
        named(INSIDE, f"http://{C}/ns/llm", f"https://{C}/ns/llm"),
        f"https://{C}/ns/llm",
    ),
    (
        {"rules": OWN_PATH, "listeners": [HTTP, HTTPS], "ports": [80, 443], "scheme": "http", "at": ()},
        named(INSIDE, f"http://{C}/ns/llm", f"https://{C}/ns/llm"),
        f"http://{C}/ns/llm",
    ),
    (
        {"rules": OWN_PATH, "ports": [80, 443], "scheme": "https", "at": ()},
        named(INSIDE, f"http://{C}/ns/llm"),
        f"http://{C}/ns/llm",
    ),
    (
        {"listeners": [HTTP, HTTPS, listener(8080, name="alt")], "ports": [80, 8080]},
        [
            *named(EXTERNAL, f"http://{A}/", f"http://{A}:8080/"),
            *named(INSIDE, f"http://{C}/", f"http://{C}:8080/"),
            *named(EXTERNAL, f"https://{A}/"),
        ],
        f"http://{A}/",
    ),
    (
        {"listeners": [HTTP, HTTPS, listener(8080, name="alt")], "ports": [9090]},
        named(EXTERNAL, f"http://{A}/", f"http://{A}:8080/", f"https://{A}/"),
        f"http://{A}/",
    ),
    (
        {"rules": OWN_PATH, "listeners": [HTTPS], "at": (C,), "ports": []},
        named(INSIDE, f"https://{C}/ns/llm"),
        f"https://{C}/ns/llm",
    ),
    (
        {
            "parents": [{"name": "gw", "namespace": "gns", "sectionName": "http"}],
            "listeners": [
                listener(80, name="http", hostname="http.example.com"),
                HTTPS,
                listener(8080, name="internal"),
            ],
        },
        named(EXTERNAL, "http://http.example.com/"),
        "http://http.example.com/",
    ),
    (
        {"listeners": [listener(8080, hostname="*.apps.example.com")]},
        named(EXTERNAL, "http://inference.apps.example.com:8080/"),
        "http://inference.apps.example.com:8080/",
    ),
    (
        {"hostnames": ["*"], "listeners": [listener(80, hostname="listener.example.com")]},
        named(EXTERNAL, "http://listener.example.com/"),
        "http://listener.example.com/",
    ),
    (
        {
            "hostnames": ["api.example.com", "alt.example.com"],
            "listeners": [listener(80, name="a"), listener(80, name="b")],
        },
        named(EXTERNAL, "http://alt.example.com/", "http://api.example.com/"),
        "http://alt.example.com/",
    ),
    ({"at": ("2001:db8::1",)}, named(EXTERNAL, "http://[2001:db8::1]/"), "http://[2001:db8::1]/"),
    (
        {"at": ("2001:db8::1",), "listeners": [HTTP, listener(8080, name="alt")]},
        named(EXTERNAL, "http://[2001:db8::1]/", "http://[2001:db8::1]:8080/"),
        "http://[2001:db8::1]/",
    ),
    (
        {"at": ("10.0.0.20", "203.0.113.50")},
        [*named(INTERNAL, "http://10.0.0.20/"), *named(EXTERNAL, "http://203.0.113.50/")],
        "http://203.0.113.50/",
    ),
    (
        {
            "rules": [
                rule("/ns/llm/v1/completions", backend=POOL),
                rule("/ns/llm/v1/messages", backend=POOL),
            ]
        },
        named(EXTERNAL, f"http://{A}/ns/llm/v1/messages"),
        f"http://{A}/ns/llm/v1/messages",
    ),
    ({"at": ()}, [], ""),
    (
        {"hostnames": ["*.example.com"]},
        named(EXTERNAL, "http://inference.example.com/"),
        "http://inference.example.com/",
    ),
    (
        {"at": ("203.0.113.200", "203.0.113.100")},
        named(EXTERNAL, "http://203.0.113.100/", "http://203.0.113.200/"),
        "http://203.0.113.100/",
    ),
    (
        {"rules": [rule("/ns/name"), rule("/custom", header="X-Custom-Header")]},
        named(EXTERNAL, f"http://{A}/ns/name"),
        f"http://{A}/ns/name",
    ),
    (
        {"hostnames": ["api.example.com"], "listeners": [HTTP, HTTPS]},
        named(EXTERNAL, "http://api.example.com/", "https://api.example.com/"),
        "http://api.example.com/",
    ),
    (
        {"rules": OWN_PATH, "listeners": [HTTP, HTTPS], "ports": [80]},
        [
            *named(EXTERNAL, f"http://{A}/ns/llm"),
            *named(INSIDE, f"http://{C}/ns/llm"),
            *named(EXTERNAL, f"https://{A}/ns/llm"),
        ],
        f"http://{A}/ns/llm",
    ),
    ({"listeners": [listener(443, "TLS")]}, named(EXTERNAL, f"https://{A}/"), f"https://{A}/"),
    (
        {
            "parents": [{"name": name, "namespace": namespace} for namespace, name in ("zz", "aa", "ab")],
            "more": [
                gateway("z", "z", "203.0.113.2"),
                gateway("a", "a", "203.0.113.1"),
                gateway("a", "b", "203.0.113.3"),
            ],
        },
        named(EXTERNAL, "http://203.0.113.1/", "http://203.0.113.2/", "http://203.0.113.3/"),
        "http://203.0.113.1/",
    ),
    (
        {"at": ("192.168.1.100",), "rules": OWN_PATH},
        named(INTERNAL, "http://192.168.1.100/ns/llm"),
        "http://192.168.1.100/ns/llm",
    ),
]


@pytest.mark.parametrize(("given", "expected", "url"), EXAMPLES)
def test_addresses_have_names_and_one_is_shown(
    given: dict[str, Any], expected: list[tuple[str, str]], url: str
) -> None:
    found = addresses.discover(context(**given))
    assert ([(each["name"], each["url"]) for each in found.all], found.url) == (expected, url)


def test_an_address_names_its_gateway_and_its_models() -> None:
    found = addresses.discover(
        context(rules=RULES, adapters=[{"name": "a"}, {"uri": "hf://no/name"}, {"name": "b"}])
    )
    origin = {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw", "namespace": "gns"}
    assert all(each["origin"] == origin for each in found.all)
    pairs = [(f"publishers/ns/models/{name}", name) for name in ("m", "a", "b")]
    assert [[model["name"] for model in each["models"]] for each in found.all] == [
        [qualified for qualified, _ in pairs],
        *[[name for pair in pairs for name in pair]] * 2,
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"parents": [{"name": "gw", "namespace": "gns", "sectionName": "nope"}]},
            'failed to select listeners for gateway gns/gw: listener "nope" not found in gateway gns/gw',
        ),
        (
            {"listeners": [listener(80, "TCP")]},
            "failed to select listeners for gateway gns/gw: no HTTP-capable listener found in gateway gns/gw",
        ),
        (
            {"listeners": []},
            "failed to select listeners for gateway gns/gw: no HTTP-capable listener found in gateway gns/gw",
        ),
        (
            {
                "parents": [{"name": "gw", "namespace": "gns", "sectionName": "tcp"}],
                "listeners": [listener(80, "TCP", name="tcp")],
            },
            (
                'failed to resolve scheme for gateway gns/gw listener tcp: listener "tcp" uses unsupported protocol TCP '
                "for HTTP routing"
            ),
        ),
    ],
)
def test_a_listener_that_is_not_there_or_takes_no_routes_is_named(
    given: dict[str, Any], message: str
) -> None:
    ctx = context(**given)
    text = f"failed to discover URL for route ns/llm-kserve-route: {message}"
    with pytest.raises(PlanError) as caught:
        addresses.discover(ctx)
    assert str(caught.value) == text
    step = addresses.check(ctx)
    assert step is not None
    assert (step.part, step.error, step.revisit) == (Part.ADDRESSES, text, 60.0)


def test_equal_urls_of_several_parents_are_one_address_of_the_first() -> None:
    parents = [{"name": "other", "namespace": "gns"}, {"name": "gw", "namespace": "gns"}]
    found = addresses.discover(context(parents=parents, more=[gateway("gns", "other", A)]))
    assert [(each["url"], each["origin"]["name"]) for each in found.all] == [(f"http://{A}/", "other")]


@pytest.mark.parametrize(("tls", "scheme"), [(False, "http"), (True, "https")])
def test_without_a_route_the_workload_is_the_only_address_and_no_url_is_shown(
    scheme: str, *, tls: bool
) -> None:
    ctx = context()
    without = Context(
        ctx.obs,
        ctx.service,
        {"model": {"name": "m"}},
        GlobalConfig("kserve", routing=RoutingConfig(enable_tls=tls)),
        ctx.policy,
        ctx.now,
    )
    assert addresses.discover(without) == addresses.Addresses(
        "", ({"url": f"{scheme}://llm-kserve-workload-svc.ns.svc.cluster.local"},)
    )


def test_a_listener_that_is_missing_keeps_nothing_else_from_being_done() -> None:
    router = copy.deepcopy(MANAGED)
    router["gateway"] = {"refs": [{"name": "kserve-ingress-gateway", "namespace": "kserve"}]}
    world = RouterWorld(router=router)
    world.put(kinds.GATEWAY, gateway("kserve", "kserve-ingress-gateway", A, listeners=[listener(80, "TCP")]))
    world.reconcile()
    world.reconcile()  # made once its pools are there
    said = (
        "failed to discover URL for route ns/svc-kserve-route: failed to select listeners for gateway "
        "kserve/kserve-ingress-gateway: no HTTP-capable listener found in gateway kserve/kserve-ingress-gateway"
    )
    assert world.error == said
    assert world.w == (0, 100)
    found = world.condition("HTTPRoutesReady")
    assert (found["reason"], found["message"]) == (
        "HTTPRouteReconcileError",
        f"Failed to reconcile HTTPRoute: {said}",
    )
    assert world.status_of("GatewaysReady") == "True"
    world.put(kinds.GATEWAY, gateway("kserve", "kserve-ingress-gateway", A))
    world.accept_route()
    world.reconcile()
    assert (world.error, world.status_of("HTTPRoutesReady")) == ("", "True")


ANY_PATH = {"backendRefs": [SERVICE]}
BY_HEADER = rule("/by-header", backend=SERVICE, header=HEADER)


@pytest.mark.parametrize(
    ("rules", "on", "expected"),
    [
        (RULES, True, ["/", "/ns/llm", PUBLISHER]),
        (RULES, False, ["/ns/llm", PUBLISHER]),
        ([BY_HEADER, rule("/", backend=SERVICE)], True, ["/", "/by-header"]),
        ([BY_HEADER, rule("/", backend=SERVICE)], False, ["/"]),
        ([ANY_PATH, rule("/x", backend=SERVICE)], True, ["/"]),
        ([ANY_PATH, BY_HEADER], True, ["/", "/by-header"]),
        ([{}, rule("/x", backend=SERVICE)], True, ["/x"]),
        ([], True, ["/"]),
    ],
)
def test_addresses_are_planned_as_the_route_will_be_stored(
    rules: list[Any], expected: list[str], *, on: bool
) -> None:
    given = context()
    asked = {"annotations": {names.MODEL_ROUTING: "true" if on else "false"}}
    route = {"parentRefs": [{"name": "gw", "namespace": "gns"}], "rules": rules}
    spec = {**given.spec, **asked, "router": {"route": {"http": {"spec": route}}}}
    ctx = replace(given, spec=spec)
    planned = addresses.planned_addresses(ctx)
    stored = {
        "metadata": {"namespace": "ns", "name": "llm-kserve-route"},
        "spec": defaulted(managed_spec(ctx)),
    }
    assert planned == addresses.addresses([stored], ctx)
    assert [each["url"] for each in planned.all] == [f"http://{A}{path}" for path in expected]

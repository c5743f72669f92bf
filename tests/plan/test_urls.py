"""The URLs of one route: against KServe's own answers, and what they do not cover (URL-1)."""

import json
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.plan import urls
from aioctl.plan.facts import Facts
from aioctl.plan.global_config import RoutingConfig
from aioctl.plan.model import PlanError
from aioctl.plan.observation import Unanswered
from aioctl.plan.policy import Policy
from testbed.shared_data import UPSTREAM, vectors
from tests.plan.router_world import gateway

POLICY = Policy()
ROUTING = RoutingConfig()
CLASS = ObjectRef(kinds.GATEWAY_CLASS, "", "other")
NOTHING = "(no external addresses and no backing service found)"


def cluster(*gateways: dict[str, Any], services: Any = ()) -> Facts:
    objects: dict[ObjectRef, Any] = {CLASS: {"metadata": {"name": "other"}, "spec": {"controllerName": "x"}}}
    for kind, each in [
        *((kinds.GATEWAY, each) for each in gateways),
        *((kinds.CORE_SERVICE, each) for each in services),
    ]:
        objects[ObjectRef(kind, each["metadata"]["namespace"], each["metadata"]["name"])] = each
    return Facts(objects=objects)


def route(*parents: dict[str, Any], hostnames: list[str] | None = None, rules: Any = ()) -> dict[str, Any]:
    spec: dict[str, Any] = {"parentRefs": list(parents) or [{"name": "gw"}], "rules": list(rules)}
    if hostnames is not None:
        spec["hostnames"] = hostnames
    return {"metadata": {"namespace": "ns", "name": "route"}, "spec": spec}


def listener(port: int, protocol: str = "HTTP", hostname: str = "", name: str = "l") -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "port": port, "protocol": protocol}
    return {**made, "hostname": hostname} if hostname else made


def rule(*paths: str | None, backend: dict[str, Any] | None = None, header: str = "") -> dict[str, Any]:
    matches: list[dict[str, Any]] = [
        {} if path is None else {"path": {"type": "PathPrefix", "value": path}} for path in paths
    ]
    if header:
        matches = [{**match, "headers": [{"name": header, "value": "v"}]} for match in matches]
    return {"matches": matches, "backendRefs": [backend] if backend else []}


def found(made: dict[str, Any], seen: Facts, policy: Policy = POLICY) -> list[str]:
    return [url.text for url in urls.route_urls(made, seen, policy, ROUTING)]


# KServe's own answers.


def _reachable(host_of: str) -> str:
    """Ours, where KServe writes a wildcard hostname of the route into the URL: a host that can be asked for."""
    return host_of.replace("://*.", f"://{POLICY.wildcard_hostname}.")


def _as_cached(error: str) -> str:
    """The recorded client names resources; the cache that the real controller reads from names kinds, as we do."""
    return error.replace("gatewayclasses.", "GatewayClass.").replace("gateways.", "Gateway.")


def _facts_of(row: dict[str, Any]) -> Facts:
    objects: dict[ObjectRef, Any] = {}

    def put(kind: Kind, obj: dict[str, Any]) -> None:
        objects[ObjectRef(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"])] = obj

    # The recorded cluster had this class and no other.
    put(kinds.GATEWAY_CLASS, {"metadata": {"name": "istio"}, "spec": {"controllerName": "x"}})
    for each in row["gateways"]:
        put(kinds.GATEWAY, each)
    for each in row["services"]:
        put(kinds.CORE_SERVICE, each)
    return Facts(objects=objects)


def test_every_recorded_route_has_the_urls_that_kserve_finds() -> None:
    rows = vectors("urls", UPSTREAM)
    assert len(rows) > 100
    for row in rows:
        settings = row["global"]
        routing = RoutingConfig(settings["urlScheme"], settings["modelBasedRoutingHeaderName"])
        at = "{namespace}/{name}".format(**row["route"]["metadata"])
        expected: Any = [{**each, "url": _reachable(each["url"])} for each in row.get("result") or ()]
        if (error := row.get("error", "")) and not error.endswith(NOTHING):
            expected = _as_cached(error)
        try:
            answer: Any = [
                {"gateway": str(url.gateway), "url": url.text}
                for url in urls.route_urls(row["route"], _facts_of(row), POLICY, routing)
            ]
        except PlanError as failure:
            answer = (
                str(failure)
                .removeprefix(f"failed to discover gateways for route {at}: ")
                .removeprefix(f"failed to discover URL for route {at}: ")
            )
        assert answer == expected, json.dumps(row)


# What they do not cover.


def test_a_gateway_without_address_and_service_silences_itself_alone() -> None:
    seen = cluster(gateway("ns", "gw", "203.0.113.1"), gateway("ns", "mute"))
    assert found(route({"name": "mute"}, {"name": "gw"}), seen) == ["http://203.0.113.1/"]


def test_urls_of_two_parents_are_kept_apart_here_even_when_they_are_equal() -> None:
    seen = cluster(gateway("ns", "gw", "203.0.113.1"), gateway("ns", "twin", "203.0.113.1"))
    answer = urls.route_urls(route({"name": "gw"}, {"name": "twin"}), seen, POLICY, ROUTING)
    assert [(url.gateway.name, url.text) for url in answer] == [
        ("gw", "http://203.0.113.1/"),
        ("twin", "http://203.0.113.1/"),
    ]


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ({"name": "gw"}, "http://gw.ns.svc.example.org/"),
        (
            {"name": "any", "labels": {"gateway.networking.k8s.io/gateway-name": "gw"}},
            "http://any.ns.svc.example.org/",
        ),
        ({"name": "gw", "namespace": "elsewhere"}, ""),
        ({"name": "any", "labels": {"gateway.networking.k8s.io/gateway-name": "other"}}, ""),
    ],
)
def test_the_service_behind_a_gateway_is_found_by_label_or_by_name(
    service: dict[str, Any], expected: str
) -> None:
    made = {"metadata": {"namespace": "ns", **service}, "spec": {}}
    seen = cluster(gateway("ns", "gw"), services=[made])
    assert found(route(), seen, Policy(cluster_domain="example.org")) == [expected] * bool(expected)


def test_of_several_labelled_services_the_first_by_name_is_asked_and_one_of_the_gateways_name_only_without_them() -> (
    None
):
    labels = {"gateway.networking.k8s.io/gateway-name": "gw"}
    services = [
        {"metadata": {"namespace": "ns", "name": "b", "labels": labels}},
        {"metadata": {"namespace": "ns", "name": "a", "labels": labels}},
        {"metadata": {"namespace": "ns", "name": "gw"}},
    ]
    seen = cluster(gateway("ns", "gw"), services=services)
    assert found(route(), seen) == ["http://a.ns.svc.cluster.local/"]


def test_a_service_that_cannot_be_read_leaves_no_answer() -> None:
    seen = cluster(gateway("ns", "gw", "203.0.113.1"))
    unread = {ObjectRef(kinds.CORE_SERVICE, "ns", "gw"): "not read yet"}
    with pytest.raises(Unanswered, match="not read yet"):
        found(route(), Facts(objects=seen.objects, unknown=unread))


SERVICE = {"kind": "Service", "name": "s", "port": 1}
IMPLICIT = {"name": "s", "port": 1}
POOL = {"group": "inference.networking.k8s.io", "kind": "InferencePool", "name": "p"}
MODEL = "X-Gateway-Model-Name"


@pytest.mark.parametrize(
    ("rules", "paths"),
    [
        ([], ["/"]),
        ([rule()], ["/"]),
        ([rule(None)], ["/"]),
        ([rule("/a/b"), rule("/c")], ["/c"]),
        ([rule("/long"), rule("/s"), rule("/t")], ["/s"]),
        ([rule("/a", backend=POOL), rule("/x/y/z", backend=SERVICE)], ["/x/y/z"]),
        ([rule("/a", backend=POOL), rule("/x/y", backend=IMPLICIT)], ["/x/y"]),
        ([rule("/ns/svc/v1/completions"), rule("/ns/svc", backend=SERVICE)], ["/ns/svc"]),
        ([rule("/custom", header="X-Team"), rule("/ns/name")], ["/ns/name"]),
        ([rule("/custom", header="X-Team")], ["/"]),
        ([rule("/v1/completions", header=MODEL), rule("/ns/svc")], ["/ns/svc", "/v1/completions"]),
        ([rule("/v1/completions", header=MODEL.lower())], ["/"]),
        (
            [rule("/publishers/ns/models/m"), rule("/ns/svc"), rule(None, header=MODEL)],
            ["/", "/ns/svc", "/publishers/ns/models/m"],
        ),
        ([rule("/"), rule(None, header=MODEL)], ["/"]),
    ],
)
def test_there_is_one_path_for_each_way_to_ask(rules: list[Any], paths: list[str]) -> None:
    assert urls.paths_of(route(rules=rules), MODEL) == paths


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a%2Fb", ["http://203.0.113.1/a%2Fb"]),
        ("/v1/.*", ["http://203.0.113.1/v1/.*"]),
        ("/v1/(a|b)$", ["http://203.0.113.1/v1/%28a%7Cb%29$"]),
        ("/{id}", ["http://203.0.113.1/%7Bid%7D"]),
        ("^/v1", []),
        ("/50%", []),
    ],
)
def test_urls_are_printed_as_go_does_and_what_is_none_is_left_out(path: str, expected: list[str]) -> None:
    seen = cluster(gateway("ns", "gw", "203.0.113.1"))
    assert found(route(rules=[rule(path)]), seen) == expected


@pytest.mark.parametrize(
    ("host", "internal"),
    [
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.0.1", True),
        ("fd12::1", True),
        ("::ffff:10.0.0.1", True),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("198.51.100.1", False),
        ("203.0.113.1", False),
        ("2001:db8::1", False),
        ("fe80::1", False),
        ("localhost", True),
        ("LOCALHOST", True),
        ("x.localhost", True),
        ("printer.local", True),
        ("vm.Internal", True),
        ("svc.ns.svc.cluster.local", True),
        ("mycluster.local", True),
        ("internal", False),
        ("api.example.com", False),
    ],
)
def test_internal_is_what_is_listed_here_and_nothing_else(host: str, *, internal: bool) -> None:
    assert urls.is_internal(host, "cluster.local") is internal


def test_the_cluster_domain_is_a_plain_suffix() -> None:
    assert urls.is_internal("mycorp.example", "corp.example")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(PlanError) as caught:
        found(route(), cluster())
    assert str(caught.value) == (
        "failed to discover gateways for route ns/route: failed to get Gateway ns/gw for route ns/route: "
        'Gateway.gateway.networking.k8s.io "gw" not found'
    )


def test_what_is_unknown_is_not_missing() -> None:
    seen = Facts(unknown={ObjectRef(kinds.GATEWAY, "ns", "gw"): "not synced"})
    with pytest.raises(Unanswered):
        found(route(), seen)

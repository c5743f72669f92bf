"""URL discovery: every example of URL-1, URL-2, and the defects it says to avoid."""

from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.plan import urls
from aioctl.plan.model import Facts, PlanError, Policy, Unanswered
from tests.plan.router_world import gateway

POLICY = Policy()
CLASS = ObjectRef(kinds.GATEWAY_CLASS, "", "other")


def cluster(*gateways: dict[str, Any]) -> Facts:
    objects: dict[ObjectRef, Any] = {CLASS: {"metadata": {"name": "other"}, "spec": {"controllerName": "x"}}}
    for each in gateways:
        objects[ObjectRef(kinds.GATEWAY, each["metadata"]["namespace"], each["metadata"]["name"])] = each
    return Facts(objects=objects)


def route(*parents: dict[str, Any], hostnames: list[str] | None = None, rules: Any = ()) -> dict[str, Any]:
    spec: dict[str, Any] = {"parentRefs": list(parents) or [{"name": "gw"}], "rules": list(rules)}
    if hostnames is not None:
        spec["hostnames"] = hostnames
    return {"metadata": {"namespace": "ns", "name": "route"}, "spec": spec}


def listener(port: int, protocol: str = "HTTP", hostname: str = "", name: str = "l") -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "port": port, "protocol": protocol}
    return {**made, "hostname": hostname} if hostname else made


def rule(*paths: str | None, backend: dict[str, Any] | None = None) -> dict[str, Any]:
    matches = [{} if path is None else {"path": {"type": "PathPrefix", "value": path}} for path in paths]
    return {"matches": matches, "backendRefs": [backend] if backend else []}


HTTP80 = [listener(80)]


@pytest.mark.parametrize(
    ("listeners", "addresses", "hostnames", "expected", "url"),
    [
        (
            HTTP80,
            ["203.0.113.200", "203.0.113.100"],
            None,
            ["http://203.0.113.100/", "http://203.0.113.200/"],
            "http://203.0.113.100/",
        ),
        (
            HTTP80,
            ["192.168.1.10", "203.0.113.50", "10.0.0.20"],
            None,
            ["http://10.0.0.20/", "http://192.168.1.10/", "http://203.0.113.50/"],
            "http://203.0.113.50/",
        ),
        (
            HTTP80,
            ["10.0.0.1"],
            ["*", "", "api.example.com", "alt.example.com"],
            ["http://alt.example.com/", "http://api.example.com/"],
            "http://alt.example.com/",
        ),
        (
            [listener(8443, "HTTPS")],
            ["10.0.0.1"],
            ["secure.example.com"],
            ["https://secure.example.com:8443/"],
            "https://secure.example.com:8443/",
        ),
        (
            [listener(8080, hostname="*.apps.example.com")],
            ["10.0.0.1"],
            None,
            ["http://inference.apps.example.com:8080/"],
            "http://inference.apps.example.com:8080/",
        ),
        (
            HTTP80,
            ["10.0.0.1"],
            ["*.example.com"],
            ["http://inference.example.com/"],
            "http://inference.example.com/",
        ),
        (
            [listener(443, "HTTPS")],
            ["2001:db8::1"],
            None,
            ["https://[2001:db8::1]/"],
            "https://[2001:db8::1]/",
        ),
        ([listener(8080)], ["fd00::1"], None, ["http://[fd00::1]:8080/"], "http://[fd00::1]:8080/"),
        (HTTP80, ["", "203.0.113.1"], None, ["http://203.0.113.1/"], "http://203.0.113.1/"),
        (HTTP80, [], ["api.example.com"], [], ""),
        ([], ["203.0.113.1"], None, [], ""),
        (
            [listener(80, hostname="h.example.com")],
            ["10.0.0.1"],
            ["*"],
            ["http://h.example.com/"],
            "http://h.example.com/",
        ),
    ],
)
def test_urls_of_one_gateway(
    listeners: list[Any], addresses: list[str], hostnames: list[str] | None, expected: list[str], url: str
) -> None:
    seen = cluster(gateway("ns", "gw", *addresses, listeners=listeners))
    found = urls.addresses([route(hostnames=hostnames)], seen, POLICY)
    assert (list(found.all), found.url) == (expected, url)


def test_several_gateways_keep_their_order_in_the_route_and_are_sorted_at_the_end() -> None:
    seen = cluster(
        gateway("z-ns", "z", "203.0.113.2"),
        gateway("a-ns", "a", "203.0.113.1"),
        gateway("a-ns", "b", "203.0.113.3"),
    )
    made = route(
        {"namespace": "z-ns", "name": "z"},
        {"namespace": "a-ns", "name": "a"},
        {"namespace": "a-ns", "name": "b"},
    )
    assert urls.route_urls(made, seen, POLICY) == [f"http://203.0.113.{n}/" for n in (2, 1, 3)]
    assert urls.addresses([made], seen, POLICY).all == tuple(f"http://203.0.113.{n}/" for n in (1, 2, 3))


def test_one_gateway_without_address_silences_the_whole_route() -> None:
    seen = cluster(gateway("ns", "gw", "203.0.113.1"), gateway("ns", "mute"))
    assert urls.route_urls(route({"name": "gw"}, {"name": "mute"}), seen, POLICY) == []


@pytest.mark.parametrize(
    ("section", "expected"), [("second", "http://203.0.113.1:81/"), ("none", "http://203.0.113.1/")]
)
def test_the_listener_is_the_named_one_or_the_first(section: str, expected: str) -> None:
    seen = cluster(
        gateway(
            "ns", "gw", "203.0.113.1", listeners=[listener(80, name="first"), listener(81, name="second")]
        )
    )
    assert urls.route_urls(route({"name": "gw", "sectionName": section}), seen, POLICY) == [expected]


def test_plain_http_sorts_before_https() -> None:
    seen = cluster(
        gateway(
            "ns", "gw", "203.0.113.1", listeners=[listener(80, name="p"), listener(443, "HTTPS", name="s")]
        )
    )
    made = route({"name": "gw", "sectionName": "s"}, {"name": "gw", "sectionName": "p"})
    assert urls.addresses([made], seen, POLICY).url == "http://203.0.113.1/"


SERVICE = {"kind": "Service", "name": "s", "port": 1}
IMPLICIT = {"name": "s", "port": 1}


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ([], "/"),
        ([rule()], "/"),
        ([rule(None)], "/"),
        ([rule("/a/b"), rule("/c")], "/c"),
        ([rule("/long"), rule("/s"), rule("/t")], "/s"),
        ([rule("/a"), rule("/x/y/z", backend=SERVICE)], "/x/y/z"),
        ([rule("/a"), rule("/x/y", backend=IMPLICIT)], "/a"),
        ([rule("/ns/svc/v1/completions"), rule("/ns/svc", backend=SERVICE)], "/ns/svc"),
    ],
)
def test_the_path_is_the_shallowest_and_rules_to_a_service_go_first(rules: list[Any], path: str) -> None:
    assert urls.choose_path(route(rules=rules)) == path


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
    assert urls.route_urls(route(rules=[rule(path)]), seen, POLICY) == expected


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
def test_internal_is_what_the_specification_lists_and_nothing_else(host: str, *, internal: bool) -> None:
    assert urls.is_internal(host, "cluster.local") is internal


def test_the_cluster_domain_is_a_plain_suffix() -> None:
    assert urls.is_internal("mycorp.example", "corp.example")


def test_what_is_missing_is_named() -> None:
    with pytest.raises(PlanError) as caught:
        urls.route_urls(route(), cluster(), POLICY)
    assert str(caught.value) == (
        "failed to discover URL for route ns/route: failed to discover gateways: failed to get Gateway ns/gw for "
        'route ns/route: Gateway.gateway.networking.k8s.io "gw" not found'
    )


def test_what_is_unknown_is_not_missing() -> None:
    seen = Facts(unknown={ObjectRef(kinds.GATEWAY, "ns", "gw"): "not synced"})
    with pytest.raises(Unanswered):
        urls.route_urls(route(), seen, POLICY)

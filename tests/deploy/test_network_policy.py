"""The NetworkPolicy for plain Kubernetes: it fits the Deployment's pods and ports, and shuts nobody out who has to come in."""

from typing import Any

from tests.deploy.manifests import DEPLOY, NAMESPACE, container, deployment, find

COMPONENT = DEPLOY / "components" / "network-policy"
POLICY = find(COMPONENT / "network-policy.yaml", "NetworkPolicy")
SPEC = POLICY["spec"]
LABEL = {"aioctl.dev/metrics": "allow"}


def ingress() -> dict[str, Any]:
    """Port -> the peers that may reach it; None stands for everybody."""
    found: dict[str, Any] = {}
    for rule in SPEC["ingress"]:
        for port in rule["ports"]:
            assert port["port"] not in found
            assert port.get("protocol", "TCP") == "TCP"
            found[port["port"]] = rule.get("from")
    return found


def test_it_selects_the_pods_both_ways() -> None:
    assert POLICY["metadata"]["namespace"] == NAMESPACE
    assert SPEC["podSelector"]["matchLabels"] == deployment()["spec"]["selector"]["matchLabels"]
    assert SPEC["policyTypes"] == ["Ingress", "Egress"]


def test_each_port_is_open_to_whom_it_is_for() -> None:
    assert ingress() == {
        "webhook": None,
        "health": None,
        "metrics": [{"namespaceSelector": {"matchLabels": LABEL}}],
    }
    assert set(ingress()) == {port["name"] for port in container()["ports"]}
    probes = {container()[probe]["httpGet"]["port"] for probe in ("livenessProbe", "readinessProbe")}
    assert {port for port in probes if ingress()[port] is not None} == set()


def test_out_it_lets_the_api_server_and_dns_only() -> None:
    assert all("to" not in rule for rule in SPEC["egress"])
    assert {
        (port["port"], port.get("protocol", "TCP")) for rule in SPEC["egress"] for port in rule["ports"]
    } == {(443, "TCP"), (6443, "TCP"), (53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")}


def test_the_label_is_documented() -> None:
    (key,) = LABEL
    for page in ("reference.md", "operations.md"):
        assert f"`{key}" in (DEPLOY.parent / "docs" / page).read_text()

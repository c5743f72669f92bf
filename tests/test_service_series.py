"""Series of single services: KServe's names and labels, the leader's only, bounded, and no service can forge another's.

Rules: SERIES-1.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from aioctl.api import kinds
from aioctl.api.accelerator import accelerator
from aioctl.api.kinds import Kind
from aioctl.controller.caches import Caches, Watched
from aioctl.kube.cached import Cached
from aioctl.metrics.services import FAMILIES, ServiceSeries


class Fleet:
    """Caches that a test fills, and the series made of them."""

    def __init__(self, limit: int = 10, leads: Callable[[], bool] = lambda: True) -> None:
        watches = {kind: Watched(kind) for kind in (kinds.SERVICE, kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)}
        self.caches = Caches(watches.values())
        self._stores = {kind: self.caches.stores[watch] for kind, watch in watches.items()}
        self.registry = CollectorRegistry()
        self.series = ServiceSeries(self.registry, limit)
        self.series.watch(self.caches, leads)
        self._version = 0

    def put(self, kind: Kind, obj: dict[str, Any]) -> None:
        self._version += 1
        obj["metadata"] |= {"uid": f"u{self._version}", "resourceVersion": str(self._version)}
        item = Cached.from_raw(msgspec.json.encode(obj), kind)
        self._stores[kind].put(item.key, item)

    def page(self) -> str:
        return b"".join(self.series.pieces()).decode()

    def shown(self, family: str) -> dict[tuple[str, ...], float]:
        """Values of the labels, in their order, -> value; a series that stands there twice fails."""
        found: dict[tuple[str, ...], float] = {}
        for each in text_string_to_metric_families(self.page()):
            for sample in each.samples:
                if sample.name == family:
                    assert set(sample.labels) == set(FAMILIES[family][1])
                    labels = tuple(sample.labels[name] for name in FAMILIES[family][1])
                    assert labels not in found
                    found[labels] = sample.value
        return found

    def without(self) -> float | None:
        return self.registry.get_sample_value("aioctl_services_without_series")


def service(name: str, ready: str = "True", **parts: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}, {"type": "RouterReady", "status": "Unknown"}]
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"namespace": "n", "name": name},
        "spec": {"model": {"uri": f"hf://{name}", "name": "llama"}},
        "status": {"conditions": conditions, "workloads": {"primary": {"readyReplicas": 3}, "scheduler": {}}},
        **parts,
    }


def deployment(service: str, resources: dict[str, Any], component: str = "workload") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "namespace": "n",
            "name": f"{service}-{component}",
            "labels": {
                "app.kubernetes.io/name": service,
                "app.kubernetes.io/component": f"llminferenceservice-{component}",
            },
        },
        "spec": {"template": {"spec": {"containers": [{"name": "main", "resources": resources}]}}},
    }


def test_conditions_replicas_and_model_have_kserves_names_and_labels() -> None:
    fleet = Fleet()
    fleet.put(kinds.SERVICE, service("one"))
    assert fleet.shown("llmisvc_condition_status") == {
        ("one", "n", "Ready", "true"): 1,
        ("one", "n", "Ready", "false"): 0,
        ("one", "n", "Ready", "unknown"): 0,
        ("one", "n", "RouterReady", "true"): 0,
        ("one", "n", "RouterReady", "false"): 0,
        ("one", "n", "RouterReady", "unknown"): 1,
    }
    assert fleet.shown("llmisvc_workload_replicas_ready") == {("one", "n", "primary"): 3}
    assert fleet.shown("kserve_llminferenceservice_info") == {("n", "one", "cpu", "llama", "hf://one"): 1}


def test_what_changes_is_made_anew_and_what_goes_leaves_nothing() -> None:
    fleet = Fleet()
    fleet.put(kinds.SERVICE, service("one"))
    assert fleet.shown("kserve_llminferenceservice_info") == {("n", "one", "cpu", "llama", "hf://one"): 1}
    fleet.put(kinds.DEPLOYMENT, deployment("one", {"limits": {"nvidia.com/gpu": "1"}}))
    fleet.put(kinds.DEPLOYMENT, deployment("one", {"limits": {"example.com/x": "1"}}, "router-scheduler"))
    assert fleet.shown("kserve_llminferenceservice_info") == {("n", "one", "gpu", "llama", "hf://one"): 1}
    fleet.put(kinds.SERVICE, service("one", "False"))
    assert fleet.shown("llmisvc_condition_status")["one", "n", "Ready", "false"] == 1
    stopped = service("one")
    stopped["metadata"]["annotations"] = {"serving.kserve.io/stop": "true"}
    fleet.put(kinds.SERVICE, stopped)
    assert fleet.shown("kserve_llminferenceservice_info") == {}
    fleet._stores[kinds.SERVICE].remove(next(iter(fleet.caches.services())))
    assert [line for line in fleet.page().splitlines() if not line.startswith("#")] == []


def test_beyond_the_bound_those_that_are_not_ready_come_first() -> None:
    fleet = Fleet(limit=2)
    for name, ready in (("a", "True"), ("b", "True"), ("c", "False"), ("d", "Unknown"), ("e", "False")):
        fleet.put(kinds.SERVICE, service(name, ready))
    names = {labels[0] for labels in fleet.shown("llmisvc_condition_status")}
    assert names == {"c", "d"}
    assert fleet.without() == 3
    assert sum(bool(one.parts) for one in fleet.series._known.values()) == 2
    fleet.put(kinds.SERVICE, service("c"))
    fleet.put(kinds.SERVICE, service("d"))
    assert {labels[0] for labels in fleet.shown("llmisvc_condition_status")} == {"e", "a"}


@pytest.mark.parametrize("limit", [0, 10])
def test_a_follower_has_none_and_zero_means_none(limit: int) -> None:
    fleet = Fleet(limit, leads=lambda: limit == 0)
    fleet.put(kinds.SERVICE, service("one"))
    assert fleet.shown("llmisvc_condition_status") == {}
    assert fleet.without() == (1 if limit == 0 else 0)


def test_the_page_is_made_in_steps_of_one_service() -> None:
    fleet = Fleet(limit=1000)
    for number in range(20):
        fleet.put(kinds.SERVICE, service(f"s{number}"))
    steps = list(fleet.series.pieces())
    assert len(steps) >= 20
    assert steps[:20] == [b""] * 20


def test_labels_cannot_break_out_of_their_line() -> None:
    fleet = Fleet()
    hostile = service("one")
    hostile["spec"]["model"] = {"uri": 'x"} 1\n# HELP forged\rfoo{a="\\', "name": "a\nb"}
    hostile["status"]["conditions"] = [{"type": 'A"} 2\n#', "status": "True"}, "no object", {"type": "B"}]
    fleet.put(kinds.SERVICE, hostile)
    (info,) = fleet.shown("kserve_llminferenceservice_info")
    assert info == ("n", "one", "cpu", "a\nb", 'x"} 1\n# HELP forged\rfoo{a="\\')
    assert set(fleet.shown("llmisvc_condition_status")) == {
        ("one", "n", 'A"} 2\n#', status) for status in ("true", "false", "unknown")
    }


def test_a_service_that_cannot_be_read_takes_no_other_with_it() -> None:
    fleet = Fleet()
    fleet.put(kinds.SERVICE, service("one", status={"conditions": "none"}))
    fleet.put(kinds.SERVICE, service("two"))
    assert {labels[0] for labels in fleet.shown("llmisvc_condition_status")} == {"two"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, "cpu"),
        ({"containers": [{"resources": {"requests": {"cpu": "1"}}}]}, "cpu"),
        ({"containers": [{}, {"resources": {"requests": {"nvidia.com/gpu": "1"}}}]}, "gpu"),
        ({"containers": [{"resources": {"limits": {"nvidia.com/mig-1g.5gb": "1"}}}]}, "gpu"),
        ({"containers": [{"resources": {"limits": {"gpu.intel.com/xe": "1"}}}]}, "gpu"),
        ({"containers": [{"resources": {"limits": {"habana.ai/gaudi": "1"}}}]}, "gpu"),
        ({"containers": [{"resources": {"limits": {"google.com/tpu": "4"}}}]}, "unknown"),
        ({"containers": [{}], "resourceClaims": [{"name": "c"}]}, "unknown"),
    ],
)
def test_the_accelerator_follows_from_the_resources(spec: dict[str, Any], expected: str) -> None:
    assert accelerator([{}, spec]) == expected

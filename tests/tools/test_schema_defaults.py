"""Files of services and configs mean what they mean to an API server: the schema's defaults are in before anything looks.

Rules: SCHEMA-9.
"""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from aioctl.api import kinds
from aioctl.api.conversion import convert_object
from aioctl.api.review import read_conversion, success
from aioctl.plan.facts import Facts
from aioctl.plan.observation import Present
from aioctl.rendering import render_file
from aioctl.sim.webhooks import LocalWebhooks
from aioctl.tools.checks.declared import decoded, stored
from aioctl.tools.checks.files import Given, check_files
from aioctl.tools.diff import edited
from testbed.virtual_time import virtual_time
from testbed.world import POLICY
from tests.sim.driver import cluster
from tests.tools.healthy import codes

BOTH = (kinds.V1ALPHA1, kinds.V1ALPHA2)
TRIGGERS = [{"type": "cron", "metadata": {"a": "b"}}]
KEDA = {"maxReplicas": 2, "keda": {"triggers": TRIGGERS, "idleReplicaCount": 0}}
WVA = {"maxReplicas": 2, "wva": {"hpa": {}}}
MAIN = {"containers": [{"name": "main"}]}
OLD_POOL = {"selector": {"a": "b"}, "targetPortNumber": 8000, "extensionRef": {"name": "epp"}}
POOL = {
    "selector": {"matchLabels": {"a": "b"}},
    "targetPorts": [{"number": 8000}],
    "endpointPickerRef": {"name": "epp", "port": {"number": 9002}},
}
CONTAINER = {
    "name": "main",
    "ports": [{"containerPort": 8000}],
    "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"key": "a"}}}],
    "readinessProbe": {"grpc": {"port": 1}},
}


def pool(spec: dict[str, Any]) -> dict[str, Any]:
    return {"router": {"scheduler": {"pool": {"spec": deepcopy(spec)}}}}


def made(kind: kinds.Kind, version: str, **spec: Any) -> dict[str, Any]:
    own = {"model": {"uri": "pvc://c"}} if kind == kinds.SERVICE else {}
    metadata = {"name": "svc", "namespace": "demo"}
    return {"apiVersion": version, "kind": kind.kind, "metadata": metadata, "spec": deepcopy({**own, **spec})}


def service(version: str = kinds.V1ALPHA2, **spec: Any) -> dict[str, Any]:
    return made(kinds.SERVICE, version, template=MAIN, **spec)


def children(folder: Path, *given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What `aioctl render -f` prints of it, by kind."""
    (folder / "given.yaml").write_text(yaml.safe_dump_all(given))
    rendered = render_file(folder / "given.yaml", None, explain=False)
    assert rendered.problems == ()
    return {one["kind"]: one for one in yaml.safe_load_all(rendered.text)}


TABLE: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "idle replicas below the least": ({"scaling": KEDA}, BOTH),
    "eviction": ({"kvCacheOffloading": {"cpu": "10Gi"}}, (kinds.V1ALPHA2,)),
    "cost": ({"scaling": WVA}, BOTH),
}


@pytest.mark.parametrize(
    ("what", "version"), [(what, version) for what, (_, versions) in TABLE.items() for version in versions]
)
def test_what_is_left_to_a_default_is_as_if_it_were_written(what: str, version: str, tmp_path: Path) -> None:
    spec, _ = TABLE[what]
    now = datetime(2026, 11, 30, tzinfo=UTC)
    found = check_files([Given("a.yaml", service(version, **spec))], now)
    assert set(codes(found)) <= {"AIO-FILE-005"}, [one.found for one in found]  # of the old version a warning
    rendered = children(tmp_path, service(version, **spec))
    match what:
        case "idle replicas below the least":
            scaled = rendered["ScaledObject"]["spec"]
            assert (scaled["minReplicaCount"], scaled["idleReplicaCount"]) == (1, 0)
        case "eviction":
            containers = rendered["Deployment"]["spec"]["template"]["spec"]["containers"]
            assert r"\"eviction_policy\":\"lru\"" in "".join(containers[0]["command"])
        case _:
            autoscaler = rendered["HorizontalPodAutoscaler"]
            assert autoscaler["metadata"]["annotations"]["llm-d.ai/variant-cost"] == "10.0"
            assert autoscaler["spec"]["minReplicas"] == 1


@pytest.mark.parametrize("version", BOTH)
def test_a_service_s_default_beats_what_a_config_says(version: str, tmp_path: Path) -> None:
    base = made(
        kinds.CONFIG,
        version,
        scaling={"minReplicas": 2, "maxReplicas": 3, "wva": {"hpa": {}, "variantCost": "7"}},
    )
    base["metadata"] = {"name": "base", "namespace": "demo"}
    own = service(version, scaling={"maxReplicas": 5, "wva": {"hpa": {}}}, baseRefs=[{"name": "base"}])
    autoscaler = children(tmp_path, base, own)["HorizontalPodAutoscaler"]
    assert autoscaler["spec"]["minReplicas"] == 1
    assert autoscaler["metadata"]["annotations"]["llm-d.ai/variant-cost"] == "10.0"


@pytest.mark.parametrize("version", BOTH)
def test_a_config_has_its_defaults_too_and_they_are_told_from_what_is_written(
    version: str, tmp_path: Path
) -> None:
    base = made(kinds.CONFIG, version, scaling=WVA)
    base["metadata"] = {"name": "base", "namespace": "demo"}
    own = service(version, baseRefs=[{"name": "base"}], prefill={"template": MAIN, "scaling": WVA})
    (tmp_path / "given.yaml").write_text(yaml.safe_dump_all([base, own]))
    explained = render_file(tmp_path / "given.yaml", None, explain=True).text
    origins = {
        path: source.strip()
        for source, path in (line.rsplit(maxsplit=1) for line in explained.splitlines() if line[:1] != "#")
    }
    config, svc = "LLMInferenceServiceConfig demo/base", "LLMInferenceService demo/svc"
    assert origins["spec.scaling.maxReplicas"] == config
    assert origins["spec.scaling.minReplicas"] == f"{config} (schema default)"
    assert origins["spec.scaling.wva.variantCost"] == f"{config} (schema default)"
    assert origins["spec.prefill.scaling.maxReplicas"] == svc
    assert origins["spec.prefill.scaling.minReplicas"] == f"{svc} (schema default)"
    # Which the service has by its name, not by the schema.
    assert origins["spec.model.name"] == svc


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("kind", [kinds.SERVICE, kinds.CONFIG])
def test_a_diff_is_of_the_object_with_its_defaults(kind: kinds.Kind, version: str) -> None:
    obs, services, _ = edited(Facts({}), [made(kind, version, scaling=WVA)], POLICY, "")
    read = obs.get(kind, "demo", "svc")
    assert isinstance(read, Present)
    found = read.obj["spec"]["scaling"]
    assert found == {"minReplicas": 1, "maxReplicas": 2, "wva": {"hpa": {}, "variantCost": "10.0"}}
    assert [one["spec"]["scaling"] for one in services] == ([found] if kind == kinds.SERVICE else [])


def test_nothing_is_changed_in_place_and_nothing_is_made_of_others() -> None:
    given = service(scaling={**WVA, "minReplicas": None})
    before = deepcopy(given)
    assert decoded(given)["spec"]["scaling"]["minReplicas"] == 1
    assert given == before
    for other in (
        {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"scaling": WVA}},
        {**service(scaling=WVA), "apiVersion": "serving.kserve.io/v1beta1"},
        {"apiVersion": kinds.V1ALPHA2, "kind": kinds.SERVICE.kind, "metadata": {"name": "a"}},
    ):
        assert stored(other) == other


ROUTE = {"router": {"route": {"http": {"spec": {"rules": [{"backendRefs": [{"name": "a", "port": 80}]}]}}}}}
SPECS: tuple[tuple[str, dict[str, Any]], ...] = (
    *((version, {"scaling": scaling}) for version in BOTH for scaling in (KEDA, WVA, {**WVA, "minReplicas": 2})),
    *((version, {"prefill": {"scaling": WVA, "template": {"containers": [CONTAINER]}}}) for version in BOTH),
    *((version, {"template": {"containers": [CONTAINER], "volumes": [{"name": "v", "configMap": {}}]}}) for version in BOTH),
    *((version, {"template": {"containers": [{"name": "main", "ports": None, "image": None}]}}) for version in BOTH),
    *((version, ROUTE) for version in BOTH),
    (kinds.V1ALPHA1, pool(OLD_POOL)),
    (kinds.V1ALPHA1, pool({**OLD_POOL, "extensionRef": None})),
    (kinds.V1ALPHA2, pool(POOL)),
    (kinds.V1ALPHA2, pool({**POOL, "appProtocol": "kubernetes.io/h2c"})),
    (kinds.V1ALPHA2, {"kvCacheOffloading": {"cpu": "1Gi"}}),
)  # fmt: skip


async def convert(body: bytes) -> bytes:
    request = read_conversion(body)
    answers = [convert_object(one, request.desired) for one in request.objects]
    assert all(isinstance(one, (bytes, msgspec.Raw)) for one in answers)
    return b"".join(success(request, answers))


def test_the_simulated_server_stores_the_same() -> None:
    @virtual_time
    async def run() -> None:
        async with cluster(webhooks=LocalWebhooks({"/convert": convert})) as api:
            for kind in (kinds.SERVICE, kinds.CONFIG):
                path = "/apis/{}/namespaces/demo/{}"
                for number, (version, spec) in enumerate(SPECS):
                    given = made(kind, version, **spec)
                    given["metadata"]["name"] = name = f"a{number}"
                    answer = await api("POST", path.format(version, kind.plural), given)
                    assert answer.status == 201, answer.message
                    found = await api.get(f"{path.format(kinds.V1ALPHA2, kind.plural)}/{name}")
                    assert found.body["spec"] == stored(given)["spec"], (kind.kind, version, spec)

    run()

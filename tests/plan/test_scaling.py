"""Autoscalers: which object scales which side, what it says, switches between the forms, and what is concluded from it.

Rules: SCALE-1, SCALE-2.
"""

from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.plan import order
from aioctl.plan.global_config import PrometheusConfig
from aioctl.plan.model import Part, Verb
from aioctl.plan.reach import ROUTER_PARTS, WORKLOAD_PARTS
from aioctl.plan.workload import scaling
from testbed.plan_world import CONFIG, HF, MAIN, World, errors_of, service

WITH_PROMETHEUS = replace(CONFIG, prometheus=PrometheusConfig(url="http://prometheus:9090"))
HPA: dict[str, Any] = {"minReplicas": 1, "maxReplicas": 5, "wva": {"variantCost": "10.0", "hpa": {}}}
KEDA: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 5, "wva": {"keda": {"pollingInterval": 5}}}
TRIGGERS = [{"type": "cron", "metadata": {"desiredReplicas": "3"}}]
DIRECT: dict[str, Any] = {"maxReplicas": 4, "keda": {"idleReplicaCount": 0, "triggers": TRIGGERS}}


def spec(main: Any = None, side: Any = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {**HF, **more}
    if main is not None:
        made["scaling"] = main
    if side is not None:
        made["prefill"] = {"template": MAIN, "scaling": side, **made.get("prefill", {})}
    return made


def run(world: World, wanted: dict[str, Any], config: Any = WITH_PROMETHEUS, **more: Any) -> Any:
    return world.run(scaling.steps(world.context(wanted, config=config, **more)))


def objects(world: World) -> list[str]:
    return [name for kind in (kinds.AUTOSCALER, kinds.SCALED_OBJECT) for name in world.names(kind)]


def test_an_hpa_follows_the_metric_of_the_variant_autoscaler() -> None:
    world = World()
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    wanted = spec({**HPA, "wva": {"variantCost": "2.5", "hpa": {"behavior": behavior}}})
    wanted["labels"] = {"inference.optimization/acceleratorName": "H100"}
    assert run(world, wanted) is None
    made = world.get(kinds.AUTOSCALER, "svc-kserve-hpa")
    assert made["spec"] == {
        "minReplicas": 1,
        "maxReplicas": 5,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "svc-kserve"},
        "metrics": [
            {
                "type": "External",
                "external": {
                    "metric": {
                        "name": "wva_desired_replicas",
                        "selector": {"matchLabels": {"variant_name": "svc-kserve-hpa"}},
                    },
                    "target": {"type": "Value", "value": "1"},
                },
            }
        ],
        "behavior": behavior,
    }
    assert made["metadata"]["annotations"] == {
        "llm-d.ai/managed": "true",
        "llm-d.ai/model-id": "m",
        "llm-d.ai/variant-cost": "2.5",
    }
    assert made["metadata"]["labels"]["inference.optimization/acceleratorName"] == "H100"


@pytest.mark.parametrize(
    ("prometheus", "metadata", "reference"),
    [
        (PrometheusConfig(url="http://p"), {"unsafeSsl": "false"}, None),
        (
            PrometheusConfig(
                url="http://p",
                tls_insecure_skip_verify=True,
                auth_modes="bearer",
                trigger_auth_name="auth",
                trigger_auth_kind="ClusterTriggerAuthentication",
            ),
            {"unsafeSsl": "true", "authModes": "bearer"},
            {"name": "auth", "kind": "ClusterTriggerAuthentication"},
        ),
        (
            PrometheusConfig(url="http://p", auth_modes="basic", trigger_auth_name="auth"),
            {"unsafeSsl": "false", "authModes": "basic"},
            {"name": "auth"},
        ),
    ],
)
def test_a_scaled_object_asks_prometheus_for_the_same_metric(
    prometheus: PrometheusConfig, metadata: dict[str, str], reference: Any
) -> None:
    world = World()
    assert run(world, spec(KEDA), replace(CONFIG, prometheus=prometheus)) is None
    made = world.get(kinds.SCALED_OBJECT, "svc-kserve-keda")["spec"]
    query = 'wva_desired_replicas{variant_name="svc-kserve-keda",exported_namespace="ns"}'
    [trigger] = made["triggers"]
    assert trigger["metadata"] == {"serverAddress": "http://p", "query": query, "threshold": "1", **metadata}
    assert trigger.get("authenticationRef") == reference
    assert (made["minReplicaCount"], made["maxReplicaCount"], made["pollingInterval"]) == (2, 5, 5)


def test_triggers_of_the_users_own_need_no_settings_and_carry_no_marks_of_a_variant() -> None:
    world = World()
    assert run(world, spec(DIRECT), CONFIG) is None
    made = world.get(kinds.SCALED_OBJECT, "svc-kserve-keda")
    assert made["spec"]["triggers"] == TRIGGERS
    assert made["spec"]["minReplicaCount"] == 1
    assert "annotations" not in made["metadata"]
    assert "inference.optimization/acceleratorName" not in made["metadata"]["labels"]


@pytest.mark.parametrize(
    ("more", "target"),
    [
        ({}, ("apps/v1", "Deployment", "svc-kserve-prefill")),
        (
            {"prefill": {"worker": MAIN}},
            ("leaderworkerset.x-k8s.io/v1", "LeaderWorkerSet", "svc-kserve-mn-prefill"),
        ),
    ],
)
def test_prefill_is_scaled_apart_from_decode(more: dict[str, Any], target: tuple[str, ...]) -> None:
    world = World()
    assert run(world, spec(None, HPA, **more)) is None
    assert objects(world) == ["svc-kserve-prefill-hpa"]
    found = world.get(kinds.AUTOSCALER, "svc-kserve-prefill-hpa")["spec"]["scaleTargetRef"]
    assert (found["apiVersion"], found["kind"], found["name"]) == target


FORMS: dict[str, Any] = {"none": None, "hpa": HPA, "keda": KEDA, "direct": DIRECT}
KIND: dict[str, Kind] = {
    "hpa": kinds.AUTOSCALER,
    "keda": kinds.SCALED_OBJECT,
    "direct": kinds.SCALED_OBJECT,
}


@pytest.mark.parametrize("after", FORMS)
@pytest.mark.parametrize("before", FORMS)
def test_every_switch_takes_away_first_and_ends_as_if_made_anew(before: str, after: str) -> None:
    world, fresh = World(), World()
    run(world, spec(FORMS[before]))
    world.writes.clear()
    run(world, spec(FORMS[after]))
    run(fresh, spec(FORMS[after]))
    assert objects(world) == objects(fresh)
    if after != "none":
        name = objects(fresh)[0]
        made, anew = (one.get(KIND[after], name) for one in (world, fresh))
        assert made["spec"] == anew["spec"]
        assert made["metadata"].get("annotations") == anew["metadata"].get("annotations")
        assert made["metadata"]["labels"] == anew["metadata"]["labels"]
    verbs = [write.verb for write in world.writes]
    assert verbs == sorted(verbs, key=[Verb.DELETE, Verb.CREATE, Verb.UPDATE].index)
    assert len(verbs) <= 2
    assert bool(verbs) == (before != after)


def test_what_keda_and_others_put_on_the_object_stays() -> None:
    world = World()
    run(world, spec(KEDA))
    live = world.get(kinds.SCALED_OBJECT, "svc-kserve-keda")
    live["metadata"]["labels"]["scaledobject.keda.sh/name"] = "svc-kserve-keda"
    live["metadata"]["annotations"]["team.example/note"] = "x"
    live["metadata"]["finalizers"] = ["finalizer.keda.sh"]
    world.writes.clear()
    assert run(world, spec(KEDA)) is None
    assert world.writes == []
    assert run(world, spec({**KEDA, "maxReplicas": 9})) is None
    changed = world.get(kinds.SCALED_OBJECT, "svc-kserve-keda")
    assert changed["metadata"]["finalizers"] == ["finalizer.keda.sh"]
    assert changed["metadata"]["labels"]["scaledobject.keda.sh/name"] == "svc-kserve-keda"
    assert changed["metadata"]["annotations"]["team.example/note"] == "x"
    assert changed["spec"]["maxReplicaCount"] == 9


def test_a_behaviour_that_the_api_server_completed_is_not_written_again() -> None:
    world = World()
    wanted = spec({**HPA, "wva": {"hpa": {"behavior": {"scaleUp": {"selectPolicy": "Min"}}}}})
    run(world, wanted)
    percent = {"type": "Percent", "value": 100, "periodSeconds": 15}
    world.get(kinds.AUTOSCALER, "svc-kserve-hpa")["spec"]["behavior"] = {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Min",
            "policies": [{**percent, "type": "Pods", "value": 4}, percent],
        },
        "scaleDown": {"selectPolicy": "Max", "policies": [percent]},
    }
    world.writes.clear()
    assert run(world, wanted) is None
    assert world.writes == []
    run(world, spec(HPA))
    assert "behavior" not in world.get(kinds.AUTOSCALER, "svc-kserve-hpa")["spec"]


PREFIX = "failed to reconcile main workload scaling: failed to reconcile main actuator: "
KEY = "autoscaling-wva-controller-config.prometheus"


@pytest.mark.parametrize(
    ("prometheus", "text"),
    [
        (PrometheusConfig(), f"{KEY}.url is required in inferenceservice-config when using KEDA"),
        (
            PrometheusConfig(url="http://p", auth_modes="bearer"),
            f"{KEY}.authModes and {KEY}.triggerAuthName must both be set or both be empty",
        ),
    ],
)
def test_settings_that_are_missing_are_named(prometheus: PrometheusConfig, text: str) -> None:
    failed = run(World(), spec(KEDA), replace(CONFIG, prometheus=prometheus))
    assert errors_of(failed) == (f"{scaling.OUTER}{PREFIX}{text}", f"{PREFIX}{text}")


def test_without_keda_condition_and_event_name_the_crd_and_the_former_autoscaler_goes() -> None:
    world = World()
    run(world, spec(HPA))
    world.unserved |= {kinds.SCALED_OBJECT}
    failed = run(world, spec(DIRECT))
    text = (
        f"{PREFIX}failed to get v1alpha1.ScaledObject ns/svc-kserve-keda: "
        'no matches for kind "ScaledObject" in version "keda.sh/v1alpha1"'
    )
    assert failed.condition == ("MainWorkloadReady", "ScalingCRDNotFound", text)
    assert failed.warning == ("ScalingCRDNotFound", f"Required scaling CRD not installed: {text}")
    assert objects(world) == []


def condition(type_: str, status: str, reason: str = "R", message: str = "M") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def live(*conditions: dict[str, str]) -> dict[str, Any]:
    return {"status": {"conditions": list(conditions)}}


ABLE, ACTIVE = condition("AbleToScale", "True"), condition("ScalingActive", "True")
OTHERS = [condition(type_, "False") for type_ in ("Active", "Fallback", "Paused")]


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, (False, "HPAProgressing", "HPA not yet visible in cache")),
        (live(), (False, "HPAProgressing", "HPA conditions not yet available")),
        (
            live(condition("ScalingLimited", "True")),
            (False, "HPAProgressing", "HPA conditions not yet available"),
        ),
        (live(ABLE, condition("ScalingActive", "False", "NoMetric", "m")), (False, "NoMetric", "m")),
        (
            live(condition("ScalingActive", "False", "B", "b"), condition("AbleToScale", "False", "A", "a")),
            (False, "B", "b"),
        ),
        (live(ABLE, condition("ScalingActive", "Unknown")), (True, "", "")),
        (live(ABLE, ACTIVE, condition("ScalingLimited", "True")), (True, "", "")),
    ],
)
def test_readiness_of_an_hpa(found: Any, verdict: tuple[bool, str, str]) -> None:
    assert scaling.autoscaler_ready(found) == verdict


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        (None, (False, "ScaledObjectProgressing", "ScaledObject not yet visible in cache")),
        (
            live(condition("Ready", "True"), *OTHERS[:2]),
            (False, "ScaledObjectProgressing", "ScaledObject conditions not yet available"),
        ),
        (live(condition("Ready", "False", "Bad", "b"), *OTHERS), (False, "Bad", "b")),
        (
            live(condition("Ready", "Unknown"), *OTHERS),
            (False, "ScaledObjectProgressing", "ScaledObject is not yet ready"),
        ),
        (
            live(
                condition("Ready", "True"), OTHERS[0], *(condition(t, "True") for t in ("Fallback", "Paused"))
            ),
            (True, "", ""),
        ),
    ],
)
def test_readiness_of_a_scaled_object(found: Any, verdict: tuple[bool, str, str]) -> None:
    assert scaling.scaled_object_ready(found) == verdict


def test_a_stopped_service_has_no_autoscaler_and_nothing_to_say_of_one() -> None:
    world = World()
    run(world, spec(HPA, HPA))
    stopped = service(annotations={"serving.kserve.io/stop": "TRUE"})
    ctx = world.context(spec(HPA, HPA), of=stopped)
    assert world.run(scaling.steps(ctx)) is None
    assert objects(world) == []
    assert [scaler.readiness() for _, scaler in scaling.scalers(ctx)] == [None, None]


@pytest.mark.parametrize("main", [HPA, KEDA])
@pytest.mark.parametrize(
    ("router", "last"),
    [
        ({"route": {}, "gateway": {}}, Part.ROUTES),
        ({"route": {"http": {"refs": [{"name": "gone"}]}}}, Part.VALIDATION),
    ],
)
def test_autoscalers_come_with_the_workloads_and_end_nothing(
    main: dict[str, Any], router: dict[str, Any], last: Part
) -> None:
    steps: list[Any] = []
    order.collect(World().context(spec(main, router=router), config=CONFIG), steps)
    parts = [part.part for part in steps]
    assert [part in WORKLOAD_PARTS for part in parts[: parts.index(Part.SCALING) + 1]][-2:] == [True, False]
    assert parts.index(Part.SCALING) < min(map(parts.index, set(parts) & set(ROUTER_PARTS)))
    assert [part.part for part in steps if part.error] == [*[Part.SCALING] * (main is KEDA), last]
    assert parts[-1] is last

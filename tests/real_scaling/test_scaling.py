"""Who scales a service, on a real API server with KEDA's CRD and with Kubernetes' own HorizontalPodAutoscaler controller.

What needs no metrics (the target is found, bounds hold) and what an adapter says (a metric that is there, one that is not);
every switch between the forms; and that replicas belong to whoever scales. Rules: SCALE-1, SCALE-2.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.objects import dig
from testbed.real.build import Assets, NotAvailable, program
from tests.real_scaling.ground import (
    GROUPS,
    HPA,
    KEDAS_HPA,
    SCALED_OBJECT,
    TARGET,
    Body,
    Ground,
    exists,
    play,
)
from tests.scenarios.scene import SVC, TEMPLATE

pytestmark = pytest.mark.real

FIRST: dict[str, Body] = {}
THEN: dict[str, Body] = {}
WITH_GROUPS: set[str] = set()
"""Those that need LeaderWorkerSet's own controller."""
BY_HPA: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 4, "wva": {"variantCost": "10.0", "hpa": {}}}
BY_KEDA: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 4, "wva": {"keda": {"pollingInterval": 5}}}
TRIGGERS = [{"type": "cron", "metadata": {"timezone": "UTC", "start": "0 6 * * *", "end": "0 20 * * *", "desiredReplicas": "3"}}]  # fmt: skip
BY_TRIGGERS: dict[str, Any] = {"minReplicas": 2, "maxReplicas": 4, "keda": {"triggers": TRIGGERS}}
PREFILL_HPA, PREFILL = f"{SVC}-kserve-prefill-hpa", f"{SVC}-kserve-prefill"
OTHER_IMAGE = "quay.io/example/vllm:2"
FOUND = (
    "SucceededGetScale",
    "SucceededRescale",
    "ReadyForNewScale",
    "ScaleDownStabilized",
    "ScaleUpStabilized",
)
"""What a controller says of a target that it found."""


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Exception | None]:
    """How each selected scenario ended."""
    try:
        program("kube-controller-manager", build=False)
    except NotAvailable as error:
        pytest.skip(str(error))
    wanted = {getattr(item, "originalname", "") for item in request.session.items}
    groups = bool(wanted & WITH_GROUPS) and available("lws")
    if not groups:
        wanted -= WITH_GROUPS
    first, then = ({name: body for name, body in each.items() if name in wanted} for each in (FIRST, THEN))
    folder = tmp_path_factory.mktemp("webhook")
    return anyio.run(partial(play, real_assets, first, then, folder, groups=groups))


def available(name: str) -> bool:
    """Whether the program was built."""
    try:
        program(name, build=False)
    except NotAvailable:
        return False
    return True


def scenario(bodies: dict[str, Body], *, groups: bool = False) -> Callable[[Body], Callable[..., None]]:
    """Makes a test of a scenario; with `groups` it is skipped where there is no controller of LeaderWorkerSets."""

    def made(body: Body) -> Callable[..., None]:
        name = getattr(body, "__name__", "")
        bodies[name] = body
        if groups:
            WITH_GROUPS.add(name)

        def test(outcomes: Mapping[str, Exception | None]) -> None:
            if name not in outcomes:
                pytest.skip("no controller of LeaderWorkerSets: python -m testbed.real.build whole")
            error = outcomes[name]
            if error is not None:
                raise error

        test.__name__ = test.__qualname__ = name
        test.__doc__ = body.__doc__
        return test

    return made


async def settled_on_its_hpa(ground: Ground, scaling: Mapping[str, Any] = BY_HPA) -> None:
    """A service without a router, whose metric is there."""
    await ground.create(None, scaling=scaling)
    # Two of two: as many as there are.
    ground.metric(1)
    # While it only keeps the bounds an autoscaler says nothing of metrics.
    await ground.until_hpa("ScalingActive", "True", "ValidMetricFound")
    await ground.until_condition("Ready", "True")


@scenario(FIRST)
async def test_without_kedas_crd_the_service_says_so_and_scales_once_it_is_there(ground: Ground) -> None:
    await ground.create(None, scaling=BY_KEDA)
    await ground.until_condition("MainWorkloadReady", "False", "ScalingCRDNotFound")

    async def told() -> bool:
        return [reason for _, reason, _ in await ground.events()].count("ScalingCRDNotFound") == 1

    await ground.until(told)
    # The Deployment does not wait for its scaler.
    await ground.until_there(kinds.DEPLOYMENT, TARGET)
    await ground.install_keda()
    await ground.until_there(kinds.SCALED_OBJECT, SCALED_OBJECT)
    await ground.keda_says("True")
    await ground.until_condition("Ready", "True")


@scenario(THEN)
async def test_the_target_is_found_and_bounds_hold_without_a_metric(ground: Ground) -> None:
    await ground.create(None, scaling=BY_HPA)
    await ground.until_hpa("AbleToScale", "True", *FOUND)
    await ground.until_replicas(2)
    await ground.until_hpa("ScalingActive", "False", "FailedGetExternalMetric")

    async def told() -> bool:
        return await ground.condition("ScalingReady") == await ground.hpa_condition("ScalingActive")

    await ground.until(told)
    # The pods are there, but nobody scales them: not ready, with the reason.
    await ground.until_conditions(
        {"MainWorkloadReady": ("True", ""), "Ready": ("False", "FailedGetExternalMetric")}
    )


@scenario(THEN)
async def test_readiness_follows_the_metric(ground: Ground) -> None:
    await settled_on_its_hpa(ground)
    await ground.until_conditions({"ScalingReady": ("True", ""), "Ready": ("True", "")})
    ground.metric(None)
    await ground.until_condition("Ready", "False", "FailedGetExternalMetric")
    ground.metric(1)
    await ground.until_condition("Ready", "True")


@scenario(THEN)
async def test_replicas_belong_to_the_autoscaler(ground: Ground) -> None:
    await settled_on_its_hpa(ground)
    ground.metric(2)
    await ground.until_replicas(4)
    await ground.until_hpa("ScalingLimited", "True", "TooManyReplicas")
    await ground.until_condition("Ready", "True")
    before = await ground.user.get(kinds.DEPLOYMENT, ground.namespace, TARGET)
    await ground.touch("once more")
    await ground.rest()
    after = await ground.user.get(kinds.DEPLOYMENT, ground.namespace, TARGET)
    assert after["spec"] == before["spec"]
    # An edit of something else keeps them, too.
    other = {"containers": [{"name": "main", "image": OTHER_IMAGE}]}
    await ground.edit(kinds.SERVICE, SVC, lambda service: service["spec"].update(template=other))

    async def rolled() -> bool:
        found = await ground.user.get(kinds.DEPLOYMENT, ground.namespace, TARGET)
        images = [container["image"] for container in found["spec"]["template"]["spec"]["containers"]]
        return OTHER_IMAGE in images

    await ground.until(rolled)
    assert await ground.replicas() == 4


@scenario(THEN)
async def test_bounds_that_the_user_writes_reach_the_autoscaler_and_the_pods(ground: Ground) -> None:
    await settled_on_its_hpa(ground)
    await ground.scaling(scaling={**BY_HPA, "minReplicas": 3})
    await ground.until_replicas(3)
    await ground.scaling(scaling={**BY_HPA, "minReplicas": 1, "maxReplicas": 1})
    await ground.until_replicas(1)


@scenario(THEN)
async def test_from_hpa_to_keda_and_back_and_to_none(ground: Ground) -> None:
    await settled_on_its_hpa(ground)
    ground.metric(2)
    await ground.until_replicas(4)

    await ground.scaling(scaling=BY_KEDA)
    await ground.until_there(kinds.SCALED_OBJECT, SCALED_OBJECT)
    # One at a time: KEDA refuses a target that an autoscaler has.
    assert not await exists(ground, kinds.AUTOSCALER, HPA)
    await ground.until_condition("Ready", "False", "ScaledObjectProgressing")
    await ground.keda_says("False", "ScaledObjectCheckFailed", "failed to ensure HPA")
    await ground.until_condition("Ready", "False", "ScaledObjectCheckFailed")
    await ground.keda_says("True")
    await ground.until_condition("Ready", "True")
    assert await ground.replicas() == 4, "a switch of the scaler scales nothing"

    await ground.scaling(scaling=BY_HPA)
    await ground.until_there(kinds.AUTOSCALER, HPA)
    await ground.until_gone(kinds.SCALED_OBJECT, SCALED_OBJECT)
    await ground.until_condition("Ready", "True")
    assert await ground.replicas() == 4

    await ground.scaling(replicas=1)
    await ground.until_gone(kinds.AUTOSCALER, HPA)
    await ground.until_replicas(1)
    await ground.until_conditions({"Ready": ("True", ""), "ScalingReady": ("", "")})


@scenario(THEN)
async def test_what_keda_scales_stays_and_its_own_autoscaler_is_not_ours(ground: Ground) -> None:
    await ground.create(None, scaling=BY_KEDA)
    await ground.until_there(kinds.SCALED_OBJECT, SCALED_OBJECT)
    await ground.keda_makes_its_hpa(3)
    await ground.keda_says("True")
    await ground.until_replicas(3)
    await ground.until_condition("Ready", "True")
    await ground.touch("once more")
    await ground.rest()
    assert await ground.replicas() == 3
    assert await exists(ground, kinds.AUTOSCALER, KEDAS_HPA)
    scaled = await ground.user.get(kinds.SCALED_OBJECT, ground.namespace, SCALED_OBJECT)
    assert scaled["metadata"]["generation"] == 1


@scenario(THEN)
async def test_between_kedas_two_forms_the_object_stays(ground: Ground) -> None:
    await ground.create(None, scaling=BY_KEDA)
    await ground.until_there(kinds.SCALED_OBJECT, SCALED_OBJECT)
    await ground.keda_says("True")
    await ground.until_condition("Ready", "True")
    before = await ground.user.get(kinds.SCALED_OBJECT, ground.namespace, SCALED_OBJECT)
    await ground.scaling(scaling=BY_TRIGGERS)

    async def changed() -> bool:
        found = await ground.user.get(kinds.SCALED_OBJECT, ground.namespace, SCALED_OBJECT)
        triggers: Any = found["spec"]["triggers"]
        return bool(triggers == TRIGGERS)

    await ground.until(changed)
    after = await ground.user.get(kinds.SCALED_OBJECT, ground.namespace, SCALED_OBJECT)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert not any(key.startswith("llm-d.ai/") for key in dig(after, "metadata", "annotations") or ())
    await ground.until_condition("Ready", "True")


@scenario(THEN)
async def test_a_scaler_comes_to_a_service_of_fixed_size_and_takes_over_from_there(ground: Ground) -> None:
    await ground.create(None, replicas=3)
    await ground.until_condition("Ready", "True")
    ground.metric(1)
    await ground.scaling(scaling=BY_HPA)
    await ground.until_there(kinds.AUTOSCALER, HPA)
    await ground.until_condition("Ready", "True")
    await ground.rest()
    assert await ground.replicas() == 3, "neither back to one nor to the least"


@scenario(THEN)
async def test_each_side_has_a_scaler_of_its_own(ground: Ground) -> None:
    # The metric counts a side's pods: all of them are wanted.
    ground.metric(1)
    await ground.create(
        None, replicas=1, prefill={"template": TEMPLATE, "scaling": {**BY_HPA, "minReplicas": 3}}
    )
    await ground.until_replicas(3, PREFILL)
    await ground.until_conditions(
        {"PrefillScalingReady": ("False", "FailedGetExternalMetric"), "ScalingReady": ("", "")}
    )
    ground.metric(1, PREFILL_HPA)
    await ground.until_conditions({"PrefillScalingReady": ("True", ""), "Ready": ("True", "")})
    assert await ground.replicas() == 1


@scenario(THEN, groups=True)
async def test_groups_of_pods_are_scaled_as_one(ground: Ground) -> None:
    ground.metric(1)
    await ground.create(
        None, worker=TEMPLATE, parallelism={"data": 2, "dataLocal": 1, "tensor": 1}, scaling=BY_HPA
    )
    # The controller of the groups tells the autoscaler by its scale subresource which pods to count: the leaders.
    await ground.until_hpa("AbleToScale", "True", *FOUND)
    await ground.until_replicas(2, GROUPS, kinds.LEADER_WORKER_SET)
    await ground.until_hpa("ScalingActive", "True", "ValidMetricFound")
    await ground.until_conditions(
        {"ScalingReady": ("True", ""), "WorkerWorkloadReady": ("True", ""), "Ready": ("True", "")}
    )
    ground.metric(2)
    await ground.until_replicas(4, GROUPS, kinds.LEADER_WORKER_SET)
    await ground.touch("once more")
    await ground.rest()
    assert await ground.replicas(GROUPS, kinds.LEADER_WORKER_SET) == 4, (
        "a reconcile leaves what the autoscaler wrote"
    )
    other = {"containers": [{"name": "main", "image": OTHER_IMAGE}]}
    await ground.edit(kinds.SERVICE, SVC, lambda service: service["spec"].update(worker=other))

    async def rolled() -> bool:
        found = await ground.user.get(kinds.LEADER_WORKER_SET, ground.namespace, GROUPS)
        return OTHER_IMAGE in str(dig(found, "spec", "leaderWorkerTemplate", "workerTemplate"))

    await ground.until(rolled)
    assert await ground.replicas(GROUPS, kinds.LEADER_WORKER_SET) == 4, "nor does another image set them back"
    await ground.scaling(replicas=1)
    await ground.until_gone(kinds.AUTOSCALER, HPA)
    await ground.until_replicas(1, GROUPS, kinds.LEADER_WORKER_SET)


@scenario(THEN)
async def test_a_stopped_service_has_no_scaler_and_comes_back_with_it(ground: Ground) -> None:
    await settled_on_its_hpa(ground)
    await ground.annotate("serving.kserve.io/stop", "true")
    await ground.until_gone(kinds.AUTOSCALER, HPA)
    await ground.until_gone(kinds.DEPLOYMENT, TARGET)
    await ground.annotate("serving.kserve.io/stop", None)
    await ground.until_replicas(2)
    await ground.until_condition("Ready", "True")

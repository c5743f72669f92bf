"""`aioctl explain`: every reason that a service can give has a chain, a code and something to do."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan.facts import Facts
from aioctl.plan.migration import RULES, Decision, Reason, State
from aioctl.plan.model import Plan
from aioctl.tools import codes
from aioctl.tools.explain import Chain, chains
from aioctl.tools.look import Look, look
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, plain_service
from tests.tools.small_fleet import ROUTED, connection, fleet, looks, ready, until_condition

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
FOUR_MINUTES = (NOW - timedelta(minutes=4)).strftime("%Y-%m-%dT%H:%M:%SZ")

SPOKEN = {
    c.PRESETS_COMBINED: ("CombineBaseError", "ConfigNotFound", "Stopped", "PlanTooExpensive", "InvalidRenderedConfig", "ValidationUnavailable"),
    c.MAIN_WORKLOAD_READY: (
        "ReconcileCertsError", "ReconcileSingleNodeWorkloadError", "ReconcileScalingError", "ScalingCRDNotFound",
        "ReconcileWorkloadPermissionsError", "ReconcileWorkloadServiceError", "Progressing", "ProgressDeadlineExceeded", "MinimumReplicasUnavailable",
    ),
    c.WORKER_WORKLOAD_READY: ("ReconcileMultiNodeWorkloadError",),
    c.SCALING_READY: ("HPAProgressing", "ScaledObjectProgressing"),
    c.SCHEDULER_WORKLOAD_READY: ("SchedulerReconcileError",),
    c.INFERENCE_POOL_READY: ("WaitingForGateway", "InferencePoolNotReady", "InferencePoolFetchError"),
    c.HTTP_ROUTES_READY: (
        "HTTPRoutesNotReady", "HTTPRouteReconcileError", "HTTPRouteFetchError", "RefsInvalid",
        "PlatformNetworkingReconcileError", "GatewayPreconditionNotMet",
    ),
    c.GATEWAYS_READY: ("GatewaysNotReady", "GatewayFetchError"),
}  # fmt: skip
"""Condition -> the reasons it can give."""
ABOVE = {
    c.MAIN_WORKLOAD_READY: c.WORKLOADS_READY,
    c.WORKER_WORKLOAD_READY: c.WORKLOADS_READY,
    c.SCALING_READY: c.WORKLOADS_READY,
    c.SCHEDULER_WORKLOAD_READY: c.ROUTER_READY,
    c.INFERENCE_POOL_READY: c.ROUTER_READY,
    c.HTTP_ROUTES_READY: c.ROUTER_READY,
    c.GATEWAYS_READY: c.ROUTER_READY,
}


def said(type_: str, reason: str, status: str = "False", message: str = "so it is") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": FOUR_MINUTES,
    }


def service_that_says(*conditions: dict[str, Any]) -> dict[str, Any]:
    service = plain_service()
    service["metadata"]["generation"] = 1
    service["status"] = {"conditions": list(conditions), "observedGeneration": 1}
    return service


def looked(service: dict[str, Any], *others: tuple[kinds.Kind, dict[str, Any]]) -> tuple[Facts, Look]:
    objects = {
        ObjectRef(kind, obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
        for kind, obj in [(kinds.SERVICE, service), *others]
    }
    facts = Facts(objects)
    return facts, look(facts, service, POLICY, NOW)


@pytest.mark.parametrize(
    ("type_", "reason"), [(type_, reason) for type_, all_ in SPOKEN.items() for reason in all_]
)
def test_each_reason_of_a_condition_has_a_chain_from_ready_and_its_own_code(type_: str, reason: str) -> None:
    above = [said(ABOVE[type_], reason)] if type_ in ABOVE else []
    facts, seen = looked(service_that_says(said(c.READY, reason), *above, said(type_, reason)))
    chain = chains(seen, facts)[0]
    assert [link.what for link in chain.links][: 2 + len(above)] == [
        c.READY,
        *(one["type"] for one in above),
        type_,
    ]
    assert chain.links[len(above) + 1].message == "so it is", "the condition's own words, once"
    assert chain.links[0].message == ""
    assert chain.links[0].age == "4m"
    assert chain.code is codes.SERVICE[reason]
    last = chain.lines()[-1]
    assert last == f"what to do [{chain.code.code}]: {chain.code.cure}"


def test_every_reason_on_the_reference_page_has_an_entry() -> None:
    page = REFERENCE.read_text()
    start = page.index("## Conditions\n")
    section = page[start : page.index("## Migration states", start)]
    types = {value for name, value in vars(c).items() if name.isupper() and isinstance(value, str)}
    words = set(re.findall(r"`([A-Z][A-Za-z]+)`", section)) - types
    of_configs = {"ConfigInUse", "InUse", "NotInUse", "DeletionBlocked"}
    assert words - of_configs <= set(codes.SERVICE), "a reason without an entry in tools/codes.py"
    tabled = {reason for all_ in SPOKEN.values() for reason in all_} | {
        "NewObservedGenFailure", "NotReconciled", "NotPlanned", "FinalizationPending", "MemberDivergence",
        "MemberPoolGeneration", "ImageVolumeUnsupported", "ImageVolumeSubPathUnsupported", "ImageVolumeAlpha",
        "HeldBack", "WaitsForRollout",
    }  # fmt: skip
    assert tabled == set(codes.SERVICE), "an entry that no test plays"


def test_codes_are_given_once_and_every_entry_says_what_to_do() -> None:
    every = codes.every()
    assert len({one.code for one in every}) == len(every)
    for one in every:
        assert one.cure, one
        assert one.why, one
        assert re.fullmatch(r"AIO-[A-Z]+-\d{3}", one.code)


@pytest.mark.parametrize("rule", RULES, ids=[rule.when for rule in RULES])
def test_each_line_of_the_migration_has_a_chain_or_is_at_its_end(rule: Any) -> None:
    service = service_that_says({"type": c.READY, "status": "True"})
    decision = Decision(
        rule.state, rule.locks, rule.reason, problem="somebody acts" if rule.state is State.HELD else ""
    )
    seen = Look(service, Plan(service), decision, "", {}, (), (), (), NOW)
    found = chains(seen, Facts())
    if rule.reason in (Reason.LOCKED, Reason.NO_SCHEDULER, Reason.NO_MANAGED_ROUTE):
        assert found == []
        return
    (chain,) = found
    assert chain.code is codes.MIGRATION[rule.reason]
    assert chain.links[0].status == rule.state.value
    assert chain.act is (rule.state is State.HELD or rule.reason is Reason.V1_NOT_SERVED)


def test_every_reason_of_the_migration_has_an_entry() -> None:
    assert set(codes.MIGRATION) == set(Reason)


def test_a_service_nobody_looked_at() -> None:
    facts, seen = looked(plain_service())
    assert chains(seen, facts)[0].code is codes.SERVICE["NotReconciled"]


def test_a_generation_that_was_never_finished() -> None:
    facts, seen = looked(service_that_says(said(c.READY, "NewObservedGenFailure", "Unknown")))
    assert chains(seen, facts)[0].code is codes.SERVICE["NewObservedGenFailure"]


@pytest.mark.parametrize(
    ("type_", "status", "reason"),
    [
        (c.GROUP_READY, "False", "FinalizationPending"),
        (c.GROUP_DEGRADED, "True", "MemberDivergence"),
        (c.GROUP_DEGRADED, "True", "MemberPoolGeneration"),
        (c.OCI_IMAGE_VOLUME_COMPATIBLE, "False", "ImageVolumeUnsupported"),
        (c.OCI_IMAGE_VOLUME_COMPATIBLE, "False", "ImageVolumeSubPathUnsupported"),
        (c.OCI_IMAGE_VOLUME_COMPATIBLE, "False", "ImageVolumeAlpha"),
        (c.POD_FORM_CURRENT, "False", "HeldBack"),
        (c.POD_FORM_CURRENT, "False", "WaitsForRollout"),
    ],
)
def test_what_spoils_no_readiness_is_told_beside_it(type_: str, status: str, reason: str) -> None:
    ready_ = {"type": c.READY, "status": "True"}
    facts, seen = looked(service_that_says(ready_, said(type_, reason, status)))
    chain = next(chain for chain in chains(seen, facts) if chain.code is codes.SERVICE[reason])
    assert chain.links[0].what == type_
    fine = looked(service_that_says(ready_, said(type_, "", "True" if status == "False" else "False")))
    assert not [chain for chain in chains(fine[1], fine[0]) if chain.links[0].what == type_]


def pod(labels: dict[str, str], **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "one-kserve-x",
            "namespace": NAMESPACE,
            "labels": labels,
            "creationTimestamp": FOUR_MINUTES,
        },
        "status": status,
    }


def waiting(reason: str, message: str) -> dict[str, Any]:
    return {
        "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": reason, "message": message}}}]
    }


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        (waiting("ImagePullBackOff", "no such image"), "container main: ImagePullBackOff: no such image", "ImagePullBackOff"),
        (waiting("ErrImagePull", "denied"), "container main: ErrImagePull: denied", "ErrImagePull"),
        (waiting("CrashLoopBackOff", "back-off 5m"), "container main: CrashLoopBackOff: back-off 5m", "CrashLoopBackOff"),
        (
            waiting("CreateContainerConfigError", 'secret "s" not found'),
            'container main: CreateContainerConfigError: secret "s" not found',
            "CreateContainerConfigError",
        ),
        (
            {"containerStatuses": [{"name": "main", "state": {"terminated": {"reason": "OOMKilled"}}}]},
            "container main: OOMKilled",
            "OOMKilled",
        ),
        (
            {"conditions": [said("PodScheduled", "Unschedulable", message="0/3 nodes are available")]},
            "Unschedulable: 0/3 nodes are available",
            "Unschedulable",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_workload_leads_to_its_pod(status: dict[str, Any], words: str, code: str) -> None:
    reason = "MinimumReplicasUnavailable"
    labels = names.labels("one", names.WORKLOAD_COMPONENT)
    deployment = {
        "metadata": {"name": "one-kserve", "namespace": NAMESPACE, "labels": labels, "generation": 1},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}},
        "status": {"readyReplicas": 1, "conditions": [said("Available", reason)]},
    }
    service = service_that_says(
        said(c.READY, reason), said(c.WORKLOADS_READY, reason), said(c.MAIN_WORKLOAD_READY, reason)
    )
    facts, seen = looked(service, (kinds.DEPLOYMENT, deployment), (kinds.POD, pod(labels, **status)))
    chain = chains(seen, facts)[0]
    assert [link.object for link in chain.links[-2:]] == [
        "Deployment demo/one-kserve",
        "Pod demo/one-kserve-x",
    ]
    assert chain.links[-2].message.startswith("1 of 2 replicas ready")
    assert chain.links[-1].message == words
    assert chain.code is codes.BELOW[code]


@virtual_time
async def test_a_gateway_that_knows_no_v1_pools_is_at_the_end_of_the_chain() -> None:
    async with fleet(behaviour="v1alpha2-only") as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(**ROUTED))
        await until_condition(stage, c.READY, lambda found: found[0] in ("True", "False"))
        found, (seen,) = await looks(stage, "one")
        chain = _of_migration(chains(seen, found))
        text = "\n".join(chain.lines())
        assert chain.links[0].object == "LLMInferenceService demo/one"
        assert "kserve/kserve-ingress-gateway" in text, text
        assert chain.lines()[-1].startswith(f"what to do [{chain.code.code}]: ")


@virtual_time
async def test_a_route_that_is_refused_leads_to_the_parent_and_its_controller() -> None:
    async with fleet(behaviour="accepts-both-routes-v1alpha2") as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(**ROUTED))
        await until_condition(stage, c.POOL_MIGRATION, lambda found: found[0] == "False")
        found, (seen,) = await looks(stage, "one")
        chain = _of_migration(chains(seen, found))
        assert chain.code is codes.MIGRATION[Reason.MIXED_REFERENCES_REFUSED]
        assert chain.act
        (parent,) = [link for link in chain.links if link.what == "ResolvedRefs"]
        assert parent.object == "HTTPRoute demo/one-kserve-route parent kserve/kserve-ingress-gateway"
        assert (parent.status, parent.reason) == ("False", "InvalidKind")
        assert chain.links[-1].message == "istio.io/gateway-controller"


@virtual_time
async def test_a_gateway_that_is_silent_leads_to_its_class() -> None:
    async with fleet(behaviour="silent") as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(**ROUTED))
        await until_condition(stage, c.WORKLOADS_READY, lambda found: found[0] == "True")
        await anyio.sleep(5)
        found, (seen,) = await looks(stage, "one")
        chain = chains(seen, found)[0]
        pool = "InferencePool v1 demo/one-inference-pool gateway kserve/kserve-ingress-gateway"
        assert [link.object for link in chain.links[-2:]] == [pool, "GatewayClass istio"]
        assert chain.code is codes.BELOW["HasSaidNothing"]


@virtual_time
async def test_what_is_ready_and_migrated_has_no_chain() -> None:
    async with fleet() as stage:
        await ready(stage)
        found, (seen,) = await looks(stage, "one")
        assert chains(seen, found) == []
        assert connection(stage).namespace == NAMESPACE


def _of_migration(found: list[Chain]) -> Chain:
    return next(chain for chain in found if chain.links[0].what == "migration")

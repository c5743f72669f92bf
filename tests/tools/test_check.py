"""`aioctl check`: nothing on a healthy installation, and each planted defect by its code."""

import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.pki import pairs
from aioctl.sim.errors import forbidden
from aioctl.sim.faults import Match
from aioctl.tools.check_codes import CHECK, GROUPS
from aioctl.tools.checks import Finding, Grade, check
from aioctl.tools.installation import CRDS
from aioctl.tools.survey import DryRun, Survey, survey
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, plain_service
from tests.deploy.manifests import documents
from tests.tools.small_fleet import SEVEN, connection, fleet, ready

BASE = Path(__file__).parents[2] / "deploy" / "base"
SYSTEM = "kserve"
LEASE = ObjectKey(SYSTEM, "llminferenceservice-kserve-controller-manager")
NOW = datetime.now(UTC)
Plant = Callable[[World], Awaitable[Any]]


def authority(*, expired: bool = False) -> str:
    """A caBundle."""
    made = NOW - timedelta(days=20)
    pair = pairs.create_ca("test", now=made, lifetime=timedelta(days=10 if expired else 400))
    return base64.b64encode(pair.crt).decode()


@asynccontextmanager
async def installed() -> AsyncIterator[World]:
    """A healthy installation of the shipped manifests, with one service, ready and migrated."""
    async with fleet() as stage:
        bundle = authority()
        for file in ("services.yaml", "service-account.yaml", "cluster-role.yaml", "deployment.yaml"):
            for obj in documents(BASE / file):
                if obj["kind"] in ("Service", "ClusterRole", "ClusterRoleBinding", "Deployment"):
                    await stage.cluster.create(obj, client="user")
        for obj in documents(BASE / "webhooks.yaml"):
            for hook in obj["webhooks"]:
                hook["clientConfig"]["caBundle"] = bundle
            await stage.cluster.create(obj, client="user")
        for name in CRDS:
            config = {"service": {"name": "aioctl-webhook"}, "caBundle": bundle}
            await stage.user.patch(
                kinds.CRD, "", name, {"spec": {"conversion": {"webhook": {"clientConfig": config}}}}
            )
        await stage.user.create(kinds.LEASE, SYSTEM, lease(NOW))
        await ready(stage)
        yield stage


def lease(renewed: datetime, holder: str = "aioctl-1") -> dict[str, Any]:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "renewTime": (renewed + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE.name, "namespace": SYSTEM},
        "spec": spec,
    }


async def findings(stage: World, *, pre: bool = False) -> list[Finding]:
    facts = await survey(connection(stage), system_namespace=SYSTEM, lease=LEASE, dry_runs=not pre)
    return check(facts, pre=pre)


def codes(found: list[Finding]) -> list[str]:
    return [one.code.code for one in found if one.code]


@virtual_time
async def test_nothing_is_found_on_a_healthy_installation() -> None:
    async with installed() as stage:
        found = await findings(stage)
        assert [one for one in found if one.grade is not Grade.OK] == []
        assert [one.group for one in found] == list(GROUPS)
        assert await stage.find(kinds.SERVICE, "aioctl-check-dry-run") is None, "a dry run changes nothing"
        early = await findings(stage, pre=True)
        assert [one.group for one in early] == ["CLU", "EXT", "GW", "LEFT"]
        assert not codes(early)


def gone(kind: Kind, name: str, namespace: str = "") -> Plant:
    return lambda stage: stage.user.delete(kind, namespace, name)


def patched(kind: Kind, name: str, body: dict[str, Any], namespace: str = "", subresource: str = "") -> Plant:
    return lambda stage: stage.user.patch(kind, namespace, name, body, subresource=subresource)


def made(obj: dict[str, Any]) -> Plant:
    return lambda stage: stage.cluster.create(obj, client="user")


def bundle(text: str) -> Plant:
    """Another caBundle for one of the CRDs."""
    config = {"clientConfig": {"caBundle": text}}
    return patched(kinds.CRD, CRDS[1], {"spec": {"conversion": {"webhook": config}}})


async def everywhere(stage: World, text: str) -> None:
    """Another caBundle for all."""
    for name in CRDS:
        config = {"clientConfig": {"caBundle": text}}
        await stage.user.patch(kinds.CRD, "", name, {"spec": {"conversion": {"webhook": config}}})
    for kind in (kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK):
        for stored in stage.cluster.peek_all(kind.resource):
            hooks = [
                {**hook, "clientConfig": {**hook["clientConfig"], "caBundle": text}}
                for hook in stored["webhooks"]
            ]
            await stage.user.patch(kind, "", stored["metadata"]["name"], {"webhooks": hooks})


async def versions(stage: World, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    stored = await stage.user.get(kinds.CRD, "", CRDS[0])
    changed = [change(dict(version)) for version in stored["spec"]["versions"]]
    await stage.user.update(kinds.CRD, {**stored, "spec": {**stored["spec"], "versions": changed}})


async def refused(stage: World) -> None:
    error = forbidden(kinds.GATEWAY_CLASS.resource, kinds.GATEWAY_CLASS.group, "", "no")
    stage.cluster.faults.fail(Match(verb="list", resource="gatewayclasses", client="user"), error, times=0)


async def no_answer(stage: World) -> None:
    error = forbidden(kinds.SERVICE.resource, kinds.SERVICE.group, "", "failed calling webhook")
    stage.cluster.faults.fail(Match(verb="create", resource="llminferenceservices"), error, times=0)


async def less_rights(stage: World) -> None:
    stored = await stage.user.get(kinds.CLUSTER_ROLE, "", "aioctl")
    rules = [rule for rule in stored["rules"] if "gateway.networking.k8s.io" not in rule.get("apiGroups", ())]
    await stage.user.update(kinds.CLUSTER_ROLE, {**stored, "rules": rules})


async def no_preset(stage: World) -> None:
    """Admission refuses it, so the webhook is away meanwhile."""
    name = "llminferenceserviceconfig.serving.kserve.io"
    stored = await stage.user.get(kinds.VALIDATING_WEBHOOK, "", name)
    await stage.user.delete(kinds.VALIDATING_WEBHOOK, "", name)
    await stage.drop_config("kserve-config-llm-tokenizer", SYSTEM)
    metadata = {"name": name}
    await stage.cluster.create({**stored, "metadata": metadata}, client="user")


async def old_preset(stage: World) -> None:
    stored = await stage.user.get(kinds.CONFIG, SYSTEM, "kserve-config-llm-template")
    container = {**stored["spec"]["template"]["containers"][0], "image": "another"}
    spec = {**stored["spec"], "template": {**stored["spec"]["template"], "containers": [container]}}
    await stage.user.update(kinds.CONFIG, {**stored, "spec": spec})


async def gateway_of_no_class(stage: World) -> None:
    await stage.cluster.create(gateway("elsewhere"), client="user")


async def gateway_of_a_silent_class(stage: World) -> None:
    await stage.cluster.create(
        {
            "apiVersion": kinds.GATEWAY_CLASS.api_version,
            "kind": "GatewayClass",
            "metadata": {"name": "elsewhere"},
            "spec": {"controllerName": "nobody.example/gateway"},
        },
        client="user",
    )
    await stage.cluster.create(gateway("elsewhere"), client="user")


def gateway(name: str) -> dict[str, Any]:
    return {
        "apiVersion": kinds.GATEWAY.api_version,
        "kind": "Gateway",
        "metadata": {"name": "another", "namespace": NAMESPACE},
        "spec": {"gatewayClassName": name, "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }


async def features_without_pools(stage: World) -> None:
    stored = await stage.user.get(kinds.GATEWAY_CLASS, "", "istio")
    given = {**(stored.get("status") or {}), "supportedFeatures": [{"name": "HTTPRoute"}]}
    await stage.user.update(kinds.GATEWAY_CLASS, {**stored, "status": given}, subresource="status")


def stranger(service: str) -> dict[str, Any]:
    hook = documents(BASE / "webhooks.yaml")[0]
    hook["metadata"]["name"] = "left-over"
    for each in hook["webhooks"]:
        each["clientConfig"]["service"]["name"] = service
        each["failurePolicy"] = "Ignore"
    return dict(hook)


def deployment(name: str) -> dict[str, Any]:
    obj = documents(BASE / "deployment.yaml")[0]
    return {**obj, "metadata": {"name": name, "namespace": SYSTEM, "labels": {"a": "b"}}}


def service_kept_by(finalizer: str) -> Plant:
    return patched(kinds.SERVICE, "one", {"metadata": {"finalizers": ["serving.kserve.io/llmisvc-finalizer", finalizer]}}, NAMESPACE)  # fmt: skip


PLANTED: dict[str, Plant] = {
    "AIO-CLU-002": refused,
    "AIO-CRD-002": lambda stage: versions(
        stage, lambda one: {**one, "served": False} if one["name"] == "v1alpha1" else one
    ),
    "AIO-CRD-003": lambda stage: versions(stage, lambda one: {**one, "storage": one["name"] == "v1alpha1"}),
    "AIO-CRD-005": patched(
        kinds.CRD,
        CRDS[1],
        {"spec": {"conversion": {"webhook": {"clientConfig": {"service": {"name": "aioctl-gone"}}}}}},
    ),
    "AIO-HOOK-001": gone(kinds.MUTATING_WEBHOOK, "llminferenceservice.serving.kserve.io"),
    "AIO-HOOK-002": gone(kinds.CORE_SERVICE, "aioctl-webhook", SYSTEM),
    "AIO-HOOK-003": no_answer,
    "AIO-CERT-001": patched(
        kinds.CRD, CRDS[1], {"spec": {"conversion": {"webhook": {"clientConfig": {"caBundle": None}}}}}
    ),
    "AIO-CERT-002": bundle(base64.b64encode(b"no certificate").decode()),
    "AIO-CERT-003": lambda stage: everywhere(stage, authority(expired=True)),
    "AIO-CERT-004": bundle(authority()),
    "AIO-RBAC-001": gone(kinds.CLUSTER_ROLE_BINDING, "aioctl"),
    "AIO-RBAC-002": less_rights,
    "AIO-LEAD-001": gone(kinds.DEPLOYMENT, "aioctl", SYSTEM),
    "AIO-LEAD-002": patched(kinds.DEPLOYMENT, "aioctl", {"spec": {"replicas": SEVEN}}, SYSTEM),
    "AIO-LEAD-003": gone(kinds.LEASE, LEASE.name, SYSTEM),
    "AIO-LEAD-004": patched(
        kinds.LEASE, LEASE.name, {"spec": {"renewTime": "2026-01-01T00:00:00.000000Z"}}, SYSTEM
    ),
    "AIO-PRE-001": no_preset,
    "AIO-PRE-002": old_preset,
    "AIO-GW-001": gateway_of_no_class,
    "AIO-GW-002": gateway_of_a_silent_class,
    "AIO-GW-003": features_without_pools,
    "AIO-LEFT-001": made(stranger("kserve-webhook-server-service")),
    "AIO-LEFT-002": made(deployment("llmisvc-controller-manager")),
    "AIO-FIN-001": service_kept_by("example.com/backup"),
}
"""Code -> what brings it about in a healthy installation."""


@pytest.mark.parametrize("code", PLANTED)
def test_each_planted_defect_is_found_by_its_code(code: str) -> None:
    @virtual_time
    async def run() -> None:
        async with installed() as stage:
            await PLANTED[code](stage)
            await anyio.sleep(3)
            found = await findings(stage)
            assert code in codes(found), codes(found)
            (first, *_) = [one for one in found if one.code and one.code.code == code]
            assert first.code is CHECK[code]
            assert first.as_data()["page"] == f"docs/codes.md#{code.lower()}"
            followed = FOLLOWED.get(code, set())
            assert set(codes(found)) - {code} <= followed, "nothing but the defect, and what follows from it"

    run()


FOLLOWED = {
    "AIO-HOOK-002": {"AIO-CRD-005", "AIO-HOOK-003"},
    "AIO-CERT-001": set(),
    "AIO-CERT-002": {"AIO-CERT-004"},
    "AIO-CRD-003": {"AIO-STORE-001"},
    "AIO-CRD-002": {"AIO-HOOK-003"},
}
"""Code -> what else is then wrong."""


SURVEYED = Survey(
    SYSTEM,
    LEASE,
    NOW,
    "v1.34.1",
    {
        kinds.CRD: [
            {
                "metadata": {"name": name},
                "spec": {
                    "conversion": {"strategy": "Webhook"},
                    "versions": [
                        {"name": "v1alpha1", "served": True, "storage": False},
                        {"name": "v1alpha2", "served": True, "storage": True},
                    ],
                },
            }
            for name in (
                *CRDS,
                *(
                    kind.resource
                    for kind in (
                        kinds.HTTP_ROUTE,
                        kinds.GATEWAY,
                        kinds.GATEWAY_CLASS,
                        kinds.POOL_V1,
                        kinds.POOL_V1ALPHA2,
                        kinds.LEADER_WORKER_SET,
                    )
                ),
            )
        ]
    },
)
"""CRDs as they should be, and nothing else read."""


def without(*gone: str) -> Survey:
    crds = [crd for crd in SURVEYED.all(kinds.CRD) if crd["metadata"]["name"] not in gone]
    return replace(SURVEYED, objects={kinds.CRD: crds})


def with_crd(change: Callable[[dict[str, Any]], Any]) -> Survey:
    first, *rest = deepcopy([dict(crd) for crd in SURVEYED.all(kinds.CRD)])
    change(first)
    return replace(SURVEYED, objects={kinds.CRD: [first, *rest]})


def with_service(**parts: Any) -> Survey:
    service = {**plain_service(), **parts}
    crds = without(kinds.LEADER_WORKER_SET.resource).objects
    return replace(SURVEYED, objects={**crds, kinds.SERVICE: [service]})


WORKERS: dict[str, Any] = {"spec": {"worker": {"containers": []}}}
GOING: dict[str, Any] = {
    "metadata": {
        "name": "one",
        "namespace": NAMESPACE,
        "deletionTimestamp": (NOW - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "finalizers": ["serving.kserve.io/llmisvc-finalizer"],
    }
}
SEEN: dict[str, Survey] = {
    "AIO-CLU-001": replace(SURVEYED, version="v1.27.3"),
    "AIO-CRD-001": without(CRDS[0]),
    "AIO-CRD-004": with_crd(lambda crd: crd["spec"].update(conversion={"strategy": "None"})),
    "AIO-EXT-001": without(kinds.HTTP_ROUTE.resource),
    "AIO-EXT-002": without(kinds.POOL_V1.resource),
    "AIO-EXT-003": without(kinds.POOL_V1.resource, kinds.POOL_V1ALPHA2.resource),
    "AIO-EXT-004": with_service(**WORKERS),
    "AIO-HOOK-004": replace(SURVEYED, dry_runs=[DryRun(kinds.SERVICE, "", 2.5)]),
    "AIO-STORE-001": with_crd(lambda crd: crd.update(status={"storedVersions": ["v1alpha1", "v1alpha2"]})),
    "AIO-FIN-002": with_service(**GOING),
}
"""Code -> a survey that has it: what the embedded cluster cannot be brought to, or would break under."""


@pytest.mark.parametrize("code", SEEN)
def test_what_no_running_cluster_can_be_brought_to(code: str) -> None:
    assert codes(check(SURVEYED)) == []
    assert code in codes(check(SEEN[code]))


def test_every_code_has_its_defect() -> None:
    assert set(PLANTED) | set(SEEN) == set(CHECK)
    assert {code.split("-")[1] for code in CHECK} == set(GROUPS)

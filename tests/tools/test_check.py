"""`aioctl check`: nothing on a healthy installation, and each planted defect by its code.

Most defects are planted into the survey of a healthy installation; what the survey itself has to notice is planted into the
cluster. Rules: MIG-7.
"""

import base64
from collections.abc import Awaitable, Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import name_of
from aioctl.plan.offline import SETTINGS
from aioctl.sim.errors import forbidden, internal
from aioctl.sim.faults import Match
from aioctl.tools.checks.codes import CHECK, GROUPS
from aioctl.tools.checks.finding import Finding, Grade
from aioctl.tools.checks.judge import BEFORE, check
from aioctl.tools.checks.permissions import Permission, account_of
from aioctl.tools.checks.presets import digest
from aioctl.tools.checks.releases import KSERVE, OPENDATAHUB, RELEASES
from aioctl.tools.checks.survey import LISTS, REVIEW, DryRun, Served, Survey, mounted_secret
from aioctl.tools.installation import CRDS
from testbed import shared_data
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World
from tests.deploy.manifests import documents
from tests.tools.healthy import (
    BASE,
    LEASE,
    NOW,
    SYSTEM,
    WHERE,
    Change,
    authority,
    changed,
    codes,
    facts_of,
    having,
    healthy,
    installed,
    leaf,
    lease,
    without,
)


@virtual_time
async def test_nothing_is_found_on_a_healthy_installation() -> None:
    async with installed() as stage:
        found = check(await facts_of(stage))
        assert [one for one in found if one.grade is not Grade.OK] == []
        assert list(dict.fromkeys(one.group for one in found)) == list(GROUPS)[:12]
        assert await stage.find(kinds.SERVICE, "aioctl-check-dry-run") is None, "a dry run changes nothing"
        early = check(await facts_of(stage, calls=False), BEFORE)
        assert list(dict.fromkeys(one.group for one in early)) == ["CLU", "EXT", "GW", "LEFT"]
        assert not codes(early)


def lines(found: list[Finding], group: str) -> list[str]:
    return [one.found for one in found if one.group == group]


def test_what_is_well_is_told_too() -> None:
    found = check(healthy())
    (gateway,) = [line for line in lines(found, "GW") if line.startswith("Gateway")]
    assert gateway == (
        "Gateway kserve/kserve-ingress-gateway, class istio of istio.io/gateway-controller: v1 yes (HTTPRoute), "
        "v1alpha2 yes (InferencePool status), both in one rule no (GatewayClass controller), "
        "writes pool status yes (InferencePool status)"
    )
    presets = lines(found, "PRE")
    assert any("kserve-config-llm-template is that of this release" in line for line in presets)
    assert any("used by demo/one" in line for line in presets), presets
    assert any("used by no service" in line for line in presets)
    assert any(line.endswith("for aioctl-webhook.kserve.svc") for line in lines(found, "CERT"))
    assert sum(" ms" in line for line in lines(found, "HOOK")) == 4, "each version of each kind"
    assert any("inferencepools.inference.networking.k8s.io" in line for line in lines(found, "EXT"))
    assert any("ServiceAccount kserve/aioctl was compared" in line for line in lines(found, "RBAC"))


# What the survey has to notice itself.

Plant = Callable[[World], Awaitable[Any]]


async def refused(stage: World) -> None:
    error = forbidden(kinds.GATEWAY_CLASS.resource, kinds.GATEWAY_CLASS.group, "", "no")
    stage.cluster.faults.fail(Match(verb="list", resource="gatewayclasses", client="user"), error, times=0)


async def failing(stage: World) -> None:
    error = internal("etcdserver: request timed out")
    stage.cluster.faults.fail(Match(verb="list", resource="gatewayclasses", client="user"), error, times=0)


async def no_answer(stage: World) -> None:
    error = forbidden(kinds.SERVICE.resource, kinds.SERVICE.group, "", "failed calling webhook")
    stage.cluster.faults.fail(Match(verb="create", resource="llminferenceservices"), error, times=0)


async def versions(stage: World, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    stored = await stage.user.get(kinds.CRD, "", CRDS[0])
    found = [change(dict(version)) for version in stored["spec"]["versions"]]
    await stage.user.update(kinds.CRD, {**stored, "spec": {**stored["spec"], "versions": found}})


async def no_preset(stage: World) -> None:
    """Admission refuses it, so the webhook is away meanwhile."""
    name = "llminferenceserviceconfig.serving.kserve.io"
    stored = await stage.user.get(kinds.VALIDATING_WEBHOOK, "", name)
    await stage.user.delete(kinds.VALIDATING_WEBHOOK, "", name)
    await stage.drop_config("kserve-config-llm-tokenizer", SYSTEM)
    await stage.cluster.create({**stored, "metadata": {"name": name}}, client="user")


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


async def no_certificate(stage: World) -> None:
    assert WHERE.secret is not None
    await stage.user.delete(kinds.SECRET, *WHERE.secret)


PLANTED: dict[str, Plant] = {
    "AIO-CLU-002": refused,
    "AIO-CLU-003": failing,
    "AIO-CRD-002": lambda stage: versions(
        stage, lambda one: {**one, "served": False} if one["name"] == "v1alpha1" else one
    ),
    "AIO-HOOK-001": lambda stage: stage.user.delete(
        kinds.MUTATING_WEBHOOK, "", "llminferenceservice.serving.kserve.io"
    ),
    "AIO-HOOK-003": no_answer,
    "AIO-CERT-007": no_certificate,
    "AIO-LEAD-003": lambda stage: stage.user.delete(kinds.LEASE, *LEASE),
    "AIO-PRE-001": no_preset,
    "AIO-GW-002": gateway_of_a_silent_class,
}
"""Code -> what brings it about in a healthy installation."""
FOLLOWED = {
    "AIO-CRD-002": {"AIO-HOOK-003"},
    "AIO-CRD-007": {"AIO-CRD-006"},
    "AIO-CERT-002": {"AIO-CERT-004"},
    "AIO-PRE-003": {"AIO-PRE-002"},
}
"""Code -> what else is then wrong."""


def is_alone(code: str, found: list[Finding]) -> None:
    assert code in codes(found), codes(found)
    (first, *_) = [one for one in found if one.code and one.code.code == code]
    assert first.code is CHECK[code]
    assert first.as_data()["page"] == f"docs/codes.md#{code.lower()}"
    rest = set(codes(found)) - {code}
    assert rest <= FOLLOWED.get(code, set()), "nothing but the defect, and what follows from it"


@pytest.mark.parametrize("code", PLANTED)
def test_a_defect_in_the_cluster_is_found_by_its_code(code: str) -> None:
    @virtual_time
    async def run() -> None:
        async with installed() as stage:
            await PLANTED[code](stage)
            await anyio.sleep(3)
            is_alone(code, check(await facts_of(stage)))

    run()


# What is planted into the survey.


def crd(change: Change, name: str = CRDS[0]) -> Survey:
    return changed(kinds.CRD, name, change)


def bundles(text: str | None, *, of: str = "") -> Survey:
    """Another caBundle for all, or for one CRD."""

    def put(config: dict[str, Any]) -> None:
        config.pop("caBundle", None)
        if text is not None:
            config["caBundle"] = text

    objects = {kind: deepcopy([dict(obj) for obj in healthy().all(kind)]) for kind in healthy().objects}
    for obj in objects[kinds.CRD]:
        name = obj["metadata"]["name"]
        if name in CRDS and of in ("", name):
            put(obj["spec"]["conversion"]["webhook"]["clientConfig"])
    for kind in (kinds.VALIDATING_WEBHOOK, kinds.MUTATING_WEBHOOK) if not of else ():
        for obj in objects[kind]:
            for hook in obj["webhooks"]:
                put(hook["clientConfig"])
    return replace(healthy(), objects=objects)


def shows(chain: bytes) -> Survey:
    assert WHERE.secret is not None
    return replace(healthy(), served=Served(WHERE.secret, WHERE.server_name, chain))


def schema_of(obj: dict[str, Any]) -> dict[str, Any]:
    (found,) = [one for one in obj["spec"]["versions"] if one["name"] == "v1alpha2"]
    spec: dict[str, Any] = found["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec


def test_where_nothing_could_be_read_nothing_is_said_to_be_well() -> None:
    """Neither ok nor missing: of each group the line says what could not be read."""
    listed = {kind.resource: f"no access: you may not list {kind.resource}" for kind in LISTS}
    others = dict.fromkeys((kinds.LEASE.resource, kinds.CONFIG_MAP.resource, kinds.SECRET.resource), "no")
    facts = Survey(SYSTEM, LEASE, NOW, unread=listed | others)
    found = check(facts)
    assert [one.group for one in found if one.grade is Grade.UNKNOWN] == list(GROUPS)[1:12]
    assert {one.code.code for one in found if one.code} == {"AIO-CLU-002"}
    assert [one for one in found if one.grade is Grade.OK] == []
    assert any(one.found == f"our CRDs: {kinds.CRD.resource} could not be read" for one in found)


def test_a_group_that_was_read_in_part_tells_both() -> None:
    gone = [name_of(obj) for obj in healthy().all(kinds.CONFIG)]
    facts = replace(without(kinds.CONFIG, *gone), unread={kinds.CONFIG_MAP.resource: "no"})
    found = [one for one in check(facts) if one.group == "PRE"]
    assert found[0].grade is Grade.UNKNOWN
    assert {one.code.code for one in found[1:] if one.code} == {"AIO-PRE-001"}


def small_schema(*, spec: dict[str, Any]) -> dict[str, Any]:
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def with_schema(spec: dict[str, Any]) -> Survey:
    def change(obj: dict[str, Any]) -> None:
        for version in obj["spec"]["versions"]:
            version["schema"] = small_schema(spec=spec)

    return crd(change)


def only(*fields: str) -> dict[str, Any]:
    keeps = {"x-kubernetes-preserve-unknown-fields": True}
    return {"type": "object", "properties": dict.fromkeys(fields, keeps)}


def asking(**metadata: Any) -> Survey:
    """A CRD of few fields, and a service of which it is known what was asked for."""
    facts = with_schema(only("model", "router"))
    services = deepcopy([dict(obj) for obj in facts.all(kinds.SERVICE)])
    services[0]["metadata"].update(metadata)
    return replace(facts, objects={**facts.objects, kinds.SERVICE: services})


OWNER = {
    "manager": "tool",
    "apiVersion": "serving.kserve.io/v1alpha2",
    "fieldsV1": {"f:spec": {"f:model": {}, "f:replicas": {}}},
}
APPLIED = '{"apiVersion":"serving.kserve.io/v1alpha1","spec":{"model":{"uri":"x"},"modle":{}}}'


def test_what_the_schema_drops_is_seen_in_what_was_applied_and_in_who_owns_it() -> None:
    for metadata, field in (
        ({"managedFields": [OWNER]}, "spec.replicas"),
        ({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": APPLIED}}, "spec.modle"),
    ):
        (found,) = [one for one in check(asking(**metadata)) if one.code and one.code.code == "AIO-CRD-007"]
        assert found.found == f"LLMInferenceService demo/one: {field}"


def service(change: Change) -> Survey:
    return changed(kinds.SERVICE, "one", change)


def no_crd(*gone: str, change: Change = lambda _: None) -> Survey:
    facts = service(change)
    crds = [obj for obj in facts.all(kinds.CRD) if obj["metadata"]["name"] not in gone]
    return replace(facts, objects={**facts.objects, kinds.CRD: crds})


def config(change: Change, name: str = "kserve-config-llm-template") -> Survey:
    return changed(kinds.CONFIG, name, change)


def template(obj: dict[str, Any], text: str) -> None:
    obj["spec"]["template"]["containers"][0]["image"] = text


def stranger(name: str) -> Survey:
    hook = documents(BASE / "webhooks.yaml")[0]
    hook["metadata"]["name"] = "left-over"
    for each in hook["webhooks"]:
        each["clientConfig"]["service"]["name"] = name
    found = healthy().all(kinds.VALIDATING_WEBHOOK)
    return having(kinds.VALIDATING_WEBHOOK, [*(dict(one) for one in found), hook])


def deployment(name: str) -> Survey:
    obj = documents(BASE / "deployment.yaml")[0]
    metadata = {"name": name, "namespace": SYSTEM, "labels": {"a": "b"}}
    return having(
        kinds.DEPLOYMENT,
        [*(dict(one) for one in healthy().all(kinds.DEPLOYMENT)), {**obj, "metadata": metadata}],
    )


def combined() -> Survey:
    rule = {"apiGroups": [kinds.GROUP], "resources": ["llminferenceservices"], "verbs": ["patch"]}
    facts = deployment("kserve-controller-manager")
    role = {"metadata": {"name": "kserve-manager-role"}, "rules": [rule]}
    roles = [*facts.all(kinds.CLUSTER_ROLE), role]
    return replace(facts, objects={**facts.objects, kinds.CLUSTER_ROLE: roles})


def refusing(*groups: str) -> Survey:
    """The route that the gateway resolved, with references to these generations, refused."""

    def change(route: dict[str, Any]) -> None:
        for rule in route["spec"]["rules"]:
            for ref in rule["backendRefs"]:
                if ref.get("kind") == "InferencePool":
                    ref["group"] = groups[0]
        for parent in route["status"]["parents"]:
            for condition in parent["conditions"]:
                if condition["type"] == "ResolvedRefs":
                    message = " ".join(f'"{group}"' for group in groups)
                    condition.update(status="False", reason="InvalidKind", message=message)

    facts = changed(kinds.HTTP_ROUTE, "one-kserve-route", change)
    if len(groups) == 1:
        return facts
    # A second route says the rest: one route never refuses both.
    second = deepcopy(dict(facts.all(kinds.HTTP_ROUTE)[0]))
    second["metadata"]["name"] = "second"
    for rule in second["spec"]["rules"]:
        for ref in rule["backendRefs"]:
            if ref.get("kind") == "InferencePool":
                ref["group"] = groups[1]
    return replace(facts, objects={**facts.objects, kinds.HTTP_ROUTE: [*facts.all(kinds.HTTP_ROUTE), second]})


def going(obj: dict[str, Any]) -> None:
    obj["metadata"]["deletionTimestamp"] = (NOW - timedelta(hours=3)).strftime("%Y-%m-%dT%H:%M:%SZ")


def keep(obj: dict[str, Any]) -> None:
    obj["metadata"]["finalizers"] = [*obj["metadata"].get("finalizers", ()), "example.com/backup"]


def conversion(obj: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = obj["spec"]["conversion"]["webhook"]["clientConfig"]
    return found


def less(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the right to write routes."""
    kept = deepcopy(rules)
    for rule in kept:
        if "httproutes" in rule.get("resources", ()):
            rule["verbs"] = ["get", "list", "watch"]
    return kept


SEEN: dict[str, Callable[[], Survey]] = {
    "AIO-CLU-001": lambda: replace(healthy(), version="v1.27.3"),
    "AIO-CRD-001": lambda: no_crd(CRDS[0]),
    "AIO-CRD-003": lambda: crd(
        lambda obj: [one.update(storage=one["name"] == "v1alpha1") for one in obj["spec"]["versions"]]
    ),
    "AIO-CRD-004": lambda: crd(lambda obj: obj["spec"].update(conversion={"strategy": "None"})),
    "AIO-CRD-005": lambda: crd(lambda obj: conversion(obj)["service"].update(name="aioctl-gone")),
    "AIO-CRD-006": lambda: with_schema(only("model", "template", "router")),
    "AIO-CRD-007": lambda: asking(managedFields=[OWNER]),
    "AIO-EXT-001": lambda: no_crd(kinds.HTTP_ROUTE.resource),
    "AIO-EXT-002": lambda: no_crd(kinds.POOL_V1.resource),
    "AIO-EXT-003": lambda: no_crd(kinds.POOL_V1.resource, kinds.POOL_V1ALPHA2.resource),
    "AIO-EXT-004": lambda: no_crd(
        kinds.LEADER_WORKER_SET.resource, change=lambda obj: obj["spec"].update(worker={"containers": []})
    ),
    "AIO-EXT-005": lambda: crd(
        lambda obj: [one.update(name="v1beta1") for one in obj["spec"]["versions"]],
        kinds.HTTP_ROUTE.resource,
    ),
    "AIO-EXT-006": lambda: no_crd(
        kinds.SCALED_OBJECT.resource, change=lambda obj: obj["spec"].update(scaling={"wva": {"keda": {}}})
    ),
    "AIO-HOOK-002": lambda: changed(
        kinds.VALIDATING_WEBHOOK,
        "llminferenceservice.serving.kserve.io",
        lambda obj: obj["webhooks"][0]["clientConfig"]["service"].update(name="aioctl-gone"),
    ),
    "AIO-HOOK-004": lambda: replace(healthy(), dry_runs=[DryRun(kinds.SERVICE, "", 2.5)]),
    "AIO-CERT-001": lambda: bundles(None, of=CRDS[1]),
    "AIO-CERT-002": lambda: bundles(base64.b64encode(b"no certificate").decode(), of=CRDS[1]),
    "AIO-CERT-003": lambda: bundles(authority(expired=True)),
    "AIO-CERT-004": lambda: bundles(
        base64.b64encode(
            base64.b64decode(conversion(dict(healthy().named(kinds.CRD, CRDS[0]) or {}))["caBundle"])
            + base64.b64decode(authority())
        ).decode(),
        of=CRDS[1],
    ),
    "AIO-CERT-005": lambda: bundles(authority()),
    "AIO-CERT-006": lambda: shows(leaf(days=-1)),
    "AIO-CERT-008": lambda: shows(leaf(days=3)),
    "AIO-RBAC-001": lambda: without(kinds.CLUSTER_ROLE_BINDING, "aioctl"),
    "AIO-RBAC-002": lambda: changed(
        kinds.CLUSTER_ROLE, "aioctl", lambda obj: obj.update(rules=less(obj["rules"]))
    ),
    "AIO-LEAD-001": lambda: replace(without(kinds.DEPLOYMENT, "aioctl"), leases=[]),
    "AIO-LEAD-002": lambda: changed(
        kinds.DEPLOYMENT, "aioctl", lambda obj: obj["status"].update(readyReplicas=0)
    ),
    "AIO-LEAD-004": lambda: replace(healthy(), leases=[lease(NOW - timedelta(hours=9))]),
    "AIO-LEAD-005": lambda: replace(
        healthy(), leases=[*healthy().leases, lease(NOW, "kserve-1", "opendatahub")]
    ),
    "AIO-LEAD-006": lambda: without(kinds.DEPLOYMENT, "aioctl"),
    "AIO-PRE-002": lambda: config(lambda obj: template(obj, "another")),
    "AIO-PRE-003": lambda: config(
        lambda obj: template(obj, "{{ Lookup .Name }}"),
    ),
    "AIO-PRE-004": lambda: replace(healthy(), settings_map=None),
    "AIO-PRE-005": lambda: replace(
        healthy(), settings_map={"data": {**SETTINGS, "localModel": '{"enabled": "yes"}'}}
    ),
    "AIO-GW-001": lambda: having(
        kinds.GATEWAY, [*(dict(one) for one in healthy().all(kinds.GATEWAY)), gateway("elsewhere")]
    ),
    "AIO-GW-003": lambda: changed(
        kinds.GATEWAY_CLASS, "istio", lambda obj: obj.update(status={"supportedFeatures": [{"name": "X"}]})
    ),
    "AIO-GW-004": lambda: refusing(kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2),
    "AIO-GW-005": lambda: refusing(kinds.POOL_GROUP_V1),
    "AIO-STORE-001": lambda: crd(lambda obj: obj.update(status={"storedVersions": ["v1alpha1", "v1alpha2"]})),
    "AIO-LEFT-001": lambda: stranger("kserve-webhook-server-service"),
    "AIO-LEFT-002": lambda: deployment("llmisvc-controller-manager"),
    "AIO-LEFT-003": lambda: changed(kinds.CLUSTER_ROLE, "kserve-llmisvc-manager-role", lambda _: None),
    "AIO-LEFT-004": combined,
    "AIO-FIN-001": lambda: service(keep),
    "AIO-FIN-002": lambda: service(going),
    "AIO-FIN-003": lambda: changed(kinds.HTTP_ROUTE, "one-kserve-route", keep),
}
"""Code -> a survey that has it."""


@pytest.mark.parametrize("code", SEEN)
def test_a_defect_in_the_survey_is_found_by_its_code(code: str) -> None:
    is_alone(code, check(SEEN[code]()))


def test_every_code_has_its_defect() -> None:
    of_installations = {code for code in CHECK if code.split("-")[1] not in ("TAKE", "FILE")}
    assert set(PLANTED) | set(SEEN) == of_installations
    assert len(of_installations) >= 30
    assert {code.split("-")[1] for code in CHECK} == set(GROUPS)


def test_a_controller_outside_of_the_cluster_is_worth_a_warning() -> None:
    """Its Deployment is not to be found, but it holds the lease: as `aioctl run` with a kubeconfig, and the demo."""
    found = [one for one in check(without(kinds.DEPLOYMENT, "aioctl")) if one.group == "LEAD"]
    assert [(one.grade, one.code.code) for one in found if one.code is not None] == [
        (Grade.WARNING, "AIO-LEAD-006")
    ]
    assert any(" leads, lease " in one.found for one in found)


# Permissions.


def test_a_right_that_is_missing_is_named_with_its_verbs_whoever_says_so() -> None:
    denied = [Permission("gateway.networking.k8s.io", "httproutes", verb) for verb in ("create", "update")]
    by_review = lines(check(replace(healthy(), denied=denied)), "RBAC")[0]
    assert by_review == (
        "ServiceAccount kserve/aioctl may not create, update httproutes.gateway.networking.k8s.io "
        "(by SubjectAccessReview)"
    )
    by_role = lines(check(SEEN["AIO-RBAC-002"]()), "RBAC")[0]
    assert by_role == (
        "ServiceAccount kserve/aioctl may not create, delete, update httproutes.gateway.networking.k8s.io "
        "(by its ClusterRoles)"
    )
    assert healthy().denied is None, "the embedded cluster has no SubjectAccessReview"


def test_a_review_asks_for_the_account_and_not_for_the_caller() -> None:
    account = account_of(healthy().all(kinds.DEPLOYMENT))
    assert account is not None
    spec = account.review(Permission("apps", "deployments/status", "get", "a", "n"))["spec"]
    assert spec["user"] == "system:serviceaccount:kserve:aioctl"
    assert spec["resourceAttributes"] == {
        "group": "apps",
        "resource": "deployments",
        "subresource": "status",
        "verb": "get",
        "name": "a",
        "namespace": "n",
    }
    url = account.review(Permission("", "", "get", url="/metrics"))["spec"]
    assert url["nonResourceAttributes"] == {"path": "/metrics", "verb": "get"}
    assert REVIEW.path() == "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def test_the_secret_of_mode_files_is_the_one_that_is_mounted() -> None:
    pod = {
        "containers": [{"volumeMounts": [{"name": "cert", "mountPath": "/tmp/certs/"}]}],
        "volumes": [{"name": "state"}, {"name": "cert", "secret": {"secretName": "mine"}}],
    }
    obj = {"spec": {"template": {"spec": pod}}}
    assert mounted_secret(obj, "/tmp/certs") == "mine"
    assert mounted_secret(obj, "/elsewhere") == ""
    assert mounted_secret(None, "/tmp/certs") == ""
    assert WHERE.secret == ObjectKey(SYSTEM, "aioctl-webhook-cert")


# Presets.


@pytest.mark.parametrize(("folder", "release"), [("presets", OPENDATAHUB), ("upstream/presets", KSERVE)])
def test_the_presets_of_earlier_releases_are_known(folder: str, release: str) -> None:
    found = [one for several in shared_data.documents(f"{folder}/*.yaml").values() for one in several if one]
    assert len(found) >= 8
    of = {one["metadata"]["name"]: RELEASES.get(digest(one)) for one in found}
    assert set(of.values()) == {release}, of
    stored = next(one for one in found if one["metadata"]["name"] == "kserve-config-llm-template")
    facts = config(lambda obj: obj.update(spec=stored["spec"]))
    assert f"kserve/kserve-config-llm-template is that of {release}, used by demo/one" in lines(
        check(facts), "PRE"
    )


def test_what_the_api_server_fills_in_does_not_make_another_preset() -> None:
    given = {"spec": {"template": {"containers": [{"name": "main", "ports": [{"containerPort": 1}]}]}}}
    stored = deepcopy(given)
    stored["spec"]["template"]["containers"][0]["ports"][0]["protocol"] = "TCP"  # type: ignore[index]
    assert digest(stored) == digest(given)
    stored["spec"]["template"]["containers"][0]["ports"][0]["protocol"] = "UDP"  # type: ignore[index]
    assert digest(stored) != digest(given)

"""The controller as it ships, with the shipped account's token: it does its whole work, and needs all that it is granted."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.names import COMPONENT, PART_OF, PART_OF_VALUE
from aioctl.api.objects import labels_of, name_of, namespace_of
from aioctl.plan import monitoring
from tests.deploy.manifests import DEPLOY, NAMESPACE
from tests.real_install import services
from tests.real_install.installation import TEAM, Installation, players
from tests.real_install.replica import until

pytestmark = pytest.mark.real
PRESETS = len(list((DEPLOY / "presets").glob("config-*.yaml")))
MONITORS = (kinds.POD_MONITOR, kinds.SERVICE_MONITOR)
CHILDREN = (
    kinds.CORE_SERVICE,
    kinds.SECRET,
    kinds.SERVICE_ACCOUNT,
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.DESTINATION_RULE,
    *MONITORS,
)
LABELLED = tuple(
    kind
    for kind in CHILDREN
    # The others are watched whole, and monitors are made again only when they are gone.
    if kind not in (kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2, *MONITORS)
)
"""What is watched by its label: without it, it looks as if it were gone."""
SHARED = monitoring.LABELS[COMPONENT]
EVERYONE = [*services.SHAPES, services.OLD]
DENIED = 'admission webhook "{}" denied the request: '
BAD_PARALLELISM = (
    'LLMInferenceService.serving.kserve.io "bad" is invalid: spec.parallelism.dataLocal: Invalid value: null: '
    "dataLocal must be set when data is set"
)
SERVICE_WEBHOOKS = {
    kinds.SERVICE: "llminferenceservice.kserve-webhook-server.v1alpha2.validator",
    kinds.SERVICE_V1ALPHA1: "llminferenceservice.kserve-webhook-server.v1alpha1.validator",
}
CONFIG_WEBHOOKS = {
    kinds.CONFIG: "llminferenceserviceconfig.kserve-webhook-server.v1alpha2.validator",
    kinds.CONFIG_V1ALPHA1: "llminferenceserviceconfig.kserve-webhook-server.v1alpha1.validator",
}


@pytest.fixture(scope="module")
def fleet(installation: Installation) -> Iterator[Installation]:
    """Presets, a gateway, and one service of each shape, all of them at work."""
    installation.run(2)
    assert len(installation.kubectl.apply(kustomize=DEPLOY / "presets").objects) == PRESETS
    for kind, namespace, body in services.gateway_objects():
        installation.create(kind, namespace, body)
    with players(installation.cluster, installation.cluster.folder):
        installation.create(kinds.POOL_V1, TEAM, services.external_pool())
        for name, spec in services.SHAPES.items():
            installation.create(kinds.SERVICE, TEAM, services.service(name, spec))
        old = services.service(services.OLD, services.OLD_SPEC, version=kinds.V1ALPHA1)
        installation.create(kinds.SERVICE_V1ALPHA1, TEAM, old)
        broken = services.service("broken", {"baseRefs": [{"name": "absent"}]})
        installation.create(kinds.SERVICE, TEAM, broken)
        yield installation


def contains(found: Any, wanted: Any) -> bool:
    """Everything wanted is there; defaults may have been added."""
    if isinstance(wanted, dict):
        return all(key in found and contains(found[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(contains, found, wanted))
    return bool(found == wanted)


def children(installation: Installation, kind: Kind) -> list[dict[str, Any]]:
    """What carries our label, by name."""
    selector = f"{PART_OF}={PART_OF_VALUE}"
    answer = installation.admin("GET", kind.path(TEAM if kind.namespaced else ""), labelSelector=selector)
    assert answer.status == 200, answer.body
    return sorted(answer.body["items"], key=name_of)


def relabel(installation: Installation, kind: Kind, label: str, value: str | None) -> tuple[str, str]:
    """Gives one child of one service another label; answers its name and what it had.

    What all services of a namespace share is left out: it counts as there when a creation meets it.
    """
    chosen = next(
        obj for obj in children(installation, kind) if kind in MONITORS or labels_of(obj)[COMPONENT] != SHARED
    )
    patch = {"metadata": {"labels": {label: value}}}
    assert installation.patch(kind, namespace_of(chosen), name_of(chosen), patch).status == 200
    return name_of(chosen), labels_of(chosen)[label]


def until_label_is(installation: Installation, kind: Kind, name: str, label: str, value: str) -> None:
    namespace = TEAM if kind.namespaced else ""
    path = kind.path(namespace, name)
    until(
        # For a moment there may be none: it is made anew.
        lambda: labels_of(installation.admin("GET", path).body).get(label) == value,
        f"{kind.kind} {name} has {label} again",
    )


def test_everything_was_applied_without_a_warning(installation: Installation) -> None:
    assert installation.applied.warnings == ""


def test_a_service_of_each_shape_gets_ready_and_is_migrated(fleet: Installation) -> None:
    services.until_ready(fleet, EVERYONE)


def test_what_was_written_in_the_old_version_is_read_in_both(fleet: Installation) -> None:
    assert contains(fleet.get(kinds.SERVICE_V1ALPHA1, TEAM, services.OLD)["spec"], services.OLD_SPEC)
    (stored,) = (obj for name, obj in fleet.stored(kinds.SERVICE, TEAM).items() if name == services.OLD)
    assert stored["apiVersion"] == kinds.V1ALPHA2
    found = fleet.get(kinds.SERVICE, TEAM, services.OLD)
    assert found["metadata"]["annotations"]["serving.kserve.io/criticality"] == "Sheddable"
    assert found["spec"]["router"]["scheduler"]["pool"]["spec"]["targetPorts"] == [{"number": 8000}]


def test_a_service_of_the_new_version_is_edited_in_the_old_one(fleet: Installation) -> None:
    patch = {"spec": {"model": {"criticality": "Standard"}}}
    assert fleet.patch(kinds.SERVICE_V1ALPHA1, TEAM, "single", patch).status == 200
    found = fleet.get(kinds.SERVICE, TEAM, "single")
    assert found["metadata"]["annotations"]["serving.kserve.io/criticality"] == "Standard"
    assert contains(found["spec"], services.SHAPES["single"])


@pytest.mark.parametrize("kind", SERVICE_WEBHOOKS, ids=lambda kind: str(kind.version))
def test_a_bad_service_is_refused_with_the_exact_text(fleet: Installation, kind: Kind) -> None:
    bad = services.service("bad", {"parallelism": {"data": 2}}, version=kind.api_version)
    answer = fleet.admin("POST", kind.path(TEAM), bad)
    assert answer.status == 422
    assert answer.message == DENIED.format(SERVICE_WEBHOOKS[kind]) + BAD_PARALLELISM
    assert answer.fields == ["spec.parallelism.dataLocal"]
    bad = services.service("bad", {"model": {"uri": "oci://image:tag"}}, version=kind.api_version)
    answer = fleet.admin("POST", kind.path(TEAM), bad)
    assert answer.status == 400
    assert answer.message == (
        DENIED.format(SERVICE_WEBHOOKS[kind]) + 'parse "oci://image:tag": invalid port ":tag" after host'
    )


@pytest.mark.parametrize("kind", CONFIG_WEBHOOKS, ids=lambda kind: str(kind.version))
def test_a_bad_config_is_refused_with_the_exact_text(fleet: Installation, kind: Kind) -> None:
    bad = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "bad"},
        "spec": {"baseRefs": [{"name": "other"}]},
    }
    answer = fleet.admin("POST", kind.path(TEAM), bad)
    assert answer.status == 422
    assert "support for recursive refs has been disabled" in answer.message
    assert answer.fields == ["spec.baseRefs"]


def test_users_are_warned_of_traps(fleet: Installation) -> None:
    pool = {**services.external_pool()["spec"], "targetPorts": [{"number": 8000}, {"number": 8001}]}
    trap = services.service("trap", {"router": {**services.ROUTER, "scheduler": {"pool": {"spec": pool}}}})
    answer = fleet.admin("POST", kinds.SERVICE.path(TEAM), trap, dryRun="All")
    assert answer.status == 201, answer.body
    assert any("targetPorts has 2 ports" in warning for warning in answer.warnings)
    old = services.service("trap", {}, version=kinds.V1ALPHA1)
    answer = fleet.admin("POST", kinds.SERVICE_V1ALPHA1.path(TEAM), old, dryRun="All")
    assert any("is deprecated" in warning for warning in answer.warnings)
    preset = fleet.admin("DELETE", kinds.CONFIG.path(NAMESPACE, "kserve-config-llm-template"), dryRun="All")
    assert preset.status == 403
    assert preset.message.endswith(
        f"well-known config {NAMESPACE}/kserve-config-llm-template cannot be deleted"
    )


def asked(installation: Installation, kind: Kind) -> float:
    """Reviews of services that the webhook of that version has had."""
    path = f"/validate-serving-kserve-io-{kind.version}-{kind.kind.lower()}"
    return sum(
        series.value
        for replica in installation.replicas
        for series in replica.metrics("aioctl_webhook_calls_total", path=path)
    )


def set_match_policy(installation: Installation, policy: str) -> None:
    for kind in (kinds.SERVICE, kinds.CONFIG):
        name = f"{kind.kind.lower()}.serving.kserve.io"
        patch = [
            {"op": "replace", "path": f"/webhooks/{index}/matchPolicy", "value": policy} for index in (0, 1)
        ]
        assert installation.patch(kinds.VALIDATING_WEBHOOK, "", name, patch).status == 200


def test_webhooks_see_their_own_version_and_with_equivalent_every_write(fleet: Installation) -> None:
    good = services.service("good", {}, version=kinds.V1ALPHA1)
    path = kinds.SERVICE_V1ALPHA1.path(TEAM)

    def other_webhook_is_asked() -> bool:
        before = asked(fleet, kinds.SERVICE)
        answer = fleet.admin("POST", path, good, dryRun="All")
        assert answer.status == 201, answer.body
        return asked(fleet, kinds.SERVICE) > before

    # The controller's own writes are reviewed, too, as long as it has any.
    until(lambda: not other_webhook_is_asked(), "the webhooks are called for their own version")
    set_match_policy(fleet, "Equivalent")
    try:
        until(other_webhook_is_asked, "the webhooks are called for every version")
        for kind, own in SERVICE_WEBHOOKS.items():
            bad = services.service("bad", {"parallelism": {"data": 2}}, version=kind.api_version)
            answer = fleet.admin("POST", kind.path(TEAM), bad)
            assert answer.status == 422
            expected = {DENIED.format(name) + BAD_PARALLELISM for name in SERVICE_WEBHOOKS.values()}
            assert answer.message in expected, own
    finally:
        set_match_policy(fleet, "Exact")
    until(lambda: not other_webhook_is_asked(), "they are called for their own version again")


def test_children_that_somebody_changed_are_put_right(fleet: Installation) -> None:
    changed = {kind: relabel(fleet, kind, COMPONENT, "changed") for kind in CHILDREN}
    for kind, (name, before) in changed.items():
        until_label_is(fleet, kind, name, COMPONENT, before)


def test_children_that_lost_our_label_are_found_again(fleet: Installation) -> None:
    changed = {kind: relabel(fleet, kind, PART_OF, None) for kind in LABELLED}
    for kind, (name, before) in changed.items():
        until_label_is(fleet, kind, name, PART_OF, before)


def test_the_ca_bundle_is_copied_into_the_services_namespace(fleet: Installation) -> None:
    source = {"metadata": {"name": "bundle"}, "data": {"cabundle.crt": "first"}}
    fleet.create(kinds.CONFIG_MAP, NAMESPACE, source)
    name = "inferenceservice-config"
    storage = json.loads(fleet.get(kinds.CONFIG_MAP, NAMESPACE, name)["data"]["storageInitializer"])
    configured = {"data": {"storageInitializer": json.dumps({**storage, "caBundleConfigMapName": "bundle"})}}
    assert fleet.patch(kinds.CONFIG_MAP, NAMESPACE, name, configured).status == 200
    path = kinds.CONFIG_MAP.path(TEAM, "global-ca-bundle")

    def copied() -> str:
        return str(fleet.admin("GET", path).body.get("data", {}).get("cabundle.crt"))

    until(lambda: copied() == "first", "the bundle is copied")
    assert (
        fleet.patch(kinds.CONFIG_MAP, TEAM, "global-ca-bundle", {"data": {"cabundle.crt": "x"}}).status == 200
    )

    def is_copied_again() -> bool:
        # Nobody watches users' ConfigMaps: what was read of them is used for half a minute.
        touch = {"metadata": {"annotations": {"example.com/touched": str(time.monotonic())}}}
        assert fleet.patch(kinds.SERVICE, TEAM, "single", touch).status == 200
        return copied() == "first"

    until(is_copied_again, "the bundle is copied again", pause=1)


def test_what_a_service_no_longer_needs_is_removed(fleet: Installation) -> None:
    services.until_ready(fleet, EVERYONE)
    assert (
        fleet.patch(kinds.SERVICE, TEAM, "disaggregated", {"spec": {"router": None, "prefill": None}}).status
        == 200
    )
    assert fleet.patch(kinds.SERVICE, TEAM, "multi-node", {"spec": {"worker": None}}).status == 200
    left = (kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2, kinds.MODEL, kinds.ROLE, kinds.ROLE_BINDING)

    def gone() -> bool:
        names = [name_of(obj) for kind in left for obj in children(fleet, kind)]
        return not any(name.startswith("disaggregated") for name in names)

    until(gone, "router and scheduler are gone")
    until(lambda: not children(fleet, kinds.LEADER_WORKER_SET), "the worker group is gone")


def test_services_go_and_leave_nothing_that_nobody_owns(fleet: Installation) -> None:
    for name in [*EVERYONE, "broken"]:
        assert fleet.admin("DELETE", kinds.SERVICE.path(TEAM, name)).status == 200
    until(lambda: not fleet.admin("GET", kinds.SERVICE.path(TEAM)).body["items"], "the services are gone")
    failures = [line["error"] for replica in fleet.replicas for line in replica.said("reconcile failed")]
    assert [text for text in failures if "failed to update finalizers" in text] == []
    shared = (kinds.CLUSTER_ROLE_BINDING, *MONITORS, kinds.HTTP_ROUTE)
    assert [name_of(obj) for kind in shared for obj in children(fleet, kind)] == []

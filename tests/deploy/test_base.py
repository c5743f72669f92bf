"""The manifests beside the program: every name, port, path and permission that both must agree on.

Rules: ADM-1, CRD-2, RBAC-1.
"""

import re

from aioctl import settings as knobs
from aioctl.api import kinds, names
from aioctl.app import ADMISSION_PATHS, MUTATION_PATHS
from aioctl.plan.config import parse_config
from aioctl.settings import CertMode, Settings
from aioctl.upkeep.webhook_certificates import TARGETS, bundle_patch
from tests.deploy.manifests import (
    ACCOUNT,
    BASE,
    DEPLOY,
    NAMESPACE,
    container,
    deployment,
    documents,
    find,
    permissions,
    urls,
)
from tests.deploy.needed import needed

WEBHOOKS = documents(BASE / "webhooks.yaml")
CLUSTER_ROLE = find(BASE / "cluster-role.yaml", "ClusterRole")
ROLE = find(BASE / "role.yaml", "Role")


def environment() -> dict[str, str]:
    fields = {"metadata.namespace": NAMESPACE, "metadata.name": "aioctl-0"}
    return {
        entry["name"]: entry["value"]
        if "value" in entry
        else fields[entry["valueFrom"]["fieldRef"]["fieldPath"]]
        for entry in container()["env"]
    }


def shipped() -> Settings:
    loaded, warnings = knobs.load(environment())
    assert warnings == []
    return loaded


def test_the_environment_is_one_the_program_understands() -> None:
    settings = shipped()
    assert settings.namespace == NAMESPACE
    assert settings.cert_mode is CertMode.SELF
    assert settings.auth_disabled
    assert not settings.monitoring_disabled


def test_ports_are_those_the_program_listens_on() -> None:
    settings = shipped()
    assert {port["name"]: port["containerPort"] for port in container()["ports"]} == {
        "webhook": settings.webhook_port,
        "metrics": settings.metrics_port,
        "health": settings.health_port,
    }


def test_services_lead_to_those_ports() -> None:
    selector = deployment()["spec"]["selector"]["matchLabels"]
    ports = {port["name"] for port in container()["ports"]}
    for service in documents(BASE / "services.yaml"):
        assert service["spec"]["selector"] == selector
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    webhook = find(BASE / "services.yaml", "Service", shipped().cert_service)
    assert [(port["port"], port["targetPort"]) for port in webhook["spec"]["ports"]] == [(443, "webhook")]


def test_probes_ask_the_health_port_and_wait_longer_than_a_check() -> None:
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container()[probe]["httpGet"] == {"path": path, "port": "health"}
        assert container()[probe]["timeoutSeconds"] > 4


def test_a_stopping_pod_has_time_for_its_drain() -> None:
    pause = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert (
        deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
        > pause + 2 * shipped().drain
    )


def test_memory_is_limited_and_cpu_is_not() -> None:
    limits = container()["resources"]["limits"]
    assert set(limits) == {"memory"}
    mebibytes = int(re.fullmatch(r"(\d+)Mi", limits["memory"]).group(1))  # type: ignore[union-attr]
    assert mebibytes << 20 >= 4 * shipped().conversion_body_limit + (256 << 20)


def test_two_replicas_of_which_one_always_stays() -> None:
    spec = deployment()["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = find(BASE / "disruption-budget.yaml", "PodDisruptionBudget")["spec"]
    assert (budget["minAvailable"], budget["selector"]) == (1, spec["selector"])


def test_nothing_of_ours_is_watched_as_a_child() -> None:
    for path in BASE.glob("*.yaml"):
        for document in documents(path):
            labels = document.get("metadata", {}).get("labels", {})
            assert labels.get(names.PART_OF) != names.PART_OF_VALUE


def test_the_image_is_named_with_a_version() -> None:
    assert re.fullmatch(r"[^:@]+:\d+\.\d+\.\d+", container()["image"])


def test_webhooks_call_every_path_once_and_for_its_own_version() -> None:
    called = {}
    for webhook in (webhook for item in WEBHOOKS for webhook in item["webhooks"]):
        (rule,) = webhook["rules"]
        ((version,), (plural,)) = rule["apiVersions"], rule["resources"]
        called[webhook["clientConfig"]["service"]["path"]] = (version, plural)
    kind_of = {kinds.SERVICE.kind: kinds.SERVICE, kinds.CONFIG.kind: kinds.CONFIG}
    validating = {path: (version, kind_of[kind].plural) for path, (version, kind) in ADMISSION_PATHS.items()}
    mutating = {path: (version, kinds.SERVICE.plural) for path, version in MUTATION_PATHS.items()}
    assert called == {**validating, **mutating}


def test_webhooks_keep_the_names_that_clients_see() -> None:
    seen = {
        (item["kind"], item["metadata"]["name"]): [webhook["name"] for webhook in item["webhooks"]]
        for item in WEBHOOKS
    }
    assert seen == {
        (f"{prefix}WebhookConfiguration", f"{kind}.serving.kserve.io"): [
            f"{kind}.kserve-webhook-server.{version}.{role}"
            for role in roles
            for version in ("v1alpha1", "v1alpha2")
        ]
        for prefix, kind, roles in (
            ("Validating", "llminferenceservice", ["validator"]),
            ("Validating", "llminferenceserviceconfig", ["validator", "deletion"]),
            ("Mutating", "llminferenceservice", ["defaulter"]),
        )
    }


def test_webhooks_refuse_what_is_written_when_nobody_answers_and_match_their_version_only() -> None:
    for webhook in (webhook for item in WEBHOOKS for webhook in item["webhooks"]):
        deletes = webhook["name"].endswith(".deletion")
        assert webhook["failurePolicy"] == ("Ignore" if deletes else "Fail")
        assert webhook["matchPolicy"] == "Exact"
        assert webhook["sideEffects"] == "None"
        assert webhook["timeoutSeconds"] == (5 if deletes else 10)
        assert webhook["admissionReviewVersions"] == ["v1", "v1beta1"]


def test_a_service_is_changed_and_judged_when_it_is_written_and_a_preset_looked_at_when_it_goes() -> None:
    operations = {
        (item["kind"], item["metadata"]["name"]): {
            tuple(rule["operations"]) for hook in item["webhooks"] for rule in hook["rules"]
        }
        for item in WEBHOOKS
    }
    assert operations == {
        ("ValidatingWebhookConfiguration", "llminferenceservice.serving.kserve.io"): {("CREATE", "UPDATE")},
        ("ValidatingWebhookConfiguration", "llminferenceserviceconfig.serving.kserve.io"): {
            ("CREATE", "UPDATE"),
            ("DELETE",),
        },
        ("MutatingWebhookConfiguration", "llminferenceservice.serving.kserve.io"): {("CREATE", "UPDATE")},
    }


def test_the_ca_bundle_finds_its_way_into_every_client_of_ours() -> None:
    clients = WEBHOOKS + [
        item for path in (DEPLOY / "crds").glob("serving.*.yaml") for item in documents(path)
    ]
    assert {(item["kind"], item["metadata"]["name"]) for item in clients} == {
        (target.kind.kind, target.name) for target in TARGETS
    }
    for item in clients:
        patch = bundle_patch(item, b"pem", shipped().cert_service, NAMESPACE)
        assert len([step for step in patch if step["op"] == "add"]) == len(item.get("webhooks", [item]))


def test_the_configuration_can_be_read() -> None:
    config = parse_config(find(BASE / "configmap.yaml", "ConfigMap"), NAMESPACE)
    assert config.ingress_gateway_namespace == "kserve"
    assert config.ingress_gateway_name == "kserve-ingress-gateway"
    assert config.storage.memory_limit == "1Gi"
    assert config.credentials.storage_secret_name_annotation == "serving.kserve.io/storageSecretName"


def test_the_roles_hold_what_is_needed() -> None:
    held = {*permissions(CLUSTER_ROLE), *permissions(ROLE)}
    assert sorted(map(str, needed() - held)) == []


def test_the_roles_hold_nothing_else() -> None:
    held = [*permissions(CLUSTER_ROLE), *permissions(ROLE)]
    assert sorted(map(str, set(held) - needed())) == []
    assert len(held) == len(set(held)), "a permission is given twice"


def test_metrics_may_be_read_because_they_are_handed_out() -> None:
    reader = find(BASE / "metrics-reader.yaml", "ClusterRole")
    assert reader["metadata"]["name"] == "kserve-metrics-reader-cluster-role"
    assert urls(reader) == urls(CLUSTER_ROLE) == {("get", "/metrics")}


def test_no_role_may_do_more_than_it_says() -> None:
    verbs = {item.verb for item in (*permissions(CLUSTER_ROLE), *permissions(ROLE))}
    assert verbs <= {"get", "list", "watch", "create", "update", "patch", "delete"}


def test_the_account_is_bound_to_both_roles() -> None:
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    for kind, role in (("ClusterRoleBinding", CLUSTER_ROLE), ("RoleBinding", ROLE)):
        bound = find(BASE / "service-account.yaml", kind)
        assert bound["subjects"] == [subject]
        assert (bound["roleRef"]["kind"], bound["roleRef"]["name"]) == (
            role["kind"],
            role["metadata"]["name"],
        )
    assert deployment()["spec"]["template"]["spec"]["serviceAccountName"] == ACCOUNT

"""deploy/ on a real API server: everything is accepted as written, and the shipped account may do what it has to, no more."""

import copy
import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml

from aioctl.api import kinds
from aioctl.plan import monitoring
from aioctl.upkeep.webhook_certificates import TARGETS, bundle_patch
from testbed.real.api import Api
from testbed.real.cluster import RealCluster
from testbed.real.kubectl import Applied, Kubectl
from tests.deploy.manifests import ACCOUNT, DEPLOY, NAMESPACE, Permission, deployment
from tests.deploy.needed import HANDED_OUT, needed

pytestmark = pytest.mark.real
OVERLAYS = ("beside-kserve", "cert-manager", "openshift")
TEAM = "team"
RBAC = "rbac.authorization.k8s.io"
ELSEWHERE = {"cert-manager": ("Issuer", "Certificate"), "openshift": (), "beside-kserve": ()}
"""Kinds whose CRDs are not ours to install; there they are only rendered."""


@pytest.fixture(scope="module")
def installed(own_kubectl: Kubectl) -> Applied:
    """What applying the base said."""
    applied = own_kubectl.apply(kustomize=DEPLOY / "base")
    own_kubectl.wait_until_served(applied)
    own_kubectl("create", "namespace", TEAM)
    return applied


@pytest.fixture
def admin(own_real_cluster: RealCluster, installed: Applied) -> Api:
    return Api(own_real_cluster)


@pytest.fixture
def account(own_real_cluster: RealCluster, installed: Applied) -> Api:
    """The API server as the shipped ServiceAccount sees it."""
    return Api(own_real_cluster, f"{NAMESPACE}:{ACCOUNT}")


@cache
def rendered(kubectl: Kubectl, folder: Path) -> list[Any]:
    return list(yaml.load_all(kubectl("kustomize", str(folder)), yaml.CSafeLoader))


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def test_the_base_is_applied_without_a_warning(installed: Applied) -> None:
    assert installed.warnings == ""
    assert {name.partition("/")[0].partition(".")[0] for name in installed.objects} == {
        "clusterrole",
        "clusterrolebinding",
        "configmap",
        "customresourcedefinition",
        "deployment",
        "namespace",
        "poddisruptionbudget",
        "role",
        "rolebinding",
        "service",
        "serviceaccount",
        "mutatingwebhookconfiguration",
        "validatingwebhookconfiguration",
    }


def test_what_is_applied_is_what_is_stored(own_kubectl: Kubectl, installed: Applied) -> None:
    """Nothing is pruned or rewritten: a second apply of the rendered text changes no generation."""
    done = own_kubectl.run("diff", "--server-side", f"--kustomize={DEPLOY / 'base'}")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_second_apply_leaves_the_ca_bundles_alone(own_kubectl: Kubectl, admin: Api) -> None:
    """What the account has written stays when somebody applies the base anew, as every upgrade does."""
    bundle = trustme.CA().cert_pem.bytes()
    as_account = own_kubectl.as_account(admin.cluster, NAMESPACE, ACCOUNT)
    for target in TARGETS:
        live = admin("GET", target.kind.path("", target.name)).body
        patch = json.dumps(bundle_patch(live, bundle, "aioctl-webhook", NAMESPACE))
        as_account("patch", target.kind.resource, target.name, "--type=json", f"--patch={patch}")
    own_kubectl.apply(kustomize=DEPLOY / "base")
    for target in TARGETS:
        live = admin("GET", target.kind.path("", target.name)).body
        assert bundle_patch(live, bundle, "aioctl-webhook", NAMESPACE) == [], str(target)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_rendered_and_fits_the_schemas(
    own_kubectl: Kubectl, installed: Applied, overlay: str
) -> None:
    documents = rendered(own_kubectl, DEPLOY / "overlays" / overlay)
    namespaces = {item["metadata"].get("namespace") for item in documents} - {None}
    (namespace,) = namespaces
    own_kubectl.run("create", "namespace", namespace)
    left_out = [item for item in documents if item["kind"] in ELSEWHERE[overlay]]
    assert len(left_out) == (4 if overlay == "cert-manager" else 0)
    # The CRDs are the base's but for an annotation, and four megabytes.
    known = [item for item in documents if item not in left_out and item["kind"] != kinds.CRD.kind]
    done = own_kubectl.run(
        "apply", "--server-side", "--validate=strict", "--dry-run=server", "--force-conflicts", "--filename=-",
        stdin="\n---\n".join(json.dumps(item) for item in known),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_openshift_keeps_the_platforms_namespace_and_configuration(own_kubectl: Kubectl) -> None:
    for overlay in ("openshift", "beside-kserve"):
        shown = {item["kind"] for item in rendered(own_kubectl, DEPLOY / "overlays" / overlay)}
        assert shown.isdisjoint({"Namespace", "ConfigMap"})


@pytest.mark.parametrize("overlay", ["base", "overlays/cert-manager"])
def test_another_namespace_is_one_line(own_kubectl: Kubectl, tmp_path: Path, overlay: str) -> None:
    copied = shutil.copytree(DEPLOY, tmp_path / "deploy")
    file = copied / overlay / "kustomization.yaml"
    file.write_text(file.read_text().replace("namespace: kserve", "namespace: elsewhere"))
    for item in rendered(own_kubectl, copied / overlay):
        if item["kind"] == "ConfigMap":
            continue  # names a Gateway that is somebody else's
        left = [
            text
            for text in strings(item)
            if text == "kserve" or "kserve.svc" in text or text.startswith("kserve/")
        ]
        assert left == [], item["metadata"]["name"]


def test_components_join_an_overlay_and_its_namespace(
    own_kubectl: Kubectl, installed: Applied, tmp_path: Path
) -> None:
    copied = shutil.copytree(DEPLOY, tmp_path / "deploy")
    overlay = copied / "overlays" / "ours"
    overlay.mkdir()
    components = [f"../../components/{name}" for name in ("network-policy", "monitoring", "metrics-auth")]
    text = {"namespace": "elsewhere", "resources": ["../../base"], "components": components}
    (overlay / "kustomization.yaml").write_text(json.dumps(text))
    added = [
        item
        for item in rendered(own_kubectl, overlay)
        if item["kind"] in {"NetworkPolicy", "ServiceMonitor", "PrometheusRule"}
    ]
    assert {(item["kind"], item["metadata"]["namespace"]) for item in added} == {
        ("NetworkPolicy", "elsewhere"),
        ("ServiceMonitor", "elsewhere"),
        ("PrometheusRule", "elsewhere"),
    }
    # The other two kinds are the Prometheus operator's, whose CRDs are not ours to install.
    (policy,) = (item for item in added if item["kind"] == "NetworkPolicy")
    policy["metadata"]["namespace"] = TEAM
    done = own_kubectl.run(
        "apply", "--server-side", "--validate=strict", "--dry-run=server", "--filename=-",
        stdin=json.dumps(policy),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_certificates_of_others_are_mounted_where_the_program_looks(own_kubectl: Kubectl) -> None:
    for overlay, mark in (
        ("cert-manager", "cert-manager.io/inject-ca-from"),
        ("openshift", "service.beta.openshift.io/inject-cabundle"),
    ):
        documents = rendered(own_kubectl, DEPLOY / "overlays" / overlay)
        marked = [item for item in documents if mark in item["metadata"].get("annotations", {})]
        assert sorted((item["kind"], item["metadata"]["name"]) for item in marked) == sorted(
            (target.kind.kind, target.name) for target in TARGETS
        )
        (pod,) = (item["spec"]["template"]["spec"] for item in documents if item["kind"] == "Deployment")
        assert pod["volumes"][0]["secret"]["secretName"] == "aioctl-webhook-cert"
        assert {"name": "AIOCTL_CERT_MODE", "value": "files"} in pod["containers"][0]["env"]


def test_the_pod_fits_the_restricted_profile(admin: Api) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": labels}}
    assert admin("POST", kinds.NAMESPACE.path(), body).status == 201
    template = copy.deepcopy(deployment()["spec"]["template"])
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "aioctl", "namespace": "restricted", **template["metadata"]},
        "spec": template["spec"],
    }
    answer = admin.try_create(kinds.POD.path("restricted"), pod)
    assert (answer.status, answer.warnings) == (201, ()), answer.body


@pytest.mark.parametrize("permission", sorted(needed()), ids=str)
def test_the_account_may_do_what_it_has_to(account: Api, permission: Permission) -> None:
    assert account.allowed(
        permission.verb,
        permission.group,
        permission.resource,
        namespace=permission.namespace or ("" if permission.name else TEAM),
        name=permission.name,
    )


@pytest.mark.parametrize(
    ("verb", "group", "resource", "namespace", "name"),
    [
        ("create", "", "pods", TEAM, ""),
        (
            "patch",
            "apiextensions.k8s.io",
            "customresourcedefinitions",
            "",
            "gateways.gateway.networking.k8s.io",
        ),
        ("patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", "somebody-elses"),
        ("escalate", RBAC, "roles", TEAM, ""),
        ("bind", RBAC, "clusterroles", "", "cluster-admin"),
        ("delete", "serving.kserve.io", "llminferenceservices", TEAM, ""),
    ],
)
def test_the_account_may_not_do_more(
    account: Api, verb: str, group: str, resource: str, namespace: str, name: str
) -> None:
    assert not account.allowed(verb, group, resource, namespace=namespace, name=name)


def role(name: str, rules: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": TEAM}, "rules": list(rules)}


def binding(name: str, role_kind: str, role_name: str, namespace: str = TEAM) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": role_name},
        "subjects": [{"kind": "ServiceAccount", "name": "somebody", "namespace": TEAM}],
    }


@pytest.mark.parametrize("what", ["the endpoint picker's role", "the routing side-car's role"])
def test_the_account_may_hand_out_roles(account: Api, what: str) -> None:
    name = what.split()[1].replace("'s", "")
    assert account("POST", kinds.ROLE.path(TEAM), role(name, HANDED_OUT[what])).status == 201
    answer = account("POST", kinds.ROLE_BINDING.path(TEAM), binding(name, "Role", name))
    assert answer.status == 201, answer.body


@pytest.mark.parametrize("cluster_role", ["system:auth-delegator", monitoring._READER_ROLE])
def test_the_account_may_bind_cluster_roles_that_exist(account: Api, cluster_role: str) -> None:
    name = cluster_role.replace(":", "-")
    body = binding(name, "ClusterRole", cluster_role, namespace="")
    answer = account("POST", kinds.CLUSTER_ROLE_BINDING.path(), body)
    assert answer.status == 201, answer.body


def test_the_account_may_not_hand_out_what_it_has_not(account: Api) -> None:
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    answer = account("POST", kinds.ROLE.path(TEAM), role("nodes", rules))
    assert answer.status == 403
    assert "attempting to grant RBAC permissions not currently held" in answer.message
    body = binding("admin", "ClusterRole", "cluster-admin", namespace="")
    assert account("POST", kinds.CLUSTER_ROLE_BINDING.path(), body).status == 403


def test_a_token_of_the_account_opens_the_door(
    own_kubectl: Kubectl, own_real_cluster: RealCluster, installed: Applied
) -> None:
    as_account = own_kubectl.as_account(own_real_cluster, NAMESPACE, ACCOUNT)
    who = json.loads(as_account("auth", "whoami", "--output=json"))
    assert who["status"]["userInfo"]["username"] == f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    assert as_account("get", "pods", "--all-namespaces") == ""


def test_without_a_controller_nothing_of_ours_is_written(admin: Api) -> None:
    """failurePolicy Fail: nobody answers here, so nobody's mistake can slip in."""
    body = {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": "early", "namespace": TEAM},
        "spec": {},
    }
    answer = admin("POST", kinds.SERVICE.path(TEAM), body)
    assert answer.status == 500
    assert (
        "llminferenceservice.kserve-webhook-server.v1alpha2.defaulter" in answer.message
    )  # it is asked first

"""A run of the bench as a guest on a real API server: what was there before is there afterwards to the byte."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from testbed.real.cluster import RealCluster
from testbed.real.kubectl import Kubectl

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 600.0
THEIRS = """
apiVersion: v1
kind: Namespace
metadata: {name: somebody}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: theirs, namespace: somebody}
data: {a: b}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: theirs-kserve, namespace: somebody, labels: {app.kubernetes.io/part-of: llminferenceservice}}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: a}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: theirs}
spec: {controllerName: example.com/theirs}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: theirs, namespace: somebody}
spec: {gatewayClassName: theirs, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: theirs, namespace: somebody}
spec:
  parentRefs: [{name: theirs}]
  rules: [{backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: theirs}]}]
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: theirs, namespace: somebody}
spec: {selector: {matchLabels: {a: b}}, targetPorts: [{number: 8000}], endpointPickerRef: {name: a, port: {number: 9002}}}
---
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferencePool
metadata: {name: theirs, namespace: somebody}
spec: {selector: {a: b}, targetPortNumber: 8000, extensionRef: {name: a}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: theirs}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: default, namespace: somebody}]
"""
"""Of every kind that a run brings, plays or makes, one that is not its own."""
ITSELF = {
    "leases.coordination.k8s.io",
    "apiservices.apiregistration.k8s.io",
    "events",
    "events.events.k8s.io",
}
"""What an API server writes on its own account."""


@pytest.fixture(scope="module")
def their_kubectl(own_kubectl: Kubectl) -> Kubectl:
    own_kubectl.apply(documents=THEIRS)
    return own_kubectl


@pytest.fixture
def before(their_kubectl: Kubectl) -> dict[tuple[str, str, str], Any]:
    return everything(their_kubectl)


def everything(kubectl: Kubectl) -> dict[tuple[str, str, str], Any]:
    """All that the API server lists, with who wrote which field of it."""
    names = set(kubectl("api-resources", "--verbs=list", "--output=name", "--cached=false").split())
    found = kubectl.read(",".join(sorted(names - ITSELF)), "--all-namespaces", "--show-managed-fields")
    return {
        (
            f"{obj['apiVersion'].partition('/')[0]} {obj['kind']}",
            obj["metadata"].get("namespace", ""),
            obj["metadata"]["name"],
        ): obj
        for obj in found["items"]
    }


def words(cluster: RealCluster, scenario: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "bench", scenario, "--kubeconfig", str(cluster.kubeconfig), *options]


def test_a_run_leaves_all_that_was_there_as_it_was(
    own_real_cluster: RealCluster, their_kubectl: Kubectl, before: dict[tuple[str, str, str], Any]
) -> None:
    command = words(own_real_cluster, "storm", "--services", "3")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert "MISSED" not in done.stdout, done.stdout
    assert done.returncode == 0, done.stderr
    assert everything(their_kubectl) == before

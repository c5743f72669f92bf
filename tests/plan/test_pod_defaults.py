"""Local defaulting of pod templates against what a kube-apiserver 1.34 stored."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.golang.equality import equal
from aioctl.plan.pod_defaults import canonical, pull_policy, with_defaults

SENT: dict[str, Any] = {
    "serviceAccountName": "user",
    "hostNetwork": False,
    "containers": [
        {
            "name": "main",
            "image": "other:2",
            "stdin": False,
            "ports": [{"containerPort": 8000, "hostPort": 0}],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            ],
            "livenessProbe": {"httpGet": {"port": 8000}, "initialDelaySeconds": 0, "periodSeconds": 3},
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": False},
            "volumeMounts": [{"name": "tls", "mountPath": "/tls", "readOnly": False}],
            "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
        }
    ],
    "volumes": [
        {"name": "tls", "secret": {"secretName": "s"}},
        {"name": "empty"},
        {
            "name": "p",
            "projected": {
                "sources": [
                    {"serviceAccountToken": {"path": "t"}},
                    {"downwardAPI": {"items": [{"path": "a", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                ]
            },
        },
        {"name": "c", "csi": {"driver": "d", "readOnly": False}},
    ],
}
STORED = {
    "serviceAccountName": "user",
    "serviceAccount": "user",
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
    "containers": [
        {
            "name": "main",
            "image": "other:2",
            "imagePullPolicy": "IfNotPresent",
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "resources": {},
            "ports": [{"containerPort": 8000, "protocol": "TCP"}],
            "env": [
                {"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}},
                {
                    "name": "CPU",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}},
                },
            ],
            "livenessProbe": {
                "httpGet": {"port": 8000, "path": "/", "scheme": "HTTP"},
                "periodSeconds": 3,
                "timeoutSeconds": 1,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": False},
            "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
            "lifecycle": {"preStop": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}}},
        }
    ],
    "volumes": [
        {"name": "tls", "secret": {"secretName": "s", "defaultMode": 420}},
        {"name": "empty", "emptyDir": {}},
        {
            "name": "p",
            "projected": {
                "defaultMode": 420,
                "sources": [
                    {"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}},
                    {
                        "downwardAPI": {
                            "items": [
                                {"path": "a", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}
                            ]
                        }
                    },
                ],
            },
        },
        {"name": "c", "csi": {"driver": "d", "readOnly": False}},
    ],
}


def test_a_sent_pod_spec_with_defaults_equals_the_stored_one() -> None:
    assert equal(with_defaults(SENT), STORED)


def test_defaulting_leaves_its_input_alone_and_is_idempotent() -> None:
    before = canonical(SENT)
    once = with_defaults(SENT)
    assert canonical(SENT) == before
    assert with_defaults(once) == once


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("host:5000/a", "Always"),
        ("host:5000/a:1", "IfNotPresent"),
        ("a@sha256:0", "IfNotPresent"),
        ("a:latest@sha256:0", "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["a", "tty", "readOnly", "csi", "hostPort"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_canonical_is_idempotent(value: Any) -> None:
    assert canonical(canonical(value)) == canonical(value)

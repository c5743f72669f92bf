"""What the API server says of the labels and Services of a service of a given name is what admission says of the name.

Rules: NAME-2, ARCH-10.
"""

from typing import Any

import pytest

from aioctl.api import names, service_names
from tests.contract.samples import PODS
from tests.contract.servers import Server

SERVICES = "/api/v1/namespaces/{}/services?dryRun=All"
DEPLOYMENTS = "/apis/apps/v1/namespaces/{}/deployments?dryRun=All"


def deployment(name: str) -> dict[str, Any]:
    labels = names.labels(name, names.WORKLOAD_COMPONENT)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names.child(name, "-kserve"), "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": PODS},
        },
    }


def core_service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": names.workload_service_name(name),
            "labels": names.labels(name, names.WORKLOAD_COMPONENT),
        },
        "spec": {"selector": names.workload_selector(name), "ports": [{"name": "https", "port": 8000}]},
    }


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("a", True),
        ("a" * 43, True),
        ("a" * 44, True),
        ("a" * 57, True),
        ("a" * 63, True),
        ("a" * 20 + "." + "b" * 30, True),
        ("a" * 64, False),
        ("a" * 253, False),
        ("qwen2.5", False),
        ("7b", False),
        ("7" + "b" * 60, False),
        ("a" * 10 + "." + "b" * 40, False),
    ],
)
def test_both_judge_alike(server: Server, namespace: str, name: str, fits: bool) -> None:
    answers = [
        server("POST", SERVICES.format(namespace), core_service(name)),
        server("POST", DEPLOYMENTS.format(namespace), deployment(name)),
    ]
    assert {answer.status for answer in answers} <= {201, 422}, [answer.body for answer in answers]
    assert all(answer.status == 201 for answer in answers) is fits
    assert (service_names.problem({"metadata": {"name": name}}) == "") is fits

"""What the program wires together and no room can test alone.

Rules: WEB-5.
"""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.admission import review_admission
from aioctl.api.config_admission import ConfigRules
from aioctl.api.kinds import ObjectKey
from aioctl.api.names import CONFIG_MAP_NAME
from aioctl.api.objects import Object
from aioctl.app import Application
from aioctl.controller.caches import Caches, watched
from aioctl.kube.cached import Cached
from aioctl.kube.config import ClusterConfig
from aioctl.kube.http import NoCredentials
from aioctl.reviews import settings_map
from aioctl.settings import load

CONFIG_MAP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": CONFIG_MAP_NAME, "namespace": "kserve"},
    "data": {},
}


def created_config(caches: Caches) -> dict[str, Any]:
    """The response to the creation of a config."""

    def check(_: Object) -> None:
        settings_map(caches, "kserve")

    config = {"apiVersion": kinds.V1ALPHA2, "kind": kinds.CONFIG.kind, "metadata": {"name": "a"}}
    request = {"uid": "u", "operation": "CREATE", "object": config}
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    answer = review_admission(
        json.dumps(review).encode(),
        "application/json",
        version="v1alpha2",
        kind=kinds.CONFIG.kind,
        config_rules=ConfigRules(check=check),
    )
    response: dict[str, Any] = json.loads(answer)["response"]
    return response


def test_a_config_is_refused_with_the_status_of_the_config_maps_read() -> None:
    caches = Caches(watched("kserve", None))
    (store,) = (store for watch, store in caches.stores.items() if watch.kind == kinds.CONFIG_MAP)

    status = created_config(caches)["status"]
    assert (status["code"], status["reason"]) == (503, "ServiceUnavailable")

    store.replace({})
    assert created_config(caches)["status"] == {
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "inferenceservice-config" not found',
        "reason": "NotFound",
        "details": {"name": "inferenceservice-config", "kind": "configmaps"},
        "code": 404,
    }

    found = Cached.from_raw(msgspec.json.encode(CONFIG_MAP), kinds.CONFIG_MAP)
    store.replace({ObjectKey("kserve", CONFIG_MAP_NAME): found})
    assert created_config(caches)["allowed"]


@pytest.mark.parametrize("drain", [0, 5, 60])
async def test_a_stop_takes_no_longer_than_the_page_of_operations_says(drain: float) -> None:
    page = (Path(__file__).parent.parent / "docs" / "operations.md").read_text()
    (allowance,) = re.findall(r"twice `AIOCTL_DRAIN` and\s(\d+) s", page)
    config = ClusterConfig("http://127.0.0.1:1", None, NoCredentials())
    application = Application(load({"AIOCTL_DRAIN": str(drain)})[0], config)
    longest = sum(service.drain for service in application._services())
    await application.client.aclose()
    assert 2 * drain < longest <= 2 * drain + float(allowance)


@pytest.mark.parametrize(
    ("environment", "has_page"),
    [({}, True), ({"AIOCTL_UI": "false"}, False), ({"AIOCTL_METRICS_PORT": "0"}, False)],
    ids=["by default", "switched off", "without a metrics port"],
)
async def test_the_operators_page_runs_where_it_is_wanted(
    environment: dict[str, str], has_page: bool
) -> None:
    application = Application(
        load(environment)[0], ClusterConfig("http://127.0.0.1:1", None, NoCredentials())
    )
    names = [service.name for service in application._services()]
    assert ("operators' page" in names) == has_page
    await application.client.aclose()

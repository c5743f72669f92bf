"""What the program wires together and no room can test alone."""

import json
from typing import Any

from aioctl.api import kinds
from aioctl.api.admission import review_admission
from aioctl.api.kinds import ObjectKey
from aioctl.api.names import CONFIG_MAP_NAME
from aioctl.api.objects import Object
from aioctl.app import settings_map
from aioctl.controller.caches import Caches, watched
from aioctl.kube.cached import Cached

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
        config_check=check,
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

    found = Cached.from_object(CONFIG_MAP, kinds.CONFIG_MAP)
    store.replace({ObjectKey("kserve", CONFIG_MAP_NAME): found})
    assert created_config(caches)["allowed"]

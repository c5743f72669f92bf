"""What a cluster has beside Kubernetes that services with autoscalers and devices need, and no process of its own here.

KEDA's operator is played on its real CRD, and a driver of devices by what it publishes; nobody has to prepare a device, for
there is no kubelet. The metrics adapter serves for real (`testbed/real/metrics.py`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.objects import dig
from testbed.real.cluster import RealCluster
from testbed.real.controllers import NODES
from tests.real_install.installation import Administrator
from tests.whole_cluster.fleet import DEVICES

DEVICE_CLASS = Kind("resource.k8s.io", "v1", "DeviceClass", "deviceclasses", namespaced=False)
PER_NODE = 4
PERIOD = 0.5
"""Seconds between two looks of KEDA's operator."""
_SAYS = {"Ready": "True", "Active": "True", "Fallback": "False", "Paused": "False"}


@contextmanager
def keda_operator(cluster: RealCluster) -> Iterator[None]:
    """Says of every ScaledObject that it is ready, as long as the block lasts. Raises AssertionError."""
    admin, over = Administrator(cluster), threading.Event()
    failed: list[Exception] = []

    def work() -> None:
        try:
            while not over.wait(PERIOD):
                _look(admin)
        except Exception as error:  # noqa: BLE001  raised where the block ends
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
        assert not failed, failed
    finally:
        over.set()
        thread.join(timeout=60)


def _look(admin: Administrator) -> None:
    found = admin("GET", kinds.SCALED_OBJECT.path())
    assert found.status == 200, found.body
    for each in found.body["items"]:
        if not dig(each, "status", "conditions"):
            meta = each["metadata"]
            path = f"{kinds.SCALED_OBJECT.path(meta['namespace'], meta['name'])}/status"
            said = [{"type": type_, "status": status} for type_, status in _SAYS.items()]
            done = admin("PATCH", path, {"status": {"conditions": said}})
            assert done.status in (200, 404), done.body  # it may be gone in between


def devices() -> list[dict[str, Any]]:
    """A class of devices, and those of each node."""
    selector = {"cel": {"expression": f'device.driver == "{DEVICES}"'}}
    group = DEVICE_CLASS.api_version
    return [
        {
            "apiVersion": group,
            "kind": DEVICE_CLASS.kind,
            "metadata": {"name": DEVICES},
            "spec": {"selectors": [selector]},
        },
        *(
            {
                "apiVersion": group,
                "kind": "ResourceSlice",
                "metadata": {"name": f"{node}-{DEVICES}"},
                "spec": {
                    "driver": DEVICES,
                    "nodeName": node,
                    "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
                    "devices": [{"name": f"gpu-{number}"} for number in range(PER_NODE)],
                },
            }
            for node in (f"node-{number}" for number in range(NODES))
        ),
    ]

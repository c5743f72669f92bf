"""Pods that are processes of this machine: what a kubelet does for the pods of a Deployment, on nodes that kwok plays.

Each pod gets an address of its own (see `private_network`), the environment that its container asks for, a token of its
account, its readiness probe, restarts, the pause of preStop, SIGTERM and at last SIGKILL. An image stands for a command.
"""

import contextlib
import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aioctl.api import kinds
from testbed.real.api import Api
from testbed.real.cluster import RealCluster
from testbed.real.kubectl import kubeconfig

LOOK: Final = 0.2
"""Seconds between two looks at all pods; a kubelet probes less often."""
ADDRESSES: Final = "10.244.200"
Pod = Mapping[str, Any]


@dataclass
class Hosted:
    """One pod, and its process."""

    cluster: RealCluster
    name: str
    uid: str
    namespace: str
    address: str
    container: Mapping[str, Any]
    account: str
    grace: float
    command: Sequence[str]
    environment: Mapping[str, str]
    restarts: int = 0
    stopping: float | None = None
    asked: bool = False
    """SIGTERM was sent."""
    process: subprocess.Popen[bytes] | None = None
    log_file: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log_file = self.cluster.folder / f"{self.name}.log"

    def start(self, api: Api) -> None:
        given = {
            entry["name"]: entry.get("value") or self._field(entry["valueFrom"]["fieldRef"]["fieldPath"])
            for entry in self.container.get("env", ())
        }
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("AIOCTL_", "LLMISVC_"))
        }
        path = self.cluster.folder / f"{self.name}.kubeconfig"
        path.write_text(json.dumps(kubeconfig(self.cluster, self._token(api))))
        env = {**kept, **given, **self.environment, "KUBECONFIG": str(path), "POD_IP": self.address}
        env |= {f"AIOCTL_{part}_HOST": self.address for part in ("WEBHOOK", "METRICS", "HEALTH")}
        env["AIOCTL_STATE_DIR"] = str(self.cluster.folder / f"{self.name}.state")
        with self.log_file.open("ab") as log:
            command = [*self.command, *self.container.get("args", ())]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=env)

    def _field(self, path: str) -> str:
        return {"metadata.name": self.name, "metadata.namespace": self.namespace}[path]

    def _token(self, api: Api) -> str:
        path = kinds.SERVICE_ACCOUNT.path(self.namespace, self.account) + "/token"
        group = "authentication.k8s.io/v1"
        answer = api("POST", path, {"apiVersion": group, "kind": "TokenRequest", "spec": {}})
        assert answer.status == 201, answer.body
        token: str = answer.body["status"]["token"]
        return token

    def is_ready(self) -> bool:
        """What its readiness probe says now."""
        probe = self.container["readinessProbe"]["httpGet"]
        (port,) = (p["containerPort"] for p in self.container["ports"] if p["name"] == probe["port"])
        url = f"http://{self.address}:{port}{probe['path']}"
        with contextlib.suppress(urllib.error.URLError, OSError), urllib.request.urlopen(url, timeout=2):
            return True
        return False

    def wind_down(self) -> bool:
        """One look at a pod that has to go; whether its process has ended."""
        assert self.process is not None
        now = time.monotonic()
        if self.stopping is None:
            self.stopping = now
        pause = self.container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if now >= self.stopping + self.grace:
            self.process.kill()
        elif now >= self.stopping + pause and not self.asked:
            self.asked = True
            self.process.terminate()
        return self.process.poll() is not None

    def status(self, *, ready: bool) -> dict[str, Any]:
        """What the pod's status says of a process that runs."""
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        states = {"Initialized": True, "PodScheduled": True, "ContainersReady": ready, "Ready": ready}
        conditions = [
            {"type": type_, "status": str(state), "lastTransitionTime": stamp}
            for type_, state in states.items()
        ]
        container = {
            "name": self.container["name"], "image": self.container["image"], "imageID": "", "ready": ready,
            "restartCount": self.restarts, "started": True, "state": {"running": {"startedAt": stamp}},
        }  # fmt: skip
        return {
            "phase": "Running", "podIP": self.address, "podIPs": [{"ip": self.address}],
            "conditions": conditions, "containerStatuses": [container],
        }  # fmt: skip


class ProcessNode:
    """Runs the pods with that label, as long as the block of `running` lasts."""

    def __init__(
        self,
        cluster: RealCluster,
        label: tuple[str, str],
        images: Mapping[str, Sequence[str]],
        environment: Mapping[str, str],
    ) -> None:
        """`images`: the command of each; `environment` is added to what the pods ask for."""
        self._cluster = cluster
        self._api = Api(cluster)
        self._label = "=".join(label)
        self._images = images
        self._environment = environment
        self._hosted: dict[str, Hosted] = {}
        self._stopping = threading.Event()
        self.failure: BaseException | None = None
        self.ended: list[int] = []
        """Exit codes of pods that were asked to go."""
        self.names: list[str] = []
        """Of all pods that there were, in order."""

    @contextlib.contextmanager
    def running(self) -> Iterator["ProcessNode"]:
        """Raises what went wrong on the way, at the end."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            thread.join()
            for hosted in self._hosted.values():
                if hosted.process is not None:
                    hosted.process.kill()
                    hosted.process.wait()
        if self.failure is not None:
            raise self.failure

    def kill(self, pod: str) -> None:
        """As the kernel does when memory is short; the pod's process is started anew."""
        (hosted,) = (each for each in self._hosted.values() if each.name == pod)
        assert hosted.process is not None
        hosted.process.kill()

    def tail(self) -> str:
        """The end of what the last three pods logged."""
        logs = [self._cluster.folder / f"{name}.log" for name in self.names[-3:]]
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}" for log in logs)

    def _run(self) -> None:
        try:
            while not self._stopping.wait(LOOK):
                self._look()
        except BaseException as error:  # noqa: BLE001  raised where the block ends
            self.failure = error

    def _look(self) -> None:
        answer = self._api("GET", kinds.POD.path(), labelSelector=self._label)
        assert answer.status == 200, answer.body
        pods = {pod["metadata"]["uid"]: pod for pod in answer.body["items"]}
        for uid, pod in pods.items():
            if uid in self._hosted:
                self._tend(self._hosted[uid], pod)
            elif pod["spec"].get("nodeName"):
                self._hosted[uid] = self._accept(pod)
        for uid in self._hosted.keys() - pods.keys():
            gone = self._hosted.pop(uid)
            if gone.process is not None and gone.process.poll() is None:
                gone.process.kill()

    def _accept(self, pod: Pod) -> Hosted:
        spec, metadata = pod["spec"], pod["metadata"]
        (container,) = spec["containers"]
        self.names.append(metadata["name"])
        hosted = Hosted(
            self._cluster, metadata["name"], metadata["uid"], metadata["namespace"],
            f"{ADDRESSES}.{len(self.names)}", container, spec["serviceAccountName"],
            spec["terminationGracePeriodSeconds"], self._images[container["image"]], self._environment,
        )  # fmt: skip
        hosted.start(self._api)
        return hosted

    def _tend(self, hosted: Hosted, pod: Pod) -> None:
        assert hosted.process is not None
        if pod["metadata"].get("deletionTimestamp"):
            if hosted.wind_down():
                self.ended.append(hosted.process.wait())
                options = {"gracePeriodSeconds": 0, "preconditions": {"uid": hosted.uid}}
                self._api("DELETE", kinds.POD.path(hosted.namespace, hosted.name), options)
            return
        if hosted.process.poll() is not None:
            hosted.restarts += 1
            hosted.start(self._api)
        ready = hosted.is_ready()
        # Others write it, too: a node that seems lost takes the readiness of its pods along.
        if _said(pod) != (ready, hosted.restarts):
            path = kinds.POD.path(hosted.namespace, hosted.name) + "/status"
            self._api("PATCH", path, {"status": hosted.status(ready=ready)})


def _said(pod: Pod) -> tuple[bool, int]:
    """Whether the pod's status calls it ready, and how often it was started anew; not ready without a status."""
    status = pod.get("status", {})
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ()))
    containers = status.get("containerStatuses") or [{"restartCount": -1}]
    return ready, containers[0]["restartCount"]

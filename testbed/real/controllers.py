"""What makes a whole cluster of an API server: Kubernetes' own controllers, nodes and pods without a kubelet, LeaderWorkerSets.

Each is a process beside a running API server for as long as a block lasts; a suite starts those that it is about. All act
as administrator, keep what they need in the cluster's folder and log there. One that ends by itself is started again, as a
kubelet would do.
"""

import base64
import contextlib
import itertools
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from aioctl.demo.ports import free_port
from aioctl.demo.processes import write_certificates
from testbed.real.build import program, stages, webhooks
from testbed.real.cluster import RealCluster, start_process
from testbed.real.kubectl import Kubectl

READY_DEADLINE: Final = 180.0
MOST_ENDS: Final = 3
"""How often one of them may end by itself: Go programs of others have races of their own (istiod: concurrent map writes)."""
ended: Final[list[str]] = []
"""What ended by itself in this process's time, with the end of its log. Suites on a whole cluster say so at their end."""
NODES: Final = 3
EVERY_CONTROLLER: Final = ("*",)
UNVERIFIED: Final = ssl._create_unverified_context()  # noqa: S323  a health page on loopback, by a certificate of its own making


@contextlib.contextmanager
def controller_manager(
    cluster: RealCluster, *, controllers: Sequence[str] = EVERY_CONTROLLER, options: Sequence[str] = ()
) -> Iterator[None]:
    """kube-controller-manager with these controllers of it. Raises NotAvailable."""
    port = free_port()
    command = [
        str(program("kube-controller-manager", build=False)),
        *_kubernetes_options(cluster, port, "controller-manager"),
        f"--service-account-private-key-file={cluster.folder / 'account.key'}",
        f"--root-ca-file={cluster.ca_file}",
        f"--controllers={','.join(controllers)}",
        # Nodes that are played say nothing more once they are ready.
        "--node-monitor-grace-period=1h",
        *options,
    ]
    with beside(cluster, "kube-controller-manager", command, f"https://127.0.0.1:{port}/healthz"):
        yield


@contextlib.contextmanager
def scheduler(cluster: RealCluster) -> Iterator[None]:
    """kube-scheduler. Raises NotAvailable."""
    port = free_port()
    command = [
        str(program("kube-scheduler", build=False)),
        *_kubernetes_options(cluster, port, "scheduler"),
    ]
    with beside(cluster, "kube-scheduler", command, f"https://127.0.0.1:{port}/healthz"):
        yield


@contextlib.contextmanager
def kwok(
    cluster: RealCluster, kubectl: Kubectl, *, but_pods: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Nodes, and pods on them that are ready at once. Raises NotAvailable.

    `but_pods` are labels of pods that it leaves alone: somebody else runs them.
    """
    port = free_port()
    config = cluster.folder / "stages.yaml"
    config.write_text("---\n".join(_without(path, but_pods or {}) for path in stages(build=False)))
    command = [
        str(program("kwok", build=False)),
        f"--kubeconfig={cluster.kubeconfig}",
        "--manage-all-nodes=true",
        f"--config={config}",
        f"--server-address=127.0.0.1:{port}",
        "--node-ip=10.243.0.1",
        "--cidr=10.244.0.0/17",
    ]
    with beside(cluster, "kwok", command, f"http://127.0.0.1:{port}/healthz"):
        kubectl.apply(documents=yaml.safe_dump_all([_node(f"node-{number}") for number in range(NODES)]))
        yield


@contextlib.contextmanager
def leader_worker_sets(cluster: RealCluster, kubectl: Kubectl) -> Iterator[None]:
    """LeaderWorkerSet's controller, and its webhooks; its CRD is installed already. Raises NotAvailable."""
    webhook, health = free_port(), free_port()
    folder = cluster.folder / "lws"
    folder.mkdir()
    certificates = write_certificates(folder)
    config = {
        "apiVersion": "config.lws.x-k8s.io/v1alpha1",
        "kind": "Configuration",
        "webhook": {"host": "127.0.0.1", "port": webhook, "certDir": str(certificates)},
        "leaderElection": {"leaderElect": False},
        "metrics": {"bindAddress": "0"},
        "health": {"healthProbeBindAddress": f"127.0.0.1:{health}"},
        "internalCertManagement": {"enable": False},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        str(program("lws", build=False)),
        f"--kubeconfig={cluster.kubeconfig}",
        f"--config={folder / 'config.yaml'}",
    ]
    with beside(cluster, "lws", command, f"http://127.0.0.1:{health}/healthz"):
        bundle = base64.b64encode((certificates / "ca.crt").read_bytes()).decode()
        kubectl.apply(documents=_lws_webhooks(f"https://localhost:{webhook}", bundle))
        yield


def _lws_webhooks(url: str, bundle: str) -> str:
    """As the project's own manifests patch them: of pods, those of its groups only."""
    (path,) = webhooks(build=False)
    made = []
    for configuration in yaml.safe_load_all(path.read_text()):
        if not configuration:
            continue
        configuration["metadata"]["name"] = f"lws-{configuration['metadata']['name']}"
        for hook in configuration["webhooks"]:
            hook["clientConfig"] = {
                "url": url + hook["clientConfig"]["service"]["path"], "caBundle": bundle,
            }  # fmt: skip
            if "pods" in hook["rules"][0]["resources"]:
                expression = {"key": "leaderworkerset.sigs.k8s.io/name", "operator": "Exists"}
                hook["objectSelector"] = {"matchExpressions": [expression]}
        made.append(configuration)
    return yaml.safe_dump_all(made)


@contextlib.contextmanager
def beside(
    cluster: RealCluster, name: str, command: list[str], health: str, **environment: str
) -> Iterator[None]:
    """A process that is healthy by that page, and is started again when it ends by itself. Raises AssertionError with its log."""
    log = cluster.folder / f"{name}.log"
    kept = _Kept(name, log, lambda: start_process(cluster.folder, name, command, **environment))
    try:
        _wait_healthy(kept, health)
        yield
        assert kept.runs(), f"{name} ended {MOST_ENDS + 1} times by itself:\n{_tail(log)}"
    finally:
        kept.end()


class _Kept:
    """What a kubelet does for a process of others that crashes: another one; but not for ever."""

    def __init__(self, name: str, log: Path, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.name, self.log = name, log
        self._start = start
        self._lock = threading.Lock()
        self._process = start()
        self._is_ending = False
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True)
        self._keeper.start()

    def runs(self) -> bool:
        """False once it is not started again any more."""
        return self._keeper.is_alive()

    def end(self) -> None:
        """Nothing of it is kept; asked to end, some of them take seconds to hand over what nobody takes over."""
        with self._lock:
            self._is_ending = True
            self._process.kill()
        self._keeper.join()

    def _keep(self) -> None:
        for ends in itertools.count(1):
            code = self._process.wait()
            with self._lock:
                if self._is_ending:
                    return
                ended.append(f"{self.name} ended by itself with code {code}:\n{_tail(self.log)}")
                if ends > MOST_ENDS:
                    return
                self._process = self._start()


def _wait_healthy(kept: _Kept, url: str) -> None:
    deadline = time.monotonic() + READY_DEADLINE
    while time.monotonic() < deadline:
        assert kept.runs(), f"{kept.name} ended again and again at start:\n{_tail(kept.log)}"
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, context=UNVERIFIED, timeout=5) as answer,  # noqa: S310  ours
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)  # another process starts; there is nothing to await
    raise AssertionError(f"{kept.name} was not healthy within {READY_DEADLINE:g} s:\n{_tail(kept.log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-3000:]


def _kubernetes_options(cluster: RealCluster, port: int, name: str) -> list[str]:
    return [
        "--leader-elect=false",
        f"--kubeconfig={cluster.kubeconfig}",
        f"--authentication-kubeconfig={cluster.kubeconfig}",
        f"--authorization-kubeconfig={cluster.kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={cluster.folder / name}",
    ]


def _node(name: str) -> dict[str, Any]:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    # kwok keeps what it finds here, and says ready.
    room = {
        "cpu": "1k", "memory": "10Ti", "ephemeral-storage": "10Ti", "pods": "1k", "nvidia.com/gpu": "1k",
    }  # fmt: skip
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"allocatable": room, "capacity": room},
    }


def _without(path: Path, labels: Mapping[str, str]) -> str:
    """A stage that leaves pods with these labels alone."""
    stage = yaml.safe_load(path.read_text())
    if stage["spec"]["resourceRef"]["kind"] == "Pod":
        stage["spec"]["selector"]["matchExpressions"] += [
            {"key": f'.metadata.labels["{key}"]', "operator": "NotIn", "values": [value]}
            for key, value in labels.items()
        ]
    return yaml.safe_dump(stage)

"""Real gateway controllers beside a running API server: control planes without proxies, for what they write into statuses.

istiod listens where it is told. Envoy Gateway has ports and a folder of certificates that cannot be chosen: run it in a private
network (`testbed/real/private_network.py`), one at a time; its folder is put in place for its process alone.
"""

import base64
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import yaml

from aioctl.api.kinds import POOL_V1, Kind
from aioctl.demo.ports import free_port
from testbed.real.build import program
from testbed.real.cluster import RealCluster
from testbed.real.controllers import beside
from testbed.real.kubectl import Kubectl

ISTIO_NAMESPACE: Final = "istio-system"
ENVOY_NAMESPACE: Final = "envoy-gateway-system"
ENVOY_CONTROLLER: Final = "gateway.envoyproxy.io/gatewayclass-controller"
_ENVOY_CERTIFICATES: Final = "/certs"
_POOLS_AS_BACKENDS: Final[Mapping[str, Any]] = {
    "hooks": {"xdsTranslator": {"post": ["Translation", "Cluster", "Route"]}},
    "service": {"fqdn": {"hostname": "localhost", "port": 1063}},
    "failOpen": True,
    "backendResources": [{"group": POOL_V1.group, "version": POOL_V1.version, "kind": POOL_V1.kind}],
}
"""What Envoy AI Gateway has Envoy Gateway configured with, as far as routes are concerned."""
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
ADDRESSED: Final[Mapping[str, Any]] = {"loadBalancer": {"ingress": [{"ip": "203.0.113.10"}]}}
"""What a cloud gives a Service of type LoadBalancer as its status."""


@dataclass(frozen=True, slots=True)
class Ingress:
    """The proxies of a Gateway, which somebody else runs: their Service, which has yet to get an address, and its endpoint.

    `gateway` is a merge patch by which the Gateway names them.
    """

    service: dict[str, Any]
    endpoints: dict[str, Any]
    gateway: dict[str, Any]


def ingress(namespace: str, name: str = "ingress") -> Ingress:
    """Without a selector: Kubernetes leaves its endpoints alone."""
    port = {"name": "http", "port": 80, "protocol": "TCP"}
    return Ingress(
        service={
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"type": "LoadBalancer", "ports": [port]},
        },
        endpoints={
            "apiVersion": ENDPOINT_SLICE.api_version,
            "kind": ENDPOINT_SLICE.kind,
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.1.1"], "conditions": {"ready": True}}],
            "ports": [port],
        },
        gateway={
            "spec": {"addresses": [{"type": "Hostname", "value": f"{name}.{namespace}.svc.cluster.local"}]}
        },
    )


@contextlib.asynccontextmanager
async def alongside(process: AbstractContextManager[None]) -> AsyncIterator[None]:
    """One of the processes below, without holding up the event loop while it starts and ends."""
    await anyio.to_thread.run_sync(process.__enter__)
    try:
        yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(process.__exit__, None, None, None)


@contextlib.contextmanager
def istiod(cluster: RealCluster, *, extension: bool = True) -> Iterator[None]:
    """istiod, with or without its inference extension; Gateway API's CRDs and its namespace are there. Raises NotAvailable."""
    ports = {
        name: free_port()
        for name in ("httpAddr", "httpsAddr", "grpcAddr", "secureGRPCAddr", "monitoringAddr", "ctrlz_port")
    }
    listeners = [f"--{name}=127.0.0.1:{port}" for name, port in ports.items() if name != "ctrlz_port"]
    command = [
        str(program("istiod", build=False)),
        "discovery",
        f"--kubeconfig={cluster.kubeconfig}",
        *listeners,
        f"--ctrlz_port={ports['ctrlz_port']}",
        f"--namespace={ISTIO_NAMESPACE}",
        "--domain=cluster.local",
    ]
    environment = {
        "POD_NAME": "istiod-0",
        "POD_NAMESPACE": ISTIO_NAMESPACE,
        "CLUSTER_ID": "Kubernetes",
        "SERVICE_ACCOUNT": "istiod",
        "REVISION": "default",
        "ENABLE_GATEWAY_API_INFERENCE_EXTENSION": "true" if extension else "false",
        # Nothing is injected or validated here, and gateways get no Deployment.
        "INJECTION_WEBHOOK_CONFIG_NAME": "",
        "VALIDATION_WEBHOOK_CONFIG_NAME": "",
        "PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
    }
    health = f"http://127.0.0.1:{ports['httpAddr']}/ready"
    with beside(cluster, "istiod", command, health, **environment):
        yield


@contextlib.contextmanager
def envoy_gateway(cluster: RealCluster, kubectl: Kubectl, *, extension: bool = False) -> Iterator[None]:
    """Envoy Gateway, with or without v1 InferencePools as backends of an extension. Raises NotAvailable, and AssertionError.

    Its namespace is there. Nobody plays the extension's server: it is asked about proxies, and there are none.
    """
    binary = program("envoy-gateway", build=False)
    folder = cluster.folder / "envoy-gateway"
    folder.mkdir(exist_ok=True)
    environment = {"KUBECONFIG": str(cluster.kubeconfig), "ENVOY_GATEWAY_NAMESPACE": ENVOY_NAMESPACE}
    certificates = _certificates(binary, folder, kubectl, environment)
    config: dict[str, Any] = {
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": {"controllerName": ENVOY_CONTROLLER},
        "provider": {
            "type": "Kubernetes",
            "kubernetes": {
                "leaderElection": {"disable": True},
                # A webhook of pods, and there are none.
                "proxyTopologyInjector": {"disabled": True},
            },
        },
        "telemetry": {"metrics": {"prometheus": {"disable": True}}},
    }
    if extension:
        config["extensionManager"] = _POOLS_AS_BACKENDS
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        *_with_folder(folder / "root", certificates, _ENVOY_CERTIFICATES),
        str(binary),
        "server",
        f"--config-path={folder / 'config.yaml'}",
    ]
    with beside(cluster, "envoy-gateway", command, "http://127.0.0.1:8081/readyz", **environment):
        yield


def _certificates(binary: Path, folder: Path, kubectl: Kubectl, environment: dict[str, str]) -> Path:
    """A folder with what its own generator makes, as its Deployment would mount it."""
    found = folder / "certs"
    if not found.is_dir():
        command = [str(binary), "certgen", "--disable-topology-injector"]
        done = subprocess.run(
            command, env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        secret = kubectl.read("secret", "envoy-gateway", f"--namespace={ENVOY_NAMESPACE}")
        found.mkdir()
        for name, value in secret["data"].items():
            (found / name).write_bytes(base64.b64decode(value))
    return found


def _with_folder(root: Path, source: Path, target: str) -> list[str]:
    """What runs a command so that it alone sees `source` as `target`, a folder of the root that need not exist.

    The command gets a root of its own with all of this one in it: nothing is made in this one.
    """
    script = """
set -e
mkdir -p "$1"
mount -t tmpfs none "$1"
for each in /*; do
    if [ -L "$each" ]; then
        cp -P "$each" "$1$each"
    elif [ -d "$each" ] && [ "$each" != "$3" ]; then
        mkdir "$1$each"
        mount --rbind "$each" "$1$each"
    fi
done
mkdir "$1$3"
mount --bind "$2" "$1$3"
root=$1
shift 3
exec chroot "$root" "$@"
"""
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(root), str(source), target]

"""Real gateway controllers beside a running API server: control planes without proxies, for what they write into statuses."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from typing import Final

import anyio.to_thread

from aioctl.demo.ports import free_port
from testbed.real.build import program
from testbed.real.cluster import RealCluster
from testbed.real.controllers import beside

ISTIO_NAMESPACE: Final = "istio-system"


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

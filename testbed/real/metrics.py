"""The external metrics API as an aggregated API of a real kube-apiserver: what a metrics adapter in front of Prometheus serves.

Only `wva_desired_replicas` exists, by the label `variant_name`. A HorizontalPodAutoscaler controller asks for it. An API server
calls it by loopback, or, where it calls Services through their EndpointSlices, which must not hold loopback, at another address.
"""

import json
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

LOOPBACK: Final = "127.0.0.1"
GROUP: Final = "external.metrics.k8s.io"
VERSION: Final = "v1beta1"
METRIC: Final = "wva_desired_replicas"
API: Final = f"/apis/{GROUP}/{VERSION}"


class Handler(BaseHTTPRequestHandler):
    """Discovery, and the values that the server has."""

    server: "ExternalMetrics"

    def do_GET(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        if url.path == API:
            self._send(200, _discovery())
        elif url.path.startswith(f"{API}/namespaces/") and url.path.endswith(f"/{METRIC}"):
            selector = urllib.parse.parse_qs(url.query).get("labelSelector", [""])[0]
            namespace = url.path.removeprefix(f"{API}/namespaces/").partition("/")[0]
            self._send(200, self.server.values_for(namespace, selector))
        else:
            self._send(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

    def _send(self, status: int, body: dict[str, Any]) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  the name that http.server gave it
        """Nothing: what was asked is seen in what the autoscalers say."""


class ExternalMetrics(ThreadingHTTPServer):
    """Serves over TLS; `values` are by namespace and variant name."""

    daemon_threads = True

    def __init__(self, certificates: Path, address: str = LOOPBACK) -> None:
        super().__init__((address, 0), Handler)
        self.values: dict[tuple[str, str], int] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def values_for(self, namespace: str, selector: str) -> dict[str, Any]:
        """An ExternalMetricValueList; nobody knows a variant that has no value."""
        name = selector.partition("variant_name=")[2]
        stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        known = self.values.get((namespace, name))
        labels = {"variant_name": name}
        items = [
            {"metricName": METRIC, "metricLabels": labels, "timestamp": stamp, "value": str(value)}
            for value in (known,)
            if value is not None
        ]
        return {
            "kind": "ExternalMetricValueList", "apiVersion": f"{GROUP}/{VERSION}", "metadata": {}, "items": items,
        }  # fmt: skip

    def registration(self) -> list[dict[str, Any]]:
        """The APIService, and the Service that it calls."""
        address, port = self.server_address[:2]
        name, namespace = "metrics-adapter", "default"
        spec: dict[str, Any] = {"ports": [{"port": port}]}
        if address == LOOPBACK:
            spec |= {"type": "ExternalName", "externalName": "localhost"}
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        endpoints = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": [{"port": port}],
        }
        return [
            service,
            *([] if address == LOOPBACK else [endpoints]),
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": f"{VERSION}.{GROUP}"},
                "spec": {
                    "group": GROUP,
                    "version": VERSION,
                    "service": {"name": name, "namespace": namespace, "port": port},
                    "insecureSkipTLSVerify": True,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                },
            },
        ]


def _discovery() -> dict[str, Any]:
    resource = {
        "name": METRIC, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"],
    }  # fmt: skip
    return {
        "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{GROUP}/{VERSION}", "resources": [resource],
    }  # fmt: skip


@contextmanager
def serving(certificates: Path, address: str = LOOPBACK) -> Iterator[ExternalMetrics]:
    """Until the block ends."""
    with ExternalMetrics(certificates, address) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""A demo that a real Prometheus watches: the embedded cluster, `aioctl run`, and Prometheus with the shipped alerts.

The times of the alerts (`for`) are shortened by one factor, and everything is scraped and evaluated each second, since a
demo lasts a minute; expressions stay as they are. Labels are those that the shipped ServiceMonitor gives.
"""

import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import anyio
import httpx
import yaml

from aioctl.api import kinds
from aioctl.api.objects import Object, namespace_of
from aioctl.demo import processes
from aioctl.demo.ports import free_port
from aioctl.kube.client import Client
from aioctl.kube.config import load_config
from aioctl.sim.fleet import services as demo_services

DEPLOY: Final = Path(__file__).parent.parent / "deploy"
LABELS: Final = {"namespace": "kserve", "pod": "aioctl-0"}
FASTER: Final = 300
"""A wait of 15 min is one of 3 s."""
START_DEADLINE: Final = 180.0
SETTINGS: Final = {
    "AIOCTL_LEADER_ELECTION": "true",
    "AIOCTL_NAMESPACE": "kserve",
    "AIOCTL_STATUS_SETTLE": "0.05",
}
_DURATION: Final = re.compile(r"^(\d+)([smh])$")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Observed:
    """What runs: Prometheus by its address, the cluster by a client."""

    prometheus: str
    client: Client
    folder: Path
    ports: processes.Ports
    certificates: Path

    async def ask(self, path: str, **query: str) -> Any:
        """`data` of Prometheus's answer; AssertionError with what it says if it is no success."""
        async with httpx.AsyncClient() as http:
            answer = (await http.get(f"{self.prometheus}/api/v1/{path}", params=query, timeout=30)).json()
        assert answer["status"] == "success", answer
        return answer["data"]

    async def query(self, expression: str) -> list[Any]:
        """Every series of an expression's value now."""
        data = await self.ask("query", query=expression)
        assert data["resultType"] == "vector", data
        found: list[Any] = data["result"]
        return found

    async def firing(self) -> set[str]:
        """Names of the alerts that fire."""
        return {item["metric"]["alertname"] for item in await self.query('ALERTS{alertstate="firing"}')}

    def without(self, alert: str) -> Callable[[], Coroutine[Any, Any, bool]]:
        """A claim: the alert does not fire. It may for a moment where a scrape on a busy machine came too late."""

        async def claim() -> bool:
            return alert not in await self.firing()

        return claim

    async def create(self, services: Iterable[Object]) -> None:
        for service in services:
            kind = kinds.SERVICE_V1ALPHA1 if service["apiVersion"] == kinds.V1ALPHA1 else kinds.SERVICE
            await self.client.create(kind, namespace_of(service), service)

    @asynccontextmanager
    async def controller(self, settings: Mapping[str, str] | None = None) -> AsyncIterator[None]:
        """`aioctl run` at the address that Prometheus scrapes."""
        async with processes.controller(
            self.folder,
            self.ports,
            self.certificates,
            self.folder / "kubeconfig",
            {**SETTINGS, **(settings or {})},
        ):
            yield


def shipped_rules() -> dict[str, Any]:
    """The groups of the shipped PrometheusRule, as Prometheus itself reads them, with shortened times."""
    rule = yaml.safe_load((DEPLOY / "components" / "monitoring" / "alerts.yaml").read_text())
    groups = rule["spec"]["groups"]
    for group in groups:
        for alert in group["rules"]:
            if "for" in alert:
                number, unit = _DURATION.fullmatch(alert["for"]).groups()  # type: ignore[union-attr]
                alert["for"] = f"{int(number) * _UNITS[unit] * 1000 // FASTER}ms"
    return {"groups": groups}


@asynccontextmanager
async def observed(folder: Path, prometheus: Path, *, gateway_delay: float = 1.0) -> AsyncIterator[Observed]:
    """Cluster and Prometheus run; controllers are the caller's to start. Raises StageError."""
    ports = processes.Ports.free()
    certificates = processes.write_certificates(folder)
    played = ["--scenario", "demo", "--gateway-delay", str(gateway_delay)]
    async with (
        processes.cluster(folder, ports, certificates, played),
        _prometheus(folder, prometheus, ports) as address,
    ):
        config = await load_config(str(folder / "kubeconfig"))
        client = Client(config.wire())
        try:
            yield Observed(address, client, folder, ports, certificates)
        finally:
            with anyio.CancelScope(shield=True):
                await client.aclose()


@asynccontextmanager
async def _prometheus(folder: Path, program: Path, ports: processes.Ports) -> AsyncIterator[str]:
    port = free_port()
    target = {"targets": [f"127.0.0.1:{ports.metrics}"], "labels": LABELS}
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "aioctl", "static_configs": [target]}],
    }
    (folder / "rules.yaml").write_text(yaml.safe_dump(shipped_rules()))
    (folder / "prometheus.yaml").write_text(json.dumps(configuration))
    command = [
        str(program), f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    async with processes.process("prometheus", command, folder) as child, httpx.AsyncClient() as http:
        with anyio.fail_after(START_DEADLINE):
            while True:
                assert child.returncode is None, processes.tail(folder / "prometheus.log")
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{address}/-/ready", timeout=5)).status_code == httpx.codes.OK:
                        break
                await anyio.sleep(0.1)  # another process starts; nothing tells us when
        yield address


def fleet(count: int, held: int) -> list[Object]:
    """Services of the demo, the last `held` of which keep their traffic where it is."""
    services: list[Object] = []
    for number, service in enumerate(demo_services(count)):
        metadata = dict(service["metadata"])
        if number >= count - held:
            metadata["annotations"] = {
                **metadata.get("annotations", {}),
                "aioctl.dev/migration-strategy": "hold",
            }
        services.append({**service, "metadata": metadata})
    return services

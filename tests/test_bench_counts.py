"""What counts as a write: neither a renewal of a lease nor a call that only asks what would be."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import respx

from aioctl.kube.client import Client
from bench import counts
from bench.counts import DRY_RUN, AuditCounting, Counts, SimCounting

URL = "http://cluster.test"
SERVICES = "llminferenceservices.serving.kserve.io"


def test_leases_are_renewed_without_end() -> None:
    counted = Counts(
        Counter(
            {("update", "leases.coordination.k8s.io"): 9, ("create", "secrets"): 2, ("get", "secrets"): 5}
        )
    )
    assert counted.writes == 2


@respx.mock
async def test_the_embedded_cluster_tells_dry_runs_apart() -> None:
    def row(client: str, count: int) -> dict[str, Any]:
        return {"verb": "create", "resource": SERVICES, "client": client, "count": count}

    stats = {
        "calls": [{**row("aioctl/1", 5), "status": 201}, {**row("kubectl/1", 3), "status": 201}],
        "dry_runs": [row("aioctl/1", 4), row("kubectl/1", 1)],
        "conversion": {"calls": 7, "failures": 0},
    }
    respx.get(f"{URL}/sim/stats").mock(httpx.Response(200, json=stats))
    found = await SimCounting(URL).read()
    assert found.calls == {("create", SERVICES): 1, (DRY_RUN, SERVICES): 4}
    assert found.writes == 1
    assert found.conversions == 7


class Metrics:
    """An API server's metrics page without a conversion."""

    async def get_raw(self, path: str, *, accept: str) -> bytes:
        return b""


async def test_the_audit_log_tells_dry_runs_apart(tmp_path: Path) -> None:
    def line(uri: str, agent: str = "aioctl/1") -> str:
        target = {"resource": "secrets"}
        entry = {
            "verb": "create",
            "stage": "ResponseComplete",
            "userAgent": agent,
            "requestURI": uri,
            "objectRef": target,
        }
        return json.dumps(entry) + "\n"

    log = tmp_path / "audit.log"
    log.write_text(
        line("/a?dryRun=All") + line("/a?fieldManager=x") + line("/a", "kubectl/1") + "{half of a li"
    )
    found = await AuditCounting(cast("Client", Metrics()), log).read()
    assert found.calls == {(DRY_RUN, "secrets"): 1, ("create", "secrets"): 1}


@pytest.mark.parametrize(
    ("agent", "of_ours", "of_any"),
    [
        ("aioctl/1.0", True, True),
        ("manager/v0.0.0 (linux/amd64) kubernetes/$Format", False, True),
        ("bench/1", False, False),
        ("bench-readers/1", False, False),
        ("sim-player/1", False, False),
        ("kube-apiserver/v1.34.1", False, False),
        ("", False, False),
    ],
)
def test_calls_of_another_controller_are_known_by_whose_they_are_not(
    agent: str, of_ours: bool, of_any: bool
) -> None:
    assert (counts.ours(agent), counts.any_controller(agent)) == (of_ours, of_any)


PAGE = """
aioctl_writes_total{verb="create",kind="Deployment"} 3.0
aioctl_writes_total{verb="update",kind="HTTPRoute"} 2.0
rest_client_requests_total{method="PUT",code="200"} 7.0
rest_client_requests_total{method="PUT",code="409"} 4.0
rest_client_requests_total{method="GET",code="200"} 9.0
"""


@respx.mock
async def test_without_an_audit_log_the_controller_s_own_page_tells_of_its_writes() -> None:
    counting = AuditCounting(cast("Client", Metrics()), None, f"{URL}/metrics")
    page = respx.get(f"{URL}/metrics").mock(httpx.Response(200, text=PAGE))
    found = await counting.read()
    assert found.calls == {
        ("create", "Deployment"): 3,
        ("update", "HTTPRoute"): 2,
        ("update", counts.STATUS): 5,
    }
    page.mock(side_effect=httpx.ConnectError("nobody there"))
    assert (await counting.read()).writes == 0


@pytest.mark.parametrize(("verb", "writes"), [("patch", 1), ("watch", 0), (DRY_RUN, 0)])
def test_only_what_changes_something_is_a_write(verb: str, writes: int) -> None:
    assert Counts(Counter({(verb, "secrets"): 1})).writes == writes


@respx.mock
async def test_of_one_that_leads_renewals_of_its_lease_are_not_taken_for_statuses() -> None:
    counting = AuditCounting(cast("Client", Metrics()), None, f"{URL}/metrics")
    leading = f'{PAGE}leader_election_master_status{{name="a lease"}} 1.0\n'
    respx.get(f"{URL}/metrics").mock(httpx.Response(200, text=leading))
    assert (await counting.read()).writes == 5

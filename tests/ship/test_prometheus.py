"""A real Prometheus scrapes the controller during a demo: metrics, alerts and dashboard are what they say.

The alerts' expressions are judged by `promtool test rules` in tests/deploy/test_monitoring.py; here three fire for real.
"""

import itertools
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.objects import name_of, namespace_of
from aioctl.demo import processes
from aioctl.settings import Settings
from testbed.observed import Observed, fleet, observed, shipped_rules
from tests.deploy.test_dashboard import PANELS
from tests.deploy.test_monitoring import NAMES, REPOSITORY
from tests.ship.conftest import program

pytestmark = pytest.mark.ship
SERVICES, HELD = 12, 2
PATIENCE = 300.0
QUIET = {
    "Connections that came to nothing": "nobody but the API server calls",
    "Services that are not Ready": "those of the demo are, but for a moment",
    "Watches that ended": "the API server ends no watch within a minute",
}
"""Panels that may show nothing in a demo, with the reason."""
_ROW = re.compile(r"^\| `(\w+)` \| (counter|gauge|histogram|summary) \|", re.MULTILINE)


def documented() -> dict[str, str]:
    """Every metric of the reference -> its type."""
    return dict(_ROW.findall((REPOSITORY / "docs" / "reference.md").read_text()))


async def eventually(claim: Callable[[], Coroutine[Any, Any, bool]], what: str) -> None:
    with anyio.move_on_after(PATIENCE):
        while not await claim():  # noqa: ASYNC110
            await anyio.sleep(0.5)  # other processes work; nothing tells us when
        return
    raise AssertionError(f"not within {PATIENCE:g} s: {what}")


def filled(expression: str) -> str:
    """A dashboard's query with its variables filled in."""
    return expression.replace("$__rate_interval", "30s").replace("$job", "aioctl").replace("$namespace", ".*")


async def _metrics_are_those_of_the_reference(demo: Observed) -> None:
    metadata = await demo.ask("targets/metadata", match_target='{job="aioctl"}', limit="1000")
    found = {item["metric"]: item["type"] for item in metadata}
    wanted = {
        name.removesuffix("_total") if name not in found else name: kind
        for name, kind in documented().items()
    }
    assert len(wanted) > 40
    assert {name: kind for name, kind in wanted.items() if found.get(name) != kind} == {}


async def _every_rule_is_loaded(demo: Observed) -> None:
    groups = (await demo.ask("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert sorted(rule["name"] for rule in rules) == sorted(NAMES)
    assert len(rules) == sum(len(group["rules"]) for group in shipped_rules()["groups"])

    async def evaluated() -> bool:
        found = (await demo.ask("rules"))["groups"]
        return all(rule["health"] == "ok" for group in found for rule in group["rules"])

    await eventually(evaluated, "every rule is evaluated without an error")


async def _has_status(demo: Observed, service: dict[str, Any]) -> bool:
    found = await demo.client.get(kinds.SERVICE, namespace_of(service), name_of(service))
    return bool(found.get("status"))


@asynccontextmanager
async def _passing_services(demo: Observed) -> AsyncIterator[None]:
    """Services of both versions come and go: a fleet at rest has no rate of anything, and its quantiles are NaN for ever."""

    async def come_and_go() -> None:
        for number in itertools.count():
            service = dict(fleet(2, 0)[number % 2])
            service["metadata"] = {**service["metadata"], "name": f"passing-{number}"}
            await demo.create([service])
            await eventually(partial(_has_status, demo, service), f"passing-{number} is reconciled")
            await anyio.sleep(1.0)  # a scrape sees it
            await demo.client.delete(kinds.SERVICE, namespace_of(service), name_of(service))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come_and_go)
        yield
        tasks.cancel_scope.cancel()


async def _the_dashboard_shows_data(demo: Observed) -> None:
    for panel in PANELS:
        if panel["title"] in QUIET:
            continue
        for target in panel["targets"]:
            # A rate needs two samples, and a series begins with the first event it counts.
            expression = filled(target["expr"])

            async def shown(expression: str = expression) -> bool:
                return any(item["value"][1] != "NaN" for item in await demo.query(expression))

            await eventually(shown, f"{panel['title']} shows something: {target['expr']}")


async def test_metrics_alerts_and_dashboard_during_a_demo(tmp_path: Path) -> None:
    prometheus = program("prometheus")
    async with observed(tmp_path, prometheus, gateway_delay=0.2) as demo:
        async with demo.controller():
            await processes.install_presets(demo.client)
            await demo.create(fleet(SERVICES, HELD))

            async def migrated() -> bool:
                found = await demo.query('sum(aioctl_services{state="Migrated"})')
                return bool(found) and float(found[0]["value"][1]) == SERVICES - HELD

            await eventually(migrated, "the fleet is migrated, as Prometheus sees it")
            await _metrics_are_those_of_the_reference(demo)
            await _every_rule_is_loaded(demo)
            async with _passing_services(demo):
                await _the_dashboard_shows_data(demo)

            # The demo's certificate is good for a day, and two services are held.
            async def warned() -> bool:
                return {"AioctlCertificateExpires", "AioctlServicesHeld"} <= await demo.firing()

            await eventually(warned, "a certificate about to end and a held service fire")
            await eventually(demo.without("AioctlNoLeader"), "no leader does not fire while one leads")

        # Somebody who is gone holds the lease; the next replica cannot lead.
        await _take_the_lease(demo)
        async with demo.controller():

            async def leaderless() -> bool:
                return "AioctlNoLeader" in await demo.firing()

            await eventually(leaderless, "no leader fires")
            await eventually(demo.without("AioctlWebhookUnreachable"), "the webhooks of a follower serve")


async def _take_the_lease(demo: Observed) -> None:
    name = Settings.model_fields["lease_name"].default
    lease = await demo.client.get(kinds.LEASE, "kserve", name)
    spec = {**lease["spec"], "holderIdentity": "gone", "leaseDurationSeconds": 3600}
    await demo.client.update(kinds.LEASE, {**lease, "spec": spec})

"""The operators' page of a running controller: it says what `aioctl status` and `explain` say, and costs nothing unseen.

Rules: UI-1.
"""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

import anyio
import pytest
from structlog.testing import capture_logs

from aioctl.api import kinds
from aioctl.controller.controller import Controller
from aioctl.controller.progress import ProgressObservers
from aioctl.engine.turnstile import Turnstile
from aioctl.fleet_page import KEEP, ROUND, FleetPage
from aioctl.kube.wire import Request, Response
from aioctl.local_page import LocalPage
from aioctl.metrics.figures import Figures
from aioctl.serving.board import Board
from aioctl.sim.memory import MemoryWire
from aioctl.tools import fleet as fleets
from aioctl.tools import page
from aioctl.tools.access import Access
from aioctl.tools.page import Standings
from aioctl.tools.session import Session
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, plain_service
from tests.tools.small_fleet import ROUTED, connection, fleet, looks, ready

SECRET = "open-sesame-4711"


class Stage:
    """A fleet, its controller, and the board of the controller's page."""

    def __init__(self) -> None:
        self.world: World
        self.controller: Controller
        self.page: FleetPage
        self.board = Board()
        self.standings = Standings()
        self.is_leader = True

    def prepare(self, controller: Controller) -> None:
        self.controller = controller
        reconciler = controller.reconciler
        reconciler.progress = ProgressObservers(reconciler.progress, self.standings)

    def rows(self) -> dict[str, dict[str, Any]]:
        services = json.loads(b"".join(self.board.document()))["services"]
        return {one["name"]: one for one in services}


@asynccontextmanager
async def staged(**options: Any) -> AsyncIterator[Stage]:
    stage = Stage()
    async with fleet(prepare=stage.prepare, **options) as stage.world, anyio.create_task_group() as group:
        stage.page = FleetPage(
            stage.controller,
            stage.standings,
            Figures(stage.world.metrics, stage.world.clock),
            board=stage.board,
            turnstile=Turnstile(),
            clock=stage.world.clock,
            leads=lambda: stage.is_leader,
            whoami=lambda: {"role": "leader" if stage.is_leader else "follower"},
        )
        await group.start(stage.page.run)
        yield stage
        group.cancel_scope.cancel()


@virtual_time
async def test_rows_and_details_are_those_of_the_commands() -> None:
    async with staged() as stage:
        await ready(stage.world)
        service = plain_service("stuck", **deepcopy(ROUTED))
        service["spec"]["replicas"] = 7
        service["spec"]["router"]["gateway"] = {"refs": [{"name": "another", "namespace": NAMESPACE}]}
        await stage.world.user.create(kinds.SERVICE, NAMESPACE, service)
        await anyio.sleep(30)
        with stage.board.watching():
            await anyio.sleep(5)
            found, seen = await looks(stage.world)
            expected = {one.key.name: json.loads(page.row(one)) for one in seen}
            assert set(expected) == {"one", "stuck"}
            assert stage.rows() == expected
            assert expected["stuck"]["ready"] == "False"
            for one in seen:
                shown = json.loads(await stage.page.detail(NAMESPACE, one.key.name) or b"{}")
                wanted = json.loads(page.detail(one, found))
                for chain in (*shown["chains"], *wanted["chains"]):
                    for link in chain["links"]:
                        del link["age"]
                assert {**shown, "tree": 0} == {**wanted, "tree": 0}
                assert _objects(shown["tree"]) == _objects(wanted["tree"])
                assert bool(shown["chains"]) == (one.key.name == "stuck")
            assert await stage.page.detail(NAMESPACE, "nobody") is None


@virtual_time
async def test_a_migration_is_seen_from_first_to_last() -> None:
    async with staged() as stage:
        with stage.board.watching():
            seen: list[str] = []
            await stage.world.user.create(kinds.SERVICE, NAMESPACE, plain_service(**ROUTED))
            for _ in range(200):
                await anyio.sleep(0.1)
                row = stage.rows().get("one", {"state": "", "ready": "", "traffic": None})
                said = f"{row['state']} {row['ready']} {row['traffic'] and row['traffic']['v1']}"
                if not seen or seen[-1] != said:
                    seen.append(said)
            assert seen[-1] == "Migrated True 100"
            assert any(said.startswith(("NoRoute", "Initial")) for said in seen)
            await stage.world.user.delete(kinds.SERVICE, NAMESPACE, "one")
            await anyio.sleep(10)
            assert stage.rows() == {}
        states = json.loads(b"".join(stage.board.document()))["timeline"]["states"]
        assert max(states["Migrated"]) == 1
        assert states["Migrated"][-1] == 0


@virtual_time
async def test_nothing_is_made_while_nobody_looks_and_nothing_is_asked_when_somebody_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    send = MemoryWire.send

    async def noted(self: MemoryWire, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        asked.append(f"{request.method} {request.path}")
        return await send(self, request, timeout=timeout)

    monkeypatch.setattr(MemoryWire, "send", noted)
    async with staged() as stage:
        await ready(stage.world)
        assert stage.rows() == {}
        assert stage.standings.news is None
        assert asked
        asked.clear()
        with stage.board.watching():
            await anyio.sleep(3)
            assert set(stage.rows()) == {"one"}
            await stage.page.detail(NAMESPACE, "one")
        await anyio.sleep(KEEP / 2)
        assert set(stage.rows()) == {"one"}
        await anyio.sleep(KEEP)
        assert (stage.rows(), stage.standings.news) == ({}, None)
        # Discovery and leases look around whether somebody looks at the page or not.
        assert [one for one in asked if "llminferenceservice" in one or "demo" in one] == []


@virtual_time
async def test_a_replica_that_does_not_lead_shows_no_fleet_and_says_so() -> None:
    async with staged() as stage:
        await ready(stage.world)
        stage.is_leader = False
        with stage.board.watching():
            await anyio.sleep(5)
            shown = json.loads(b"".join(stage.board.document()))
            assert (shown["services"], shown["about"]["role"]) == ([], "follower")
            assert await stage.page.detail(NAMESPACE, "one") is None
            assert "queue_depth" not in stage.board.timeline.samples[-1].figures
            assert "conversion_p99" in stage.board.timeline.samples[-1].figures
            stage.is_leader = True
            await anyio.sleep(2 * ROUND)
            assert set(stage.rows()) == {"one"}


@virtual_time
async def test_no_secret_is_in_the_feed() -> None:
    async with staged() as stage:
        encoded = base64.b64encode(SECRET.encode()).decode()
        await stage.world.user.create(
            kinds.SECRET,
            NAMESPACE,
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"namespace": NAMESPACE, "name": "token"},
                "data": {"token": encoded},
            },
        )
        env = [{"name": "HF_TOKEN", "value": SECRET}]
        template = {"containers": [{"name": "main", "env": env}], "imagePullSecrets": [{"name": "token"}]}
        await stage.world.user.create(
            kinds.SERVICE, NAMESPACE, plain_service(**ROUTED, template=template, replicas=7)
        )
        await anyio.sleep(20)
        with stage.board.watching():
            await anyio.sleep(3)
            told = b"".join(stage.board.document()) + (await stage.page.detail(NAMESPACE, "one") or b"")
            assert b"Deployment demo/one" in told
            for word in (SECRET, encoded, "BEGIN", "tls.key"):
                assert word.encode() not in told


@virtual_time
async def test_a_service_that_cannot_be_shown_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with staged() as stage:
        await ready(stage.world)
        await stage.world.user.create(kinds.SERVICE, NAMESPACE, plain_service("two", **ROUTED))
        await anyio.sleep(5)
        row = page.row

        def fails_for_one(seen: Any) -> bytes:
            if seen.key.name == "one":
                raise ValueError("odd")
            return row(seen)

        monkeypatch.setattr(page, "row", fails_for_one)
        with stage.board.watching(), capture_logs() as logs:
            await anyio.sleep(3)
            assert set(stage.rows()) == {"two"}
        assert [line["service"] for line in logs if line["log_level"] == "error"] == ["demo/one"]


@virtual_time
async def test_the_page_of_ones_own_machine_shows_what_status_reads_and_says_what_cannot_be_read() -> None:
    async with fleet() as stage:
        await ready(stage)
        local = LocalPage(Session(connection(stage), Access(), POLICY), clock=stage.clock)
        await local.look()
        _, (seen,) = await looks(stage)
        shown = json.loads(b"".join(local.board.document()))
        assert shown["services"] == [fleets.public(fleets.item(seen))]
        assert shown["timeline"]["states"] == {"Migrated": [1]}
        assert json.loads(await local.detail(NAMESPACE, "one") or b"{}")["tree"]["children"]
        assert await local.detail(NAMESPACE, "two") is None
        await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
        await anyio.sleep(10)
        await local.look()
        assert json.loads(b"".join(local.board.document()))["services"] == []


def _objects(node: dict[str, Any]) -> list[Any]:
    """The tree without texts, in which ages are."""
    return [node["object"], node["ok"], [_objects(child) for child in node["children"]]]

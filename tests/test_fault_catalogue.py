"""Fleets that are created while something goes wrong; `python -m bench faults` has larger ones, and every pair."""

import itertools
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.controller.knobs import Knobs
from aioctl.kube.errors import TransportError
from aioctl.sim.errors import plain_500
from aioctl.sim.faults import Match
from aioctl.sim.players.following import player_client
from aioctl.sim.players.gateway import GatewayPlayer
from aioctl.sim.players.workload import WorkloadPlayer
from bench import faults as command
from bench.faults import judge
from testbed.misfortunes import MISFORTUNES, OURS, Report, clear, play
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

SERVICES = pytest.mark.parametrize("services", [3, pytest.param(6, marks=pytest.mark.thorough)])


@cache
def calm(services: int = 3) -> Report:
    """A good day."""
    return play([], services=services)


def test_the_catalogue_has_what_is_asked_of_it() -> None:
    assert len(MISFORTUNES) >= 15
    assert judge(calm(), calm()) == []


@SERVICES
@pytest.mark.parametrize("which", [["cut watches"], ["409", "lost answers"]], ids=" and ".join)
def test_a_fleet_comes_through(which: Sequence[str], services: int) -> None:
    """No service moves to a pool that its gateway has not accepted yet, whatever is seen of others (MIG-7)."""
    assert judge(play(which, services=services), calm(services)) == []


@pytest.mark.thorough
def test_a_fleet_lives_the_same_life_when_it_is_played_again() -> None:
    """Otherwise the line that replays a failure plays something else."""
    once, again = (play(["410", "500"], services=2, seed=3) for _ in range(2))
    assert once == again


@SERVICES
def test_a_fleet_comes_through_on_a_busy_machine(services: int) -> None:
    assert judge(play(["410", "500"], services=services, busy=True), calm(services)) == []


@virtual_time
async def test_a_service_that_is_woken_while_it_fails_is_not_put_off_for_longer_than_the_trouble() -> None:
    """A list answers 500 for a minute after a 410, so nothing can be planned; meanwhile somebody changes the service every second.
    Each look was one more failure in a row: then nobody looked for a quarter of an hour, though all was well again."""
    minute = 60.0
    async with furnished() as world, anyio.create_task_group() as group:
        client, stamp = player_client(world.cluster), world.cluster.core.clock.stamp
        group.start_soon(GatewayPlayer(client, stamp=stamp).run)
        group.start_soon(WorkloadPlayer(client, delay=1.0, stamp=stamp).run)
        async with world.running(world.controller(knobs=Knobs())):
            world.cluster.faults.fail(
                Match(verb="list", resource=kinds.POOL_V1.resource, client=OURS), plain_500("down"), times=0
            )
            world.cluster.compact()
            world.cluster.faults.cut_watches(Match(client=OURS))
            await world.user.create(
                kinds.SERVICE, NAMESPACE, plain_service(router={"route": {}, "scheduler": {}})
            )
            with anyio.move_on_after(minute):
                await _touched(world)
            assert not await _is_ready(world)
            clear(world)
            await world.until(lambda: _is_ready(world), seconds=minute + 30.0)
        group.cancel_scope.cancel()


async def _touched(world: World) -> None:
    for number in count():
        body = {"metadata": {"annotations": {"touched": str(number)}}}
        await world.user.patch(kinds.SERVICE, NAMESPACE, "one", body)
        await anyio.sleep(1.0)


async def _is_ready(world: World) -> bool:
    return condition(await world.find(kinds.SERVICE, "one"), "Ready")[0] == "True"


def test_what_is_wrong_is_said() -> None:
    good = calm()
    bad = Report(["demo/one"], ["demo/two: rule 0"], 7.0, 9 * good.tried, 2 * good.taken, 0.0)
    assert [line.partition(":")[0] for line in judge(bad, good)] == [
        "lost",
        "moved back",
        "requests lost for nothing",
        f"{9 * good.tried} writes tried, {good.tried} on a good day",
        f"{2 * good.taken} writes taken, {good.taken} on a good day",
    ]


def test_shares_are_the_whole_catalogue_and_each_fleet_is_in_one() -> None:
    whole = command.chosen(command.arguments([]))
    shares = [command.chosen(command.arguments(["--share", f"{number}/8"])) for number in range(1, 9)]
    count = len(MISFORTUNES)
    assert len(whole) == count + count * (count - 1) // 2
    assert sorted(itertools.chain(*shares)) == sorted(whole)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("text", ["0/8", "9/8", "3", "3/", "/8", "-1/8", "3/0", "1_0/20", "a/b"])
def test_what_is_no_share_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        command.arguments([f"--share={text}"])
    assert left.value.code == 2
    assert f"{text!r} is no share: write 3/8" in capsys.readouterr().err


def test_the_record_names_each_fleet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that lost a service, one that broke off; both say how to play them again."""
    good, lost = calm(), replace(calm(), lost=["demo/one"], recovery=7.0)
    broken = replace(good, broke="OSError: no")
    fleets = {(): good, ("409",): lost, ("500",): broken}
    monkeypatch.setattr(command, "processes", _inline)
    monkeypatch.setattr(command, "_fleet", lambda which, **_: fleets[tuple(which)])
    monkeypatch.setattr(command, "chosen", lambda _: [("409",), ("500",)])
    record = tmp_path / "faults.json"
    assert command.main(["--services", "3", "--json", str(record)]) == 1
    found = json.loads(record.read_text())
    assert (found["fleets"], found["failed"], found["recovery"]) == (2, 2, 7.0)
    assert [(each["misfortunes"], each["wrong"]) for each in found["each"]] == [
        (["409"], ["lost: demo/one"]),
        (["500"], ["broke off: OSError: no"]),
    ]
    said = capsys.readouterr().out
    assert "FAILED python -m bench faults --services 3 --seed 0 --only '500'" in said


@contextmanager
def _inline(*_: Any, **__: Any) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_a_fleet_that_breaks_off_is_told_and_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Report:
        raise BaseExceptionGroup("of tasks", [TransportError("connection refused", maybe_sent=False)])

    monkeypatch.setattr(command, "play", broken)
    report = command._fleet(["409"], services=1, seed=0)
    assert judge(report, calm()) == ["broke off: TransportError: connection refused"]

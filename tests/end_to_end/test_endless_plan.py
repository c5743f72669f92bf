"""A planted endless plan, with the program as a process: it ends that process once, and afterwards only its own child's.

The plan is planted by a `sitecustomize` module on the controller's path, so in the children that it starts as well. It hangs
in a regular expression, which holds the interpreter lock and lets no thread run.
"""

import contextlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.objects import dig
from aioctl.controller import confinement
from aioctl.demo import processes
from aioctl.kube.client import Client
from aioctl.sim import seed
from bench import clusters

pytestmark = pytest.mark.real  # Processes take real time: they run with the suites that may.

NAMESPACE = seed.DEMO_NAMESPACE
GOOD = ("a", "b", "c")
ENDLESS = f"{NAMESPACE}/endless"
PATIENCE = 600.0
"""Seconds for each claim: on a busy machine a child may run out of its time once and is tried again a minute later."""
STALL_LIMIT = 10
"""Seconds. Nothing else holds a loop for so long, on a busy machine either."""
CPU = 3
"""Seconds that the child may compute."""
_PLANTED = """
import re
from aioctl.plan import order

plan = order.plan

def planted(obs, service, *rest):
    decided = plan(obs, service, *rest)
    if service["metadata"]["name"] == "endless" and not service["spec"].get("replicas"):
        re.match("(a+)+$", "a" * 80 + "b")
    return decided

order.plan = planted
"""


@dataclass
class Story:
    """What was to be seen: conditions by service, as (status, reason) by type; log lines of both processes."""

    first: list[dict[str, Any]] = field(default_factory=list)
    second: list[dict[str, Any]] = field(default_factory=list)
    traces: str = ""
    events: list[Any] = field(default_factory=list)
    beside: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """While the child of the endless one worked, or after it."""
    endless: dict[str, tuple[str, str]] = field(default_factory=dict)
    late: dict[str, tuple[str, str]] = field(default_factory=dict)
    cured: dict[str, tuple[str, str]] = field(default_factory=dict)


async def conditions(client: Client, name: str) -> dict[str, tuple[str, str]]:
    found = await client.get(kinds.SERVICE, NAMESPACE, name)
    return {
        entry["type"]: (entry["status"], entry.get("reason", ""))
        for entry in dig(found, "status", "conditions") or ()
    }


async def until(client: Client, name: str, type_: str, wanted: tuple[str, str]) -> dict[str, tuple[str, str]]:
    with anyio.fail_after(PATIENCE):
        while True:
            found = await conditions(client, name)
            if found.get(type_) == wanted:
                return found
            await anyio.sleep(0.1)


def lines(log: Path) -> list[dict[str, Any]]:
    found = []
    for line in log.read_text(errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def held(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of stretches in the planted plan. A machine that gives a process no time holds its loop too, wherever it is then."""
    return [
        line
        for line in log
        if line["event"] == "the event loop is held" and "planted" in line.get("stack", "")
    ]


def died(log: str) -> bool:
    """Whether the watchdog ended the process in the planted plan."""
    return " in planted" in log.partition("Timeout (")[2]


def service(name: str) -> dict[str, Any]:
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"model": {"uri": "hf://facebook/opt-125m"}},
    }


def plant(folder: Path) -> dict[str, str]:
    """Settings under which a process that plans the endless service hangs, and is warned of after a second."""
    planted = folder / "planted"
    planted.mkdir()
    (planted / "sitecustomize.py").write_text(_PLANTED)
    return {
        "PYTHONPATH": str(planted),
        "AIOCTL_STALL_WARNING": "1",
        "AIOCTL_CONFINED_CPU": str(CPU),
        "AIOCTL_STATUS_SETTLE": "0.1",
    }


async def play(folder: Path) -> Story:
    story = Story()
    ports, certificates = processes.Ports.free(), processes.write_certificates(folder)
    before, after = folder / "before", folder / "after"
    for made in (before, after):
        made.mkdir()
    settings = {
        **plant(folder),
        "AIOCTL_STATE_DIR": str(folder / "state"),
        "AIOCTL_STALL_LIMIT": str(STALL_LIMIT),
    }
    players = clusters.Players(gateway_delay=0.1, workload_delay=0.1)
    async with clusters.simulated(folder, ports, certificates, players) as place:
        run = (ports, certificates, place.kubeconfig, settings)
        async with clusters.client_for(place.kubeconfig) as client:
            async with processes.controller(before, *run):
                await processes.install_presets(client)
                for name in (*GOOD, "endless"):
                    await client.create(kinds.SERVICE, NAMESPACE, service(name))
                with anyio.fail_after(PATIENCE):
                    while not died((before / "controller.log").read_text()):  # noqa: ASYNC110
                        await anyio.sleep(0.1)
            story.first = lines(before / "controller.log")
            story.traces = (before / "controller.log").read_text()
            async with processes.controller(after, *run):
                for name in GOOD:
                    story.beside[name] = await until(client, name, "Ready", ("True", ""))
                story.endless = await until(
                    client, "endless", "PresetsCombined", ("False", "PlanTooExpensive")
                )
                await client.create(kinds.SERVICE, NAMESPACE, service("late"))
                story.late = await until(client, "late", "Ready", ("True", ""))
                with anyio.fail_after(PATIENCE):
                    while not story.events:
                        pages = [page async for page in client.list_pages(kinds.EVENT, namespace=NAMESPACE)]
                        found = [msgspec.json.decode(item) for page in pages for item in page.items]
                        story.events = [event for event in found if event["reason"] == "PlanTooExpensive"]
                        await anyio.sleep(0.1)
                await client.patch(kinds.SERVICE, NAMESPACE, "endless", {"spec": {"replicas": 1}})
                story.cured = await until(client, "endless", "Ready", ("True", ""))
            story.second = lines(after / "controller.log")
    return story


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return anyio.run(play, tmp_path_factory.mktemp("endless"))


def test_the_watchdog_tells_service_run_and_stack_and_ends_the_process(story: Story) -> None:
    (told,) = held(story.first)
    assert told["service"] == ENDLESS
    assert told["reconcileID"]
    assert "re.match" in told["stack"]
    assert died(story.traces)
    assert "stopped" not in [line["event"] for line in story.first]


def test_the_next_process_knows_and_is_not_held(story: Story) -> None:
    (known,) = (line for line in story.second if line["event"].startswith("a process ended while"))
    assert (known["service"], known["deaths"]) == (ENDLESS, 1)
    assert not held(story.second)
    assert story.second[-1]["event"] == "stopped", "it came to its orderly end"


def test_the_others_are_ready_and_new_ones_get_ready(story: Story) -> None:
    assert set(story.beside) == set(GOOD)
    assert all(found["PresetsCombined"] == ("True", "") for found in (*story.beside.values(), story.late))


def test_the_endless_one_carries_condition_and_event(story: Story) -> None:
    assert story.endless["PresetsCombined"] == ("False", "PlanTooExpensive")
    (event,) = story.events
    assert (event["type"], dig(event, "regarding", "name")) == ("Warning", "endless")
    # The kernel ends the child after its CPU time; where the machine gave it none, the parent does after a longer time.
    limits = (f"{CPU} s of CPU time;", f"{CPU * confinement.CLOCK_PER_CPU} s;")
    assert event["note"].startswith(tuple(f"planning took more than {limit}" for limit in limits))


def test_a_changed_one_settles_and_is_free(story: Story) -> None:
    assert story.cured["PresetsCombined"] == ("True", "")
    assert [line["service"] for line in story.second if line["event"].startswith("planned within")] == [
        ENDLESS
    ]

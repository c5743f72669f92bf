"""The child process that plans: it decides as this process does, and no limit is passed. Real processes, on the real loop."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import Object, name_of
from aioctl.controller import confinement
from aioctl.controller.confinement import confined_planner
from aioctl.controller.knobs import ChildLimits
from aioctl.controller.marks import Marks
from aioctl.controller.planner import LocalPlanner, PlanTooExpensive
from aioctl.engine.turnstile import Turnstile
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome, Part
from aioctl.plan.policy import Policy
from aioctl.plan.trial import Rejected
from aioctl.sim import seed
from testbed.shipped_files import presets
from testbed.world import NAMESPACE, plain_service

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(auth_disabled=True)
SERVICE: Object = {
    **plain_service(router={"scheduler": {}, "route": {}, "gateway": {}}),
    "metadata": {"name": "one", "namespace": NAMESPACE, "uid": "uid-one", "generation": 3},
}
LIMITS = ChildLimits(cpu=10, memory=512 << 20)

_PLANTED = """
import sys
from aioctl.controller import child
from aioctl.plan import order
hoard = []
def plan(*_):
    {body}
order.plan = plan
child.main(*sys.argv[1:])
"""


def planted(body: str) -> Sequence[str]:
    return sys.executable, "-c", _PLANTED.format(body=body)


def facts() -> Facts:
    objects = [*seed.world(), *presets()]
    found: dict[ObjectRef, Object] = {}
    for obj in objects:
        for kind in (kinds.CONFIG_MAP, kinds.GATEWAY, kinds.GATEWAY_CLASS, kinds.CONFIG):
            if obj["kind"] == kind.kind:
                namespace = obj["metadata"].get("namespace", seed.SYSTEM_NAMESPACE) if kind.namespaced else ""
                found[ObjectRef(kind, namespace, name_of(obj))] = obj
    return Facts(found, unserved=frozenset({kinds.SCC}))


async def test_it_decides_and_concludes_as_this_process_does() -> None:
    obs, reads = facts(), []
    local = LocalPlanner(POLICY, Turnstile(), Marks())
    plan = await local.plan(obs, SERVICE, NOW, lambda: None)
    assert plan.context is not None, [step.error for step in plan.steps]
    async with confined_planner(POLICY, Turnstile(), LIMITS) as planner:
        told = await planner.plan(obs, SERVICE, NOW, lambda: reads.append(1))
        assert told.steps == plan.steps
        assert sum(len(step.writes) for step in told.steps) > 10
        assert len(reads) > 20
        for steps in (plan.steps[-1:], plan.steps[:0]):
            failed = steps[0] if steps else None
            outcome = Outcome(failed=failed, error="no" if failed else "")
            of_child = Outcome(failed=told.steps[-1] if failed else None, error=outcome.error)
            wanted = await local.conclude(plan, outcome, obs, NOW, lambda: None)
            assert await planner.conclude(told, of_child, obs, NOW, lambda: None) == wanted
        (at,) = (at for at, step in enumerate(plan.steps) if step.part is Part.CERTIFICATE)
        beside = Outcome(failed=plan.steps[-1], error="no", beside=plan.steps[at], beside_error="nor")
        of_child = replace(beside, failed=told.steps[-1], beside=told.steps[at])
        wanted = await local.conclude(plan, beside, obs, NOW, lambda: None)
        assert "nor" in str(wanted.status)
        assert await planner.conclude(told, of_child, obs, NOW, lambda: None) == wanted
        blocked = Outcome(blocked=told.steps[3], retry=True)
        wanted = await local.conclude(
            plan, Outcome(blocked=plan.steps[3], retry=True), obs, NOW, lambda: None
        )
        assert await planner.conclude(told, blocked, obs, NOW, lambda: None) == wanted


async def test_a_dry_run_is_asked_for_through_the_parent() -> None:
    obs = replace(facts(), admission=lambda candidate: Rejected(candidate["metadata"]["generateName"], "no"))
    async with confined_planner(POLICY, Turnstile(), LIMITS) as planner:
        told = await planner.plan(obs, SERVICE, NOW, lambda: None)
    assert told.steps[-1].error == f"{name_of(SERVICE)}-validation-"


@pytest.mark.parametrize(
    ("body", "limits", "problem"),
    [
        ("while True: pass", ChildLimits(1, LIMITS.memory), "planning took more than 1 s of CPU time"),
        pytest.param(
            "__import__('re').match('(a+)+$', 'a' * 60 + 'b')",
            ChildLimits(1, LIMITS.memory),
            "planning took more than 1 s of CPU time",
            marks=pytest.mark.thorough,
        ),
        ("__import__('time').sleep(60)", ChildLimits(1, LIMITS.memory), "planning took more than 2 s"),
        (
            "hoard.extend(bytes(1 << 20) for _ in range(4096))",
            LIMITS,
            "planning took more than 512 MiB of memory",
        ),
        ("__import__('os')._exit(3)", LIMITS, "the process that planned ended with code 3"),
    ],
)
async def test_what_passes_a_limit_is_ended_while_the_loop_goes_on(
    body: str, limits: ChildLimits, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "CPU" in problem:  # on a busy machine a second of CPU time takes more than the four that are given
        monkeypatch.setattr(confinement, "CLOCK_PER_CPU", 120)
    if "sleep" in body:  # nobody waits longer than it takes to see that nothing comes
        monkeypatch.setattr(confinement, "CLOCK_PER_CPU", 2)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await anyio.sleep(0.001)
            beats += 1

    async with anyio.create_task_group() as group:
        group.start_soon(beat)
        async with confined_planner(POLICY, Turnstile(), limits, planted(body)) as planner:
            with pytest.raises(PlanTooExpensive, match=problem):
                await planner.plan(facts(), SERVICE, NOW, lambda: None)
        group.cancel_scope.cancel()
    assert beats > 3


async def test_an_error_of_the_plan_comes_back_as_one() -> None:
    async with confined_planner(POLICY, Turnstile(), LIMITS, planted("raise KeyError('x')")) as planner:
        with pytest.raises(RuntimeError, match="KeyError"):
            await planner.plan(facts(), SERVICE, NOW, lambda: None)


async def test_a_child_ends_with_its_block_whatever_it_does() -> None:
    async with confined_planner(POLICY, Turnstile(), LIMITS, planted("while True: pass")) as planner:
        with anyio.move_on_after(0.5):
            await planner.plan(facts(), SERVICE, NOW, lambda: None)
        process = planner._process
    assert process.returncode is not None


@pytest.mark.parametrize("version", [("1", "34"), pytest.param(None, marks=pytest.mark.thorough)])
async def test_a_child_asks_for_the_servers_version(version: tuple[str, str] | None) -> None:
    service: Object = {**SERVICE, "spec": {**SERVICE["spec"], "model": {"uri": "oci+native://q/m:1"}}}
    obs = replace(facts(), version=version)
    async with confined_planner(POLICY, Turnstile(), LIMITS) as planner:
        plan = await planner.plan(obs, service, NOW, lambda: None)
        made = await planner.conclude(plan, Outcome(), obs, NOW, lambda: None)
    shown = {entry["type"]: entry.get("reason") for entry in made.status["conditions"]}
    assert shown.get("OciImageVolumeCompatible") == ("ImageVolumeAlpha" if version else None)

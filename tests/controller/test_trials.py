"""Dry runs of combined specs: when an API server is asked, how often, and what a controller does with the answers.

Rules: PRESET-8.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.conditions import PRESETS_COMBINED
from aioctl.api.kinds import ObjectKey
from aioctl.controller.caches import Caches
from aioctl.controller.service_state import ServiceStates
from aioctl.controller.trials import CRD, Trials
from aioctl.kube.client import Client
from aioctl.plan.dry_run import RECHECK
from aioctl.plan.trial import Accepted, DryRunResult, Rejected, Unavailable
from aioctl.sim.hooks import admission_configurations
from aioctl.sim.players.following import player_client
from aioctl.sim.players.workload import WorkloadPlayer
from testbed.scripted_wire import ScriptedWire
from testbed.virtual_time import VirtualClock, run_virtual, virtual_time
from testbed.world import NAMESPACE, World, condition, furnished, plain_service

KEY = ObjectKey(NAMESPACE, "one")
POST = f"/apis/serving.kserve.io/v1alpha2/namespaces/{NAMESPACE}/llminferenceservices"
CANDIDATE = {
    "apiVersion": kinds.V1ALPHA2,
    "kind": "LLMInferenceService",
    "metadata": {"generateName": "one-validation-", "namespace": NAMESPACE},
    "spec": {"model": {"uri": "hf://a/b", "name": "m"}, "parallelism": {"data": 2}},
}
CAUSE = {"field": "spec.parallelism.dataLocal", "message": "must be set"}


def test_what_was_accepted_holds_with_other_replicas_and_a_refusal_for_what_was_asked_alone() -> None:
    def with_spec(**spec: Any) -> dict[str, Any]:
        return {**CANDIDATE, "spec": {**CANDIDATE["spec"], **spec}}  # type: ignore[dict-item]

    async def ask() -> None:
        wire = ScriptedWire()
        trials = Trials(Client(wire, patience=0), Caches(()), VirtualClock(), ServiceStates())
        wire.answer("POST", POST, status=201, body=CANDIDATE)
        wire.answer("POST", POST, status=422, body=status(422, "Invalid", "too many", CAUSE))
        question = trials.trial(with_spec(replicas=2, prefill={"replicas": 1}))
        wire.answer("POST", POST, status=201, body=CANDIDATE)
        await trials.ask(KEY, question)
        for spec, known in (
            ({"replicas": 5, "prefill": {"replicas": 0}}, Accepted()),
            ({"replicas": -1, "prefill": {"replicas": 1}}, None),
            ({"replicas": 2**31, "prefill": {"replicas": 1}}, None),
            ({"prefill": {"replicas": 1}}, None),
            ({"replicas": 5, "prefill": {"replicas": 1}, "labels": {"a": "b"}}, None),
        ):
            assert trials.known(KEY, trials.trial(with_spec(**spec))) == known
        await trials.ask(KEY, question)
        assert isinstance(trials.known(KEY, question), Rejected)
        assert trials.known(KEY, trials.trial(with_spec(replicas=1, prefill={"replicas": 1}))) is None

    run_virtual(ask)


def status(
    code: int, reason: str, message: str, *causes: Mapping[str, str], **details: Any
) -> dict[str, Any]:
    more = {**details, **({"causes": [*causes]} if causes else {})}
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": more}


def asked(code: int, body: Mapping[str, Any]) -> DryRunResult | None:
    """The verdict after an answer of the API server."""

    async def ask() -> DryRunResult | None:
        wire = ScriptedWire()
        wire.answer("POST", POST, status=code, body=body)
        trials = Trials(Client(wire, patience=0), Caches(()), VirtualClock(), ServiceStates())
        question = trials.trial(CANDIDATE)
        await trials.ask(KEY, question)
        return trials.known(KEY, question)

    return run_virtual(ask)


@pytest.mark.parametrize(
    ("code", "body", "verdict"),
    [
        (201, CANDIDATE, Accepted()),
        (
            422,
            status(422, "Invalid", "it is invalid", CAUSE, {"field": "", "message": "and more"}),
            Rejected("it is invalid", "spec.parallelism.dataLocal: must be set; and more"),
        ),
        (422, status(422, "Invalid", "it is invalid"), Rejected("it is invalid", "it is invalid")),
        (
            400,
            status(400, "BadRequest", "admission webhook does not support dry run"),
            Unavailable(
                "admission webhook does not support dry run", "admission webhook does not support dry run"
            ),
        ),
        (403, status(403, "Forbidden", "exceeded quota"), Unavailable("exceeded quota", "exceeded quota")),
        (
            429,
            status(429, "TooManyRequests", "busy", retryAfterSeconds=7),
            Unavailable("busy", "busy", wait=7.0),
        ),
    ],
)
def test_what_an_answer_means(code: int, body: Mapping[str, Any], verdict: DryRunResult) -> None:
    assert asked(code, body) == verdict


def test_who_may_not_create_services_asks_its_own_rules() -> None:
    message = (
        'llminferenceservices.serving.kserve.io is forbidden: User "system:serviceaccount:kserve:aioctl" cannot create resource '
        '"llminferenceservices" in API group "serving.kserve.io" in the namespace "demo"'
    )
    verdict = asked(403, status(403, "Forbidden", message))
    assert isinstance(verdict, Rejected)
    assert verdict.detail.startswith("spec.parallelism.dataLocal: Invalid value: null: dataLocal must be set")


@virtual_time
async def test_a_refusal_that_says_the_same_again_keeps_its_words() -> None:
    wire, clock = ScriptedWire(), VirtualClock()
    for name in ("abcde", "fghij", "kl8no"):
        body = status(422, "Invalid", f'"one-validation-{name}" is invalid', CAUSE)
        wire.answer("POST", POST, status=422, body=body)
    first = Trials(Client(wire), Caches(()), clock, ServiceStates())
    question = first.trial(CANDIDATE)
    await first.ask(KEY, question)
    said = first.known(KEY, question)
    await anyio.sleep(RECHECK + 1)
    assert first.known(KEY, question) is None, "it is asked again after an hour"
    await first.ask(KEY, question)
    assert first.known(KEY, question) == said, "the generated name would be news to the status every hour"
    restarted = Trials(Client(wire), Caches(()), clock, ServiceStates())
    await restarted.ask(KEY, question)
    assert restarted.known(KEY, question) == said, "and in every new process"


@virtual_time
async def test_what_could_not_be_asked_is_asked_in_the_next_run() -> None:
    wire = ScriptedWire()
    wire.answer("POST", POST, status=403, body=status(403, "Forbidden", "exceeded quota"))
    trials = Trials(Client(wire), Caches(()), VirtualClock(), ServiceStates())
    question = trials.trial(CANDIDATE)
    await trials.ask(KEY, question)
    assert trials.known(KEY, question) is not None, "the plan of this run goes by it"
    trials.begin(KEY)
    assert trials.known(KEY, question) is None


# On a cluster.


def dry_runs(stage: World) -> int:
    """How often the controller asked: it creates services in no other way."""
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if verb == "create" and resource == kinds.SERVICE.resource and client.startswith("aioctl/")
    )


def config(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": kinds.V1ALPHA2, "kind": kinds.CONFIG.kind, "metadata": metadata, "spec": spec}


async def presets_combined(stage: World, name: str = "one") -> tuple[str, str, str]:
    return condition(await stage.find(kinds.SERVICE, name), PRESETS_COMBINED)


@asynccontextmanager
async def judged() -> AsyncIterator[World]:
    """A cluster with our webhooks and a player that makes workloads available."""
    async with furnished() as stage, anyio.create_task_group() as group:
        for configuration in admission_configurations("https://localhost", ""):
            await stage.cluster.create(configuration, client="user")
        player = WorkloadPlayer(player_client(stage.cluster), delay=1.0, stamp=stage.cluster.core.clock.stamp)
        group.start_soon(player.run)
        yield stage
        group.cancel_scope.cancel()


@virtual_time
async def test_a_fleet_costs_one_call_for_each_spec_however_often_it_is_reconciled() -> None:
    names = [f"s{number}" for number in range(5)]
    async with judged() as stage, stage.running(stage.controller()):
        for name in names:
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(name))
        await anyio.sleep(20)
        for name in names:
            assert condition(await stage.find(kinds.SERVICE, name), "Ready")[0] == "True"
        assert dry_runs(stage) == len(names)
        for name in names:
            await stage.user.delete(kinds.DEPLOYMENT, NAMESPACE, f"{name}-kserve")
        await anyio.sleep(20)
        assert dry_runs(stage) == len(names), "the specs are the same"
        await stage.user.patch(kinds.SERVICE, NAMESPACE, "s0", {"spec": {"replicas": 2}})
        await anyio.sleep(20)
        assert dry_runs(stage) == len(names) + 1


@virtual_time
async def test_a_refused_spec_makes_nothing_until_it_is_another_one() -> None:
    async with judged() as stage:
        await stage.user.create(kinds.CONFIG, NAMESPACE, config("base", parallelism={"data": 2}))
        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(baseRefs=[{"name": "base"}]))
            await anyio.sleep(5)
            state, reason, message = await presets_combined(stage)
            assert (state, reason) == ("False", "InvalidRenderedConfig")
            assert message.startswith("dry-run validation failed after merging configs [Preset:")
            assert f", UserRef:{NAMESPACE}/base]: spec.parallelism.dataLocal: " in message
            assert await stage.find(kinds.DEPLOYMENT, "one-kserve") is None
            assert dry_runs(stage) == 1
            await anyio.sleep(RECHECK)
            assert dry_runs(stage) == 2, "webhooks of others change without a sign"
            assert await presets_combined(stage) == (state, reason, message)
            cure = {"spec": {"parallelism": {"dataLocal": 1}}}
            await stage.user.patch(kinds.CONFIG, NAMESPACE, "base", cure)
            await anyio.sleep(5)
            assert (await presets_combined(stage))[0] == "True"
            assert await stage.find(kinds.DEPLOYMENT, "one-kserve") is not None


@virtual_time
async def test_another_schema_is_asked_about_at_once_and_another_status_is_not() -> None:
    async with judged() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        await anyio.sleep(10)
        assert dry_runs(stage) == 1
        await stage.user.patch(CRD.kind, "", CRD.name, {"metadata": {"labels": {"a": "b"}}})
        await anyio.sleep(5)
        assert dry_runs(stage) == 1
        crd = await stage.user.get(CRD.kind, "", CRD.name)
        versions = crd["spec"]["versions"]
        versions[0]["schema"]["openAPIV3Schema"]["description"] = "another one"
        await stage.user.patch(CRD.kind, "", CRD.name, {"spec": {"versions": versions}})
        await anyio.sleep(5)
        assert dry_runs(stage) == 2


@virtual_time
async def test_an_unreachable_webhook_leaves_it_open_and_is_asked_again() -> None:
    async with judged() as stage, stage.running(stage.controller()) as controller:
        real = controller.reconciler.converger.trials._client
        wire = ScriptedWire()
        failing = status(500, "InternalError", "failed calling webhook: no route to host")
        for _ in range(12):
            wire.answer("POST", POST, status=500, body=failing)
        controller.reconciler.converger.trials._client = Client(wire, patience=0)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        await anyio.sleep(5)
        state, reason, message = await presets_combined(stage)
        assert (state, reason) == ("Unknown", "ValidationUnavailable")
        assert message.endswith("]: failed calling webhook: no route to host")
        controller.reconciler.converger.trials._client = real
        await anyio.sleep(60)
        assert (await presets_combined(stage))[0] == "True"

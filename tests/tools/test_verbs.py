"""The verbs: what each writes, what it says, and that nothing is written without one."""

from typing import Any

import anyio
import pytest

from aioctl.api import conditions as c
from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey, Served
from aioctl.api.objects import annotations_of
from aioctl.plan.evidence import Finding, GatewayEvidence, Source, Support
from aioctl.plan.lock import has_lock
from aioctl.plan.migration import MigrationFacts, PoolState, Refusal
from aioctl.plan.policy import Strategy
from aioctl.sim.faults import Match
from aioctl.sim.players.gateway import Behaviour
from aioctl.tools.access import Access, ToolError
from aioctl.tools.finishing import unresolved
from aioctl.tools.verbs import PAUSE, RESUME, START, STOP, Verb, rollout, strategy, unlock_refusal
from aioctl.tools.writing import Told, change, targets, unlock
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, furnished, plain_service
from tests.controller import test_pod_form as earlier
from tests.tools.small_fleet import connection, fleet, looks, ready


def service(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"name": "one", "namespace": "ns", "annotations": annotations}}


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        (PAUSE, {}, {names.MIGRATION: "paused"}),
        (PAUSE, {names.MIGRATION: "paused"}, None),
        (RESUME, {names.MIGRATION: "paused"}, {names.MIGRATION: None}),
        (RESUME, {}, None),
        (STOP, {}, {names.STOP: "true"}),
        (STOP, {names.STOP: "True"}, None),
        (START, {names.STOP: "true"}, {names.STOP: None}),
        (START, {names.STOP: "no"}, None),
        (strategy(Strategy.SWAP), {}, {names.MIGRATION_STRATEGY: "swap"}),
        (strategy(Strategy.SWAP), {names.MIGRATION_STRATEGY: "swap"}, None),
    ],
)
def test_a_verb_writes_one_annotation_or_nothing(
    verb: Verb, before: dict[str, str], after: dict[str, Any] | None
) -> None:
    made = verb.change(service(**before))
    assert made.patch == (None if after is None else {"metadata": {"annotations": after}})
    assert made.said


@pytest.mark.parametrize(
    ("held", "asked", "after", "word"),
    [
        ("HeldBack", "", "current", "rolls out: its pods"),
        ("HeldBack", "keep", "current", "rolls out: its pods"),
        ("WaitsForRollout", "current", "", "rolls out, WaitsForRollout: soon"),
        ("", "current", None, "is rolled out"),
        ("", "", "", "holds nothing back"),
    ],
)
def test_a_rollout_is_asked_for_told_and_taken_off(
    held: str, asked: str, after: str | None, word: str
) -> None:
    one = service(**({names.POD_FORM: asked} if asked else {}))
    condition = {"type": c.POD_FORM_CURRENT, "status": "False", "reason": held, "message": "soon"}
    one["status"] = {"conditions": [condition] if held else []}
    made = rollout(one)
    assert made.patch == (None if after == "" else {"metadata": {"annotations": {names.POD_FORM: after}}})
    assert made.said.startswith(word)


def test_nothing_is_written_to_what_goes() -> None:
    going = service()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert PAUSE.change(going).patch is None


READY: dict[str, Any] = {"v1": PoolState.READY, "v1alpha2": PoolState.READY, "route_locked": True}


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({}, ""),
        ({"v1alpha2": PoolState.ABSENT}, "absent"),
        ({"v1alpha2": PoolState.NOT_READY}, "not ready"),
        ({"v1alpha2": PoolState.UNKNOWN}, "could not be read"),
        ({"v1alpha2_served": Served.NO}, "does not serve"),
        ({"v1alpha2_served": Served.UNKNOWN}, "not known to serve"),
        ({"refusal": Refusal.SOME}, "refuses"),
        ({"external": True}, "pool.ref"),
        ({"managed": False}, "not the controller's"),
    ],
)
def test_the_lock_stays_while_only_v1_is_known_to_serve(facts: dict[str, Any], word: str) -> None:
    refusal = unlock_refusal(MigrationFacts(**{**READY, **facts}))
    assert word in refusal
    assert bool(refusal) == bool(word)


async def said(stage: World, verb: Verb, *named: str, dry_run: bool = False, **access: Any) -> list[Told]:
    way = connection(stage, "" if access.get("everywhere") else NAMESPACE)
    services = await targets(way, Access(**access), named)
    return [told async for told in change(way, services, verb.change, dry_run=dry_run)]


@virtual_time
async def test_one_some_by_label_or_all_and_a_dry_run_writes_nothing() -> None:
    async with furnished() as stage:
        for name, team in (("one", "a"), ("two", "a"), ("three", "b")):
            made = plain_service(name)
            made["metadata"]["labels"] = {"team": team}
            await stage.user.create(kinds.SERVICE, NAMESPACE, made)

        async def paused() -> set[str]:
            found = [await stage.find(kinds.SERVICE, name) for name in ("one", "two", "three")]
            return {
                one["metadata"]["name"] for one in found if one and names.MIGRATION in annotations_of(one)
            }

        dry = await said(stage, PAUSE, "one", dry_run=True)
        assert [(str(one.service), one.said) for one in dry] == [
            ("demo/one", "paused: traffic stays where it is until `aioctl resume` (dry run)")
        ]
        assert await paused() == set()
        await said(stage, PAUSE, "one")
        assert await paused() == {"one"}
        again = await said(stage, PAUSE, selector="team=a")
        assert [one.said.split(":")[0] for one in again] == ["is paused already", "paused"]
        assert await paused() == {"one", "two"}
        await said(stage, PAUSE, everywhere=True)
        assert await paused() == {"one", "two", "three"}
        await said(stage, RESUME, everywhere=True)
        assert await paused() == set()


@virtual_time
@pytest.mark.parametrize(
    ("named", "access", "says"),
    [
        ((), {}, "name services, or choose them"),
        (("one",), {"selector": "a=b"}, "one of these"),
        (("nobody",), {}, 'no LLMInferenceService "nobody" in namespace demo'),
    ],
)
async def test_what_is_named_wrongly_is_told(
    named: tuple[str, ...], access: dict[str, Any], says: str
) -> None:
    async with furnished() as stage:
        with pytest.raises(ToolError, match=says):
            await said(stage, PAUSE, *named, **access)


async def unlocked(stage: World, *, yes: bool) -> Told:
    _, (seen,) = await looks(stage, "one")
    return await unlock(connection(stage), seen, yes=yes)


async def locks(stage: World) -> tuple[bool, bool]:
    route = await stage.find(kinds.HTTP_ROUTE, names.route_name("one"))
    found = await stage.find(kinds.SERVICE, "one")
    assert route is not None
    assert found is not None
    return has_lock(route), names.MIGRATED in (found["status"].get("annotations") or {})


@virtual_time
async def test_unlock_is_told_first_then_done_and_stays_done() -> None:
    async with fleet(at_rest=("one",)) as stage:
        assert await locks(stage) == (True, True)
        told = await unlocked(stage, yes=False)
        assert "would pause the service" in told.said
        assert "Gateway kserve/kserve-ingress-gateway: v1alpha2 yes (InferencePool status)" in told.said
        assert await locks(stage) == (True, True)
        told = await unlocked(stage, yes=True)
        assert (told.failed, told.said.split(":")[0]) == (False, "unlocked and paused")
        assert await locks(stage) == (False, False)
        assert (await unlocked(stage, yes=True)).said == "is not locked, nothing to do"
        # Resumed, it migrates again.
        await said(stage, RESUME, "one")

        async def locked() -> bool:
            return await locks(stage) == (True, True)

        await stage.until(locked)


@virtual_time
@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4])
async def test_unlock_stays_done_though_the_controller_hears_of_the_service_later_than_of_its_route(
    seconds: float,
) -> None:
    """Events of services are converted on their way; a controller that still sees one copy writes the other back at once."""
    async with fleet(at_rest=("one",)) as stage:
        stage.cluster.faults.lag_watches(Match(resource=kinds.SERVICE.resource), seconds)
        told = await unlocked(stage, yes=True)
        assert (told.failed, told.said.split(":")[0]) == (False, "unlocked and paused")
        assert await locks(stage) == (False, False)


@virtual_time
async def test_unlock_is_refused_without_the_other_pool() -> None:
    async with fleet(at_rest=("one",)) as stage:
        await stage.user.patch(
            kinds.POOL_V1ALPHA2,
            NAMESPACE,
            names.default_pool_name("one"),
            {"status": {"parent": []}},
            subresource="status",
        )
        told = await unlocked(stage, yes=True)
        assert told.failed
        assert "v1 is the only generation that serves" in told.said
        assert await locks(stage) == (True, True)


KNOWN_TO_REFUSE = GatewayEvidence(ObjectKey("kserve", "gw"), v1alpha2=Finding(Support.NO, Source.ROUTE))


def test_a_gateway_that_refused_v1alpha2_on_a_route_keeps_the_lock_whatever_the_pool_says() -> None:
    assert unlock_refusal(MigrationFacts(**READY), [GatewayEvidence(ObjectKey("kserve", "gw"))]) == ""
    assert unlock_refusal(MigrationFacts(**READY), [KNOWN_TO_REFUSE]) == (
        "v1 is the only generation that may serve: Gateway kserve/gw refuses v1alpha2 InferencePools (HTTPRoute)"
    )


@virtual_time
async def test_what_only_the_route_shows_afterwards_locks_it_again() -> None:
    """The pools' status outlived the gateway's upgrade: it accepts both and serves v1 alone."""
    both = frozenset({kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2})
    upgraded = Behaviour(both, frozenset({kinds.POOL_GROUP_V1}), minds_idle=False)
    async with fleet(behaviour=upgraded) as stage:
        await ready(stage)
        assert await locks(stage) == (True, True)
        told = await unlocked(stage, yes=True)
        assert told.failed
        assert told.said.startswith(
            "is locked again and paused: without the lock its HTTPRoute does not resolve"
        )
        await anyio.sleep(5)
        assert await locks(stage) == (True, True)
        route = await stage.find(kinds.HTTP_ROUTE, names.route_name("one"))
        assert route is not None
        assert unresolved(route) == ""


@virtual_time
async def test_a_pod_that_is_held_back_rolls_out_and_the_wish_is_taken_off() -> None:
    """As an earlier release left the pods: the controller keeps their form until somebody asks."""
    async with earlier.settled() as stage:
        await earlier.new_image(stage)
        async with earlier.controlled(stage):
            await anyio.sleep(earlier.REST)
            before = await earlier.templates(stage)
            assert (await earlier.said(stage))[1] == "HeldBack"
            (told,) = await rolled_out(stage)
            assert told.startswith("rolls out: its pods take the form of this release")
            await anyio.sleep(1.0)
            (told,) = await rolled_out(stage)
            assert told.startswith("rolls out, WaitsForRollout: ")
            await anyio.sleep(3 * earlier.INTERVAL)
            after = await earlier.templates(stage)
            assert [name for name in before if before[name] != after[name]] == [
                "one-kserve",
                "one-kserve-prefill",
            ]
            (told,) = await rolled_out(stage)
            assert told == "is rolled out: nothing is held back, and the wish is taken off"
            await anyio.sleep(earlier.REST)
            assert (await rolled_out(stage)) == ["holds nothing back, nothing to do"]
            assert await earlier.templates(stage) == after


async def rolled_out(stage: World) -> list[str]:
    services = await targets(connection(stage), Access(), ("one",))
    return [told.said async for told in change(connection(stage), services, rollout, dry_run=False)]

"""Services on real istiod, from the first write to the last: created, ready, moved or held, and never refused on the way.

It serves v1 InferencePools only, and none with its inference extension off. Rules: MIG-3, MIG-7, MIG-8, MIG-12.
"""

from pathlib import Path

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import name_of
from testbed.real.build import Assets
from testbed.real.gateways import ENDPOINT_SLICE, ISTIO_NAMESPACE, alongside, ingress, istiod
from tests.real_gateways.ground import (
    BOTH,
    GATEWAY,
    Class,
    Ground,
    carried,
    give_address,
    is_locked,
    named,
    play,
    played_gateway,
    pool_statuses,
    refused,
)

pytestmark = pytest.mark.gateways

ISTIO = Class("istio", "istio.io/gateway-controller", ISTIO_NAMESPACE)
MOVING = ("auto", "weighted", "swap")
"""Strategies under which traffic follows the gateway."""
EVERY = (*MOVING, "hold")


async def make_ingress(made: Ground) -> None:
    """Of the only Gateway."""
    namespace, _, name = GATEWAY.partition("/")
    found = ingress(namespace)
    await made.user.create(kinds.CORE_SERVICE, namespace, found.service)
    await give_address(made.user, namespace, name_of(found.service))
    await made.user.create(ENDPOINT_SLICE, namespace, found.endpoints)
    await made.user.patch(kinds.GATEWAY, namespace, name, found.gateway)


def test_v1_alone(assets: Assets, tmp_path: Path) -> None:
    """Only the v1 CRD is installed: every service is created on v1, locked, whatever its strategy; nothing names v1alpha2."""

    async def story(made: Ground) -> None:
        await make_ingress(made)
        async with alongside(istiod(made.cluster)):
            for strategy in EVERY:
                await made.create(strategy, strategy)
            for strategy in EVERY:
                await made.until_on(strategy, POOL_GROUP_V1, locked=True)
                await made.until(strategy, "Ready", "True")
        for strategy in EVERY:
            assert {group for each in made.revisions(strategy) for group in named(each)} == {POOL_GROUP_V1}
            assert all(map(is_locked, made.revisions(strategy)))
            assert made.refusals(strategy) == made.lost(strategy) == []

    play(assets, tmp_path, ISTIO, frozenset({POOL_GROUP_V1}), story)


def test_v1alpha2_alone(assets: Assets, tmp_path: Path) -> None:
    """Only the v1alpha2 CRD is installed: istiod serves none of it, and the service says that it is not ready, and why."""

    async def story(made: Ground) -> None:
        await make_ingress(made)
        async with alongside(istiod(made.cluster)):
            for strategy in EVERY:
                await made.create(strategy, strategy)
            for strategy in EVERY:
                await made.until_refused(strategy)
                await made.until_on(strategy, POOL_GROUP_V1ALPHA2, locked=False)
        for strategy in EVERY:
            assert {group for each in made.revisions(strategy) for group in named(each)} == {
                POOL_GROUP_V1ALPHA2
            }

    play(assets, tmp_path, ISTIO, frozenset({POOL_GROUP_V1ALPHA2}), story)


def test_created_where_both_are_installed(assets: Assets, tmp_path: Path) -> None:
    """Fresh services. Under `auto` no request is ever sent to what the gateway refuses, and the next begins where the first ended."""

    async def story(made: Ground) -> None:
        await make_ingress(made)
        async with alongside(istiod(made.cluster)):
            await made.create("first", "auto")
            await made.until_on("first", POOL_GROUP_V1, locked=True)
            await made.until("first", "Ready", "True")
            for strategy in EVERY:
                await made.create(strategy, strategy)
            await made.create("paused", paused=True)
            for name in MOVING:
                await made.until_on(name, POOL_GROUP_V1, locked=True)
                await made.until(name, "Ready", "True")
            for name in ("hold", "paused"):
                await made.until_refused(name)
        assert made.refusals("auto") == []
        assert {group for each in made.revisions("auto") for group in named(each)} == {POOL_GROUP_V1}
        assert_never_back(made, "first", *MOVING)

    play(assets, tmp_path, ISTIO, BOTH, story)


def test_its_extension_is_switched_on_under_services_of_an_older_version(
    assets: Assets, tmp_path: Path
) -> None:
    """The gateway in turn: Istio 1.27 (played), istiod without its extension, istiod. Old pool statuses outlive all of it."""

    async def story(made: Ground) -> None:
        planted = await on_the_old_version(made)
        async with alongside(istiod(made.cluster, extension=False)):
            await made.create("off")
            for name in (*EVERY, "off", "paused"):
                await made.until_refused(name)
            for name in (*MOVING, "off"):
                message = await made.until(name, "InferencePoolMigration", "False", "GatewayServesNoPool")
                assert GATEWAY in message
                assert "ENABLE_GATEWAY_API_INFERENCE_EXTENSION" in message
                assert not any(map(is_locked, made.revisions(name)))
        async with alongside(istiod(made.cluster)):
            await followed(made, "off")
        assert await pool_statuses(made, *EVERY) == planted

    play(assets, tmp_path, ISTIO, BOTH, story)


def test_it_replaces_an_older_version(assets: Assets, tmp_path: Path) -> None:
    """The upgrade that every fleet makes: Istio 1.27 (played), then istiod. Old pool statuses stay as they were."""

    async def story(made: Ground) -> None:
        planted = await on_the_old_version(made)
        async with alongside(istiod(made.cluster)):
            await followed(made)
            await made.create("fresh")
            await made.until("fresh", "Ready", "True")
            await made.until_on("fresh", POOL_GROUP_V1, locked=True)
            assert made.refusals("fresh") == []
            # Whoever holds traffic back lets it go.
            await made.user.patch(
                kinds.SERVICE, "team", "paused", {"metadata": {"annotations": {names.MIGRATION: None}}}
            )
            await made.until_on("paused", POOL_GROUP_V1, locked=True)
            await made.until("paused", "Ready", "True")
        assert await pool_statuses(made, *EVERY) == planted

    play(assets, tmp_path, ISTIO, BOTH, story)


async def on_the_old_version(made: Ground) -> object:
    """Services of every strategy, ready on the v1alpha2 pools of a gateway that took both; what stands on those pools."""
    await make_ingress(made)
    async with played_gateway(made.user, ISTIO, "v1alpha2-only"):
        for strategy in EVERY:
            await made.create(strategy, strategy)
        await made.create("paused", paused=True)
        for name in (*EVERY, "paused"):
            await made.until_on(name, POOL_GROUP_V1ALPHA2, locked=False)
            await made.until(name, "Ready", "True")
        return await pool_statuses(made, *EVERY)


async def followed(made: Ground, *more: str) -> None:
    """Everything that may move is on v1 and ready; what may not says that it is not ready, and why."""
    for name in (*MOVING, *more):
        await made.until_on(name, POOL_GROUP_V1, locked=True)
        await made.until(name, "Ready", "True")
    for name in ("hold", "paused"):
        await made.until_refused(name)
        last = made.last(name)
        assert last is not None
        assert carried(last) == {POOL_GROUP_V1ALPHA2}
    assert_never_back(made, *MOVING, *more)


def assert_never_back(made: Ground, *services: str) -> None:
    """From the write that locks on, all traffic is on v1, and what the gateway has resolved once it resolves for ever."""
    for name in services:
        after = [each for each in made.revisions(name) if is_locked(each)]
        assert {frozenset(carried(each)) for each in after} == {frozenset({POOL_GROUP_V1})}
        assert [said for each in after if "InvalidKind" in (said := refused(each))] == []
        assert made.lost(name) == []

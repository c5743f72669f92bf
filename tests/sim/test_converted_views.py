"""The watch cache of a version that is made by conversion, when that fails or takes long (measured, kube-apiserver 1.34.1)."""

import anyio
import anyio.lowlevel
import pytest

from testbed.virtual_time import virtual_time
from tests.sim.driver import A1, A2, both_versions_used, cluster, hooks, relabel, service


async def slow(body: bytes) -> bytes:
    await anyio.sleep(10)
    return await relabel(body)


@virtual_time
async def test_a_cache_tries_a_failing_event_again_until_the_webhook_is_back() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await both_versions_used(driver)
        async with driver.watch(A1, resourceVersion="0") as events:
            del local.handlers["/convert"]
            await driver("POST", A2, service("a"))
            assert await events.silent(20)
            assert driver.cluster.stats.conversion.failures == pytest.approx(200, abs=2)
            local.handlers["/convert"] = relabel
            assert (await events.next(within=0.2))["type"] == "ADDED"


@virtual_time
async def test_after_thirty_seconds_it_ends_its_watches_and_fills_anew() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await both_versions_used(driver)
        async with driver.watch(A1, resourceVersion="0") as events:
            del local.handlers["/convert"]
            await driver("POST", A2, service("a"))
            started = anyio.current_time()
            with pytest.raises(StopAsyncIteration):
                await events.next(within=60)
            assert anyio.current_time() - started == pytest.approx(30, abs=0.5)
        await anyio.sleep(5)
        answer = await driver.get(A1)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert "failed to list serving.kserve.io/v1alpha1, Kind=LLMInferenceService: " in answer.message
        local.handlers["/convert"] = relabel
        await anyio.sleep(1)
        async with driver.watch(A1, resourceVersion="0") as events:
            assert (await events.next())["type"] == "ADDED"


@virtual_time
async def test_two_outages_within_a_minute_count_as_one() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await both_versions_used(driver)
        started = anyio.current_time()
        async with driver.watch(A1, resourceVersion="0") as events:
            for name in "ab":
                del local.handlers["/convert"]
                await driver("POST", A2, service(name))
                await anyio.sleep(10)
                if name == "a":
                    local.handlers["/convert"] = relabel
                    assert (await events.next())["type"] == "ADDED"
            with pytest.raises(StopAsyncIteration):
                await events.next(within=60)
        assert anyio.current_time() - started == pytest.approx(30, abs=0.5)


@virtual_time
async def test_a_list_waits_three_seconds_for_a_cache_that_is_behind_and_then_asks_the_store() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await both_versions_used(driver)
        local.handlers["/convert"] = slow
        await driver("POST", A2, service("a"))
        await anyio.lowlevel.checkpoint()
        started = anyio.current_time()
        assert (await driver.get(A1, resourceVersion="0")).body["items"] == []
        now = str(driver.cluster.store.revision)
        answer = await driver.get(A1, resourceVersion=now)
        assert (answer.status, answer.body["reason"]) == (504, "Timeout")
        assert anyio.current_time() - started == pytest.approx(3, abs=0.1)
        local.handlers["/convert"] = relabel
        items = (await driver.get(A1)).body["items"]
        assert [item["metadata"]["name"] for item in items] == ["a"]
        assert anyio.current_time() - started == pytest.approx(6, abs=0.1)


@virtual_time
async def test_a_streamed_list_is_not_called_complete_while_the_cache_is_behind() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await both_versions_used(driver)
        local.handlers["/convert"] = slow
        await driver("POST", A2, service("a"))
        await anyio.lowlevel.checkpoint()
        async with driver.watch(A1, sendInitialEvents="true") as events:
            assert anyio.current_time() == pytest.approx(10, abs=0.1)
            assert await events.types(2) == ["ADDED", "BOOKMARK"]

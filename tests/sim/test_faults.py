"""Fault scripts do what they say, to whom they say it."""

import anyio
import anyio.lowlevel
import pytest

from aioctl.sim.errors import conflict, expired, plain_500, too_many_requests
from aioctl.sim.faults import ConnectionLost, Match
from testbed.virtual_time import virtual_time
from tests.sim.driver import Driver, cluster, config_map

MAPS = "/api/v1/namespaces/demo/configmaps"


@virtual_time
async def test_the_nth_matching_call_fails_once() -> None:
    async with cluster() as api:
        error = too_many_requests(7)
        fault = api.cluster.faults.fail(Match(verb="create", resource="configmaps"), error, first=2)
        answers = [await api("POST", MAPS, config_map(f"m{number}")) for number in range(3)]
        assert [answer.status for answer in answers] == [201, 429, 201]
        assert answers[1].headers["retry-after"] == "7"
        assert (fault.seen, fault.hits) == (3, 1)


@virtual_time
async def test_a_fault_can_be_taken_away() -> None:
    async with cluster() as api:
        fault = api.cluster.faults.fail(
            Match(resource="configmaps"), conflict("configmaps", "", "m"), times=0
        )
        assert (await api.get(MAPS)).status == 409
        api.cluster.faults.remove(fault)
        assert (await api.get(MAPS)).status == 200


@virtual_time
async def test_latency_delays_the_call() -> None:
    async with cluster() as api:
        api.cluster.faults.slow(Match(verb="list"), 3)
        await api.get(MAPS)
        assert anyio.current_time() == pytest.approx(3)


@pytest.mark.parametrize(("when", "is_there"), [("before", False), ("after", True)])
def test_a_lost_answer_says_nothing_about_the_effect(when: str, is_there: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with cluster() as api:
            api.cluster.faults.lose(Match(verb="create"), when)
            with pytest.raises(ConnectionLost) as lost:
                await api("POST", MAPS, config_map("m"))
            assert lost.value.was_done is is_there
            assert (await api.get(f"{MAPS}/m")).status == (200 if is_there else 404)

    run()


@virtual_time
async def test_cut_watches_end_and_others_stay() -> None:
    async with (
        cluster() as api,
        api.watch(MAPS, resourceVersion="0") as cut,
        api.watch("/api/v1/secrets") as kept,
    ):
        assert api.cluster.faults.cut_watches(Match(resource="configmaps")) == 1
        with pytest.raises(StopAsyncIteration):
            await cut.next()
        assert await kept.silent()


@virtual_time
async def test_a_late_watch_sees_everything_later() -> None:
    async with cluster() as api:
        api.cluster.faults.lag_watches(Match(resource="configmaps"), 2.0)
        async with api.watch(MAPS, resourceVersion=str(api.cluster.store.revision)) as events:
            await api("POST", MAPS, config_map("m"))
            assert await events.silent(1.9)
            assert (await events.next(within=0.2))["type"] == "ADDED"


@virtual_time
async def test_a_watch_whose_lag_shrinks_keeps_its_order() -> None:
    async with cluster() as api:
        with_lag = Match(resource="configmaps")
        api.cluster.faults.lag_watches(with_lag, 5.0)
        async with api.watch(MAPS, resourceVersion=str(api.cluster.store.revision)) as events:
            await api("POST", MAPS, config_map("first"))
            api.cluster.faults.lag_watches(with_lag, 0.0)
            await api("POST", MAPS, config_map("second"))
            assert await events.silent(4.9)
            seen = [(await events.next())["object"]["metadata"]["name"] for _ in range(2)]
            assert seen == ["first", "second"]


@virtual_time
async def test_a_watch_that_repeats_itself_says_every_line_twice() -> None:
    async with cluster() as api:
        api.cluster.faults.repeat_watches(Match(resource="configmaps"))
        async with api.watch(MAPS, resourceVersion=str(api.cluster.store.revision)) as events:
            await api("POST", MAPS, config_map("m"))
            assert await events.types(2) == ["ADDED", "ADDED"]
            api.cluster.faults.repeat_watches(Match(resource="configmaps"), on=False)
            await api("DELETE", f"{MAPS}/m")
            assert await events.types(1) == ["DELETED"]
            assert await events.silent()


@virtual_time
async def test_an_abandoned_watch_stays_silent_whatever_heals() -> None:
    async with cluster() as api:
        since = str(api.cluster.store.revision)
        async with api.watch(MAPS, resourceVersion=since) as dead:
            assert api.cluster.faults.abandon_watches(Match(client="aioctl")) == 1
            api.cluster.faults.heal("aioctl")
            await api("POST", MAPS, config_map("m"))
            assert await dead.silent(100)
            async with api.watch(MAPS, resourceVersion=since) as new:
                assert (await new.next())["type"] == "ADDED"


@virtual_time
async def test_what_a_hanging_store_was_asked_for_happens_though_nobody_waits() -> None:
    async with cluster() as api:
        faults = api.cluster.faults
        async with api.watch(MAPS, resourceVersion=str(api.cluster.store.revision)) as events:
            faults.halt_store()
            with anyio.move_on_after(5) as gave_up:
                await api("POST", MAPS, config_map("m"))
            assert gave_up.cancelled_caught
            assert (await api.get("/apis")).status == 200
            assert await events.silent(10)
            faults.resume_store()
            assert (await events.next())["type"] == "ADDED"
        assert (await api.get(f"{MAPS}/m")).status == 200
        assert (await api.get(f"{MAPS}/other")).status == 404


@virtual_time
async def test_stale_reads_show_the_past_until_thawed() -> None:
    async with cluster() as api:
        api.cluster.freeze_reads("configmaps", Match(client="aioctl"))
        await api("POST", MAPS, config_map("m"))
        assert (await api.get(f"{MAPS}/m")).status == 404
        assert (await api.get(MAPS)).body["items"] == []
        assert (await Driver(api.cluster, "kubectl").get(f"{MAPS}/m")).status == 200
        api.cluster.thaw_reads("configmaps")
        assert (await api.get(f"{MAPS}/m")).status == 200


@virtual_time
async def test_a_partition_silences_one_client_and_heals() -> None:
    async with cluster() as api:
        other = Driver(api.cluster, "kubectl")
        async with api.watch(MAPS, resourceVersion=str(api.cluster.store.revision)) as events:
            api.cluster.faults.partition("aioctl")
            with pytest.raises(ConnectionLost):
                await api.get(MAPS)
            await other("POST", MAPS, config_map("m"))
            assert await events.silent(100)
            api.cluster.faults.heal("aioctl")
            assert (await events.next())["type"] == "ADDED"


@virtual_time
async def test_a_restart_cuts_everything_and_keeps_the_objects() -> None:
    async with cluster() as api:
        await api("POST", MAPS, config_map("m"))
        async with api.watch(MAPS, resourceVersion="0") as events, anyio.create_task_group() as group:
            group.start_soon(lambda: api.cluster.restart(down_for=5))
            await anyio.sleep(1)
            with pytest.raises(ConnectionLost):
                await api.get(MAPS)
            assert (await events.next())["type"] == "ADDED"
            with pytest.raises(StopAsyncIteration):
                await events.next()
        assert (await api.get(f"{MAPS}/m")).status == 200


@virtual_time
async def test_a_client_can_be_crashed_right_after_its_nth_write() -> None:
    async with cluster() as api:
        with anyio.CancelScope() as process:
            api.cluster.faults.crash_after(2, process.cancel, client="aioctl", loses_answer=False)
            for number in range(5):
                await Driver(api.cluster, "kubectl")("POST", MAPS, config_map(f"k{number}"))
                await api("POST", MAPS, config_map(f"m{number}"))
                await anyio.lowlevel.checkpoint()
        names = [item["metadata"]["name"] for item in (await api.get(MAPS)).body["items"]]
        assert names == ["k0", "k1", "m0", "m1"]


@virtual_time
async def test_a_crashed_client_does_not_get_the_answer() -> None:
    async with cluster() as api:
        told: list[str] = []
        api.cluster.faults.crash_after(1, lambda: told.append("now"))
        with pytest.raises(ConnectionLost):
            await api("POST", MAPS, config_map("m"))
        assert told == ["now"]
        assert (await api.get(f"{MAPS}/m")).status == 200


@virtual_time
async def test_calls_are_counted_by_verb_resource_and_client() -> None:
    async with cluster() as api:
        await api("POST", MAPS, config_map("m"))
        await api.get(f"{MAPS}/m")
        await api.get(f"{MAPS}/x")
        await Driver(api.cluster, "kubectl/1").get(MAPS)
        stats = api.cluster.stats
        assert stats.verbs(client="aioctl") == {"create": 1, "get": 2}
        assert stats.verbs(resource="configmaps") == {"create": 1, "get": 2, "list": 1}
        shown = (await api.get("/sim/stats")).body
        assert {
            "verb": "get",
            "resource": "configmaps",
            "client": "aioctl/test",
            "status": 404,
            "count": 1,
        } in shown["calls"]


@virtual_time
async def test_discovery_can_fail_like_any_call() -> None:
    async with cluster() as api:
        path = "/apis/inference.networking.k8s.io/v1"
        api.cluster.faults.fail(Match(resource=path), plain_500("etcdserver: leader changed"))
        assert (await api.get(path)).status == 500
        assert (await api.get(path)).status == 200


@virtual_time
async def test_a_watch_can_be_refused_as_gone_by_status() -> None:
    async with cluster() as api:
        api.cluster.faults.fail(Match(verb="watch"), expired("too old resource version"))
        answer = await api.get(MAPS, watch="true", resourceVersion="1")
        assert (answer.status, answer.body["reason"]) == (410, "Expired")

"""Lists and watches: pages, selectors, bookmarks, history that ends, slow conversions, metadata only."""

import anyio
import msgspec
import pytest

from aioctl.sim.requests import SimRequest
from aioctl.sim.views import Watcher
from testbed.virtual_time import virtual_time
from tests.sim.driver import SERVICES, Driver, cluster, config_map, service

MAPS = "/api/v1/namespaces/demo/configmaps"
A2 = SERVICES.format(version="v1alpha2")


def labelled(name: str, **labels: str) -> dict[str, object]:
    return {**config_map(name), "metadata": {"name": name, "labels": labels}}


async def names(api: Driver, path: str, **query: str) -> list[str]:
    answer = await api.get(path, **query)
    assert answer.status == 200, answer.message
    return [item["metadata"]["name"] for item in answer.body["items"]]


@virtual_time
async def test_pages_of_one_list_show_one_moment() -> None:
    async with cluster() as api:
        for number in range(5):
            await api("POST", MAPS, config_map(f"m{number}"))
        first = (await api.get(MAPS, limit="2")).body
        assert first["metadata"]["remainingItemCount"] == 3
        await api("DELETE", f"{MAPS}/m3")
        await api("POST", MAPS, config_map("m9"))
        found = [item["metadata"]["name"] for item in first["items"]]
        token = first["metadata"]["continue"]
        while token:
            page = (await api.get(MAPS, **{"limit": "2", "continue": token})).body
            assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
            found += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue", "")
        assert found == ["m0", "m1", "m2", "m3", "m4"]


@virtual_time
async def test_an_old_page_token_is_gone() -> None:
    async with cluster() as api:
        for number in range(3):
            await api("POST", MAPS, config_map(f"m{number}"))
        token = (await api.get(MAPS, limit="1")).body["metadata"]["continue"]
        api.cluster.compact()
        answer = await api.get(MAPS, **{"limit": "1", "continue": token})
        assert (answer.status, answer.body["reason"]) == (410, "Expired")


SELECTORS = [
    ("app=a", ["x"]),
    ("app==a", ["x"]),
    ("app!=a", ["y", "z"]),
    ("app in (a, b)", ["x", "y"]),
    ("app notin (a)", ["y", "z"]),
    ("app", ["x", "y"]),
    ("!app", ["z"]),
    ("app in (a,b),tier=1", ["y"]),
    ("", ["x", "y", "z"]),
]


@pytest.mark.parametrize(("selector", "expected"), SELECTORS)
def test_label_selectors_choose(selector: str, expected: list[str]) -> None:
    @virtual_time
    async def run() -> None:
        async with cluster() as api:
            await api("POST", MAPS, labelled("x", app="a"))
            await api("POST", MAPS, labelled("y", app="b", tier="1"))
            await api("POST", MAPS, labelled("z"))
            assert await names(api, MAPS, labelSelector=selector) == expected

    run()


@virtual_time
async def test_field_selectors_choose_by_name_and_refuse_the_rest() -> None:
    async with cluster() as api:
        for name in ("x", "y"):
            await api("POST", MAPS, config_map(name))
        assert await names(api, MAPS, fieldSelector="metadata.name=x") == ["x"]
        assert await names(
            api, "/api/v1/configmaps", fieldSelector="metadata.name=y,metadata.namespace=demo"
        ) == ["y"]
        answer = await api.get(MAPS, fieldSelector="data.x=1")
        assert (answer.status, answer.message) == (400, "field label not supported: data.x")


@virtual_time
async def test_a_watch_shows_every_change_after_its_revision_in_order() -> None:
    async with cluster() as api:
        start = (await api.get(MAPS)).body["metadata"]["resourceVersion"]
        await api("POST", MAPS, config_map("a"))
        async with api.watch(MAPS, resourceVersion=start) as events:
            await api.merge(f"{MAPS}/a", {"data": {"x": "1"}})
            await api("DELETE", f"{MAPS}/a")
            found = [await events.next() for _ in range(3)]
        assert [event["type"] for event in found] == ["ADDED", "MODIFIED", "DELETED"]
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in found]
        assert versions == sorted(set(versions))
        assert found[2]["object"]["data"] == {"x": "1"}


@virtual_time
async def test_a_watch_without_revision_begins_with_everything() -> None:
    async with cluster() as api:
        for name in ("b", "a"):
            await api("POST", MAPS, config_map(name))
        async with api.watch(MAPS) as events:
            assert [(await events.next())["object"]["metadata"]["name"] for _ in range(2)] == ["a", "b"]


@virtual_time
async def test_a_streamed_list_ends_with_a_marked_bookmark() -> None:
    async with cluster() as api:
        await api("POST", MAPS, config_map("a"))
        query = {
            "sendInitialEvents": "true",
            "allowWatchBookmarks": "true",
            "resourceVersionMatch": "NotOlderThan",
        }
        async with api.watch(MAPS, **query) as events:
            assert (await events.next())["type"] == "ADDED"
            mark = await events.next()
            assert mark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


@virtual_time
async def test_a_selecting_watch_sees_objects_come_and_go() -> None:
    async with cluster() as api:
        await api("POST", MAPS, labelled("x"))
        async with api.watch(
            MAPS, resourceVersion=str(api.cluster.store.revision), labelSelector="app=a"
        ) as events:
            await api.merge(f"{MAPS}/x", {"metadata": {"labels": {"app": "a"}}})
            await api.merge(f"{MAPS}/x", {"data": {"k": "1"}})
            await api.merge(f"{MAPS}/x", {"metadata": {"labels": {"app": "b"}}})
            await api.merge(f"{MAPS}/x", {"data": {"k": "2"}})
            await api("DELETE", f"{MAPS}/x")
            assert await events.types(3) == ["ADDED", "MODIFIED", "DELETED"]
            assert await events.silent()


@virtual_time
async def test_bookmarks_come_each_minute_and_carry_the_whole_servers_progress() -> None:
    async with cluster() as api, api.watch(A2, resourceVersion="0", allowWatchBookmarks="true") as events:
        for number in range(3):
            await api("POST", MAPS, config_map(f"m{number}"))
        mark = await events.next(within=61)
        assert anyio.current_time() == pytest.approx(60, abs=1)
        assert mark["type"] == "BOOKMARK"
        assert mark["object"]["kind"] == "LLMInferenceService"
        assert int(mark["object"]["metadata"]["resourceVersion"]) == api.cluster.store.revision


@virtual_time
async def test_a_watch_ends_after_its_time() -> None:
    async with cluster() as api:
        async with api.watch(MAPS, resourceVersion="0", timeoutSeconds="7") as events:
            with pytest.raises(StopAsyncIteration):
                await events.next(within=8)
            assert anyio.current_time() == pytest.approx(7, abs=0.1)
        assert api.cluster.stats.watches == 0


@virtual_time
async def test_a_watch_from_forgotten_history_gets_a_gone_event() -> None:
    async with cluster(history=3) as api:
        start = (await api.get(MAPS)).body["metadata"]["resourceVersion"]
        for number in range(5):
            await api("POST", MAPS, config_map(f"m{number}"))
        async with api.watch(MAPS, resourceVersion=start) as events:
            event = await events.next()
            assert event["type"] == "ERROR"
            assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
            assert event["object"]["message"].startswith(f"too old resource version: {start} (")
        recent = str(api.cluster.store.revision - 2)
        async with api.watch(MAPS, resourceVersion=recent) as events:
            assert await events.types(2) == ["ADDED", "ADDED"]


@virtual_time
async def test_metadata_only_reads_carry_metadata_only() -> None:
    async with cluster() as api:
        await api("POST", MAPS, config_map("a", x="1"))
        accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
        reply = await api.cluster.handle(SimRequest("GET", MAPS, headers={"accept": accept}))
        assert isinstance(reply.body, bytes)
        body = msgspec.json.decode(reply.body)
        assert body["kind"] == "PartialObjectMetadataList"
        assert set(body["items"][0]) == {"kind", "apiVersion", "metadata"}
        accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        async with api.watch(MAPS, accept=accept) as events:
            event = await events.next()
            assert event["object"]["kind"] == "PartialObjectMetadata"
            assert "data" not in event["object"]


@virtual_time
async def test_lists_of_built_in_kinds_carry_no_type_and_lists_of_custom_kinds_do() -> None:
    async with cluster() as api:
        await api("POST", MAPS, config_map("a"))
        await api("POST", A2, service())
        assert "kind" not in (await api.get(MAPS)).body["items"][0]
        [item] = (await api.get(A2)).body["items"]
        assert (item["apiVersion"], item["kind"]) == ("serving.kserve.io/v1alpha2", "LLMInferenceService")


@virtual_time
async def test_a_reader_that_is_too_slow_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watcher, "LIMIT", 3)
    async with cluster() as api, api.watch(MAPS, resourceVersion="0") as events:
        for number in range(10):
            await api("POST", MAPS, config_map(f"m{number}"))
        assert await events.types(4) == ["ADDED"] * 4
        with pytest.raises(StopAsyncIteration):
            await events.next()


@virtual_time
async def test_a_list_from_the_future_waits_in_vain() -> None:
    async with cluster() as api:
        answer = await api.get(MAPS, resourceVersion="999999")
        assert answer.status == 504
        assert answer.message.startswith("Timeout: Too large resource version: 999999")


@virtual_time
async def test_kubectl_gets_a_table_with_the_kinds_columns() -> None:
    async with cluster() as api:
        await api("POST", A2, service())
        ready = [{"type": "Ready", "status": "False", "reason": "Why"}]
        await api.merge(f"{A2}/svc/status", {"status": {"url": "http://u", "conditions": ready}})
        accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
        reply = await api.cluster.handle(SimRequest("GET", A2, headers={"accept": accept}))
        assert isinstance(reply.body, bytes)
        table = msgspec.json.decode(reply.body)
        assert [column["name"] for column in table["columnDefinitions"]] == [
            "Name",
            "URL",
            "Ready",
            "Reason",
            "Age",
        ]
        assert table["rows"][0]["cells"] == ["svc", "http://u", "False", "Why", "0s"]

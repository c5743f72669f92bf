"""How many conversion calls a request makes: the table of WEB-1, measured on kube-apiserver 1.34.1."""

import anyio
import msgspec
import pytest

from aioctl.sim.errors import StatusError
from aioctl.sim.webhooks import HookFailure, LocalWebhooks
from testbed.virtual_time import virtual_time
from tests.sim.driver import A1, A2, Driver, both_versions_used, cluster, hooks, relabel, service, validators


async def cost(driver: Driver, method: str, path: str, body: object = None, **query: str) -> int:
    """Conversion calls of one request, the watch caches' included."""
    before = driver.cluster.stats.conversion.calls
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = await driver(method, path, body, kind=kind, **query)
    assert answer.status < 300, answer.body
    await anyio.sleep(0.01)
    return driver.cluster.stats.conversion.calls - before


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("Equivalent", {"create": 2, "patch": 3, "no-op": 2, "create a1": 4, "patch a1": 6, "delete": 1}),
        ("Exact", {"create": 1, "patch": 1, "no-op": 0, "create a1": 3, "patch a1": 4, "delete": 1}),
    ],
)
def test_requests_cost_what_the_real_server_measured(policy: str, expected: dict[str, int]) -> None:
    @virtual_time
    async def run() -> None:
        async with cluster(webhooks=hooks()) as driver:
            await driver.cluster.create(validators(policy))
            await both_versions_used(driver)
            scale = {"spec": {"replicas": 2}}
            found = {
                "create": await cost(driver, "POST", A2, service("a")),
                "patch": await cost(driver, "PATCH", f"{A2}/a", scale),
                "no-op": await cost(driver, "PATCH", f"{A2}/a", scale),
                "create a1": await cost(driver, "POST", A1, service("b", "v1alpha1")),
                "patch a1": await cost(driver, "PATCH", f"{A1}/b", scale),
                "delete": await cost(driver, "DELETE", f"{A2}/a"),
            }
            assert found == expected

    run()


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        (f"{A1}/a", {}, 1),
        (f"{A2}/a", {}, 0),
        (A1, {}, 0),
        (A1, {"resourceVersion": "0"}, 0),
        (A1, {"limit": "1"}, 0),
        (A2, {}, 0),
    ],
)
def test_reads_cost_what_the_real_server_measured(path: str, query: dict[str, str], expected: int) -> None:
    @virtual_time
    async def run() -> None:
        async with cluster(webhooks=hooks()) as driver:
            await both_versions_used(driver)
            for name in ("a", "b"):
                await driver("POST", A2, service(name))
            await anyio.sleep(0.1)
            assert await cost(driver, "GET", path, **query) == expected

    run()


@virtual_time
async def test_a_status_write_costs_one_conversion_for_the_other_versions_watch_cache() -> None:
    async with cluster(webhooks=hooks()) as driver:
        await driver.cluster.create(validators("Equivalent"))
        await both_versions_used(driver)
        await driver("POST", A2, service("a"))
        await anyio.sleep(0.1)
        assert await cost(driver, "PATCH", f"{A2}/a/status", {"status": {"url": "http://x"}}) == 1


@virtual_time
async def test_a_version_nobody_asked_for_is_kept_at_hand_too() -> None:
    async with cluster(webhooks=hooks()) as driver:
        assert await cost(driver, "GET", A2) == 0
        assert await cost(driver, "POST", A2, service("a")) == 1


@virtual_time
async def test_a_cold_watch_cache_converts_everything_in_one_review() -> None:
    async with cluster(webhooks=hooks()) as driver:
        for number in range(50):
            await driver("POST", A2, service(f"s{number}"))
        await driver.cluster.restart()
        driver.cluster.stats.reset()
        assert await cost(driver, "GET", A1) == 1
        assert driver.cluster.stats.conversion.objects == 50


@virtual_time
async def test_a_quorum_list_converts_everything_in_one_review() -> None:
    async with cluster(webhooks=hooks(), lists_from_cache=False) as driver:
        await both_versions_used(driver)
        for number in range(3):
            await driver("POST", A2, service(f"s{number}"))
        await anyio.sleep(0.1)
        assert await cost(driver, "GET", A1) == 1


@virtual_time
async def test_watchers_of_one_version_share_one_conversion_for_each_event() -> None:
    async with cluster(webhooks=hooks()) as driver:
        await both_versions_used(driver)
        async with driver.watch(A1, resourceVersion="0") as one, driver.watch(A1, resourceVersion="0") as two:
            await driver("POST", A2, service("a"))
            for events in (one, two):
                event = await events.next()
                assert (event["type"], event["object"]["apiVersion"]) == (
                    "ADDED",
                    "serving.kserve.io/v1alpha1",
                )
        assert driver.cluster.stats.conversion.calls == 1


@virtual_time
async def test_a_list_in_the_other_version_shows_every_write_before_it() -> None:
    async def slow(body: bytes) -> bytes:
        await anyio.sleep(3)
        return await relabel(body)

    async with cluster(webhooks=LocalWebhooks({"/convert": slow})) as driver:
        await both_versions_used(driver)
        await driver("POST", A2, service("a"))
        items = (await driver.get(A1)).body["items"]
        assert [item["metadata"]["name"] for item in items] == ["a"]


@virtual_time
async def test_a_dead_webhook_fails_reads_in_the_other_version_and_heals() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await driver("POST", A2, service("a"))
        del local.handlers["/convert"]
        answer = await driver.get(f"{A1}/a")
        assert answer.status == 500
        assert answer.message.startswith(
            "conversion webhook for serving.kserve.io/v1alpha2, Kind=LLMInferenceService failed: Post "
        )
        assert (await driver.get(f"{A2}/a")).status == 200
        local.handlers["/convert"] = relabel
        assert (await driver.get(f"{A1}/a")).body["apiVersion"] == "serving.kserve.io/v1alpha1"


def _broken(change: str) -> LocalWebhooks:

    async def convert(body: bytes) -> bytes:
        answer = msgspec.json.decode(await relabel(body))
        response = answer["response"]
        obj = response["convertedObjects"][0]
        match change:
            case "uid":
                response["uid"] = "b"
            case "count":
                response["convertedObjects"] = []
            case "status":
                response["result"] = {"status": "Failure", "message": "no way"}
            case "bare status":
                response["result"] = {"status": "Odd"}
            case "version":
                obj["apiVersion"] = "serving.kserve.io/v9"
            case "kind":
                obj["kind"] = "Other"
            case "name":
                obj["metadata"]["name"] = "z"
            case "metadata":
                del obj["metadata"]
            case "down":
                raise HookFailure("connection refused")
            case _:
                raise AssertionError(change)
        return msgspec.json.encode(answer)

    return LocalWebhooks({"/convert": convert})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("uid", 'got "b"'),
        ("count", "returned 0 objects, expected 1"),
        ("status", "failed: no way"),
        ("bare status", "response.result.status was 'Odd', not 'Success'"),
        (
            "version",
            "invalid groupVersion (expected serving.kserve.io/v1alpha1, received serving.kserve.io/v9)",
        ),
        ("kind", "invalid kind (expected LLMInferenceService, received Other)"),
        ("name", "must have the same name: z != a"),
        ("metadata", "missing metadata in converted object"),
        ("down", "connection refused"),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_refused_in_the_servers_words(change: str, text: str) -> None:
    @virtual_time
    async def run() -> None:
        async with cluster(webhooks=_broken(change)) as driver:
            await driver("POST", A2, service("a"))
            answer = await driver.get(f"{A1}/a")
            assert answer.status == 500
            assert text in answer.message

    run()


@virtual_time
async def test_of_the_answers_metadata_only_labels_and_annotations_count() -> None:

    async def convert(body: bytes) -> bytes:
        answer = msgspec.json.decode(await relabel(body))
        for obj in answer["response"]["convertedObjects"]:
            metadata = obj["metadata"]
            obj["metadata"] = {
                **{key: metadata[key] for key in ("name", "namespace", "uid") if key in metadata},
                "labels": {"from": "webhook"},
                "resourceVersion": "1",
                "finalizers": ["x/y"],
            }
        return msgspec.json.encode(answer)

    async with cluster(webhooks=LocalWebhooks({"/convert": convert})) as driver:
        made = service("a")
        made["metadata"]["annotations"] = {"gone": "yes"}
        await driver("POST", A2, made)
        stored = driver.cluster.peek("llminferenceservices.serving.kserve.io", "demo", "a")
        assert stored is not None
        metadata = (await driver.get(f"{A1}/a")).body["metadata"]
        assert metadata["labels"] == {"from": "webhook"}
        assert "annotations" not in metadata
        assert "finalizers" not in metadata
        for field in ("resourceVersion", "generation", "creationTimestamp"):
            assert metadata[field] == stored["metadata"][field]


@virtual_time
async def test_admission_that_cannot_convert_is_an_internal_error_before_any_validator_is_asked() -> None:
    local = hooks()
    async with cluster(webhooks=local) as driver:
        await driver.cluster.create(validators("Equivalent"))
        del local.handlers["/convert"]
        with pytest.raises(StatusError, match="Internal error occurred: conversion webhook for"):
            await driver.cluster.create({**service("a"), "metadata": {"name": "a", "namespace": "demo"}})
        assert driver.cluster.stats.admission.calls == 0


@virtual_time
async def test_a_webhook_that_does_not_answer_is_given_thirty_seconds() -> None:
    async def hang(body: bytes) -> bytes:
        await anyio.sleep(100)
        return body

    async with cluster(webhooks=LocalWebhooks({"/convert": hang})) as driver:
        await driver("POST", A2, service("a"))
        answer = await driver.get(f"{A1}/a")
        assert anyio.current_time() == pytest.approx(30, abs=0.1)
        assert answer.message.endswith('convert?timeout=30s": context deadline exceeded')
        assert driver.cluster.stats.conversion.by_cause["read"] == 1


@virtual_time
async def test_readers_that_wait_for_a_watch_cache_get_through_when_an_event_fails_once() -> None:
    calls = 0

    async def second_fails(body: bytes) -> bytes:
        nonlocal calls
        calls += 1
        await anyio.sleep(1)
        if calls == 2:
            raise HookFailure("reset")
        return await relabel(body)

    async with cluster(webhooks=LocalWebhooks({"/convert": second_fails})) as driver:
        await driver("POST", A2, service("a"))
        await driver.get(A1)
        await driver("POST", A2, service("b"))
        items = (await driver.get(A1)).body["items"]
        assert [item["metadata"]["name"] for item in items] == ["a", "b"]


@virtual_time
async def test_many_conversions_are_in_flight_at_once_and_counted() -> None:
    async def slow(body: bytes) -> bytes:
        await anyio.sleep(1)
        return await relabel(body)

    async with cluster(webhooks=LocalWebhooks({"/convert": slow})) as driver:
        await both_versions_used(driver)
        async with anyio.create_task_group() as group:
            for number in range(700):
                group.start_soon(driver, "POST", A1, service(f"s{number}", "v1alpha1"))
        shown = (await driver.get("/sim/stats")).body["conversion"]
        assert shown["max_in_flight"] >= 700
        assert (shown["failures"], shown["in_flight"]) == (0, 1)
        assert shown["seconds"]["max"] == pytest.approx(1)

"""Validating webhooks are chosen, asked and quoted as the real server does."""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from aioctl.sim.webhooks import HookFailure, LocalWebhooks
from testbed.virtual_time import virtual_time
from tests.sim.driver import SERVICES, Driver, Object, allow, cluster, relabel, service, validators

A1, A2 = SERVICES.format(version="v1alpha1"), SERVICES.format(version="v1alpha2")
PATH_A1 = "/validate-serving-kserve-io-v1alpha1-llminferenceservice"
PATH_A2 = "/validate-serving-kserve-io-v1alpha2-llminferenceservice"
NAME_A2 = "llminferenceservice.kserve-webhook-server.v1alpha2.validator"
Handler = Callable[[bytes], Awaitable[bytes]]


def answering(**response: Any) -> Handler:
    """A webhook that always answers so."""

    async def handle(body: bytes) -> bytes:
        uid = msgspec.json.decode(body)["request"]["uid"]
        review = {
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "response": {"uid": uid, **response},
        }
        return msgspec.json.encode(review)

    return handle


async def write(handler: Handler, *, match_policy: str = "Exact", **hook: Any) -> Any:
    """Creates a v1alpha2 service while its validator answers as given; `hook` are fields of the configuration."""
    local = LocalWebhooks({"/convert": relabel, PATH_A2: handler, PATH_A1: allow})
    async with cluster(webhooks=local) as api:
        configuration = validators(match_policy)
        for entry in configuration["webhooks"]:
            entry.update(hook)
        await api.cluster.create(configuration)
        return await api("POST", A2, service())


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        ({"code": 403, "message": "no"}, 403, ": no"),
        ({"code": 422, "reason": "Invalid", "message": "spec.x: bad"}, 422, ": spec.x: bad"),
        ({"code": 200, "reason": "Forbidden"}, 400, ": Forbidden"),
        ({}, 400, " without explanation"),
    ],
)
def test_a_refusal_is_quoted_with_the_webhooks_name(status: Object, code: int, message: str) -> None:
    @virtual_time
    async def run() -> None:
        answer = await write(answering(allowed=False, status=status))
        assert answer.status == code
        assert answer.message == f'admission webhook "{NAME_A2}" denied the request{message}'

    run()


@virtual_time
async def test_warnings_travel_in_headers() -> None:
    answer = await write(answering(allowed=True, warnings=["old field"]))
    assert (answer.status, answer.headers["warning"]) == (201, '299 - "old field"')


@virtual_time
async def test_warnings_travel_with_a_refusal_too() -> None:
    answer = await write(answering(allowed=False, status={"code": 403}, warnings=["old field", "trap"]))
    assert (answer.status, answer.headers["warning"]) == (403, '299 - "old field", 299 - "trap"')


async def _refuse_connection(body: bytes) -> bytes:
    raise HookFailure("connect: connection refused")


async def _sleep(body: bytes) -> bytes:
    await anyio.sleep(60)
    return body


async def _nonsense(body: bytes) -> bytes:
    return b"{}"


@pytest.mark.parametrize(
    ("handler", "text"),
    [
        (_refuse_connection, "connect: connection refused"),
        (_sleep, "context deadline exceeded"),
        (_nonsense, "webhook response was empty"),
    ],
)
@pytest.mark.parametrize(("policy", "status"), [("Fail", 500), ("Ignore", 201)])
def test_an_unanswered_call_is_judged_by_the_failure_policy(
    handler: Handler, text: str, policy: str, status: int
) -> None:
    @virtual_time
    async def run() -> None:
        answer = await write(handler, failurePolicy=policy)
        assert answer.status == status
        if policy == "Fail":
            start = f'Internal error occurred: failed calling webhook "{NAME_A2}": failed to call webhook: '
            assert answer.message.startswith(start)
            assert text in answer.message
        if handler is _sleep:
            assert anyio.current_time() == pytest.approx(10, abs=0.1)

    run()


async def _asked(policy: str, work: Callable[[Driver], Awaitable[object]]) -> list[Object]:
    """The requests the validators saw during some work."""
    seen: list[Object] = []

    def recording(name: str) -> Handler:
        async def handle(body: bytes) -> bytes:
            request = msgspec.json.decode(body)["request"]
            seen.append({"webhook": name, **request})
            return await allow(body)

        return handle

    hooks = {"/convert": relabel, PATH_A1: recording("v1alpha1"), PATH_A2: recording("v1alpha2")}
    async with cluster(webhooks=LocalWebhooks(hooks)) as api:
        await api("POST", A2, service("old"))
        await api.cluster.create(validators(policy))
        await work(api)
    return seen


@virtual_time
async def test_exact_asks_the_webhook_of_the_written_version_only() -> None:
    async def work(api: Driver) -> None:
        await api("POST", A1, service("a", "v1alpha1"))
        await api("POST", A2, service("b"))

    assert [request["webhook"] for request in await _asked("Exact", work)] == ["v1alpha1", "v1alpha2"]


@virtual_time
async def test_equivalent_asks_both_with_converted_objects_and_says_what_was_written() -> None:
    async def work(api: Driver) -> None:
        await api.merge(f"{A2}/old", {"spec": {"replicas": 2}})

    seen = {request["webhook"]: request for request in await _asked("Equivalent", work)}
    assert set(seen) == {"v1alpha1", "v1alpha2"}
    for version, request in seen.items():
        at = f"serving.kserve.io/{version}"
        assert (request["object"]["apiVersion"], request["oldObject"]["apiVersion"]) == (at, at)
        assert request["kind"]["version"] == version
        assert request["requestKind"]["version"] == "v1alpha2"
        assert (request["operation"], request["namespace"], request["name"]) == ("UPDATE", "demo", "old")
        assert (request["object"]["spec"]["replicas"], "replicas" in request["oldObject"]["spec"]) == (
            2,
            False,
        )


@virtual_time
async def test_status_writes_and_deletions_ask_nobody_whose_rules_do_not_name_them() -> None:
    async def work(api: Driver) -> None:
        await api.merge(f"{A2}/old/status", {"status": {"url": "x"}})
        await api("DELETE", f"{A2}/old")

    assert await _asked("Equivalent", work) == []


@virtual_time
async def test_dry_runs_are_reviewed_and_marked() -> None:
    async def work(api: Driver) -> None:
        await api("POST", A2, service("b"), dryRun="All")

    [request] = await _asked("Exact", work)
    assert (request["dryRun"], request["operation"], request["oldObject"]) == (True, "CREATE", None)


@virtual_time
async def test_bad_objects_are_refused_before_anybody_is_asked() -> None:
    async def work(api: Driver) -> None:
        assert (await api("POST", A2, service("b", replicas=-1))).status == 422

    assert await _asked("Exact", work) == []

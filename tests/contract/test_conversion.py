"""Conversion and admission through our own webhooks over TLS: in both directions, how often, and what breaks how."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from aioctl.api.review import CONVERT
from aioctl.serving.webhook import Answer as HookAnswer
from aioctl.sim.hooks import validating_configurations
from tests.contract.samples import service, services
from tests.contract.servers import Answer, Server, until

OLD, NEW = "serving.kserve.io/v1alpha1", "serving.kserve.io/v1alpha2"
BROKEN = 'an error on the server ("out of order") has prevented the request from succeeding'
SCHEDULER_OLD: dict[str, Any] = {
    "scheduler": {
        "pool": {
            "spec": {
                "selector": {"app": "a"},
                "targetPortNumber": 8000,
                "extensionRef": {"name": "epp", "failureMode": "FailOpen"},
            }
        }
    }
}


@pytest.fixture(autouse=True)
def both_versions_used(server: Server, namespace: str) -> None:
    """A version's watch cache exists once it was used; then each write is converted for it."""
    for old in (True, False):
        assert server("GET", services(namespace, old=old)).status == 200


def test_what_is_written_in_one_version_is_read_in_the_other(server: Server, namespace: str) -> None:
    body = service("old", old=True, router=SCHEDULER_OLD)
    body["spec"]["model"]["criticality"] = "Critical"
    made = server("POST", services(namespace, old=True), body)
    assert (made.status, made.body["apiVersion"]) == (201, OLD)
    new = server("GET", services(namespace, name="old")).body
    assert new["apiVersion"] == NEW
    pool = new["spec"]["router"]["scheduler"]["pool"]["spec"]
    assert pool["selector"] == {"matchLabels": {"app": "a"}}
    assert pool["targetPorts"] == [{"number": 8000}]
    assert pool["endpointPickerRef"]["name"] == "epp"
    again = server("GET", services(namespace, old=True, name="old")).body
    assert again == made.body


def test_lists_and_watches_show_every_object_in_the_asked_version(server: Server, namespace: str) -> None:
    since = server("GET", services(namespace, old=True)).version
    server("POST", services(namespace, old=True), service("a", old=True))
    server("POST", services(namespace), service("b"))
    for old, version in ((True, OLD), (False, NEW)):
        found = server("GET", services(namespace, old=old)).body
        assert {item["apiVersion"] for item in found["items"]} == {version}
        assert [item["metadata"]["name"] for item in found["items"]] == ["a", "b"]
        with server.watch(services(namespace, old=old), resourceVersion=since) as events:
            seen = [events.next()["object"] for _ in range(2)]
        assert [(obj["metadata"]["name"], obj["apiVersion"]) for obj in seen] == [
            ("a", version),
            ("b", version),
        ]


def test_the_revision_is_the_same_in_both_versions(server: Server, namespace: str) -> None:
    made = server("POST", services(namespace), service())
    assert server("GET", services(namespace, old=True, name="svc")).version == made.version


COSTS = [
    (
        "Equivalent",
        {"create": 2, "patch": 3, "no-op": 2, "create old": 4, "patch old": 6, "status": 1, "delete": 1},
    ),
    (
        "Exact",
        {"create": 1, "patch": 1, "no-op": 0, "create old": 3, "patch old": 4, "status": 1, "delete": 1},
    ),
]
"""The table of WEB-1."""


@pytest.mark.parametrize(("policy", "expected"), COSTS)
def test_writes_cost_so_many_conversions(
    server: Server, namespace: str, policy: str, expected: dict[str, int]
) -> None:
    set_match_policy(server, namespace, policy)
    new, old = services(namespace), services(namespace, old=True)
    scale = {"spec": {"replicas": 2}}
    requests: dict[str, Callable[[], Answer]] = {
        "create": lambda: server("POST", new, service("a")),
        "patch": lambda: server.merge(f"{new}/a", scale),
        "no-op": lambda: server.merge(f"{new}/a", scale),
        "create old": lambda: server("POST", old, service("b", old=True)),
        "patch old": lambda: server.merge(f"{old}/b", scale),
        "status": lambda: server.merge(f"{new}/a/status", {"status": {"url": "http://a"}}),
        "delete": lambda: server("DELETE", f"{new}/a"),
    }
    found = {name: server.conversions(request, expected[name]) for name, request in requests.items()}
    set_match_policy(server, namespace, "Exact")
    assert found == expected


def test_who_wrote_in_the_other_version_is_asked_what_changed(server: Server, namespace: str) -> None:
    """managedFields name the version each manager wrote in: it is compared there, at every later write."""
    set_match_policy(server, namespace, "Exact")
    new, old = services(namespace), services(namespace, old=True)

    def costs(expected: int, request: Callable[[], Answer]) -> None:
        assert server.conversions(request, expected) == expected

    def write(path: str, replicas: int, manager: str) -> Callable[[], Answer]:
        return lambda: server.merge(path, {"spec": {"replicas": replicas}}, fieldManager=manager)

    status = {"status": {"url": "http://a"}}
    costs(3, lambda: server("POST", old, service("a", old=True), fieldManager="one"))
    costs(1 + 3, write(f"{new}/a", 2, "two"))
    costs(0 + 3, write(f"{new}/a", 2, "two"))  # a write that changes nothing is found out afterwards
    costs(1 + 3, lambda: server.merge(f"{new}/a/status", status))
    costs(4 + 4, write(f"{old}/a", 3, "three"))  # two and the status are of the other version now
    costs(1 + 4, write(f"{new}/a", 4, "two"))  # one and three
    costs(4 + 4, write(f"{old}/a", 5, "one"))


def set_match_policy(server: Server, namespace: str, policy: str) -> None:
    """Changes both configurations and waits until the API server goes by them (it learns of it by a watch)."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    for configuration in validating_configurations(
        server.hooks.webhooks.url, server.hooks.webhooks.bundle, match_policy=policy
    ):
        name = configuration["metadata"]["name"]
        assert server.merge(f"{path}/{name}", {"webhooks": configuration["webhooks"]}).status == 200
    asked = 2 if policy == "Equivalent" else 1

    def in_force() -> bool:
        before = sum(count for at, count in server.hooks.calls.items() if at != CONVERT)
        assert server("POST", services(namespace), service("probe"), dryRun="All").status == 201
        return sum(count for at, count in server.hooks.calls.items() if at != CONVERT) - before == asked

    until(in_force)


@pytest.mark.parametrize(
    ("old", "name", "query", "expected"),
    [
        (True, "a", {}, 1),
        (False, "a", {}, 0),
        (True, "", {}, 0),
        (True, "", {"resourceVersion": "0"}, 0),
        (True, "", {"limit": "1"}, 0),
        (False, "", {}, 0),
    ],
)
def test_reads_cost_so_many_conversions(
    server: Server, namespace: str, old: bool, name: str, query: dict[str, str], expected: int
) -> None:
    for made in ("a", "b"):
        server("POST", services(namespace), service(made))
    # The watch cache of the other version hears of them a moment later.
    assert len(server("GET", services(namespace, old=True)).body["items"]) == 2
    path = services(namespace, old=old, name=name)
    assert server.conversions(lambda: server("GET", path, **query), expected) == expected


def test_watchers_of_a_version_share_the_one_conversion_of_each_change(
    server: Server, namespace: str
) -> None:
    old, new = services(namespace, old=True), services(namespace)
    since = server("GET", old).version
    with (
        server.watch(old, resourceVersion=since) as one,
        server.watch(old, resourceVersion=since) as two,
        server.watch(new, resourceVersion=since) as three,
    ):
        # One of them is admission's: v1alpha2 is validated in its own words, the stored object is not converted.
        assert server.conversions(lambda: server("POST", new, service("a")), 1) == 1
        for events in (one, two, three):
            assert events.take(1) == [("ADDED", "a")]
    for query in ({"resourceVersion": since}, {"resourceVersion": "0"}):
        before = server.hooks.calls[CONVERT]
        with server.watch(old, **query) as events:
            assert events.take(1) == [("ADDED", "a")]
        assert server.hooks.calls[CONVERT] == before


# -- what breaks


def test_a_webhook_that_answers_an_error_fails_reads_in_the_other_version_only(
    server: Server, namespace: str
) -> None:
    server("POST", services(namespace), service())
    server.hooks.instead[CONVERT] = lambda _: HookAnswer.text(500, "out of order")
    try:
        answer = server("GET", services(namespace, old=True, name="svc"))
        assert (answer.status, answer.body.get("reason", "")) == (500, "")
        assert answer.message == f"conversion webhook for {NEW}, Kind=LLMInferenceService failed: {BROKEN}"
        assert server("GET", services(namespace, name="svc")).status == 200
    finally:
        server.hooks.instead.clear()
    assert server("GET", services(namespace, old=True, name="svc")).status == 200


def answered(change: dict[str, Any]) -> Any:
    """An answer to a review that is right but for some fields of its response."""

    def answer(body: bytes) -> HookAnswer:
        request = json.loads(body)["request"]
        objects = [{**obj, "apiVersion": request["desiredAPIVersion"]} for obj in request["objects"]]
        response = {
            "uid": request["uid"],
            "result": {"status": "Success"},
            "convertedObjects": objects,
            **change,
        }
        review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response}
        return HookAnswer.of(200, json.dumps(review).encode())

    return answer


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"uid": "zz"}, 'failed: expected response.uid="'),
        ({"result": {"status": "Failure", "message": "svc: spec.model: no"}}, "failed: svc: spec.model: no"),
        ({"result": {}}, "failed: response.result.status was '', not 'Success'"),
        ({"convertedObjects": []}, "returned 0 objects, expected 1"),
        (
            {"convertedObjects": [{"apiVersion": NEW, "kind": "LLMInferenceService"}]},
            f"returned invalid object at index 0: invalid groupVersion (expected {OLD}, received {NEW})",
        ),
    ],
)
def test_an_answer_that_breaks_the_protocol_is_refused_in_the_servers_words(
    server: Server, namespace: str, change: dict[str, Any], text: str
) -> None:
    server("POST", services(namespace), service())
    server.hooks.instead[CONVERT] = answered(change)
    try:
        answer = server("GET", services(namespace, old=True, name="svc"))
    finally:
        server.hooks.instead.clear()
    assert answer.status == 500
    assert answer.message.startswith(f"conversion webhook for {NEW}, Kind=LLMInferenceService {text}")


def test_admission_refuses_with_the_webhooks_name_and_our_words(server: Server, namespace: str) -> None:
    both = {"route": {"http": {"refs": [{"name": "a"}], "spec": {"hostnames": ["a.example.com"]}}}}
    for old, version in ((True, "v1alpha1"), (False, "v1alpha2")):
        answer = server("POST", services(namespace, old=old), service("bad", old=old, router=both))
        # Our answer carries a whole Status: 422 with causes, not the bare 403 of a webhook without one.
        assert answer.status in {403, 422}
        assert answer.message.startswith(
            f'admission webhook "llminferenceservice.kserve-webhook-server.{version}.validator" denied the request: '
        )
        assert "spec.router.route.http" in answer.message
        assert ("is deprecated" in answer.headers.get("warning", "")) == old, (
            "warnings come with a refusal too"
        )
        assert server("GET", services(namespace, name="bad")).status == 404


def test_warnings_of_admission_reach_the_client(server: Server, namespace: str) -> None:
    spec = {"model": {"uri": "hf://facebook/opt-125m", "criticality": "Standard"}}
    answer = server("POST", services(namespace, old=True), service("w", old=True, **spec))
    assert answer.status == 201, answer.body
    warning = answer.headers.get("warning", "")
    assert '299 - "serving.kserve.io/v1alpha1 LLMInferenceService is deprecated' in warning
    assert '299 - "spec.model.criticality is deprecated and has no effect"' in warning

"""The mutating webhook over TLS: what it adds, when, at what cost, and what becomes of a write when it fails."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.api.kinds import MUTATING_WEBHOOK
from aioctl.serving.webhook import Answer as HookAnswer
from aioctl.sim.hooks import mutating_configuration
from tests.contract.samples import service, services
from tests.contract.servers import JSON_PATCH, Server, until

FINALIZER = "serving.kserve.io/llmisvc-finalizer"
PATH = "/mutate-serving-kserve-io-v1alpha2-llminferenceservice"
NAME = "llminferenceservice.kserve-webhook-server.v1alpha2.defaulter"


@pytest.fixture(autouse=True)
def installed(server: Server, namespace: str) -> Iterator[None]:
    """Our mutating webhook, in force while the test runs; both versions' watch caches exist."""
    webhooks = server.hooks.webhooks
    configuration = mutating_configuration(webhooks.url, webhooks.bundle)
    assert server("POST", MUTATING_WEBHOOK.path(), configuration).status == 201
    for old in (True, False):
        assert server("GET", services(namespace, old=old)).status == 200
    until(lambda: is_mutated(server, namespace))
    yield
    server.hooks.instead.clear()
    name = configuration["metadata"]["name"]
    assert server("DELETE", MUTATING_WEBHOOK.path("", name)).status == 200
    until(lambda: not is_mutated(server, namespace))


def is_mutated(server: Server, namespace: str) -> bool:
    answer = server("POST", services(namespace), service("probe"), dryRun="All")
    assert answer.status == 201, answer.body
    return "finalizers" in answer.body["metadata"]


def create(server: Server, namespace: str, body: dict[str, Any], **query: str) -> Any:
    """The created object."""
    old = body["apiVersion"].endswith("v1alpha1")
    answer = server("POST", services(namespace, old=old), body, **query)
    assert answer.status == 201, answer.body
    return answer.body


def change_hook(server: Server, **fields: Any) -> None:
    """Changes the webhook for v1alpha2."""
    path = MUTATING_WEBHOOK.path("", "llminferenceservice.serving.kserve.io")
    operations = [
        {"op": "add", "path": f"/webhooks/1/{key}", "value": value} for key, value in fields.items()
    ]
    assert server("PATCH", path, operations, kind=JSON_PATCH).status == 200


def patching(*operations: dict[str, Any]) -> Any:
    """A webhook that answers every review with this patch."""
    return answering(
        allowed=True, patchType="JSONPatch", patch=base64.b64encode(json.dumps(operations).encode()).decode()
    )


def answering(**response: Any) -> Any:
    def answer(body: bytes) -> HookAnswer:
        uid = json.loads(body)["request"]["uid"]
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"}
        return HookAnswer.of(200, json.dumps({**review, "response": {"uid": uid, **response}}).encode())

    return answer


@pytest.mark.parametrize("old", [True, False], ids=["v1alpha1", "v1alpha2"])
def test_a_service_is_created_with_the_finalizer(server: Server, namespace: str, *, old: bool) -> None:
    body = service("a", old=old)
    body["metadata"]["finalizers"] = ["example.com/theirs"]
    assert create(server, namespace, body)["metadata"]["finalizers"] == ["example.com/theirs", FINALIZER]
    assert create(server, namespace, service("b", old=old))["metadata"]["finalizers"] == [FINALIZER]
    for version in (True, False):
        found = server("GET", services(namespace, old=version, name="b")).body
        assert found["metadata"]["finalizers"] == [FINALIZER]
        assert found["metadata"]["generation"] == 1


@pytest.mark.parametrize("old", [True, False], ids=["v1alpha1", "v1alpha2"])
def test_the_models_name_and_the_groups_label_follow_the_spec(
    server: Server, namespace: str, *, old: bool
) -> None:
    label = "serving.kserve.io/routing-group"
    found = create(server, namespace, service("a", old=old, router={"route": {"group": "g", "weight": 1}}))
    assert found["spec"]["model"]["name"] == "a"
    assert found["metadata"]["labels"][label] == "g"
    path = services(namespace, old=old, name="a")
    moved = server.merge(path, {"spec": {"router": {"route": {"group": "h"}}}}).body
    assert moved["metadata"]["labels"][label] == "h"
    left = server.merge(path, {"spec": {"router": None, "model": {"name": None}}}).body
    assert label not in left["metadata"].get("labels", {})
    assert left["spec"]["model"]["name"] == "a"


def test_it_costs_no_conversion_and_spares_those_of_a_later_write(server: Server, namespace: str) -> None:
    new, old = services(namespace), services(namespace, old=True)
    status = {"status": {"url": "http://a"}}
    assert server.conversions(lambda: server("POST", new, service("a")), 1) == 1
    assert server.conversions(lambda: server("POST", old, service("b", old=True)), 3) == 3
    assert server.conversions(lambda: server.merge(f"{new}/a/status", status), 1) == 1
    assert server.conversions(lambda: server.merge(f"{new}/b/status", status), 4) == 4


def test_who_takes_the_finalizer_off_is_not_overruled(server: Server, namespace: str) -> None:
    create(server, namespace, service("a"))
    changed = server.merge(services(namespace, name="a"), {"metadata": {"finalizers": None}})
    assert changed.status == 200
    assert "finalizers" not in changed.body["metadata"]


def test_server_side_apply_creates_with_it_and_keeps_it(server: Server, namespace: str) -> None:
    path, apply = services(namespace, name="a"), "application/apply-patch+yaml"
    for replicas, status in ((1, 201), (2, 200)):
        body = service("a", replicas=replicas)
        applied = server("PATCH", path, body, kind=apply, fieldManager="team")
        assert applied.status == status, applied.body
        assert applied.body["metadata"]["finalizers"] == [FINALIZER]
        assert applied.body["spec"]["replicas"] == replicas


def test_a_dry_run_shows_it_and_stores_nothing(server: Server, namespace: str) -> None:
    shown = create(server, namespace, service("a"), dryRun="All")
    assert shown["metadata"]["finalizers"] == [FINALIZER]
    assert server("GET", services(namespace, name="a")).status == 404


def test_unanswered_it_is_left_out_when_the_policy_says_so(server: Server, namespace: str) -> None:
    server.hooks.instead[PATH] = lambda _: HookAnswer.text(500, "out of order")
    change_hook(server, failurePolicy="Ignore")
    path = services(namespace)
    until(lambda: server("POST", path, service("probe"), dryRun="All").status == 201)
    assert "finalizers" not in create(server, namespace, service("a"))["metadata"]


def test_unanswered_it_refuses(server: Server, namespace: str) -> None:
    server.hooks.instead[PATH] = lambda _: HookAnswer.text(500, "out of order")
    path = services(namespace)
    refused = server("POST", path, service("a"))
    assert refused.status == 500
    assert refused.message == (
        f'Internal error occurred: failed calling webhook "{NAME}": failed to call webhook: '
        'an error on the server ("out of order") has prevented the request from succeeding'
    )


def test_a_refusal_names_the_webhook_and_keeps_its_warnings(server: Server, namespace: str) -> None:
    server.hooks.instead[PATH] = answering(
        allowed=False, status={"code": 403, "message": "not today"}, warnings=["look out"]
    )
    refused = server("POST", services(namespace), service("a"))
    assert (refused.status, refused.message) == (
        403,
        f'admission webhook "{NAME}" denied the request: not today',
    )
    assert refused.headers["warning"] == '299 - "look out"'


def test_what_it_makes_is_validated_by_schema_and_webhook(server: Server, namespace: str) -> None:
    path = services(namespace)
    server.hooks.instead[PATH] = patching({"op": "add", "path": "/spec/replicas", "value": "many"})
    refused = server("POST", path, service("a"))
    assert refused.status == 422
    assert "spec.replicas" in refused.message
    server.hooks.instead[PATH] = patching({"op": "add", "path": "/spec/parallelism", "value": {"tensor": 0}})
    validated = server("POST", path, service("a", parallelism={"tensor": 0}))
    assert server("POST", path, service("a")).message == validated.message
    assert validated.status in (403, 422)


def test_a_patch_that_does_not_fit_is_an_error(server: Server, namespace: str) -> None:
    server.hooks.instead[PATH] = patching({"op": "remove", "path": "/spec/nothing"})
    refused = server("POST", services(namespace), service("a"))
    assert refused.status == 500


def test_several_are_called_by_name_each_with_what_the_last_one_made(server: Server, namespace: str) -> None:
    webhooks = server.hooks.webhooks
    second = mutating_configuration(webhooks.url, webhooks.bundle)
    second["metadata"]["name"] = "zz.example.com"
    assert server("POST", MUTATING_WEBHOOK.path(), second).status == 201
    asked = []

    def answer(body: bytes) -> HookAnswer:
        asked.append(json.loads(body)["request"]["object"]["spec"].get("replicas"))
        replicas = (asked[-1] or 0) + 1
        return patching({"op": "add", "path": "/spec/replicas", "value": replicas})(body)  # type: ignore[no-any-return]

    try:
        until(lambda: count_of_calls(server, namespace) == 2)
        server.hooks.instead[PATH] = answer
        assert create(server, namespace, service("a"))["spec"]["replicas"] == 2
        assert asked == [None, 1]
    finally:
        assert server("DELETE", MUTATING_WEBHOOK.path("", "zz.example.com")).status == 200
        until(lambda: count_of_calls(server, namespace) == 1)


def count_of_calls(server: Server, namespace: str) -> int:
    """How many reviews of the mutating path a creation asks for."""
    before = server.hooks.calls[PATH]
    create(server, namespace, service("probe"), dryRun="All")
    return server.hooks.calls[PATH] - before

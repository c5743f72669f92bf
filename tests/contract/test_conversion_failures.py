"""What a version that cannot be made costs, and whom: caches of the versions, stored objects that no webhook converts.

Each test has a kind of its own, `Thing`, stored as v2 and served as v1 too. The webhook refuses reviews that hold an object
whose name begins with `bad`, and is out of order altogether when told so.
"""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from aioctl.api.kinds import CRD
from aioctl.api.review import CONVERT
from aioctl.serving.webhook import Answer as HookAnswer
from aioctl.sim.hooks import conversion_patch
from tests.contract.samples import WAITS
from tests.contract.servers import Answer, Server, until

_NUMBERS = itertools.count()
INITIALIZING = "storage is (re)initializing"


@dataclass
class Things:
    """A kind of the test's own, and its webhook."""

    server: Server
    group: str
    namespace: str
    is_down: bool = False

    def path(self, version: str, name: str = "") -> str:
        path = f"/apis/{self.group}/{version}/namespaces/{self.namespace}/things"
        return f"{path}/{name}" if name else path

    def get(self, version: str, name: str = "", **query: str) -> Answer:
        return self.server("GET", self.path(version, name), **query)

    def answers(self, version: str) -> bool:
        return self.get(version).status == 200

    def create(self, name: str, version: str = "v2") -> Answer:
        body = {"apiVersion": f"{self.group}/{version}", "kind": "Thing", "metadata": {"name": name}}
        return self.server("POST", self.path(version), body)

    def change(self, name: str, value: int, version: str = "v2") -> Answer:
        return self.server.merge(self.path(version, name), {"spec": {"size": value}})

    def delete(self, name: str, version: str = "v2") -> Answer:
        return self.server("DELETE", self.path(version, name))

    def answer(self, body: bytes) -> HookAnswer:
        if self.is_down:
            return HookAnswer.text(500, "out of order")
        request = json.loads(body)["request"]
        objects = [{**obj, "apiVersion": request["desiredAPIVersion"]} for obj in request["objects"]]
        bad = [obj for obj in objects if obj["metadata"]["name"].startswith("bad")]
        result: dict[str, Any] = {"result": {"status": "Success"}, "convertedObjects": objects}
        if bad:
            result = {
                "result": {"status": "Failure", "message": f"{bad[0]['metadata']['name']}: spec.size: no"}
            }
        review = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview"}
        return HookAnswer.of(
            200, json.dumps({**review, "response": {"uid": request["uid"], **result}}).encode()
        )

    def refusal(self) -> str:
        return f"conversion webhook for {self.group}/v2, Kind=Thing failed: bad: spec.size: no"

    def touch_crd(self) -> None:
        """Another spec: the server starts the kind anew, with empty caches."""
        # Nothing that the server accepts into the status: that would be a second change, at some later moment.
        understood = {"conversionReviewVersions": ["v1", f"x{next(_NUMBERS)}"]}
        patch = {"spec": {"conversion": {"webhook": understood}}}
        assert self.server.merge(CRD.path("", f"things.{self.group}"), patch).status == 200


def crd(group: str, clause: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    versions = [
        {"name": name, "served": True, "storage": name == "v2", "schema": {"openAPIV3Schema": schema}}
        for name in ("v1", "v2")
    ]
    names = {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"}
    spec = {"group": group, "names": names, "scope": "Namespaced", "versions": versions, **clause}
    return {
        "apiVersion": CRD.api_version,
        "kind": CRD.kind,
        "metadata": {"name": f"things.{group}"},
        "spec": spec,
    }


@pytest.fixture
def things(server: Server, namespace: str) -> Iterator[Things]:
    """Served, and never asked for."""
    group = f"g{next(_NUMBERS)}.contract.example"
    made = Things(server, group, namespace)
    webhooks = server.hooks.webhooks
    clause = conversion_patch(webhooks.url, webhooks.bundle)["spec"]
    server.hooks.instead[CONVERT] = made.answer
    answer = server("POST", CRD.path(), crd(group, clause))
    assert answer.status == 201, answer.body
    until(lambda: server("GET", f"/apis/{group}/v2").status == 200)
    yield made
    server("DELETE", CRD.path("", f"things.{group}"))
    server.hooks.instead.clear()


def test_a_version_nobody_asked_for_is_kept_at_hand_too(server: Server, things: Things) -> None:
    until(partial(things.answers, "v2"))
    for name in ("a", "b"):
        assert server.conversions(partial(things.create, name), 1) == 1
    assert server.conversions(lambda: things.change("a", 1), 1) == 1


def _says(things: Things, message: str, query: Mapping[str, str]) -> bool:
    found: str = things.get("v1", **query).message
    return found == message


def test_an_object_that_cannot_be_converted_fails_lists_and_watches_of_that_version_only(
    server: Server, things: Things
) -> None:
    until(lambda: things.create("good").status == 201)
    things.create("bad")
    things.touch_crd()

    def refused() -> bool:
        return things.refusal() in things.get("v1").message

    until(refused)
    whole = f"{INITIALIZING}: failed to list {things.group}/v1, Kind=Thing: {things.refusal()}"
    for query in (
        {},
        {"resourceVersion": "0"},
        {"watch": "true", "resourceVersion": "0"},
        {"fieldSelector": "metadata.name=good"},
    ):
        # While a watch cache tries anew, the API server does not say why the last time failed.
        until(partial(_says, things, whole, query))
        answer = things.get("v1", **query)
        assert (answer.status, answer.headers.get("retry-after")) == (429, "1"), query
        assert answer.body["reason"] == "TooManyRequests"
        assert answer.body["details"]["retryAfterSeconds"] == 1
    page = things.get("v1", limit="1")
    assert (page.status, page.message) == (500, things.refusal())
    for query in ({}, {"resourceVersion": "0"}):
        assert things.get("v1", "good", **query).status == 200
        assert (things.get("v1", "bad", **query).status, things.get("v1", "bad").message) == (
            500,
            things.refusal(),
        )
    assert things.create("more", "v1").status == 201
    assert things.change("good", 2, "v1").status == 200
    assert things.delete("more", "v1").status == 200
    assert things.change("bad", 2, "v1").status == 500
    assert things.delete("bad", "v1").status == 500
    names = [item["metadata"]["name"] for item in things.get("v2").body["items"]]
    assert names == ["bad", "good"]
    assert things.change("bad", 3).status == 200
    assert things.delete("bad").status == 200
    until(partial(things.answers, "v1"))
    assert [item["metadata"]["name"] for item in things.get("v1").body["items"]] == ["good"]


@WAITS
def test_a_cache_that_meets_such_an_object_shows_what_it_had(server: Server, things: Things) -> None:
    until(lambda: things.create("good").status == 201)
    until(partial(things.answers, "v1"))
    things.create("bad")
    shown = things.get("v1", resourceVersion="0")
    assert [item["metadata"]["name"] for item in shown.body["items"]] == ["good"]
    assert things.get("v1", "good", resourceVersion="0").status == 200
    assert things.get("v1", "bad", resourceVersion="0").status == 404
    started = time.monotonic()
    answer = things.get("v1")
    assert (answer.status, answer.message) == (500, things.refusal())
    assert 2.5 < time.monotonic() - started < 30, "three seconds of a healthy machine"
    assert [item["metadata"]["name"] for item in things.get("v1", fieldSelector="metadata.name=good").body["items"]] == ["good"]  # fmt: skip


def test_a_webhook_that_is_away_for_a_moment_ends_no_watch(server: Server, things: Things) -> None:
    until(lambda: things.create("a").status == 201)
    until(partial(things.answers, "v1"))
    since = things.get("v1").version
    with server.watch(things.path("v1"), resourceVersion=since) as events:
        things.is_down = True
        assert things.create("b").status == 201
        assert things.change("a", 1).status == 200
        calls = server.hooks.calls[CONVERT]
        until(lambda: server.hooks.calls[CONVERT] > calls + 3)
        things.is_down = False
        assert events.take(2) == [("ADDED", "b"), ("MODIFIED", "a")]


def test_a_change_of_the_crd_ends_watches(server: Server, things: Things) -> None:
    until(lambda: things.create("a").status == 201)
    until(partial(things.answers, "v1"))
    for version in ("v1", "v2"):
        since = things.get(version).version
        with server.watch(things.path(version), resourceVersion=since) as events:
            things.touch_crd()
            with pytest.raises(EOFError):
                events.next()
        until(partial(things.answers, version))
        with server.watch(things.path(version), resourceVersion=since) as events:
            gone = events.next()
        assert (gone["type"], gone["object"]["code"]) == ("ERROR", 410)

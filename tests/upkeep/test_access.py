"""Who may read the metrics port: what is asked of the API server, for how long its verdict holds, what a caller is told.

Rules: ACCESS-1.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import anyio
import pytest

from aioctl.kube.client import Client
from aioctl.kube.wire import Request, Response
from aioctl.upkeep import access
from aioctl.upkeep.access import AccessGuard
from testbed.scripted_wire import ScriptedWire, encode, status_body
from testbed.virtual_time import VirtualClock, virtual_time

TOKENS = "/apis/authentication.k8s.io/v1/tokenreviews"
ACCESS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
USER = {
    "username": "system:serviceaccount:monitoring:prometheus",
    "uid": "u-1",
    "groups": ["system:serviceaccounts", "system:authenticated"],
    "extra": {"authentication.kubernetes.io/pod-name": ["prometheus-0"]},
}


class Cluster:
    """Knows one token, `good`, and whether its user may read."""

    def __init__(self) -> None:
        self.wire = ScriptedWire()
        self.may = True
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.wire.answer("POST", TOKENS, self._answered(TOKENS, self._token))
        self.wire.answer("POST", ACCESS, self._answered(ACCESS, lambda _: {"allowed": self.may}))
        self.guard = AccessGuard(Client(self.wire), clock=VirtualClock())

    def _token(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        if spec["token"] == "good":
            return {"authenticated": True, "user": USER}
        return {"error": "unknown"}

    def _answered(
        self, path: str, status: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    ) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            review = json.loads(request.body or b"")
            self.asked.append((path, review["spec"]))
            return Response(201, {}, encode({**review, "status": status(review["spec"])}))

        return answer

    async def status(self, authorization: str, method: str = "GET", path: str = "/metrics") -> int:
        refusal = await self.guard.refusal(authorization, method, path)
        return HTTPStatus.OK if refusal is None else refusal.status


@virtual_time
async def test_the_api_server_is_asked_whose_the_token_is_and_what_its_user_may() -> None:
    cluster = Cluster()
    assert await cluster.status("Bearer good") == 200
    (token, who), (permission, what) = cluster.asked
    assert (token, permission) == (TOKENS, ACCESS)
    assert who == {"token": "good"}
    assert what == {
        "user": USER["username"],
        "uid": USER["uid"],
        "groups": USER["groups"],
        "extra": USER["extra"],
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }


@virtual_time
async def test_verdicts_hold_as_long_as_the_filter_keeps_them() -> None:
    cluster = Cluster()
    for _ in range(3):
        assert await cluster.status("Bearer good") == 200
    assert [path for path, _ in cluster.asked] == [TOKENS, ACCESS]
    await anyio.sleep(access.USER_TTL + 1)
    assert await cluster.status("bearer good") == 200
    assert [path for path, _ in cluster.asked] == [TOKENS, ACCESS, TOKENS]
    cluster.may = False
    await anyio.sleep(access.ALLOWED_TTL - access.USER_TTL)
    assert await cluster.status("Bearer good") == 403
    cluster.may = True
    await anyio.sleep(access.DENIED_TTL - 1)
    assert await cluster.status("Bearer good") == 403
    await anyio.sleep(2)
    assert await cluster.status("Bearer good") == 200


@virtual_time
async def test_every_path_and_verb_is_a_permission_of_its_own() -> None:
    cluster = Cluster()
    await cluster.status("Bearer good")
    await cluster.status("Bearer good", path="/ui/")
    await cluster.status("Bearer good", "HEAD")
    asked = [spec["nonResourceAttributes"] for path, spec in cluster.asked if path == ACCESS]
    assert asked == [
        {"path": "/metrics", "verb": "get"},
        {"path": "/ui/", "verb": "get"},
        {"path": "/metrics", "verb": "head"},
    ]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer  ", "Basic Z29vZA==", "good"])
@virtual_time
async def test_without_a_token_nobody_is_asked(authorization: str) -> None:
    cluster = Cluster()
    refusal = await cluster.guard.refusal(authorization, "GET", "/metrics")
    assert refusal == (HTTPStatus.UNAUTHORIZED, "Unauthorized\n", {"WWW-Authenticate": "Bearer"})
    assert cluster.asked == []


@virtual_time
async def test_a_token_that_is_nobodys_is_asked_for_once_a_minute() -> None:
    cluster = Cluster()
    for _ in range(2):
        refusal = await cluster.guard.refusal("Bearer bad", "GET", "/metrics")
        assert refusal is not None
        assert refusal.status == HTTPStatus.UNAUTHORIZED
        assert refusal.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    assert [path for path, _ in cluster.asked] == [TOKENS]


@virtual_time
async def test_an_api_server_that_refuses_the_review_lets_nobody_in_and_is_asked_again() -> None:
    wire = ScriptedWire()
    wire.answer("POST", TOKENS, status=403, body=status_body(403, "Forbidden", "tokenreviews is forbidden"))
    guard = AccessGuard(Client(wire), clock=VirtualClock())
    for _ in range(2):
        refusal = await guard.refusal("Bearer good", "GET", "/metrics")
        assert refusal is not None
        assert refusal.status == HTTPStatus.INTERNAL_SERVER_ERROR
        assert "forbidden" not in refusal.text
    assert len(wire.requests) == 2


@virtual_time
async def test_a_stranger_with_ever_new_tokens_does_not_fill_the_memory() -> None:
    cluster = Cluster()
    for number in range(access.KEPT + 10):
        assert await cluster.status(f"Bearer {number}") == 401
    assert len(cluster.guard._users._found) == access.KEPT
    assert await cluster.status("Bearer good") == 200

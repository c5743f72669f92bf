"""What an earlier KServe made for autoscaling goes when a leader starts, and nothing waits for it.

Rules: SCALE-3.
"""

from typing import Any

import anyio
import pytest

from aioctl.kube.client import Client
from aioctl.kube.wire import Request, Response
from aioctl.upkeep.former_autoscalers import VARIANT_AUTOSCALING, delete_former_autoscalers
from testbed.scripted_wire import ScriptedWire, encode, list_body, status_body
from testbed.virtual_time import virtual_time

LIST = VARIANT_AUTOSCALING.path()


def named(*found: str) -> list[dict[str, Any]]:
    return [{"metadata": {"name": name, "namespace": "n", "uid": f"u-{name}"}} for name in found]


def failure(code: int, reason: str) -> Response:
    return Response(code, {}, encode(status_body(code, reason, reason, {"name": "x"})))


class Server:
    """Answers lists one by one, and deletions by name."""

    def __init__(self, lists: list[Response], deletions: dict[str, Response]) -> None:
        self.wire = ScriptedWire()
        self.lists = lists
        self.deletions = deletions
        self.deleted: list[str] = []
        self.selectors: list[str] = []
        self.wire.answer("GET", LIST, self.list)
        for name in deletions:
            self.wire.answer("DELETE", VARIANT_AUTOSCALING.path("n", name), self.delete)

    def list(self, request: Request) -> Response:
        self.selectors += [value for key, value in request.query if key == "labelSelector"]
        return self.lists.pop(0)

    def delete(self, request: Request) -> Response:
        name = request.path.rpartition("/")[2]
        self.deleted.append(name)
        return self.deletions[name]


GONE = Response(200, {}, encode(status_body(200, "", "", {})))


@pytest.mark.parametrize(
    ("lists", "deletions", "deleted", "seconds"),
    [
        ([Response(200, {}, encode(list_body(named("a", "b"), "1")))], {"a": GONE, "b": GONE}, ["a", "b"], 0),
        (
            [Response(200, {}, encode(list_body(named("a", "b"), "1")))],
            {"a": failure(403, "Forbidden"), "b": GONE},
            ["a", "b"],
            0,
        ),
        ([failure(404, "NotFound")], {}, [], 0),
        ([failure(403, "Forbidden")] * 3, {}, [], 3),
        (
            [failure(403, "Forbidden"), Response(200, {}, encode(list_body(named("a"), "1")))],
            {"a": failure(404, "NotFound")},
            ["a"],
            1,
        ),
    ],
    ids=["all-go", "one-may-not-be-deleted", "no-such-kind", "three-tries", "second-try"],
)
@virtual_time
async def test_they_are_deleted_once_and_failures_are_only_told(
    lists: list[Response], deletions: dict[str, Response], deleted: list[str], seconds: float
) -> None:
    server = Server(list(lists), deletions)
    started = anyio.current_time()
    await delete_former_autoscalers(Client(server.wire))
    assert anyio.current_time() - started == pytest.approx(seconds, abs=0.1)
    assert server.deleted == deleted
    assert server.lists == []
    assert set(server.selectors) == {"app.kubernetes.io/part-of=llminferenceservice"}

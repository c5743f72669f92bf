"""Our own writes stay pending until the caches show them, or their deadline is over."""

from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api.kinds import DEPLOYMENT, ROLE, Kind, ObjectKey, ObjectRef
from aioctl.kube.cached import Cached
from aioctl.kube.expectations import DEADLINE, Expectations
from testbed.virtual_time import VirtualClock, virtual_time

KEY = ObjectKey("n", "d")
REF = ObjectRef(DEPLOYMENT, "n", "d")


class Caches:
    def __init__(self) -> None:
        self.held: dict[ObjectRef, Cached] = {}

    def lookup(self, kind: Kind, key: ObjectKey) -> Cached | None:
        return self.held.get(ObjectRef(kind, key.namespace, key.name))

    def show(self, uid: str, version: str, *, deleting: bool = False) -> None:
        metadata: dict[str, Any] = {"name": "d", "namespace": "n", "uid": uid, "resourceVersion": version}
        if deleting:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.held[REF] = Cached.from_raw(msgspec.json.encode({"metadata": metadata}), DEPLOYMENT)


def made() -> tuple[Caches, Expectations]:
    caches = Caches()
    return caches, Expectations(caches.lookup, clock=VirtualClock())


@pytest.mark.parametrize(
    ("before", "after", "pending"),
    [
        (None, None, True),
        (None, ("u", "10"), False),
        (None, ("u", "11"), False),
        (None, ("u", "9"), True),
        (None, ("u", "100"), False),
        (("u", "8"), ("u", "8"), True),
        (("u", "8"), None, False),
        (("u", "8"), ("v", "12"), False),
        (("old", "8"), ("old", "8"), True),
        (("old", "8"), ("other", "12"), False),
        (None, ("u", "opaque"), True),
    ],
)
def test_a_write_is_pending_until_its_version_or_a_newer_state_shows(
    before: tuple[str, str] | None, after: tuple[str, str] | None, pending: bool
) -> None:
    @virtual_time
    async def scenario() -> None:
        caches, expectations = made()
        if before:
            caches.show(*before)
        expectations.wrote(DEPLOYMENT, KEY, "u", "10")
        caches.held.clear()
        if after:
            caches.show(*after)
        assert expectations.pending([REF]) is pending

    scenario()


@virtual_time
async def test_versions_that_are_no_numbers_are_compared_for_equality() -> None:
    caches, expectations = made()
    expectations.wrote(DEPLOYMENT, KEY, "u", "abc")
    caches.show("u", "abd")
    assert expectations.pending([REF])
    caches.show("u", "abc")
    assert not expectations.pending([REF])


@virtual_time
async def test_a_deletion_is_pending_until_the_object_is_gone_replaced_or_going() -> None:
    for show in (None, ("v", "1", False), ("u", "9", True)):
        caches, expectations = made()
        caches.show("u", "8")
        expectations.deleted(DEPLOYMENT, KEY, "u")
        assert expectations.pending([REF])
        caches.held.clear()
        if show:
            caches.show(show[0], show[1], deleting=show[2])
        assert not expectations.pending([REF])
        assert len(expectations) == 0


@virtual_time
async def test_an_object_that_nothing_holds_is_pending_until_it_is_gone_or_replaced() -> None:
    caches, expectations = made()
    caches.show("u", "8", deleting=True)
    expectations.released(DEPLOYMENT, KEY, "u")
    assert expectations.pending([REF])
    caches.held.clear()
    assert not expectations.pending([REF])
    caches.show("u", "8", deleting=True)
    expectations.released(DEPLOYMENT, KEY, "u")
    caches.show("v", "12")
    assert not expectations.pending([REF])


@virtual_time
async def test_a_lost_watch_blocks_only_until_the_deadline() -> None:
    _, expectations = made()
    expectations.wrote(DEPLOYMENT, KEY, "u", "10", owner="s")
    await anyio.sleep(DEADLINE - 0.1)
    assert expectations.pending_for("s")
    await anyio.sleep(0.1)
    assert not expectations.pending_for("s")
    assert len(expectations) == 0


@virtual_time
async def test_an_owner_waits_for_all_of_its_writes_and_no_others() -> None:
    caches, expectations = made()
    expectations.wrote(DEPLOYMENT, KEY, "u", "10", owner="s")
    expectations.wrote(ROLE, KEY, "r", "11", owner="other")
    assert expectations.pending_for("s")
    caches.show("u", "10")
    assert not expectations.pending_for("s")
    assert expectations.pending_for("other")
    assert not expectations.pending_for("nobody")


@virtual_time
async def test_the_latest_write_is_the_one_waited_for() -> None:
    caches, expectations = made()
    expectations.wrote(DEPLOYMENT, KEY, "u", "10", owner="s")
    expectations.wrote(DEPLOYMENT, KEY, "u", "12", owner="s")
    caches.show("u", "11")
    assert expectations.pending_for("s")
    expectations.deleted(DEPLOYMENT, KEY, "u", owner="s")
    caches.show("u", "12")
    assert expectations.pending_for("s")
    caches.held.clear()
    assert not expectations.pending_for("s")


@virtual_time
async def test_what_nobody_asks_for_again_is_forgotten() -> None:
    _, expectations = made()
    for number in range(100):
        expectations.wrote(DEPLOYMENT, ObjectKey("n", str(number)), "u", "1", owner=number)
    await anyio.sleep(DEADLINE)
    expectations.wrote(DEPLOYMENT, KEY, "u", "1")
    assert len(expectations) == 1

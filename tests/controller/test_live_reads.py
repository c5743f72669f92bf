"""Single reads: a name that a user wrote leads to the object of that name or to none."""

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.controller.live_reads import FRESH_PRESENT, MOST_BYTES, LiveReads
from aioctl.kube.client import Client
from aioctl.plan.model import Absent, Present, Read
from testbed.scripted_wire import ScriptedWire
from testbed.virtual_time import VirtualClock, run_virtual, virtual_time

OWN = "/api/v1/namespaces/mine/secrets/s.1"


def read(name: str) -> Read | None:
    """What comes of reading that secret; a request to any other path than OWN fails the test."""

    async def ask() -> Read | None:
        wire = ScriptedWire()
        wire.answer("GET", OWN, body={"kind": "Secret"})
        reads = LiveReads(Client(wire), VirtualClock())
        ref = ObjectRef(kinds.SECRET, "mine", name)
        await reads.fetch([ref])
        return reads.get(ref)

    return run_virtual(ask)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../../theirs/secrets/s", "s?watch=true", "s#x", "s%2f", "a b"]
)
def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    assert read(name) == Absent()


def test_a_name_is_asked_for() -> None:
    assert read("s.1") == Present({"kind": "Secret"})


@virtual_time
async def test_an_answer_whose_time_is_over_is_not_kept() -> None:
    reads = LiveReads(Client(ScriptedWire()), VirtualClock())
    for number in range(5):
        reads.remember(ObjectRef(kinds.SECRET, "mine", f"s{number}"), Present({"data": {"password": "cHc="}}))
    assert len(reads._answers) == 5
    await anyio.sleep(FRESH_PRESENT + 1)
    reads.remember(ObjectRef(kinds.SECRET, "mine", "another"), Absent())
    assert list(reads._answers) == [ObjectRef(kinds.SECRET, "mine", "another")]


@virtual_time
async def test_answers_are_bounded_in_bytes_but_what_a_plan_waits_for_is_there() -> None:
    wire = ScriptedWire()
    large = {"data": {"token": "x" * (MOST_BYTES // 4)}}
    refs = [ObjectRef(kinds.SECRET, "mine", f"s{number}") for number in range(8)]
    for ref in refs:
        wire.answer("GET", f"/api/v1/namespaces/mine/secrets/{ref.name}", body=large)
    reads = LiveReads(Client(wire), VirtualClock())
    for ref in refs[:6]:
        await reads.fetch([ref])
        assert reads._bytes <= MOST_BYTES
    assert [reads.get(ref) is not None for ref in refs[:6]] == [False, False, False, True, True, True]
    await reads.fetch(refs)
    assert all(reads.get(ref) == Present(large) for ref in refs), "one plan wants them all"
    await reads.fetch([refs[0]])
    assert reads._bytes <= MOST_BYTES
    assert reads.get(refs[0]) == Present(large)

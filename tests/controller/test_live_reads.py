"""Single reads: a name that a user wrote leads to the object of that name or to none."""

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.controller.live_reads import LiveReads
from aioctl.kube.client import Client
from aioctl.plan.model import Absent, Present, Read
from tests.support.scripted_wire import ScriptedWire
from tests.support.virtual_time import VirtualClock, run_virtual

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

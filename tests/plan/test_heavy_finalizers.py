"""A list of finalizers too heavy to be read is never written, for entries of others would go (LIFE-1)."""

from typing import Any

import msgspec
import pytest

from aioctl.api import names, weight
from aioctl.api.finalizers import finalizers_of, has_finalizer
from aioctl.api.mutation import finalizer_patch
from aioctl.plan.facts import Facts
from aioctl.plan.finalize import add_finalizer, finalize
from aioctl.plan.model import Part
from aioctl.plan.policy import Policy
from testbed.plan_world import service

MANY = ["a.b/c"] * 10_000


def stored(finalizers: list[str], **metadata: Any) -> dict[str, Any]:
    return weight.decode(msgspec.json.encode(service(finalizers=finalizers, **metadata)))


def test_it_stays_encoded_and_tells_what_is_in_it() -> None:
    without, held = stored(MANY), stored([*MANY, names.FINALIZER])
    assert finalizers_of(without) is finalizers_of(held) is None
    assert not has_finalizer(without, names.FINALIZER)
    assert has_finalizer(held, names.FINALIZER)
    assert finalizers_of(stored(["a.b/c"])) == ["a.b/c"]
    assert finalizers_of({"metadata": {}}) == ()


def test_ours_is_added_by_the_webhook_alone() -> None:
    added = [{"op": "add", "path": "/metadata/finalizers/-", "value": names.FINALIZER}]
    assert list(finalizer_patch(stored(MANY))) == added
    assert list(finalizer_patch(stored([*MANY, names.FINALIZER]))) == []
    assert add_finalizer(stored(MANY)) is None


@pytest.mark.parametrize("others", [["a.b/c"], MANY], ids=["light", "heavy"])
def test_ours_goes_when_the_list_can_be_read_again(others: list[str]) -> None:
    leaving = stored([*others, names.FINALIZER], deletionTimestamp="2026-01-01T00:00:00Z")
    writes = [write for step in finalize(Facts(), leaving, Policy()) for write in step.writes]
    assert [write.releases for write in writes] == ([True] if others == ["a.b/c"] else [])
    assert Part.FINALIZE not in {step.part for step in finalize(Facts(), stored(MANY), Policy())}

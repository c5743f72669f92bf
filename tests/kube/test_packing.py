"""Packed texts: every text comes back as it was, and many that resemble each other take little room."""

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api.kinds import DEPLOYMENT, SECRET, Kind
from aioctl.engine.store import Store
from aioctl.kube.cached import Cached
from aioctl.kube.packing import LARGEST, Packing, plain
from aioctl.kube.reflector import Reflector
from testbed.virtual_time import virtual_time
from testbed.world import world

TEXTS = (
    st.binary() | st.binary(min_size=250, max_size=600) | st.integers(0, 2000).map(lambda n: b'{"a":1},' * n)
)


@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_each_text_comes_back_as_it_was(texts: list[bytes]) -> None:
    packing = Packing()
    packed = [packing.pack(text) for text in texts]
    assert [each.read() for each in packed] == texts
    assert [each.size for each in packed] == [len(text) for text in texts]


def text_of(number: int) -> bytes:
    containers = [{"name": f"c{each}", "image": f"registry/image:{each}"} for each in range(50)]
    obj = {"metadata": {"name": f"d-{number}", "uid": f"{number:032d}"}, "spec": {"containers": containers}}
    return json.dumps(obj).encode()


def test_objects_of_one_kind_take_a_tenth_of_their_text() -> None:
    packing = Packing()
    kept = [packing.pack(text_of(number)) for number in range(20)]
    assert sum(len(each._kept) for each in kept) < sum(each.size for each in kept) / 10
    assert len({id(each._dictionary) for each in kept}) == 1


def test_a_text_that_would_hold_up_the_loop_is_kept_as_it_is() -> None:
    large = b"x" * (LARGEST + 1)
    kept = Packing().pack(large)
    assert kept._dictionary is None
    assert kept.read() == large


def test_a_plain_text_takes_no_more_room_than_it_has_bytes() -> None:
    cached = Cached.from_raw(text_of(1), DEPLOYMENT)
    assert cached.text._dictionary is None
    assert sys.getsizeof(cached.text.read()) == sys.getsizeof(bytes(cached.text.size))
    assert plain(b"ab").read() == b"ab"


@pytest.mark.parametrize(("kind", "packs"), [(DEPLOYMENT, True), (SECRET, False)])
@virtual_time
async def test_secrets_are_nobody_s_dictionary(kind: Kind, packs: bool) -> None:
    async with world() as stage:
        reflector = Reflector(stage.user, kind, Store())
        found = reflector._read(text_of(1))
        assert isinstance(found, Cached)
        assert (found.text._dictionary is not None) == packs

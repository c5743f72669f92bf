"""Whether other services of a namespace run: asked when one goes, and never by decoding them all (LIFE-1, MODEL-3)."""

from typing import Any

import msgspec
import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
from aioctl.controller.caches import Caches, watched
from aioctl.kube.cached import Cached
from testbed.plan_world import service

ONE = ObjectKey("ns", "one")


def caches(*services: dict[str, Any]) -> Caches:
    made = Caches(watched("kserve", None))
    (store,) = (store for watch, store in made.stores.items() if watch.kind == kinds.SERVICE)
    read = [Cached.from_raw(msgspec.json.encode(obj), kinds.SERVICE) for obj in services]
    store.replace({item.key: item for item in read})
    return made


LEAVING: dict[str, Any] = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
STOPPED: dict[str, Any] = {"annotations": {names.STOP: "True"}}


@pytest.mark.parametrize(
    ("others", "run"),
    [
        ([], False),
        ([service("two")], True),
        ([service("two", "elsewhere")], False),
        ([service("two", **LEAVING), service("three", **STOPPED)], False),
        ([service("two", **LEAVING), service("three")], True),
        ([service("two", annotations={names.STOP: "false"})], True),
        ([{**service("two"), "spec": {"labels": {"a": names.STOP}}}], True),
    ],
)
def test_a_service_counts_while_it_is_neither_stopped_nor_leaving(
    others: list[dict[str, Any]], run: bool
) -> None:
    assert caches(service("one"), *others).others_run(ONE) is run
    assert caches(service("one", **LEAVING), *others).others_run(ONE) is run


def test_a_service_counts_anew_when_it_is_started_again() -> None:
    made = caches(service("one", **LEAVING), service("two", **STOPPED))
    (store,) = (store for watch, store in made.stores.items() if watch.kind == kinds.SERVICE)
    assert not made.others_run(ONE)
    store.put(ObjectKey("ns", "two"), Cached.from_raw(msgspec.json.encode(service("two")), kinds.SERVICE))
    assert made.others_run(ONE)


def test_nothing_is_decoded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = caches(service("one"), *(service(f"s{number}", **LEAVING) for number in range(1_000)))
    monkeypatch.setattr(Cached, "decode", lambda _: pytest.fail("decoded"))
    assert not made.others_run(ONE)


def test_services_with_the_same_model_are_found_by_index_and_anew_when_they_change() -> None:
    def serving(name: str, model: str, namespace: str = "ns", **metadata: Any) -> dict[str, Any]:
        found = service(name, namespace, **metadata)
        return {**found, "spec": {"model": {"uri": "hf://m", "name": model}}}

    grouped: dict[str, Any] = {"labels": {names.ROUTING_GROUP: "g"}}
    made = caches(
        serving("one", "m"),
        serving("two", "m"),
        serving("grouped", "m", **grouped),
        serving("other", "o"),
        serving("afar", "m", "elsewhere"),
        serving("leaving", "m", **LEAVING),
        serving("stopped", "m", **STOPPED),
        {**serving("odd", "m"), "status": {"addresses": 7}},
    )
    models = {"publishers/ns/models/m"}
    assert made.namesakes(ONE, "", models) == ["grouped", "stopped", "two"]
    assert made.namesakes(ONE, "g", models) == ["stopped", "two"]
    (store,) = (store for watch, store in made.stores.items() if watch.kind == kinds.SERVICE)
    addresses = [{"models": [{"name": "publishers/ns/models/o"}]}]
    moved = {**serving("two", "m", resourceVersion="2"), "status": {"addresses": addresses}}
    store.replace({ObjectKey("ns", "two"): Cached.from_raw(msgspec.json.encode(moved), kinds.SERVICE)})
    assert made.namesakes(ONE, "", models) == []
    assert made.namesakes(ONE, "", {"publishers/ns/models/o"}) == ["two"]

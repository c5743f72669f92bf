"""The indexed store: differences become deltas, indexes follow, and a bad handler or indexer harms nobody else."""

from collections.abc import Iterable
from unittest.mock import patch

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

import aioctl.engine.store
from aioctl.engine.store import Delta, Store
from testbed.virtual_time import virtual_time

Change = tuple[str, str | None, str | None, bool]


def by_letter(item: str) -> Iterable[str]:
    return item


def letters() -> Store[str, str]:
    return Store({"letter": by_letter})


def record(store: Store[str, str]) -> list[Change]:
    seen: list[Change] = []

    def note(delta: Delta[str, str]) -> None:
        seen.append((delta.key, delta.old, delta.new, delta.initial))

    store.subscribe(note)
    return seen


def test_the_first_list_is_initial_and_what_follows_is_live() -> None:
    store = letters()
    seen = record(store)
    store.replace({"a": "x", "b": "y"})
    store.put("a", "z")
    store.remove("b")
    assert seen == [
        ("a", None, "x", True),
        ("b", None, "y", True),
        ("a", "x", "z", False),
        ("b", "y", None, False),
    ]


def test_a_relist_is_taken_over_by_difference() -> None:
    store = letters()
    store.replace({"gone": "g", "same": "s", "new version": "1"})
    seen = record(store)
    seen.clear()
    store.replace({"same": "s", "new version": "2", "new": "n"})
    assert seen == [
        ("gone", "g", None, False),
        ("new version", "1", "2", False),
        ("new", None, "n", False),
    ]


def test_same_decides_what_counts_as_unchanged() -> None:
    store: Store[str, str] = Store(same=lambda old, new: old[0] == new[0])
    store.replace({"k": "1 long"})
    seen = record(store)
    seen.clear()
    store.replace({"k": "1 other"})
    assert seen == []
    store.replace({"k": "2 other"})
    assert seen == [("k", "1 long", "2 other", False)]


def test_handlers_of_a_relist_already_see_the_whole_new_list() -> None:
    store = letters()
    sizes: list[tuple[int, bool]] = []
    store.subscribe(lambda _: sizes.append((len(store), store.synced)))
    store.replace({"a": "x", "b": "y"})
    assert sizes == [(2, True), (2, True)]


def test_a_late_subscriber_is_told_what_is_held() -> None:
    store = letters()
    store.replace({"a": "x"})
    assert record(store) == [("a", None, "x", True)]


def test_removing_what_is_not_there_is_no_delta() -> None:
    store = letters()
    seen = record(store)
    store.remove("a")
    assert seen == []


def test_a_write_made_by_a_handler_reaches_all_handlers_in_order() -> None:
    store = letters()
    store.subscribe(lambda delta: store.remove("b") if delta.key == "a" and "b" in store else None)
    seen = record(store)
    store.put("b", "y")
    store.put("a", "x")
    assert [(key, new) for key, _, new, _ in seen] == [("b", "y"), ("a", "x"), ("b", None)]


def test_a_handler_that_raises_is_logged_and_the_others_still_hear() -> None:
    store = letters()

    def broken(_: Delta[str, str]) -> None:
        raise ZeroDivisionError

    store.subscribe(broken)
    seen = record(store)
    with capture_logs() as logs:
        store.replace({"a": "x", "b": "y"})
    assert [key for key, *_ in seen] == ["a", "b"]
    assert store.synced
    assert store.by_index("letter", "y") == ["y"]
    assert [line["event"] for line in logs] == ["handler failed on a delta"] * 2


def test_an_item_that_cannot_be_indexed_is_kept_and_logged() -> None:
    def halfway(item: str) -> Iterable[str]:
        yield item[0]
        if len(item) > 1:
            raise ValueError(item)

    store: Store[str, str] = Store({"first": halfway})
    with capture_logs() as logs:
        store.replace({"good": "g", "bad": "gg"})
    assert store.get("bad") == "gg"
    assert store.by_index("first", "g") == ["g"]
    assert [line["event"] for line in logs] == ["indexer failed on an item"]


def test_index_results_are_sorted_by_key_and_follow_changes() -> None:
    store = letters()
    for key in ("c", "a", "b"):
        store.put(key, f"{key}!")
    assert store.by_index("letter", "!") == ["a!", "b!", "c!"]
    store.put("b", "b?")
    store.remove("a")
    assert store.by_index("letter", "!") == ["c!"]
    assert store.by_index("letter", "none") == []


def test_a_value_named_twice_by_the_indexer_is_one_entry() -> None:
    store = letters()
    store.put("k", "xx")
    assert store.by_index("letter", "x") == ["xx"]
    store.remove("k")
    assert store.by_index("letter", "x") == []


def test_an_unknown_index_is_an_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        letters().by_index("colour", "red")


@virtual_time
async def test_wait_synced_waits_for_the_list_and_again_after_the_sync_is_lost() -> None:
    store = letters()
    moments: list[float] = []

    async def reader() -> None:
        await store.wait_synced()
        moments.append(anyio.current_time())

    async with anyio.create_task_group() as tg:
        tg.start_soon(reader)
        await anyio.sleep(3)
        store.put("a", "x")
        assert not store.synced
        store.replace({})
        await anyio.sleep(1)
        store.mark_unsynced()
        assert not store.synced
        tg.start_soon(reader)
        await anyio.sleep(3)
        store.replace({"a": "x"})
    assert moments == [3, 7]
    await store.wait_synced()


KEY = "abcd"
KEYS = st.sampled_from(KEY)
ITEMS = st.text("xyz", max_size=3)
WRITES = st.one_of(
    st.tuples(st.just("put"), KEYS, ITEMS),
    st.tuples(st.just("remove"), KEYS, ITEMS),
    st.tuples(st.just("replace"), st.dictionaries(KEYS, ITEMS), ITEMS),
)


@given(st.lists(WRITES), st.sampled_from((1, 2, 32)))
def test_replaying_the_deltas_gives_the_store_and_indexes_always_agree(
    writes: list[tuple[str, object, str]], remembered_from: int
) -> None:
    with patch.object(aioctl.engine.store, "_MANY", remembered_from):
        _follow(writes)


def _follow(writes: list[tuple[str, object, str]]) -> None:
    store = letters()
    replayed: dict[str, str] = {}

    def follow(delta: Delta[str, str]) -> None:
        assert replayed.get(delta.key) == delta.old
        if delta.new is None:
            del replayed[delta.key]
        else:
            replayed[delta.key] = delta.new

    def checked(delta: Delta[str, str]) -> None:
        try:
            follow(delta)
        except (AssertionError, KeyError) as error:
            failures.append(error)

    failures: list[Exception] = []
    store.subscribe(checked)
    model: dict[str, str] = {}
    for verb, target, item in writes:
        if isinstance(target, dict):
            model = dict(target)
            store.replace(model)
        elif verb == "put":
            assert isinstance(target, str)
            model[target] = item
            store.put(target, item)
        else:
            assert isinstance(target, str)
            model.pop(target, None)
            store.remove(target)
        for letter in "xyz":
            assert store.by_index("letter", letter) == [model[k] for k in sorted(model) if letter in model[k]]
            assert [key for key in KEY if store.carries("letter", letter, key)] == list(
                store.keys_by_index("letter", letter)
            )
    assert failures == []
    assert replayed == model == dict(zip(store.keys(), store.values(), strict=True))

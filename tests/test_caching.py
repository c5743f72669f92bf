"""Caches are bounded by bytes: what is heavy goes, what is large never comes in."""

import pytest

from aioctl.caching import LARGEST, BoundedCache, keeping


def weigh(text: str) -> int:
    return len(text)


def test_the_least_recently_used_go_when_all_are_too_heavy() -> None:
    cache: BoundedCache[str, str] = BoundedCache(100)
    for key in ("a", "b", "c"):
        cache.get(key, lambda: "x" * 30, weigh)
    assert (len(cache), cache.weight) == (3, 90)
    assert cache.get("a", lambda: "new", weigh) == "x" * 30
    cache.get("d", lambda: "x" * 60, weigh)
    assert (len(cache), cache.weight) == (2, 90)
    assert cache.get("a", lambda: "new", weigh) == "x" * 30
    assert cache.get("b", lambda: "new", weigh) == "new"
    cache.clear()
    assert (len(cache), cache.weight) == (0, 0)


def test_nothing_large_is_kept_and_nothing_goes_for_it() -> None:
    cache: BoundedCache[str, str] = BoundedCache(10 * LARGEST)
    cache.get("small", lambda: "x", weigh)
    assert len(cache.get("large", lambda: "x" * (LARGEST + 1), weigh)) == LARGEST + 1
    assert (len(cache), cache.weight) == (1, 1)
    cache.get("just", lambda: "x" * LARGEST, weigh)
    assert len(cache) == 2


def test_a_failure_is_not_kept() -> None:
    cache: BoundedCache[str, int] = BoundedCache(100)
    with pytest.raises(ZeroDivisionError):
        cache.get("a", lambda: 1 // 0, lambda _: 1)
    assert cache.get("a", lambda: 5, lambda _: 1) == 5


def test_a_function_of_a_text_keeps_what_is_small() -> None:
    asked: list[int] = []

    @keeping(1000)
    def length(text: str) -> int:
        asked.append(len(text))
        return len(text)

    assert [length("a"), length("a"), length("b" * 999), length("a")] == [1, 1, 999, 1]
    assert asked == [1, 999]
    assert [length("c" * (LARGEST + 1)) for _ in range(2)] == [LARGEST + 1] * 2
    assert length.cache.weight <= 1000

"""A cache whose size is known in bytes, for results that follow from texts of users.

A bound in entries is none: one entry can be as large as an object. So each entry is weighed, the oldest go when all together
are too heavy, and what is large is not kept at all: it is rare, and the work on it is not what repeats.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Concatenate, Final, Generic, ParamSpec, TypeVar

MIB: Final = 1024 * 1024
LARGEST: Final = 64 * 1024
"""Bytes of one entry. Presets have 2 to 20 kB, the spec of a service with all of them 15 kB."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
P = ParamSpec("P")


class BoundedCache(Generic[K, V]):
    """Results by key, the least recently used go first. Not for several threads."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of all entries."""
        self._most = most
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0
        """Bytes of what is kept, as weighed."""

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K, make: Callable[[], V], weigh: Callable[[V], int]) -> V:
        """The result kept for the key, or a new one, which is kept unless it is large. What `make` raises is not kept.

        `weigh` gives the bytes of key and result together; it is asked once for each result.
        """
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept[0]
        made = make()
        weight = weigh(made)
        if weight <= LARGEST:
            self._kept[key] = made, weight
            self.weight += weight
            while self.weight > self._most:
                _, (_, gone) = self._kept.popitem(last=False)
                self.weight -= gone
        return made

    def clear(self) -> None:
        """Forgets everything."""
        self._kept.clear()
        self.weight = 0


def keeping(most: int) -> Callable[[Callable[Concatenate[str, P], V]], "Kept[P, V]"]:
    """Decorator for a function of a text whose result is about as large as the text. Further arguments are hashable."""

    def decorate(make: Callable[Concatenate[str, P], V]) -> "Kept[P, V]":
        return Kept(make, most)

    return decorate


class Kept(Generic[P, V]):
    """A function of a text that keeps its results."""

    def __init__(self, make: Callable[Concatenate[str, P], V], most: int) -> None:
        self.__doc__ = make.__doc__
        self._make = make
        self.cache: BoundedCache[Hashable, V] = BoundedCache(most)

    def __call__(self, text: str, /, *args: P.args, **kwargs: P.kwargs) -> V:
        if len(text) > LARGEST:
            return self._make(text, *args, **kwargs)
        key = (text, args, *kwargs.items())
        return self.cache.get(key, lambda: self._make(text, *args, **kwargs), lambda _: len(text))

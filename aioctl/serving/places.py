"""How many may be served at once, in all and from one address; who opens many pays for it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final


class Full(Exception):
    """There is no place; the text is for the caller."""


class Places:
    """Places for answers that take long.

    When all are taken, the address that has most of them loses its oldest, unless that is the caller's own: so a
    stranger from one address shuts out nobody else.
    """

    def __init__(self, total: int, per_peer: int) -> None:
        self._total: Final = total
        self._per_peer: Final = per_peer
        self._taken: dict[str, dict[int, Callable[[], None]]] = {}
        self._next = 0

    def __len__(self) -> int:
        return sum(map(len, self._taken.values()))

    @contextmanager
    def taken(self, peer: str, give_way: Callable[[], None]) -> Iterator[None]:
        """A place inside. `give_way` is called when it is needed by another. Raises Full."""
        mine = self._taken.get(peer, {})
        if len(mine) >= self._per_peer:
            raise Full(f"{len(mine)} are open from {peer}, and no more are served; close one")
        if len(self) >= self._total:
            self._make_way(peer)
        number = self._next
        self._next += 1
        self._taken.setdefault(peer, {})[number] = give_way
        try:
            yield
        finally:
            self._leave(peer, number)

    def _make_way(self, peer: str) -> None:
        most = max(self._taken, key=lambda each: len(self._taken[each]))
        if len(self._taken[most]) <= len(self._taken.get(peer, ())) + 1:
            raise Full(f"{len(self)} are open, and no more are served; try again later")
        number, give_way = next(iter(self._taken[most].items()))
        self._leave(most, number)
        give_way()

    def _leave(self, peer: str, number: int) -> None:
        places = self._taken.get(peer)
        if places is not None and places.pop(number, None) is not None and not places:
            del self._taken[peer]

"""What the managed HTTPRoutes of all services say of each gateway, kept up to date from the watch of routes (MIG-12)."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

import msgspec

from aioctl.api.kinds import HTTP_ROUTE, ObjectKey, ObjectRef
from aioctl.api.objects import FieldError
from aioctl.caching import LARGEST
from aioctl.controller.triggers import owning_service
from aioctl.kube.cached import Cached
from aioctl.plan.evidence import words_of
from aioctl.plan.hearsay import Heard, Word, gather

NEWS_PAUSE: Final = 2.0
"""Seconds until news of a gateway reach the services that have listened before: one look for all that is said meanwhile. In a storm
the first few routes say the same in turns (each is silent between a write and the gateway's next status), and that is news each
time: 17 looks a service, of 30 services on a slow API server."""
_NOBODY: Final[frozenset[ObjectKey]] = frozenset()


def heard_of(gateway: ObjectKey) -> ObjectRef:
    """What stands for all that is said of a gateway; no HTTPRoute has such a name."""
    return ObjectRef(HTTP_ROUTE, gateway.namespace, f"parent={gateway.name}")


class Hearsay:
    """Words by route and routes by word. A word is kept once, however many routes say it."""

    def __init__(self) -> None:
        self._words: dict[ObjectKey, tuple[Word, ...]] = {}
        self._routes: defaultdict[Word, set[ObjectKey]] = defaultdict(set)
        self._known: dict[Word, Word] = {}

    def changed(self, key: ObjectKey, new: Cached | None) -> frozenset[ObjectKey]:
        """Takes in a route as it is now, None for one that is gone. Returns the gateways of which something is said for the
        first time, or no more by anybody."""
        old, now = self._words.get(key, ()), self._read(new)
        if old == now:
            return _NOBODY
        if now:
            self._words[key] = now
        else:
            del self._words[key]
        lost = [word for word in old if word not in now and self._drop(word, key)]
        won = [word for word in now if word not in old and self._add(word, key)]
        return frozenset(word.gateway for word in (*lost, *won))

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        """See `Observation.heard`."""
        return gather(lambda word: self._routes.get(word, ()), gateway, apart_from)

    def _read(self, route: Cached | None) -> tuple[Word, ...]:
        """Nothing of one that is not managed, too large, or no HTTPRoute."""
        if route is None or route.deleting or owning_service(route) is None or route.text.size > LARGEST:
            return ()
        found: Iterable[Word] = ()
        with suppress(msgspec.MsgspecError, RecursionError, FieldError):
            found = sorted(words_of(route.decode()))
        return tuple(self._known.setdefault(word, word) for word in found)

    def _add(self, word: Word, key: ObjectKey) -> bool:
        routes = self._routes[word]
        routes.add(key)
        return len(routes) == 1

    def _drop(self, word: Word, key: ObjectKey) -> bool:
        routes = self._routes[word]
        routes.discard(key)
        if routes:
            return False
        del self._routes[word], self._known[word]
        return True

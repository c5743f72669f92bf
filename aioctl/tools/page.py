"""The operators' page: a row a service as `aioctl status` has it, and one service as its tree and `aioctl explain` have it."""

from typing import Final

import msgspec

from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import key_of
from aioctl.controller.progress import ProgressObserver
from aioctl.plan.migration import Decision
from aioctl.plan.model import Plan
from aioctl.plan.observation import Observation
from aioctl.tools import fleet
from aioctl.tools.explain import chains
from aioctl.tools.look import Look, Standing, standing
from aioctl.tools.tree import tree


def row(seen: Look) -> bytes:
    """The fields of `aioctl status -o json`, encoded."""
    return msgspec.json.encode(fleet.public(fleet.item(seen)))


def detail(seen: Look, obs: Observation) -> bytes:
    """The same with the tree of `aioctl status NAME` and the chains of `aioctl explain NAME`, encoded."""
    found = fleet.public(fleet.item(seen))
    return msgspec.json.encode(
        {
            **found,
            "tree": tree(seen, obs).as_data(),
            "chains": [chain.as_data() for chain in chains(seen, obs)],
        }
    )


class Standings(ProgressObserver):
    """Keeps what the last plan of each service said, so that nothing is planned to be shown."""

    def __init__(self) -> None:
        self._known: dict[ObjectKey, Standing] = {}
        self.news: dict[ObjectKey, None] | None = None
        """Services that were planned or are gone since somebody emptied this, in order; None while nobody wants to know."""

    def planned(self, plan: Plan, decision: Decision | None) -> None:
        key = key_of(plan.service)
        self._known[key] = standing(plan, decision)
        self.tell(key)

    def gone(self, service: ObjectKey) -> None:
        self._known.pop(service, None)
        self.tell(service)

    def tell(self, key: ObjectKey) -> None:
        """There is news of the service."""
        if self.news is not None:
            self.news[key] = None

    def take(self) -> list[ObjectKey]:
        """The news so far, which are taken as told."""
        news, self.news = self.news or {}, {}
        return list(news)

    def of(self, key: ObjectKey) -> Standing:
        """An empty one for a service that was not planned yet."""
        return self._known.get(key, _UNKNOWN)


_UNKNOWN: Final = Standing()

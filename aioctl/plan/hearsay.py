"""What HTTPRoutes of other services say of a gateway, as it is kept by gateway: one word for each thing said (MIG-12). Values only.

A gateway does the same with every service's references, so what it said of one route holds for the next service, too. `plan/evidence.py`
makes words of a route; whoever watches routes keeps them and looks them up with `gather`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, ObjectKey

BOTH: Final = "both"
"""Beside the groups of the pool generations: both of them in one rule."""
ASKS: Final = "asks"
"""Nothing is said: the route is there to ask about v1."""
ASKS_BOTH: Final = "asks about both"
"""The same about both in one rule."""
BESIDE: Final[Mapping[str, str]] = {
    group: f"{group} beside the other" for group in (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2)
}
"""By group: that it is refused where a question names both in one rule. Weaker than a word on the group alone, as it may be the company
that is refused."""
_ABOUT: Final = (POOL_GROUP_V1, POOL_GROUP_V1ALPHA2, BOTH, *BESIDE.values())


class Word(NamedTuple):
    """`about`: the group of a pool generation, BOTH, one of BESIDE, ASKS or ASKS_BOTH; `serves`: it does, or does not; `asked`: said of a probe."""

    gateway: ObjectKey
    about: str
    serves: bool
    asked: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """By what it is about: whether the gateway serves it. What routes contradict each other about is left out."""

    routes: Mapping[str, bool] = field(default_factory=dict)
    probes: Mapping[str, bool] = field(default_factory=dict)
    asks: ObjectKey | None = None
    """The first by name of the probes of other services that hang on the gateway and ask about v1."""
    asks_both: ObjectKey | None = None
    """The same of those that ask about both in one rule."""


NOTHING: Final = Heard()


def gather(
    who_says: Callable[[Word], Iterable[ObjectKey]], gateway: ObjectKey, apart_from: frozenset[ObjectKey]
) -> Heard:
    """What is said of the gateway. `who_says`: the routes that say a word; those of `apart_from` are not listened to."""

    def is_said(word: Word) -> bool:
        return any(key not in apart_from for key in who_says(word))

    def said(*, asked: bool) -> dict[str, bool]:
        found = {}
        for about in _ABOUT:
            yes, no = (is_said(Word(gateway, about, serves, asked)) for serves in (True, False))
            if yes != no:
                found[about] = yes
        return found

    def first(about: str) -> ObjectKey | None:
        asking = who_says(Word(gateway, about, serves=True, asked=True))
        return min((key for key in asking if key not in apart_from), default=None)

    return Heard(said(asked=False), said(asked=True), first(ASKS), first(ASKS_BOTH))

"""Fields that are stored and passed on but that nothing follows from yet (COND-8): who writes one is told, and never in silence.

One row for each field, with what happens instead. Who makes something follow from a field deletes its row here, and that is
all: the warning at admission and the condition `SpecActedOn` go with it. With no rows left neither is ever seen; a test then
fails that asks for the pattern of the condition to be taken out of `tests/upstream/decisions.py`.
"""

from collections.abc import Mapping
from typing import Final

from aioctl.api.objects import Object, dig

Table = Mapping[str, str]
"""Dotted path below a service in v1alpha2 -> what happens instead."""

_UNSHARED: Final = "the service shares no traffic with others of its group"
NOT_ACTED_ON: Final[Table] = {
    "spec.router.route.group": _UNSHARED,
    "spec.router.route.weight": _UNSHARED,
}


def found(service: Object, table: Table = NOT_ACTED_ON) -> dict[str, str]:
    """The rows of the table whose field the service has, in v1alpha2; it may be combined with its configs."""
    return {path: instead for path, instead in table.items() if dig(service, *path.split(".")) is not None}


def warnings(service: Object, table: Table = NOT_ACTED_ON) -> list[str]:
    """One for each such field."""
    return [
        f"{path} is stored but not acted on yet: {instead}" for path, instead in found(service, table).items()
    ]


def message(service: Object, table: Table = NOT_ACTED_ON) -> str:
    """All such fields for a condition, what happens instead said once; empty when there are none."""
    by_result: dict[str, list[str]] = {}
    for path, instead in found(service, table).items():
        by_result.setdefault(instead, []).append(path)
    return "; ".join(
        f"{', '.join(paths)}: not acted on yet, {instead}" for instead, paths in by_result.items()
    )

"""How many pods a rolling update may miss or add."""

import re
from collections.abc import Iterator
from typing import Final

from aioctl.api.objects import FieldError, Object, present
from aioctl.api.problems import Problem, invalid, required
from aioctl.api.rules.workload import both
from aioctl.golang.gotypes import go_type

_ROLLOUT: Final = go_type("kserve.RolloutStrategySpec")
_PERCENT: Final = re.compile(r"[0-9]+%")
_WHOLE: Final = 100
"""Percent."""
_NO_PERCENT: Final = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
_BOTH_ZERO: Final = (
    "maxUnavailable and maxSurge cannot both be zero; this would prevent any rolling update progress"
)
_SURGE_NEEDED: Final = (
    "maxSurge is required for multi-node workloads when maxUnavailable is 0, "
    "otherwise no rolling update progress is possible"
)


def rollout(service: Object) -> Iterator[Problem]:
    """How many pods a rolling update may miss or add."""
    return both(service, _rollout)


def _rollout(workload: Object, at: str) -> Iterator[Problem]:
    if not present(workload, "rolloutStrategy"):
        return
    strategy, at = workload["rolloutStrategy"], f"{at}.rolloutStrategy"
    unavailable, surge = (_int_or_text(strategy, name, at=at) for name in ("maxUnavailable", "maxSurge"))
    malformed = [
        invalid(rule, f"{at}.{name}", value, detail)
        for name, value in (("maxUnavailable", unavailable), ("maxSurge", surge))
        if value is not None
        for rule, detail in _malformed(value)
    ]
    yield from malformed
    if malformed or unavailable is None:
        return
    if surge is None:
        if workload.get("worker") is not None and _of_one(unavailable, up=False) == 0:
            yield required("rollout-surge", f"{at}.maxSurge", _SURGE_NEEDED)
    elif _of_one(unavailable, up=False) == 0 and _of_one(surge, up=True) == 0:
        yield invalid("rollout-zero", at, strategy, _BOTH_ZERO, _ROLLOUT)


def _int_or_text(strategy: Object, name: str, *, at: str) -> int | str | None:
    value = strategy.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | str)):
        raise FieldError(f"{at}.{name}", "expected a number or a string")
    return value


def _malformed(value: int | str) -> Iterator[tuple[str, str]]:
    """The rule that the value breaks, and its text; nothing for one that is well-formed."""
    if isinstance(value, int):
        if value < 0:
            yield "rollout", "must be greater than or equal to 0"
    elif not _PERCENT.fullmatch(value):
        yield "rollout-percent", _NO_PERCENT
    elif _percent(value) > _WHOLE:
        yield "rollout-whole", f"must not be greater than {_WHOLE}%"


def _percent(value: str) -> int:
    """A percentage of many digits is more than a whole, whatever it is exactly."""
    digits = value[:-1].lstrip("0")
    return int(digits or "0") if len(digits) <= len(str(_WHOLE)) else _WHOLE + 1


def _of_one(value: int | str, *, up: bool) -> int:
    """A well-formed number or share of one pod; shares are rounded as Deployments do: surge up, unavailable down."""
    if isinstance(value, int):
        return value
    share = _percent(value)
    return int(share > 0) if up else share // _WHOLE

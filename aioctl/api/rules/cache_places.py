"""Where caches of keys and values go, as far as the text tells: the API server refuses the rest when pods are made (ADM-9).

KServe finds out there: by then the pods of the other side may run and hold their accelerators.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from aioctl.api import user_names
from aioctl.api.objects import Object, mapping, sequence, within
from aioctl.api.problems import Problem, invalid
from aioctl.api.rules.workload import both
from aioctl.golang import quantity

_RULE: Final = "cache-place"
_LONGEST_SHOWN: Final = 80
"""Characters."""


def cache_places(service: Object) -> Iterator[Problem]:
    """Claims, paths and sizes; what has a template in it is left to the API server."""
    yield from both(service, _places)


def _places(workload: Object, at: str) -> Iterator[Problem]:
    with within(at):
        found = mapping(workload, "kvCacheOffloading")
        tiers = sequence(workload, "kvCacheOffloading", "secondary")
    at = f"{at}.kvCacheOffloading"
    yield from _amount(found, "cpu", at)
    for index, tier in enumerate(tiers):
        at_files = f"{at}.secondary[{index}].fileSystem"
        with within(f"{at}.secondary[{index}]"):
            scratch, claim = (mapping(tier, "fileSystem", *path) for path in (("emptyDir",), ("pvc", "ref")))
        yield from _amount(scratch, "size", f"{at_files}.emptyDir")
        for field, judge in (("name", user_names.object_problem), ("path", user_names.path_problem)):
            yield from _judged(f"{at_files}.pvc.ref.{field}", claim.get(field), judge)


def _amount(owner: Object, field: str, at: str) -> Iterator[Problem]:
    """What is no quantity the schema refuses."""
    value = owner.get(field)
    try:
        negative = value is not None and quantity.parse(str(value)) < 0
    except ValueError:
        return
    if negative:
        yield invalid(_RULE, f"{at}.{field}", value, "must not be less than 0")


def _judged(field: str, value: Any, judge: Callable[[str], str]) -> Iterator[Problem]:
    if isinstance(value, str) and value and "{{" not in value and (problem := judge(value)):
        yield invalid(_RULE, field, value[:_LONGEST_SHOWN], problem)

"""Parallelism of the main workload and of prefill, and how rules are applied to both."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from aioctl.api import defaulting
from aioctl.api.objects import Object, dig, mapping, present
from aioctl.api.problems import Problem, invalid, not_supported
from aioctl.golang import gojson

_WORKER_NEEDS_DEGREES: Final = "when worker is specified, parallelism must be configured for either data parallelism or pipeline parallelism"
_BOTH_DEGREES: Final = (
    "cannot set both pipeline parallelism and data parallelism (data or dataLocal) simultaneously"
)


def both(service: Object, rules: Callable[[Mapping[str, Any], str], Iterator[Problem]]) -> Iterator[Problem]:
    """The rules applied to `spec`, then to `spec.prefill` if it is there."""
    yield from rules(mapping(service, "spec"), "spec")
    if present(service, "spec", "prefill"):
        yield from rules(service["spec"]["prefill"], "spec.prefill")


def parallelism(service: Object) -> Iterator[Problem]:
    """Rules 4 to 10."""
    return both(service, _parallelism)


def _parallelism(workload: Object, at: str) -> Iterator[Problem]:
    worker, degrees = workload.get("worker"), workload.get("parallelism")
    if degrees is None:
        if worker is not None:
            yield invalid("4", f"{at}.worker", worker, _WORKER_NEEDS_DEGREES, gojson.POD_SPEC)
        return
    at_degrees = f"{at}.parallelism"
    by_data = defaulting.is_data_parallel(degrees, at=at_degrees)
    by_pipeline = defaulting.is_pipeline_parallel(degrees, at=at_degrees)
    if worker is not None and not by_data and not by_pipeline:
        yield invalid("5", f"{at}.worker", worker, _WORKER_NEEDS_DEGREES, gojson.POD_SPEC)
    if by_data and by_pipeline:
        yield invalid("6", at_degrees, degrees, _BOTH_DEGREES, gojson.PARALLELISM)
    yield from _degrees(degrees, at_degrees)


def _degrees(degrees: Object, at: str) -> Iterator[Problem]:
    """Rules 7 to 10: data and dataLocal come together, and degrees are positive."""
    data, local = degrees.get("data"), degrees.get("dataLocal")
    if data is not None and local is None:
        yield invalid("7", f"{at}.dataLocal", None, "dataLocal must be set when data is set")
    if local is not None and data is None:
        yield invalid("7'", f"{at}.data", None, "data must be set when dataLocal is set")
    for rule, degree in (("8", "pipeline"), ("9", "data"), ("10", "dataLocal")):
        value = defaulting.degree(degrees, degree, at=at)
        if value is not None and value <= 0:
            yield invalid(rule, f"{at}.{degree}", value, f"{degree} parallelism must be greater than 0")


def sizes(new: Object, old: Object) -> Iterator[Problem]:
    """Rules 11 and 12: the number of pods in a group cannot change; undefined counts as one."""
    yield from _size("11", dig(new, "spec"), dig(old, "spec"), "spec.parallelism")
    prefill, before = dig(new, "spec", "prefill"), dig(old, "spec", "prefill")
    if prefill is not None and before is not None:
        yield from _size("12", prefill, before, "spec.prefill.parallelism")


def _size(rule: str, new: Any, old: Any, at: str) -> Iterator[Problem]:
    size, before = (
        defaulting.group_size(dig(workload, "parallelism"), at=at) or 1 for workload in (new, old)
    )
    if size != before:
        detail = f"total parallelism size is immutable, previous size {before}, curr size {size}"
        yield not_supported(rule, at, size, detail)

"""The rules an LLMInferenceService must keep, one set of them for both versions (ADM-3).

An object is judged in the form of v1alpha2, as written, before configs are merged into it: carriers can bring along what
v1alpha1 has no fields for. All violations are collected. The families come in the order in which KServe's validator of
the object's own version asks them, what only we ask comes last. Decisions beyond the Go controller: an object being
deleted is not validated, and an update does not report what the old object violated already, for the controller's own
patches must not fail on it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from aioctl.api import bounds, carrier_checks, service_names, user_names
from aioctl.api.conversion import up
from aioctl.api.decoding import check_decodable
from aioctl.api.kinds import GROUP, SERVICE, V1ALPHA1
from aioctl.api.objects import FieldError, Object, dig, is_deleting, name_of, text
from aioctl.api.problems import INVALID, Problem, excessive, invalid
from aioctl.api.rules import cache_places, dra, kv_cache, model, rollout, router, scaling, workload
from aioctl.golang import gojson

_LONGEST_SHOWN: Final = 80

_POOL: Final = ("spec", "router", "scheduler", "pool", "spec")
_NAMES: Final[tuple[tuple[tuple[str, ...], Callable[[str], str]], ...]] = (
    (("spec", "model", "name"), user_names.model_problem),
    ((*_POOL, "endpointPickerRef", "name"), user_names.service_problem),
    ((*_POOL, "extensionRef", "name"), user_names.service_problem),
)


def _name_problems(service: Object) -> Iterator[Problem]:
    """Names that become part of labels, hosts, certificates and scripts; what a template makes is judged when it was rendered."""
    if problem := service_names.problem(service):
        yield invalid("name", "metadata.name", name_of(service), problem)
    for path, judge in _NAMES:
        value = dig(service, *path)
        if isinstance(value, str) and value and "{{" not in value and (problem := judge(value)):
            yield Problem("name", ".".join(path), INVALID, gojson.dump(value[:_LONGEST_SHOWN]), problem)


def _bound_problems(hub: Object, before: Object | None) -> Iterator[Problem]:
    for excess in bounds.grown(hub, before):
        is_text = excess.bound.measure is bounds.Measure.CHARACTERS
        yield excessive(excess.field, f"it {excess}", is_text=is_text)


_Family = Callable[[Object], Iterator[Problem]]
_FIRST: Final[tuple[_Family, ...]] = (
    router.routes,
    router.traffic,
    workload.parallelism,
    router.scheduler,
    scaling.scaling,
)
_FAMILIES: Final[tuple[_Family, ...]] = (
    *_FIRST,
    model.lora,
    kv_cache.kv_cache,
    rollout.rollout,
    dra.devices,
)
_FAMILIES_OF_V1ALPHA1: Final[tuple[_Family, ...]] = (
    *_FIRST,
    rollout.rollout,
    model.lora,
    kv_cache.kv_cache,
    dra.devices,
)
"""In KServe's order for each version, up to what compares with the old object."""


def _early_problems(service: Object, hub: Object) -> Iterator[Problem]:
    """`hub`: the service in v1alpha2."""
    for family in _FAMILIES_OF_V1ALPHA1 if service.get("apiVersion") == V1ALPHA1 else _FAMILIES:
        yield from family(hub)


def _late_problems(service: Object, hub: Object) -> Iterator[Problem]:
    yield from model.confidential(hub)
    yield from model.uris(hub)
    yield from cache_places.cache_places(hub)
    yield from _name_problems(service)


def _of_old(problems: Callable[[], Iterator[Problem]]) -> list[Problem]:
    """What an old object yields; one that an older CRD let in with wrong types can be compared with nothing."""
    try:
        return list(problems())
    except FieldError:
        return []


def validate(new: Object, old: Object | None = None) -> list[Problem]:
    """All violations of a created object, or of an update when `old` is given; empty when it is fine.

    Raises Undecodable (rule 0) or FieldError when the object has wrong types or a URL that does not parse.
    """
    if is_deleting(new):
        return []
    check_decodable(new)
    hub = up(new)
    hub_before = None if old is None else up(old)
    early, late = list(_early_problems(new, hub)), list(_late_problems(new, hub))
    carried = [
        invalid("carrier", carrier_checks.field(key), value, detail)
        for key, value, detail in carrier_checks.problems(new, old)
    ]
    carried += _bound_problems(hub, hub_before)
    if old is None or hub_before is None:
        return [*early, *late, *carried]
    changed = _of_old(lambda: workload.sizes(hub, hub_before))
    known = {
        (problem.rule, problem.field)
        for problems in (_early_problems, _late_problems)
        for problem in _of_old(partial(problems, old, hub_before))
    }

    def fresh(problems: Iterable[Problem]) -> Iterator[Problem]:
        return (problem for problem in problems if (problem.rule, problem.field) not in known)

    return [*fresh(early), *changed, *fresh(late), *carried]


def warnings(service: Object) -> list[str]:
    """What is allowed and does nothing, or says something twice; KServe's words. Raises FieldError for wrong types."""
    if is_deleting(service):
        return []
    hub = up(service)
    return [*router.route_warnings(hub), *model.confidential_warnings(hub)]


def message(name: str, problems: Sequence[Problem], kind: str = SERVICE.kind) -> str:
    """The text of the refusal: one error, or several in brackets, each once."""
    texts = list(dict.fromkeys(str(problem) for problem in problems))
    errors = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f'{kind}.{GROUP} "{name}" is invalid: {errors}'


def status(obj: Object, problems: Sequence[Problem]) -> dict[str, Any]:
    """The structured status of a refusal (code 422, reason Invalid), one cause for each problem."""
    kind, name = text(obj, "kind"), name_of(obj)
    return {
        "metadata": {},
        "status": "Failure",
        "message": message(name, problems, kind),
        "reason": "Invalid",
        "details": {
            "name": name,
            "group": GROUP,
            "kind": kind,
            "causes": [
                {"reason": problem.type, "message": problem.body, "field": problem.field}
                for problem in problems
            ],
        },
        "code": 422,
    }

"""The rules an LLMInferenceService must keep, the same in both versions (ADM-3).

The rules look at the object as written, before configs are merged into it. All violations are collected, in the order
of the specification. Decisions beyond the Go controller: an object being deleted is not validated, and an update does
not report what the old object violated already, for the controller's own patches must not fail on it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aioctl.api import carrier_checks, defaulting, service_names, user_names
from aioctl.api.decoding import check_decodable
from aioctl.api.kinds import GROUP, SERVICE
from aioctl.api.objects import FieldError, Object, dig, is_deleting, name_of, present, sequence
from aioctl.golang import gojson
from aioctl.golang.gotypes import GoType

INVALID = "FieldValueInvalid"
NOT_SUPPORTED = "FieldValueNotSupported"
_TYPE_TEXT = {INVALID: "Invalid value", NOT_SUPPORTED: "Unsupported value"}
_LONGEST_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One violation: which rule (its number in the specification), where, and what it says."""

    rule: str
    field: str
    type: str
    value: str
    """The offending value as JSON text, in Go's spelling."""
    detail: str

    @property
    def body(self) -> str:
        return f"{_TYPE_TEXT[self.type]}: {self.value}: {self.detail}"

    def __str__(self) -> str:
        return f"{self.field}: {self.body}"


def _invalid(rule: str, field: str, value: Any, detail: str, type_: GoType | None = None) -> Problem:
    return Problem(rule, field, INVALID, gojson.dump(value, type_), detail)


_BOTH_ROUTES = (
    "unsupported configuration: cannot use both custom HTTPRoute refs ('spec.router.route.http.refs') "
    "and an inline route spec ('spec.router.route.http.spec'); choose one"
)
_REFS_AND_MANAGED_GATEWAY = (
    "unsupported configuration: custom HTTP routes ('spec.router.route.http.refs') cannot be used with a managed "
    "gateway ('spec.router.gateway'); either remove 'spec.router.route.http.refs' or set 'spec.router.gateway.refs'"
)
_SPEC_AND_GATEWAY_REFS = (
    "unsupported configuration: managed HTTP route spec ('spec.router.route.http.spec') cannot be used with custom "
    "gateway refs ('spec.router.gateway.refs'); either remove 'spec.router.gateway.refs' or "
    "'spec.router.route.http.spec.parentRefs'"
)
_WORKER_NEEDS_DEGREES = "when worker is specified, parallelism must be configured for either data parallelism or pipeline parallelism"
_BOTH_DEGREES = "cannot set both pipeline parallelism and data parallelism (data or dataLocal) simultaneously"


def _router_problems(service: Object) -> Iterator[Problem]:
    """Rules 1 to 3: who brings the route and who brings the gateway."""
    http = dig(service, "spec", "router", "route", "http")
    at = "spec.router.route.http"
    refs = sequence(service, "spec", "router", "route", "http", "refs")
    inline = dig(http, "spec")
    gateway_refs = sequence(service, "spec", "router", "gateway", "refs")
    if refs and inline is not None:
        yield _invalid("1", at, http, _BOTH_ROUTES, gojson.ROUTE)
    if refs and present(service, "spec", "router", "gateway") and not gateway_refs:
        yield _invalid("2", f"{at}.refs", refs, _REFS_AND_MANAGED_GATEWAY)
    if sequence(http, "spec", "parentRefs") and gateway_refs:
        yield _invalid("3", f"{at}.spec", inline, _SPEC_AND_GATEWAY_REFS, gojson.ROUTE_SPEC)


def _workload_problems(workload: Object, at: str) -> Iterator[Problem]:
    """Rules 4 to 10 of the main workload or of prefill."""
    worker, parallelism = workload.get("worker"), workload.get("parallelism")
    if parallelism is None:
        if worker is not None:
            yield _invalid("4", f"{at}.worker", worker, _WORKER_NEEDS_DEGREES, gojson.POD_SPEC)
        return
    at_degrees = f"{at}.parallelism"
    by_data = defaulting.is_data_parallel(parallelism, at=at_degrees)
    by_pipeline = defaulting.is_pipeline_parallel(parallelism, at=at_degrees)
    if worker is not None and not by_data and not by_pipeline:
        yield _invalid("5", f"{at}.worker", worker, _WORKER_NEEDS_DEGREES, gojson.POD_SPEC)
    if by_data and by_pipeline:
        yield _invalid("6", at_degrees, parallelism, _BOTH_DEGREES, gojson.PARALLELISM)
    yield from _degree_problems(parallelism, at_degrees)


def _degree_problems(parallelism: Object, at: str) -> Iterator[Problem]:
    """Rules 7 to 10: data and dataLocal come together, and degrees are positive."""
    data, local = parallelism.get("data"), parallelism.get("dataLocal")
    if data is not None and local is None:
        yield _invalid("7", f"{at}.dataLocal", None, "dataLocal must be set when data is set")
    if local is not None and data is None:
        yield _invalid("7'", f"{at}.data", None, "data must be set when dataLocal is set")
    for rule, degree in (("8", "pipeline"), ("9", "data"), ("10", "dataLocal")):
        value = defaulting.degree(parallelism, degree, at=at)
        if value is not None and value <= 0:
            yield _invalid(rule, f"{at}.{degree}", value, f"{degree} parallelism must be greater than 0")


def _size_problem(rule: str, new: Any, old: Any, at: str) -> Iterator[Problem]:
    """Rules 11 and 12: the number of pods in a group cannot change; undefined counts as one."""
    size, before = (
        defaulting.group_size(dig(workload, "parallelism"), at=at) or 1 for workload in (new, old)
    )
    if size != before:
        detail = f"total parallelism size is immutable, previous size {before}, curr size {size}"
        yield Problem(rule, at, NOT_SUPPORTED, str(size), detail)


_POOL = ("spec", "router", "scheduler", "pool", "spec")
_NAMES: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("spec", "model", "name"), user_names.model_problem),
    ((*_POOL, "endpointPickerRef", "name"), user_names.service_problem),
    ((*_POOL, "extensionRef", "name"), user_names.service_problem),
)


def _name_problems(service: Object) -> Iterator[Problem]:
    """Names that become part of labels, hosts, certificates and scripts; what a template makes is judged when it was rendered."""
    if problem := service_names.problem(service):
        yield _invalid("name", "metadata.name", name_of(service), problem)
    for path, judge in _NAMES:
        value = dig(service, *path)
        if isinstance(value, str) and value and "{{" not in value and (problem := judge(value)):
            yield Problem("name", ".".join(path), INVALID, gojson.dump(value[:_LONGEST_SHOWN]), problem)


def _own_problems(service: Object) -> Iterator[Problem]:
    """Rules 1 to 10 and the names, which look at one object only."""
    yield from _router_problems(service)
    yield from _name_problems(service)
    spec = dig(service, "spec")
    if spec is None:
        return
    yield from _workload_problems(spec, "spec")
    if present(service, "spec", "prefill"):
        yield from _workload_problems(spec["prefill"], "spec.prefill")


def _change_problems(new: Object, old: Object) -> Iterator[Problem]:
    """Rules 11 and 12, which compare with the old object."""
    yield from _size_problem("11", dig(new, "spec"), dig(old, "spec"), "spec.parallelism")
    prefill, before = dig(new, "spec", "prefill"), dig(old, "spec", "prefill")
    if prefill is not None and before is not None:
        yield from _size_problem("12", prefill, before, "spec.prefill.parallelism")


def _of_old(problems: Callable[[], Iterator[Problem]]) -> list[Problem]:
    """What an old object yields; one that an older CRD let in with wrong types can be compared with nothing."""
    try:
        return list(problems())
    except FieldError:
        return []


def validate(new: Object, old: Object | None = None) -> list[Problem]:
    """All violations of a created object, or of an update when `old` is given; empty when it is fine.

    Raises Undecodable (rule 0) when the object has wrong types or a URL that does not parse.
    """
    if is_deleting(new):
        return []
    check_decodable(new)
    problems = list(_own_problems(new))
    carried = [
        _invalid("carrier", carrier_checks.field(key), value, detail)
        for key, value, detail in carrier_checks.problems(new, old)
    ]
    if old is None:
        return problems + carried
    known = {(problem.rule, problem.field) for problem in _of_old(lambda: _own_problems(old))}
    fresh = [problem for problem in problems if (problem.rule, problem.field) not in known]
    return fresh + carried + _of_old(lambda: _change_problems(new, old))


def message(name: str, problems: Sequence[Problem]) -> str:
    """The text of the refusal: one error, or several in brackets, each once."""
    texts = list(dict.fromkeys(str(problem) for problem in problems))
    errors = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    return f'{SERVICE.kind}.{GROUP} "{name}" is invalid: {errors}'


def status(service: Object, problems: Sequence[Problem]) -> dict[str, Any]:
    """The structured status of a refusal (code 422, reason Invalid), one cause for each problem."""
    name = name_of(service)
    return {
        "metadata": {},
        "status": "Failure",
        "message": message(name, problems),
        "reason": "Invalid",
        "details": {
            "name": name,
            "group": GROUP,
            "kind": SERVICE.kind,
            "causes": [
                {"reason": problem.type, "message": problem.body, "field": problem.field}
                for problem in problems
            ],
        },
        "code": 422,
    }

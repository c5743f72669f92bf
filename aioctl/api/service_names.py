"""What a service may be called: its name becomes a label's value and part of the names of Services (NAME-2).

The API server takes any DNS subdomain of 253 characters, but a label's value holds 63, and a Service is a DNS-1035
label: no dots, and a letter first. Long names are cut before the suffix, so a dot far behind may do no harm; what is
judged is therefore each name that would be made, never the service's own.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from aioctl.api import names, user_names
from aioctl.api.objects import FieldError, Object, name_of, present, text
from aioctl.api.pod_reading import Finding

LONGEST: Final = 63
"""Characters that the value of a label holds (validation.LabelValueMaxLength of k8s.io/apimachinery)."""
PICKER: Final = ("spec", "router", "scheduler", "pool", "spec", "endpointPickerRef", "name")
LONGEST_SET: Final = 50
"""Characters of a LeaderWorkerSet's name with which pods can be made: they carry label `controller-revision-hash`, which is the
name of their StatefulSet (`<set>-<group>`), `-` and up to ten digits (kubernetes/kubernetes#64023)."""


class SetName(Protocol):
    """The name of the LeaderWorkerSet of a side."""

    def __call__(self, *, prefill: bool) -> str: ...


class _Made(NamedTuple):
    """What would be made under a name, with the longest name of a service that allows it."""

    kind: str
    name: str
    longest: int = LONGEST
    field: str = "metadata.name"


def problem(service: Object, set_name: SetName | None = None) -> str:
    """Why pods and Services of this service cannot be made under its name; empty if they can.

    `service` may be as written or combined with its configs; only what its own spec asks for is looked at, and no
    config takes a worker away. `set_name`: what its LeaderWorkerSets are called, where they may exist already. Raises
    FieldError for a field of the wrong type.
    """
    name = name_of(service)
    if not name:
        return ""  # the API server has yet to make one (generateName)
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, and the label {names.NAME} of its pods holds {LONGEST}: {_cure()}"
    for made in _service_names(service, name, set_name):
        would = f'its {made.kind} would be named "{made.name}"'
        if not is_service_name(made.name):
            return f"{would}, which the API server refuses: {_cure(made.longest)}"
    return ""


def podless_sets(service: Object, set_name: SetName | None = None) -> Iterator[Finding]:
    """LeaderWorkerSets that the API server takes and no pod can be made of, as KServe makes them all the same.

    `service` and `set_name` as in `problem`. None of a worker of the wrong type: others name that.
    """
    with suppress(FieldError):
        yield from _podless(service, set_name)


def _podless(service: Object, set_name: SetName | None) -> Iterator[Finding]:
    for made in _sets(service, name_of(service), set_name):
        if len(made.name) > LONGEST_SET and is_service_name(made.name):
            yield Finding(
                made.field,
                f'the LeaderWorkerSet is named "{made.name}", and the labels of its pods hold {LONGEST_SET} characters '
                f"of that, so none is made: {_cure(made.longest)}",
            )


def _cure(longest: int = LONGEST) -> str:
    return (
        "call it by lower case letters, digits and '-' only, beginning with a letter, "
        f"{longest} characters at most"
    )


def picker_problem(service: Object) -> str:
    """Why no Service can have the name that the inline pool gives its endpoint picker; empty if one can, or none is made.

    `service` as in `problem`; so are the errors.
    """
    if text(service, "spec", "router", "scheduler", "pool", "ref", "name"):
        return ""
    name = text(service, *PICKER)
    return user_names.service_problem(name) if name else ""


def is_service_name(name: str) -> bool:
    """Whether a Service can have the name: a label of RFC 1035 in lower case."""
    return not user_names.service_problem(name)


def _service_names(service: Object, name: str, set_name: SetName | None) -> Iterator[_Made]:
    """Services that are made for it, and sets of pods, which get a Service of their own name from their controller."""
    yield _Made("Service", names.workload_service_name(name))
    scheduler = ("spec", "router", "scheduler")
    if present(service, *scheduler) and not text(service, *scheduler, "pool", "ref", "name"):
        if text(service, *PICKER) in ("", picker := names.picker_service_name(name)):
            yield _Made("endpoint picker's Service", picker)
        if present(service, *scheduler, "tokenizer"):
            yield _Made("tokenizer's Service", names.tokenizer_name(name))
    yield from _sets(service, name, set_name)


def _sets(service: Object, name: str, set_name: SetName | None) -> Iterator[_Made]:
    if present(service, "spec", "worker"):
        yield _set(name, set_name, "spec.worker", prefill=False)
    if present(service, "spec", "prefill") and present(service, "spec", "prefill", "worker"):
        yield _set(name, set_name, "spec.prefill.worker", prefill=True)


def _set(name: str, set_name: SetName | None, field: str, *, prefill: bool) -> _Made:
    made = set_name(prefill=prefill) if set_name else names.set_name(name, prefill=prefill)
    return _Made("LeaderWorkerSet", made, LONGEST_SET - len(names.set_name("", prefill=prefill)), field)

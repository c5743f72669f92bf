"""Which references a gateway's ResolvedRefs False is about, read from its reason and message (MIG-7, ROUTE-5).

istiod gives one reason and names the group in quotes. Envoy Gateway joins the reasons of all references with commas and has one line
for each of them, with its place in the route and no group (both measured). Others write field paths.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api.objects import sequence, text
from aioctl.plan.readiness import Condition

INVALID_KIND: Final = "InvalidKind"
BACKEND_NOT_FOUND: Final = "BackendNotFound"
_PLACE: Final = re.compile(r"rules?[ \[](\d{1,4})\]?[ .]backendRefs?[ \[](\d{1,4})")
"""`rule 0 backendRef 1` as Envoy Gateway has it, and `rules[0].backendRefs[1]` as field paths have it."""
_OF_A_KIND: Final = ("Group is invalid", "Kind is invalid")
"""What a line of Envoy Gateway says where the reason is InvalidKind."""

Reference = Mapping[str, Any]
"""A backendRef."""


def reasons(refusal: Condition) -> frozenset[str]:
    return frozenset(str(refusal.get("reason", "")).split(","))


def named(refusal: Condition, spec: Mapping[str, Any]) -> list[Reference]:
    """The references of an HTTPRoute's spec that the refusal names, by place or else by group; empty where it names none."""
    return _named(_message(refusal), spec)


def of_kinds(refusal: Condition, spec: Mapping[str, Any]) -> list[Reference]:
    """Those whose kind it refuses, of those that it names."""
    message = _message(refusal)
    if reasons(refusal) != {INVALID_KIND}:
        lines = message.splitlines()
        message = "\n".join(line for line in lines if any(words in line for words in _OF_A_KIND))
    return _named(message, spec)


def _message(refusal: Condition) -> str:
    return str(refusal.get("message", ""))


def _named(message: str, spec: Mapping[str, Any]) -> list[Reference]:
    return list(_by_place(message, spec)) or list(_by_group(message, spec))


def _by_place(message: str, spec: Mapping[str, Any]) -> Iterator[Reference]:
    places = {(int(rule), int(ref)) for rule, ref in _PLACE.findall(message)}
    if not places:
        return
    for rule, each in enumerate(sequence(spec, "rules")):
        for at, ref in enumerate(sequence(each, "backendRefs")):
            if (rule, at) in places and isinstance(ref, Mapping):
                yield ref


def _by_group(message: str, spec: Mapping[str, Any]) -> Iterator[Reference]:
    for rule in sequence(spec, "rules"):
        for ref in sequence(rule, "backendRefs"):
            group = text(ref, "group")
            if group and f'"{group}"' in message:
                yield ref

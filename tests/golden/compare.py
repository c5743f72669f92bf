"""What differs between two states of a namespace, as a flat set of paths; times, uids and addresses do not count.

A difference is `<group/version>/<plural>/<name> <path>` with list positions as numbers, `... ours` or `... theirs` for an
object that only one side has, `event ours <text>`, `event theirs <text>`, `refused <object>`, `warnings <object> ours <text>` or
`warnings <object> theirs <text>`. The namespace of the case reads `<ns>` everywhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

from aioctl.api import kinds, names
from tests.golden.cases import PLACE, Case, Object

_VOLATILE = frozenset(
    {
        "uid",
        "resourceVersion",
        "generation",
        "observedGeneration",
        "managedFields",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "lastTransitionTime",
        "clusterIP",
        "clusterIPs",
        "ipFamilies",
        "ipFamilyPolicy",
        "internalTrafficPolicy",
    }
)
_WITH_STATUS = tuple(
    f"{kind.api_version}/{kind.plural}/"
    for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG, kinds.CONFIG_V1ALPHA1)
)
_SECRETS = f"{kinds.SECRET.api_version}/{kinds.SECRET.plural}/"
_HOOK_NAME = re.compile(r'admission webhook "[^"]+" denied')
_TRIED_AS = re.compile(r"(-validation-)[a-z0-9]{5}\b")
_TRIED = r"\1<x>"
"""The name that an API server makes up for a service that is only tried out."""
_RECORD = frozenset({names.FORM_INPUTS, names.FORM_TEMPLATE, names.GIVEN, names.GIVEN_PODS})
_EXPIRY = "certificates.kserve.io/"
_DISTINCT = 9
"""So many texts of a kind reach the recordings."""
_NOT_OF_THE_OBJECT = ("apiVersion", "kind")


@dataclass
class State:
    """What stands in a namespace: objects by recorded path, distinct event texts, refusals and warnings by what was asked."""

    objects: dict[str, Object] = field(default_factory=dict)
    events: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)


def recorded_state(case: Case) -> State:
    return State(dict(case.objects), set(case.events), dict(case.refused))


def differences(ours: State, theirs: State, namespace: str) -> dict[str, str]:
    """Difference -> the two values as text."""
    found: dict[str, str] = {}
    for name in sorted(ours.refused.keys() | theirs.refused.keys()):
        mine, other = (
            _HOOK_NAME.sub("admission webhook denied", s.refused.get(name, "")) for s in (ours, theirs)
        )
        if mine != other:
            found[f"refused {name}"] = f"{mine!r} != {other!r}"
    for name in sorted(ours.warnings.keys() | theirs.warnings.keys()):
        said, expected = (state.warnings.get(name, ()) for state in (ours, theirs))
        for side, texts in (("ours", set(said) - set(expected)), ("theirs", set(expected) - set(said))):
            for text in texts:
                found[_placed(f"warnings {name} {side} {text}", namespace)] = ""
    said_by_us = {_TRIED_AS.sub(_TRIED, text) for text in ours.events}
    for text in said_by_us - theirs.events:
        if _is_thinned(text, theirs.events):
            continue
        found[_placed(f"event ours {text}", namespace)] = ""
    for text in theirs.events - said_by_us:
        found[_placed(f"event theirs {text}", namespace)] = ""
    for path in sorted(ours.objects.keys() | theirs.objects.keys()):
        where = _placed(path, namespace)
        if path not in theirs.objects:
            found[f"{where} ours"] = ""
        elif path not in ours.objects:
            found[f"{where} theirs"] = ""
        else:
            left, right = (normalised(path, state.objects[path]) for state in (ours, theirs))
            for at, values in _walk("", left, right):
                found[f"{where} {at}"] = values
    return found


def _is_thinned(text: str, recorded: set[str]) -> bool:
    """Go's client merges the tenth distinct text of a type and reason and all later ones (EVENT-1)."""
    kind = text.partition(":")[0]
    return sum(other.startswith(f"{kind}:") for other in recorded) >= _DISTINCT


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What was written between two looks at versions, as `created`, `updated` or `deleted` and the object."""
    found = [f"deleted {path}" for path in before.keys() - after.keys()]
    for path, version in after.items():
        if path not in before:
            found.append(f"created {path}")
        elif before[path] != version:
            found.append(f"updated {path}")
    return sorted(found)


def normalised(path: str, obj: Mapping[str, Any]) -> Object:
    """Without what differs in every run, and without what others write (the status of everything but services and their configurations)."""
    kept = {name: value for name, value in obj.items() if name not in _NOT_OF_THE_OBJECT}
    if not path.startswith(_WITH_STATUS):
        kept.pop("status", None)
    if path.startswith(_SECRETS) and "data" in kept:
        kept["data"] = dict.fromkeys(kept["data"], "<pem>")
    plain: Object = _stripped(kept)
    annotations = plain.get("metadata", {}).get("annotations", {})
    for name in _RECORD & annotations.keys():
        # What is remembered beside pods (FORM-1) is ours, and tells of no cluster.
        del annotations[name]
    if "annotations" in plain.get("metadata", {}) and not annotations and obj["metadata"]["annotations"]:
        del plain["metadata"]["annotations"]
    for name in annotations:
        if name.startswith(_EXPIRY):
            annotations[name] = "<time>"
    plain.get("status", {}).get("conditions", []).sort(key=lambda condition: condition["type"])
    return plain


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _stripped(item) for name, item in value.items() if name not in _VOLATILE}
    if isinstance(value, list):
        return [_stripped(item) for item in value]
    return _TRIED_AS.sub(_TRIED, value) if isinstance(value, str) else value


def _walk(at: str, mine: Any, other: Any) -> Iterator[tuple[str, str]]:
    if isinstance(mine, dict) and isinstance(other, dict):
        for name in sorted(mine.keys() | other.keys()):
            where = f"{at}.{name}" if at else name
            if name not in other:
                yield where, f"{_short(mine[name])} != (nothing)"
            elif name not in mine:
                yield where, f"(nothing) != {_short(other[name])}"
            else:
                yield from _walk(where, mine[name], other[name])
        return
    if _is_conditions(mine, other):
        yield from _walk(at, _by_type(mine), _by_type(other))
        return
    if isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for index, (left, right) in enumerate(zip(mine, other, strict=True)):
            yield from _walk(f"{at}.{index}", left, right)
        return
    if mine != other or type(mine) is not type(other):
        yield at, f"{_short(mine)} != {_short(other)}"


def _is_conditions(mine: Any, other: Any) -> bool:
    return all(
        isinstance(side, list)
        and side != []
        and all(isinstance(entry, dict) and {"type", "status"} <= entry.keys() for entry in side)
        for side in (mine, other)
    )


def _by_type(conditions: list[Object]) -> dict[str, Object]:
    return {entry["type"]: entry for entry in conditions}


def _placed(text: str, namespace: str) -> str:
    return text.replace(namespace, PLACE)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 400 else f"{text[:200]} ... {text[-200:]} ({crc32(text.encode()):08x})"

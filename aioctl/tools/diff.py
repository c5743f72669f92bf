"""`aioctl diff`: what would be written, as a unified diff, with whose each changed field is. Pure, over a snapshot."""

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import Object, key_of, mapping, name_of, namespace_of
from aioctl.plan.facts import Overlay
from aioctl.plan.observation import Observation, Present
from aioctl.plan.policy import Policy
from aioctl.tools.access import Exit, ToolError
from aioctl.tools.checks.declared import OUR_KINDS, stored
from aioctl.tools.origin import Origins, Path
from aioctl.tools.output import Column
from aioctl.tools.planned import Outlook, Planned, merged, outlook
from aioctl.yaml_text import as_yaml

_NEW_UID: Final = "00000000-0000-0000-0000-000000000000"
"""Of a service that is in a file only: the API server gives it one."""
COLUMNS: Final = (
    Column("NAMESPACE", "namespace"),
    Column("SERVICE", "service"),
    Column("VERB", "verb"),
    Column("KIND", "kind"),
    Column("NAME", "name"),
    Column("FIELDS", "count"),
    Column("EFFECT", "effect"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One changed leaf. `before`, `after`: None where it is absent there."""

    path: str
    before: Any
    after: Any
    origin: str
    """Of the value after; of a field that goes, who no longer sets it cannot be said: the controller."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One object that would change."""

    service: Object
    planned: Planned
    fields: tuple[Field, ...]

    def item(self) -> dict[str, Any]:
        """For tables, json and yaml."""
        ref = self.planned.ref
        return {
            "namespace": namespace_of(self.service),
            "service": name_of(self.service),
            "verb": self.planned.verb,
            "apiVersion": ref.kind.api_version,
            "kind": ref.kind.kind,
            "name": ref.name,
            "objectNamespace": ref.namespace,
            "resource": f"{ref.kind.resource}/{ref.name}",
            "effect": self.planned.restarts,
            "count": len(self.fields),
            "fields": [
                {"path": one.path, "before": one.before, "after": one.after, "origin": one.origin}
                for one in self.fields
            ],
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What a service would get, and what could not be looked at."""

    service: Object
    differences: tuple[Difference, ...]
    problems: tuple[str, ...]


def report(obs: Observation, service: Object, policy: Policy, now: datetime) -> Report:
    """Plans the service to its end. Does not raise for anything in the cluster."""
    found: Outlook = outlook(obs, service, policy, now)
    origins = Origins.of(found.plan)
    differences = tuple(
        Difference(service, change, tuple(_fields(change, origins))) for change in found.changes
    )
    return Report(service, differences, found.problems)


def edited(
    obs: Observation, given: Sequence[Object], policy: Policy, namespace: str
) -> tuple[Observation, list[Object], bool]:
    """The observation as if the objects of a file were applied, its services, and whether it holds anything else.

    Raises ToolError for what is no object of the cluster.
    """
    known = {(kind.api_version, kind.kind): kind for kind in vars(kinds).values() if isinstance(kind, Kind)}
    answers: dict[ObjectRef, Object | None] = {}
    services, others = [], False
    for one in given:
        obj = stored(one) if one.get("kind") in OUR_KINDS else one
        kind = known.get((str(obj.get("apiVersion")), str(obj.get("kind"))))
        if kind is None or not name_of(obj):
            raise ToolError(f"the file holds {_wrong(one, is_known=kind is not None)}", Exit.USAGE)
        place = _namespace(kind, obj, policy, namespace)
        ref = ObjectRef(kind, place, name_of(obj))
        made = _applied(obs, ref, obj)
        answers[ref] = made
        if kind == kinds.SERVICE:
            services.append(made)
        else:
            others = True
    return Overlay(obs, answers), services, others


def _wrong(one: Object, *, is_known: bool) -> str:
    """What keeps an object of a file from being one of the cluster, after `the file holds`."""
    what = f"{one.get('apiVersion')} {one.get('kind')} {name_of(one)}".strip()
    if is_known:
        return f"{what} without a metadata.name"
    if one.get("kind") in OUR_KINDS:
        return f"{what}, whose apiVersion is none of ours: use {kinds.V1ALPHA2} or {kinds.V1ALPHA1}"
    return f"{what}, which no plan of this controller reads: leave it out"


def _namespace(kind: Kind, obj: Object, policy: Policy, namespace: str) -> str:
    if not kind.namespaced:
        return ""
    return namespace_of(obj) or namespace or (policy.system_namespace if kind == kinds.CONFIG else "default")


def _applied(obs: Observation, ref: ObjectRef, obj: Object) -> Object:
    """The object with what the live one has beside it: identity, status and what others put into its metadata."""
    read = obs.get(ref.kind, ref.namespace, ref.name)
    live = read.obj if isinstance(read, Present) else {}
    metadata = dict(merged(mapping(live, "metadata"), mapping(obj, "metadata")))
    metadata.setdefault("uid", _NEW_UID)
    if ref.kind.namespaced:
        metadata["namespace"] = ref.namespace
    if ref.kind == kinds.SERVICE:
        # Admission puts it onto services as they are created.
        finalizers = metadata.get("finalizers") or []
        metadata["finalizers"] = [*finalizers, *({names.FINALIZER} - set(finalizers))]
    return {**obj, "metadata": metadata, **({"status": live["status"]} if "status" in live else {})}


def text(found: Iterable[Report]) -> Iterator[str]:
    """The unified diffs, each under a line that says what happens and above the lines that say whose its fields are."""
    for one in found:
        for difference in one.differences:
            yield from _shown(difference)
        for problem in one.problems:
            yield f"# {key_of(one.service)}: not known further: {problem}\n"


def summary(found: Sequence[Report]) -> str:
    """`2 services: 3 objects would change, 1 restarts the model server`."""
    differences = [one for each in found for one in each.differences]
    services = f"{len(found)} {'service' if len(found) == 1 else 'services'}"
    unknown = sum(bool(one.problems) for one in found)
    rest = f"; {unknown} not known to the end" if unknown else ""
    if not differences:
        return f"{services}: nothing would be written{rest}"
    effects = Counter(one.planned.restarts for one in differences if one.planned.restarts)
    told = "".join(f"; {count} {effect}" for effect, count in sorted(effects.items()))
    count = f"{len(differences)} {'object' if len(differences) == 1 else 'objects'}"
    return f"{services}: {count} would change{told or '; no pod restarts'}{rest}"


def _shown(difference: Difference) -> Iterator[str]:
    planned = difference.planned
    ref = planned.ref
    effect = f"; {planned.restarts}" if planned.restarts else ""
    yield f"# {planned.verb} {ref.kind.kind} {ref.key} of service {key_of(difference.service)}{effect}\n"
    name = f"{ref.kind.api_version}/{ref.kind.kind}/{ref.key}"
    yield from difflib.unified_diff(
        _lines(planned, planned.before),
        _lines(planned, planned.after),
        f"live/{name}" if planned.before is not None else "/dev/null",
        f"planned/{name}" if planned.after is not None else "/dev/null",
    )
    if planned.before is not None and planned.after is not None:
        width = max((len(one.path) for one in difference.fields), default=0)
        for one in difference.fields:
            yield f"#   {one.path.ljust(width)}  {_origin(one)}\n"
    yield "\n"


def _origin(one: Field) -> str:
    return f"goes: nobody sets it ({one.origin})" if one.after is None else one.origin


def _lines(planned: Planned, obj: Object | None) -> list[str]:
    if obj is None:
        return []
    return as_yaml([_sorted(_veiled(planned, obj))]).removeprefix("---\n").splitlines(keepends=True)


def _veiled(planned: Planned, obj: Object) -> Object:
    """Secrets show which keys they hold and whether these change, never what."""
    if planned.ref.kind != kinds.SECRET:
        return obj
    side = "before" if obj is planned.before else "after"
    other = (planned.after if obj is planned.before else planned.before) or {}
    veiled = {
        key: "***" if mapping(other, "data").get(key) == value else f"*** ({side})"
        for key, value in mapping(obj, "data").items()
    }
    return {**obj, "data": veiled}


def _sorted(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        first = [key for key in ("apiVersion", "kind", "metadata", "name") if key in tree]
        rest = sorted(key for key in tree if key not in first)
        return {key: _sorted(tree[key]) for key in (*first, *rest)}
    return [_sorted(one) for one in tree] if isinstance(tree, list) else tree


def _fields(planned: Planned, origins: Origins) -> Iterator[Field]:
    before, after = planned.before or {}, planned.after or {}
    if planned.ref.kind == kinds.SECRET:
        before, after = _veiled(planned, before), _veiled(planned, after)
    for path, old, new in _changes(before, after, ()):
        origin = origins.field(planned.ref, after, path) if new is not None else "the controller"
        yield Field(_written(path, after), old, new, origin)


def _changes(before: Any, after: Any, path: Path) -> Iterator[tuple[Path, Any, Any]]:
    """(path, before, after) of every leaf that differs; elements of lists by their place in the list after."""
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        if not all(isinstance(one, Mapping) or one is None for one in (before, after)):
            yield path, before, after
            return
        old, new = before or {}, after or {}
        if not (old or new):
            return
        for key in (*new, *(key for key in old if key not in new)):
            yield from _changes(old.get(key), new.get(key), (*path, key))
    elif isinstance(before, list) or isinstance(after, list):
        if not all(isinstance(one, list) or one is None for one in (before, after)):
            yield path, before, after
            return
        for place, old, new in _pairs(before or [], after or []):
            yield from _changes(old, new, (*path, place))
    elif before != after:
        yield path, before, after


def _pairs(before: list[Any], after: list[Any]) -> Iterator[tuple[int, Any, Any]]:
    """Elements that belong together: those of one name where all have names, else those of one place."""
    named = all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in (*before, *after))
    if not named or len({one["name"] for one in before}) != len(before):
        for place in range(max(len(before), len(after))):
            old = before[place] if place < len(before) else None
            yield place, old, after[place] if place < len(after) else None
        return
    olds = {one["name"]: one for one in before}
    for place, one in enumerate(after):
        yield place, olds.pop(one["name"], None), one
    for number, one in enumerate(olds.values()):
        yield len(after) + number, one, None


def _written(path: Path, obj: Object) -> str:
    """`spec.template.spec.containers[main].image`: elements with names by them."""
    made = ""
    tree: Any = obj
    for step in path:
        if isinstance(step, int):
            inside = tree[step] if isinstance(tree, list) and step < len(tree) else None
            name = inside.get("name") if isinstance(inside, Mapping) else None
            made += f"[{name if name is not None else step}]"
            tree = inside
        else:
            made += f".{step}" if made else str(step)
            tree = tree.get(step) if isinstance(tree, Mapping) else None
    return made

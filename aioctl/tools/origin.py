"""Whose a field of a child is: the service's, a preset's, a baseRef's or the controller's. Pure.

A child is built from parts of the combined spec; a field that stands there with the same value has the source of that
field (`plan/provenance.py`), all else is the controller's.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.api.objects import FieldError, Object, labels_of
from aioctl.plan.combine import combine
from aioctl.plan.model import Plan, PlanError
from aioctl.plan.observation import Unanswered
from aioctl.plan.provenance import CONTROLLER, explain

Path = tuple[str | int, ...]
_ABSENT: Final = object()


class Origins:
    """The sources of one service's combined spec, asked by fields of its children."""

    def __init__(self, spec: Mapping[str, Any], sources: Mapping[str, str]) -> None:
        """`sources`: path such as `spec.template.containers[0].image` -> source."""
        self._spec = spec
        self._sources = sources

    @classmethod
    def of(cls, plan: Plan) -> "Origins":
        """Of the spec that the plan was made from; everything is the controller's where there is none."""
        ctx = plan.context
        if ctx is None:
            return cls({}, {})
        try:
            combined = combine(ctx.obs, plan.service, ctx.config, ctx.policy)
        except (PlanError, FieldError, Unanswered):
            return cls({}, {})
        return cls(combined.spec, dict(explain(combined.spec, combined.sources)))

    def field(self, ref: ObjectRef, obj: Object, path: Path) -> str:
        """The source of the field at the path of the child."""
        for here, there in _prefixes(ref, obj):
            if path[: len(here)] == here:
                found = self._follow(obj, here, there, path[len(here) :])
                if found:
                    return found
        return CONTROLLER

    def _follow(self, obj: Any, here: Path, there: Path, rest: Path) -> str:
        """The source of `there` + `rest` of the spec when it holds what the child holds at `here` + `rest`."""
        ours, spec = _at(obj, here), _at(self._spec, there)
        place = "spec" + _text(there)
        for step in rest:
            if isinstance(step, int):
                index = _place(ours, step, spec)
                if index is None:
                    return ""
                ours, spec, place = ours[step], spec[index], f"{place}[{index}]"
            else:
                ours, spec, place = _at(ours, (step,)), _at(spec, (step,)), f"{place}.{step}"
        return self._sources.get(place, "") if ours is not _ABSENT and ours == spec else ""


def _prefixes(ref: ObjectRef, obj: Object) -> Sequence[tuple[Path, Path]]:
    """Where a child's fields stand in the combined spec, the more exact first."""
    component = str(labels_of(obj).get(names.COMPONENT, ""))
    side: Path = ("prefill",) if "prefill" in component else ()
    if ref.kind == kinds.DEPLOYMENT:
        owner: Path = ("router", "scheduler") if component == names.SCHEDULER_COMPONENT else side
        if component == "llminferenceservice-tokenizer":
            owner = ("router", "scheduler", "tokenizer")
        return (
            (("spec", "template", "spec"), (*owner, "template")),
            (("spec", "template", "metadata"), owner),
            (("spec", "replicas"), (*owner, "replicas")),
            (("metadata",), owner),
        )
    if ref.kind == kinds.LEADER_WORKER_SET:
        group: Path = ("spec", "leaderWorkerTemplate")
        return (
            ((*group, "leaderTemplate", "spec"), (*side, "template")),
            ((*group, "workerTemplate", "spec"), (*side, "worker")),
            (("spec", "replicas"), (*side, "replicas")),
            (("metadata",), side),
        )
    if ref.kind == kinds.POOL_V1:
        return ((("spec",), ("router", "scheduler", "pool", "spec")),)
    if ref.kind == kinds.HTTP_ROUTE:
        return ((("spec",), ("router", "route", "http", "spec")),)
    return ()


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        if not isinstance(tree, Mapping) or step not in tree:
            return _ABSENT
        tree = tree[step]
    return tree


def _place(ours: Any, index: int, spec: Any) -> int | None:
    """The place in the spec's list of the element that is `index` in ours: of the same name, else the same place."""
    if not isinstance(ours, list) or not isinstance(spec, list):
        return None
    key = ours[index].get("name") if isinstance(ours[index], Mapping) else None
    if key is None:
        return index if index < len(spec) else None
    return next(
        (place for place, one in enumerate(spec) if isinstance(one, Mapping) and one.get("name") == key), None
    )


def _text(path: Path) -> str:
    return re.sub(r"\.(\[)", r"\1", "".join(f".{step}" for step in path))

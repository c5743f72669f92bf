"""Merging two specs as the Go controller does: a strategic merge of what the override mentions (MERGE-1).

Both sides are written as Go writes them first (`roundtrip.py`), so that only fields a Go client could have set change
the base. Lists with a merge key are joined by it, other lists replaced; there are no `$patch` directives, a key of that
name is data. Nothing is read or looked up here.

Decision (MERGE-3): an override's template of the scheduler or of its tokenizer without containers keeps the base's, like the other
four pod specs; the Go controller loses the containers there, or has a schema that asks for them. Decision (MERGE-4): of two inline
configurations of the scheduler the override's holds whole; the Go controller fails where both have plugins.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aioctl.golang.gotypes import SPEC
from aioctl.golang.roundtrip import round_trip
from aioctl.golang.strategic_merge import MissingMergeKey, merge_struct
from aioctl.plan.model import PlanError

Tree = Mapping[str, Any]

_FAILED: Final = "failed to merge specs: "
POD_SPECS: Final = (
    ("template",),
    ("worker",),
    ("prefill", "template"),
    ("prefill", "worker"),
    ("router", "scheduler", "template"),
    ("router", "scheduler", "tokenizer", "template"),
)
"""Where a spec has the pod spec of a component."""


class MergeError(PlanError):
    """Two specs cannot be merged; the text starts with `failed to merge specs: `."""


def merge(base: Tree, override: Tree) -> dict[str, Any]:
    """The base with everything the override mentions laid over it, as Go writes it. Both are left unchanged.

    Raises MergeError for a list element without its merge key, FieldError for a value of the wrong type.
    """
    return merge_written(round_trip(base), round_trip(override))


def merge_written(base: Tree, override: Tree) -> dict[str, Any]:
    """`merge` of two specs that came out of the round trip. The result shares subtrees with both."""
    try:
        return merge_struct(base, _patch(override), SPEC.struct)
    except MissingMergeKey as error:
        raise MergeError(f"{_FAILED}could not apply merge patch: {error}") from error


def _patch(override: Tree) -> dict[str, Any]:
    """What the override mentions: pod specs without containers say nothing about them, an empty uri says nothing."""
    patch = with_containers(override)
    model = patch.get("model")
    if model is not None and not model.get("uri"):
        patch["model"] = {name: value for name, value in model.items() if name != "uri"}
    return patch


def with_containers(spec: Tree) -> dict[str, Any]:
    """The spec as KServe defaults what it lays over others: each pod spec in it has a list of containers, even an empty one."""
    result = dict(spec)
    for path in POD_SPECS:
        result = _default_containers(result, path)
    return result


def _default_containers(tree: Tree, path: Sequence[str]) -> dict[str, Any]:
    below = tree.get(path[0])
    if below is None:
        return dict(tree)
    if len(path) > 1:
        return {**tree, path[0]: _default_containers(below, path[1:])}
    if below.get("containers") is not None:
        return dict(tree)
    return {**tree, path[0]: {**below, "containers": []}}

"""How long each list, map and text of our own fields may be: one table for the CRDs, for admission and for plans (SCHEMA-8).

A bound says what a user can mean by a field, and is far above what anybody uses; the work on an object is bounded by its
weight as a whole (docs/decisions/0013-bounds-of-weight.md). Types of Kubernetes, Gateway API, Inference Extension and KEDA
that are embedded keep the bounds of those projects, and so do our fields that KServe bounds (names of gateways, groups).
"""

from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final


class Measure(StrEnum):
    """What is counted; the value is the keyword of a schema for it."""

    ITEMS = "maxItems"
    ENTRIES = "maxProperties"
    CHARACTERS = "maxLength"


_UNIT: Final = {Measure.ITEMS: "items", Measure.ENTRIES: "entries", Measure.CHARACTERS: "characters"}
_CURE: Final = {
    Measure.ITEMS: "remove items",
    Measure.ENTRIES: "remove entries",
    Measure.CHARACTERS: "shorten it",
}


@dataclass(frozen=True, slots=True)
class Bound:
    """Of one field of both kinds and of every version that has it."""

    path: str
    """From the object's root; `[]` stands for each item, `{}` for each value of a map."""
    measure: Measure
    most: int
    why: str
    """Where the number comes from."""
    cure: str = ""
    """What to do instead, where more than making it smaller helps."""

    @property
    def unit(self) -> str:
        return _UNIT[self.measure]


_NAME: Final = (
    "four times the longest name of an object (253 characters): a template expression may stand in its place"
)
_URI: Final = (
    "an object key of S3 has 1,024 bytes, each of which takes three characters where it is escaped, and a host "
    "and scheme stand before it"
)
_PAIRS: Final = "a pod with more is beyond every tool that shows it; Kubernetes itself bounds their bytes"
_LABEL: Final = "sixteen times the longest value of a label (63 characters): it may be a template expression"
_ANNOTATION: Final = "half of what all annotations of an object may have together in Kubernetes (256 KiB)"
_NUMBER: Final = "no number that a machine holds needs more digits"
_TIERS: Final = "a machine has a handful of places to keep what its memory has no room for"
_REFS: Final = "twice what Gateway API lets a route hang on (32 parentRefs)"


def _text(path: str, most: int, why: str) -> Bound:
    return Bound(path, Measure.CHARACTERS, most, why)


def _items(path: str, most: int, why: str, cure: str = "") -> Bound:
    return Bound(path, Measure.ITEMS, most, why, cure)


def _name(path: str) -> Bound:
    return _text(path, 1024, _NAME)


def _pairs(at: str) -> Iterator[Bound]:
    """Labels and annotations of pods."""
    for what, most, why in (("labels", 1024, _LABEL), ("annotations", 128 * 1024, _ANNOTATION)):
        yield Bound(f"{at}.{what}", Measure.ENTRIES, 1024, _PAIRS)
        yield _text(f"{at}.{what}{{}}", most, why)


def _workload(at: str) -> Iterator[Bound]:
    """Fields that the main workload and the prefill workload share."""
    yield from _pairs(at)
    tier = f"{at}.kvCacheOffloading.secondary[].fileSystem"
    yield _text(f"{at}.kvCacheOffloading.cpu", 64, _NUMBER)
    yield _items(f"{at}.kvCacheOffloading.secondary", 16, _TIERS)
    yield _text(f"{tier}.emptyDir.size", 64, _NUMBER)
    yield _name(f"{tier}.pvc.ref.name")
    yield _text(f"{tier}.pvc.ref.path", 4096, "PATH_MAX of Linux")
    for limit in ("maxSurge", "maxUnavailable"):
        yield _text(f"{at}.rolloutStrategy.{limit}", 1024, _NAME)
    yield _items(
        f"{at}.scaling.keda.triggers", 256, "each trigger is asked at every polling interval of one service"
    )
    yield _text(f"{at}.scaling.wva.variantCost", 64, _NUMBER)


BOUNDS: Final = (
    _items(
        "spec.baseRefs",
        256,
        "a plan bears 300 references at most (docs/decisions/0013-bounds-of-weight.md), and KServe ships 12 presets",
        "put what several presets say into one LLMInferenceServiceConfig",
    ),
    _name("spec.baseRefs[].name"),
    _text("spec.model.uri", 4096, _URI),
    _name("spec.model.name"),
    _items(
        "spec.model.lora.adapters",
        1024,
        "each is loaded by every server; with a name and a URI each, this many take two thirds of a whole spec's values",
        "serve further adapters by another service",
    ),
    _text("spec.model.lora.adapters[].uri", 4096, _URI),
    _name("spec.model.lora.adapters[].name"),
    _text("spec.model.confidential.resourceId", 4096, _URI),
    _name("spec.tracing.exporter"),
    _text("spec.tracing.exporterEndpoint", 4096, _URI),
    _name("spec.tracing.sampler"),
    _name("spec.tracing.samplerArg"),
    _items("spec.router.gateway.refs", 64, _REFS, "serve further gateways by another route"),
    _items("spec.router.ingress.refs", 64, _REFS),
    _items("spec.router.route.http.refs", 64, _REFS, "serve further routes by another service"),
    _name("spec.router.route.http.refs[].name"),
    *_pairs("spec.router.scheduler"),
    Bound(
        "spec.router.scheduler.config.inline",
        Measure.ENTRIES,
        64,
        "an EndpointPickerConfig has fewer than ten fields",
    ),
    _name("spec.router.scheduler.config.ref.name"),
    _name("spec.router.scheduler.config.ref.key"),
    _name("spec.router.scheduler.pool.ref.name"),
    *_workload("spec"),
    *_workload("spec.prefill"),
)


def most(path: str) -> int:
    """The bound of the field at that path. Raises KeyError where it has none."""
    return _MOST[path]


_MOST: Final = {bound.path: bound.most for bound in BOUNDS}


@dataclass(frozen=True, slots=True)
class Excess:
    """A value of an object that is over a bound."""

    field: str
    """As `spec.baseRefs[3].name`."""
    bound: Bound
    found: int

    def __str__(self) -> str:
        cure = self.bound.cure or _CURE[self.bound.measure]
        return f"has {self.found:,} {self.bound.unit}, and at most {self.bound.most:,} are allowed: {cure}"


@dataclass(slots=True)
class _Node:
    """What is bounded at a place of the schema, and below it."""

    bound: Bound | None = None
    fields: dict[str, "_Node"] = field(default_factory=dict)
    each: "_Node | None" = None
    """Of the items of a list or the values of a map."""


def parts(path: str) -> list[str]:
    """The steps of a bound's path: names of fields, `[]` and `{}`."""
    return path.replace("[]", ".[]").replace("{}", ".{}").split(".")


def _tree(bounds: Iterable[Bound]) -> _Node:
    root = _Node()
    for bound in bounds:
        node = root
        for part in parts(bound.path):
            if part in ("[]", "{}"):
                node.each = node = node.each or _Node()
            else:
                node = node.fields.setdefault(part, _Node())
        node.bound = bound
    return root


_TREE: Final = _tree(BOUNDS)
_LONGEST_SHOWN: Final = 80
_COUNTED: Final[Mapping[Measure, type[Sized]]] = {
    Measure.ITEMS: list,
    Measure.ENTRIES: dict,
    Measure.CHARACTERS: str,
}


def excesses(obj: Mapping[str, Any]) -> Iterator[Excess]:
    """Every value of an object of ours that is over its bound, in one pass; what is too long is not looked into.

    Values of a wrong type are passed over: they are somebody else's error.
    """
    return _walk(obj, _TREE, "")


def _count(value: Any, measure: Measure) -> int:
    return len(value) if isinstance(value, _COUNTED[measure]) else 0


def _walk(value: Any, node: _Node, at: str) -> Iterator[Excess]:
    bound = node.bound
    if bound is not None and (found := _count(value, bound.measure)) > bound.most:
        yield Excess(at, bound, found)
        return
    if isinstance(value, Mapping):
        for name, below in node.fields.items():
            if name in value:
                yield from _walk(value[name], below, f"{at}.{name}" if at else name)
        if node.each is not None:
            for key, entry in value.items():
                yield from _walk(entry, node.each, f"{at}[{str(key)[:_LONGEST_SHOWN]}]")
    elif isinstance(value, list) and node.each is not None:
        for index, entry in enumerate(value):
            yield from _walk(entry, node.each, f"{at}[{index}]")


def grown(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Excess]:
    """What a write brings over a bound: not what the old object had as long at the same field, so that it can be mended."""
    found = list(excesses(new))
    if not found or old is None:
        return found
    before: dict[str, int] = {}
    for excess in excesses(old):
        before[excess.bound.path] = max(excess.found, before.get(excess.bound.path, 0))
    return [excess for excess in found if excess.found > before.get(excess.bound.path, 0)]

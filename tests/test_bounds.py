"""Bounds of single fields: the same table in the CRDs, in admission and in plans, for every field of ours.

Rules: SCHEMA-8.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from aioctl.api import bounds
from aioctl.api.admission import review_admission
from aioctl.api.bounds import BOUNDS, Bound, Measure
from aioctl.api.kinds import CONFIG, CONFIG_MAP, GROUP, SERVICE, V1ALPHA2, Kind, ObjectRef
from aioctl.api.names import CONFIG_MAP_NAME
from aioctl.crdgen.schema import set_bound
from aioctl.plan import status
from aioctl.plan.combine import combine
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome, Part, PlanError
from aioctl.plan.order import plan
from aioctl.plan.policy import Policy
from aioctl.sim import seed
from testbed import plan_world, shared_data
from testbed.recorded_yaml import load_all
from testbed.worst_cases import schema
from testbed.worst_holds import admission_review

KINDS = (SERVICE, CONFIG)
NOTHING = Facts({})
VERSIONS = ("v1alpha1", "v1alpha2")
SCHEMALESS = "spec.model.lora.adapters["
"""Adapters nest, which no CRD can say: what is in them is bounded by admission and plans."""
EMBEDDED = (
    ".template", ".worker", ".route.http.spec", ".pool.spec", ".pvc.spec",
    ".behavior", ".advanced", ".fallback", ".triggers[]",
)  # fmt: skip
"""Types of other projects, which are bounded as those projects bound them."""
ids = [f"{bound.path} {bound.measure}" for bound in BOUNDS]


def filled(bound: Bound, count: int) -> dict[str, Any]:
    """A spec that holds a value of that size at the bound's field."""
    sizes: dict[Measure, Any] = {
        Measure.ITEMS: [{}] * count,
        Measure.ENTRIES: {f"k{number}": "v" for number in range(count)},
        Measure.CHARACTERS: "a" * count,
    }
    value = sizes[bound.measure]
    for part in reversed(bounds.parts(bound.path)[1:]):
        value = [value] if part == "[]" else {"key": value} if part == "{}" else {part: value}
    spec: dict[str, Any] = value
    model = {"uri": "hf://a/b", "name": "m", **spec.get("model", {})}
    return {**spec, "model": model}


def made(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    meta = {"name": "one", "namespace": "ns", "uid": "u", "generation": 1}
    return {"apiVersion": V1ALPHA2, "kind": kind.kind, "metadata": meta, "spec": spec}


def said(kind: Kind, new: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> str:
    """What admission says against it; empty when it admits."""
    body = admission_review(made(kind, new), made(kind, old) if old is not None else None)
    response = json.loads(review_admission(body, "application/json", version="v1alpha2", kind=kind.kind))
    answer = response["response"]
    return "" if answer["allowed"] else str(answer["status"]["message"])


def named(bound: Bound) -> str:
    """The field of `filled` as a message has it."""
    return bound.path.replace("[]", "[0]").replace("{}", "[key]")


def of_plan(spec: Mapping[str, Any], world: Facts = NOTHING) -> str:
    """What keeps such a service from being combined."""
    try:
        combine(world, made(SERVICE, spec), plan_world.CONFIG, Policy())
    except (PlanError, ValueError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("bound", "kind"),
    [
        pytest.param(bound, kind, id=f"{kind.kind}: {bound.path} {bound.measure}")
        for bound in BOUNDS
        for kind in KINDS
        if kind is SERVICE or not bound.path.startswith("spec.baseRefs")  # a config may have none at all
    ],
)
def test_admission_refuses_what_is_over_a_bound_and_lets_it_shrink(bound: Bound, kind: Kind) -> None:
    fits, over, more = (filled(bound, bound.most + extra) for extra in (0, 1, 2))
    message = said(kind, over)
    assert f"{named(bound)}: " in message
    assert f"at most {bound.most:,} are allowed: " in message
    assert f"{named(bound)}: " in said(kind, more, over)
    assert "are allowed: " not in said(kind, fits)
    for better in (over, fits):
        assert "are allowed: " not in said(kind, better, more)


@pytest.mark.parametrize("bound", BOUNDS, ids=ids)
def test_a_plan_names_the_field_that_is_over_its_bound(bound: Bound) -> None:
    over = filled(bound, bound.most + 1)
    problem = of_plan(over)
    assert problem.startswith(f"{named(bound)}: it has {bound.most + 1:,} ")
    assert "are allowed" not in of_plan(filled(bound, bound.most))
    preset = made(CONFIG, {key: value for key, value in over.items() if key != "baseRefs"})
    if preset["spec"].keys() - {"model"} or "model." in bound.path:
        world = Facts({ObjectRef(CONFIG, "ns", "one"): preset})
        spec = {"model": {"uri": "hf://a/b"}, "baseRefs": [{"name": "one"}]}
        assert of_plan(spec, world).startswith(f"LLMInferenceServiceConfig ns/one: {named(bound)}: it has ")


def at(root: Mapping[str, Any], bound: Bound) -> Any:
    node: Any = root
    for part in bounds.parts(bound.path):
        steps = {"[]": "items", "{}": "additionalProperties"}
        node = node.get(steps[part]) if part in steps else node.get("properties", {}).get(part)
        if node is None:
            return None
    return node


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
@pytest.mark.parametrize("bound", BOUNDS, ids=ids)
def test_the_crds_hold_every_bound(bound: Bound, kind: Kind) -> None:
    places = [found for version in VERSIONS if (found := at(schema(kind.kind, version), bound)) is not None]
    assert {found.get(bound.measure) for found in places} <= {bound.most}
    assert places or bound.path.startswith(SCHEMALESS)


def unbounded(node: Mapping[str, Any], path: str) -> Iterator[str]:
    """Fields of ours that take as much as there is: lists, maps, texts, and what has no schema."""
    if path.endswith(EMBEDDED):
        return
    type_ = node.get("type")
    grows = type_ in ("string", "array", None) or "additionalProperties" in node
    grows = grows or bool(node.get("x-kubernetes-preserve-unknown-fields"))
    if grows and not {*Measure, "enum"} & node.keys():
        yield path
    for name, below in node.get("properties", {}).items():
        yield from unbounded(below, f"{path}.{name}")
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in node:
            yield from unbounded(node[keyword], path + mark)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.kind))
def test_no_field_of_ours_is_without_a_bound(kind: Kind, version: str) -> None:
    assert list(unbounded(schema(kind.kind, version)["properties"]["spec"], "spec")) == []


def test_every_bound_says_where_its_number_comes_from_and_stands_once() -> None:
    assert all(len(bound.why.split()) >= 3 for bound in BOUNDS)
    assert len({bound.path for bound in BOUNDS}) == len(BOUNDS)


def test_a_bound_is_written_only_where_the_field_is() -> None:
    root = {"properties": {"spec": {"properties": {"other": {"type": "string"}}}}}
    set_bound(root, Bound("spec.list[].name", Measure.CHARACTERS, 3, "of a test"))
    assert root == {"properties": {"spec": {"properties": {"other": {"type": "string"}}}}}


def test_what_moved_in_a_list_is_no_new_excess() -> None:
    long = {"name": "a" * 2000}
    old = made(SERVICE, {"baseRefs": [{"name": "a"}, long]})
    assert bounds.grown(made(SERVICE, {"baseRefs": [long]}), old) == []
    assert len(bounds.grown(made(SERVICE, {"baseRefs": [{"name": "a" * 2001}]}), old)) == 1


def test_what_is_stored_over_a_bound_gets_a_condition() -> None:
    stored = made(SERVICE, {"model": {"uri": "hf://a/b"}, "baseRefs": [{"name": "a"}] * 257})
    (settings,) = (obj for obj in seed.world() if obj["metadata"]["name"] == CONFIG_MAP_NAME)
    world = Facts({ObjectRef(CONFIG_MAP, "kserve", CONFIG_MAP_NAME): settings})
    decided = plan(world, stored, Policy(), plan_world.NOW)
    failed = decided.steps[-1]
    assert failed.part is Part.COMBINE
    outcome = Outcome(failed=failed, error=failed.error)
    concluded = status.conclude(decided, outcome, world, Policy(), plan_world.NOW)
    (combined,) = (entry for entry in concluded["conditions"] if entry["type"] == "PresetsCombined")
    assert (combined["status"], combined["reason"]) == ("False", "CombineBaseError")
    assert combined["message"].startswith(
        "spec.baseRefs: it has 257 items, and at most 256 are allowed: put "
    )


def objects_in(tree: Any) -> Iterator[Mapping[str, Any]]:
    """Objects of ours anywhere in a document, and the bare specs of the vectors of merging."""
    if isinstance(tree, Mapping):
        if str(tree.get("apiVersion", "")).startswith(f"{GROUP}/"):
            yield tree
        for name in {"base", "override", "result"} & tree.keys():
            yield {"spec": tree[name]}
        for value in tree.values():
            yield from objects_in(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from objects_in(value)


def documents(every: int) -> Iterator[Any]:
    for path in sorted(shared_data.ROOT.rglob("*.yaml"))[::every]:
        if "crds" not in path.parts and "serving.kserve.io/" in (content := path.read_text()):
            yield from load_all(content)
    for path in sorted(shared_data.ROOT.rglob("*.jsonl"))[::every]:
        yield from (json.loads(line) for line in path.read_text().splitlines())


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.thorough)], ids=["sample", "all"])
def test_no_recorded_object_of_kserve_is_over_a_bound(every: int) -> None:
    if not shared_data.ROOT.is_dir():
        pytest.skip("recorded data is not here: shared/data")
    objects = [obj for document in documents(every) for obj in objects_in(document)]
    assert len(objects) > 1000 / every
    assert [str(excess) for obj in objects for excess in bounds.excesses(obj)] == []

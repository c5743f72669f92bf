"""The fleet of the story shows whatever a service may ask for; what is not in it stands here, with the reason.

A field is shown by the model servers or by the prefill servers, which have the same ones. Beside fields there is one way to ask
that is an annotation, devices (a shape of its own), and one that is not shown: a LocalModelCache, whose kinds are of KServe's
other controller, and not installed.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from aioctl.api import kinds
from testbed.shipped_files import crd
from tests.whole_cluster.fleet import SHAPES, Pool, Route

FOREIGN = (
    "template", "worker", "http.spec", "pool.spec", "pvc.spec", "config.inline", "lora.adapters",
    "annotations", "labels", "wva.hpa", "keda",
)  # fmt: skip
"""Ends of paths below which all is Kubernetes', a picker's or an autoscaler's: handed on as it is."""
LEFT_OUT = {
    "router.ingress": "nothing comes of it",
    "router.ingress.refs": "nothing comes of it",
    "router.ingress.refs.name": "nothing comes of it",
    "router.ingress.refs.namespace": "nothing comes of it",
}
PREFILL = "prefill."


def test_every_field_is_shown_by_some_service() -> None:
    offered = {
        path
        for version in crd(kinds.SERVICE.plural)["spec"]["versions"]
        for path in fields(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    }
    shown = {path for shape in SHAPES.values() for path in given(shape.spec)}
    assert offered - shown == LEFT_OUT.keys()


def test_models_come_from_everywhere_in_both_versions_by_every_way() -> None:
    shapes = SHAPES.values()
    assert {shape.spec["model"]["uri"].partition("://")[0] for shape in shapes} == {"hf", "s3", "pvc", "oci"}
    assert {shape.is_old for shape in shapes} == {True, False}
    assert {(shape.route, shape.pool) for shape in shapes} == {
        (Route.NONE, Pool.NONE),
        (Route.OURS, Pool.NONE),
        (Route.OURS, Pool.OURS),
        (Route.OURS, Pool.THEIRS),
        (Route.THEIRS, Pool.OURS),
    }


def fields(schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Paths of a schema, without indices; those of prefill servers as those of the others."""
    for name, part in (schema.get("properties") or {}).items():
        path = f"{at}{name}"
        yield path.removeprefix(PREFILL)
        if not path.endswith(FOREIGN):
            yield from fields(part.get("items", part), f"{path}.")


def given(value: Any, at: str = "") -> Iterator[str]:
    """The same of what a user wrote."""
    if isinstance(value, list):
        for each in value:
            yield from given(each, at)
    elif isinstance(value, dict):
        for name, part in value.items():
            path = f"{at}{name}"
            yield path.removeprefix(PREFILL)
            if not path.endswith(FOREIGN):
                yield from given(part, f"{path}.")

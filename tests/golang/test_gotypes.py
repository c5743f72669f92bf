"""The table of Go types is whole, and the round trip drops, fills and spells as Go does (MERGE-2)."""

from collections.abc import Iterator
from typing import Any

import pytest

from aioctl.golang.gotypes import STRUCTS, GoType
from aioctl.golang.roundtrip import round_trip


def _referenced(type_: GoType | None) -> Iterator[str]:
    while type_ is not None:
        if type_.struct_id:
            yield type_.struct_id
        type_ = type_.elem


def test_every_type_a_field_names_is_in_the_table() -> None:
    missing = {
        (struct.name, field.json, name)
        for struct in STRUCTS.values()
        for field in struct.fields
        for name in _referenced(field.type)
        if name not in STRUCTS
    }
    assert missing == set()


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({}, {"model": {"uri": ""}}),
        ({"unknown": 1, "replicas": None}, {"model": {"uri": ""}}),
        ({"replicas": 0}, {"model": {"uri": ""}, "replicas": 0}),
        ({"parallelism": {"expert": False}}, {"model": {"uri": ""}, "parallelism": {}}),
        ({"model": {"uri": "HF://a/b c#"}}, {"model": {"uri": "hf://a/b%20c"}}),
        ({"template": {}}, {"model": {"uri": ""}, "template": {"containers": None}}),
        (
            {
                "template": {
                    "containers": [{"name": "a", "resources": {"limits": {"cpu": 128, "memory": "1024Mi"}}}]
                }
            },
            {
                "model": {"uri": ""},
                "template": {
                    "containers": [{"name": "a", "resources": {"limits": {"cpu": "128", "memory": "1Gi"}}}]
                },
            },
        ),
        (
            {"router": {"scheduler": {"pool": {"spec": {"selector": {"matchLabels": {}}}}}}},
            {"model": {"uri": ""}, "router": {"scheduler": {"pool": {"spec": {}}}}},
        ),
    ],
)
def test_written_as_go_does(given: dict[str, Any], written: dict[str, Any]) -> None:
    assert round_trip(given) == written

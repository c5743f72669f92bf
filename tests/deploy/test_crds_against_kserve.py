"""Our CRDs beside KServe's, keyword by keyword: a client must not notice which of the two is installed.

Rules: SCHEMA-1.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import pytest

from release import schemas
from testbed import shared_data
from testbed.recorded_yaml import load
from testbed.shipped_files import crd as ours
from tests.deploy.crd_differences import DIFFERENCES, Difference

KINDS = ("llminferenceservices", "llminferenceserviceconfigs")
Found = tuple[str, str]
"""Path and keyword."""


@cache
def theirs(plural: str) -> Any:
    path = shared_data.UPSTREAM / "crds" / "kserve" / f"serving.kserve.io_{plural}.yaml"
    if not path.is_file():
        pytest.skip(f"KServe's CRDs are not here: shared/data/upstream/crds/kserve/{path.name}")
    return load(path.read_text())


def differences(mine: Mapping[str, Any], other: Mapping[str, Any], path: str) -> Iterator[Found]:
    """Every keyword in which two schemas differ, descriptions apart. A field only in `other` is the keyword `missing`."""
    for keyword in sorted({*mine, *other} - {"description", "properties", "items", "additionalProperties"}):
        if not same(keyword, mine.get(keyword), other.get(keyword)):
            yield path, keyword
    for keyword, mark in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in mine or keyword in other:
            yield from differences(mine.get(keyword, {}), other.get(keyword, {}), path + mark)
    here, there = mine.get("properties", {}), other.get("properties", {})
    for field in sorted({*here, *there}):
        if field not in there:
            yield f"{path}.{field}", "field"
        elif field not in here:
            yield f"{path}.{field}", "missing"
        else:
            yield from differences(here[field], there[field], f"{path}.{field}")


def same(keyword: str, mine: Any, other: Any) -> bool:
    if keyword in ("required", "enum"):  # sets, in any order
        return sorted(mine or (), key=str) == sorted(other or (), key=str)
    return bool(mine == other)


def found(plural: str) -> list[Found]:
    result: list[Found] = []
    for mine, other in zip(ours(plural)["spec"]["versions"], theirs(plural)["spec"]["versions"], strict=True):
        top = "<service>" if plural == KINDS[0] else "<config>"
        result += [
            (top, keyword)
            for keyword in sorted({*mine, *other} - {"schema"})
            if mine.get(keyword) != other.get(keyword)
        ]
        result += differences(mine["schema"]["openAPIV3Schema"], other["schema"]["openAPIV3Schema"], top)
    return result


def explains(entry: Difference, at: Found) -> bool:
    return at[1] == entry.keyword and at[0].endswith(entry.ends_with)


@pytest.mark.parametrize("plural", KINDS)
def test_every_difference_has_a_reason(plural: str) -> None:
    unexplained = [at for at in found(plural) if not any(explains(entry, at) for entry in DIFFERENCES)]
    assert unexplained == []


def test_every_reason_has_a_difference() -> None:
    everything = [at for plural in KINDS for at in found(plural)]
    assert [entry for entry in DIFFERENCES if not any(explains(entry, at) for at in everything)] == []


@pytest.mark.parametrize("plural", KINDS)
def test_names_scope_and_group_are_the_same(plural: str) -> None:
    assert ours(plural)["metadata"]["name"] == theirs(plural)["metadata"]["name"]
    for key in ("group", "names", "scope"):
        assert ours(plural)["spec"][key] == theirs(plural)["spec"][key]


@pytest.mark.parametrize("plural", KINDS)
def test_the_columns_of_kserve_keep_their_places(plural: str) -> None:
    for mine, other in zip(ours(plural)["spec"]["versions"], theirs(plural)["spec"]["versions"], strict=True):
        columns = other.get("additionalPrinterColumns", [])
        assert mine.get("additionalPrinterColumns", [])[: len(columns)] == columns


@pytest.mark.parametrize("plural", KINDS)
def test_the_conversion_clause_differs_in_the_service_only(plural: str) -> None:
    path = shared_data.ROOT / "crds" / "kserve" / f"conversion-patch_{plural}.yaml"
    if not path.is_file():
        pytest.skip(f"KServe's conversion patches are not here: shared/data/crds/kserve/{path.name}")
    mine, other = (
        ours(plural)["spec"]["conversion"],
        load(path.read_text())["spec"]["conversion"],
    )
    assert mine["strategy"] == other["strategy"] == "Webhook"
    assert mine["webhook"]["conversionReviewVersions"] == other["webhook"]["conversionReviewVersions"]
    assert mine["webhook"]["clientConfig"] == {
        "service": {"name": "aioctl-webhook", "namespace": "kserve", "path": "/convert", "port": 443}
    }


def test_the_comparison_sees_each_kind_of_difference() -> None:
    mine = {
        "type": "object",
        "required": ["a"],
        "properties": {"a": {"type": "string", "default": ""}, "b": {}},
    }
    other = {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}, "c": {"items": {}}}}
    assert set(differences(mine, other, "")) == {
        ("", "required"),
        (".a", "default"),
        (".a", "enum"),
        (".b", "field"),
        (".c", "missing"),
    }


def test_the_schemas_that_check_reads_are_made_of_ours() -> None:
    """`aioctl check -f` judges files by them, without a cluster."""
    assert schemas.FILE.read_text() == schemas.made([ours(plural) for plural in schemas.PLURALS]), (
        "run `python -m release charts`"
    )

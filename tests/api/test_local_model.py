"""LocalModelCaches: which one a service is marked with, and the claim that follows (LM-1)."""

from hashlib import sha256
from typing import Any

import pytest

from aioctl.api import local_model
from aioctl.api.local_model import CACHE, CACHE_NAMESPACE, CLAIM, NO_MARK, NODE_GROUP, SOURCE, Mark


def service(uri: str = "hf://facebook/opt-125m", **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "svc", "namespace": "ns", "annotations": annotations},
        "spec": {"model": {"uri": uri}},
    }


def cache(name: str, source: str, *groups: str, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"metadata": metadata, "spec": {"sourceModelUri": source, "nodeGroups": list(groups)}}


OPT = cache("opt", "hf://facebook/opt-125m", "gpu-a", "gpu-b")
BIG = cache("big", "s3://bucket/models/big", "gpu-b")
OWN = cache("own", "hf://facebook/opt-125m", "gpu-c", namespace="ns")


def chosen(given: dict[str, Any], *caches: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    mark = local_model.mark(given, caches)
    assert mark is not None
    return mark.labels[CACHE], mark.labels[CACHE_NAMESPACE], mark.annotations[CLAIM]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("hf://facebook/opt-125m", "opt"),
        ("hf://facebook/opt-125m/", "opt"),
        ("HF://facebook/opt-125m", "opt"),
        ("hf://face book/opt-125m", None),
        ("hf://facebook/opt-125m-instruct", None),
        ("hf://facebook", None),
        ("s3://bucket/models/big/sub", "big"),
        ("s3://bucket/models/bigger", None),
    ],
)
def test_a_model_is_in_a_cache_that_holds_it_or_a_directory_above(uri: str, name: str | None) -> None:
    assert chosen(service(uri), BIG, OPT)[0] == name


@pytest.mark.parametrize("source", ["hf://facebook/opt-125m/", "hf://facebook/opt-125m"])
def test_slashes_at_the_end_do_not_matter(source: str) -> None:
    assert chosen(service(), cache("opt", source, "g"))[0] == "opt"


def test_the_first_cache_that_fits_is_taken_with_its_first_node_group() -> None:
    assert chosen(service(), OWN, OPT) == ("own", "ns", "own-gpu-c")
    assert chosen(service(), OPT, cache("later", "hf://facebook/opt-125m", "x")) == ("opt", None, "opt-gpu-a")


def test_a_node_group_chooses_among_caches_and_claims() -> None:
    assert chosen(service(**{NODE_GROUP: "gpu-b"}), OWN, OPT) == ("opt", None, "opt-gpu-b")
    assert chosen(service(**{NODE_GROUP: "none"}), OWN, OPT) == (None, None, None)


def test_without_a_cache_old_marks_go() -> None:
    assert local_model.mark(service("hf://other/m"), [OPT, BIG]) == NO_MARK
    assert set(NO_MARK.labels) | set(NO_MARK.annotations) == {CACHE, CACHE_NAMESPACE, SOURCE, CLAIM}


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"model": {"uri": "hf://a/b"}}, True),
        ({"model": {"uri": "hf://a b"}}, True),
        ({"model": {"uri": ""}}, False),
        ({"model": {"uri": None, "name": "m"}}, False),
        ({"baseRefs": [{"name": "has-a-uri"}]}, False),
    ],
)
def test_a_model_is_named_by_its_uri_in_the_service_itself(spec: dict[str, Any], named: bool) -> None:
    assert local_model.names_model({"spec": spec}) is named


def test_a_cache_without_node_groups_decides_nothing() -> None:
    assert local_model.mark(service(), [cache("opt", "hf://facebook/opt-125m")]) is None


def test_a_stored_mark_is_read_with_what_it_lacks() -> None:
    stored = {"metadata": {"labels": {CACHE: "opt", "a": "b"}, "annotations": {CLAIM: "c"}}}
    assert local_model.mark_of(stored) == Mark(
        {CACHE: "opt", CACHE_NAMESPACE: None}, {SOURCE: None, CLAIM: "c"}
    )


@pytest.mark.parametrize(
    ("uri", "source", "place"),
    [
        ("hf://facebook/opt-125m", "hf://facebook/opt-125m", ""),
        ("hf://facebook/opt-125m/", "hf://facebook/opt-125m", ""),
        ("hf://facebook/opt-125m", "hf://facebook/opt-125m/", ""),
        ("s3://bucket/models/big/sub/x", "s3://bucket/models/big", "sub/x"),
        ("s3://bucket/models/big/sub", "s3://bucket/models/big/", "sub"),
    ],
)
def test_a_marked_service_finds_its_model_in_the_claim(uri: str, source: str, place: str) -> None:
    marked = service(uri, **{SOURCE: source, CLAIM: "opt-gpu-a"})
    marked["metadata"]["labels"] = {CACHE: "opt"}
    key = sha256(source.encode()).hexdigest()[:16]
    assert local_model.cached_uri(marked, uri) == f"pvc://opt-gpu-a/models/{key}/{place}"


def test_an_unmarked_service_takes_its_model_from_where_it_is() -> None:
    assert local_model.cached_uri(service(**{SOURCE: "hf://a/b", CLAIM: "c"}), "hf://a/b") is None


@pytest.mark.parametrize(
    ("there", "missing"), [({CLAIM: "c"}, SOURCE), ({SOURCE: "hf://a/b"}, CLAIM), ({}, SOURCE)]
)
def test_a_mark_without_an_annotation_is_an_error(there: dict[str, str], missing: str) -> None:
    marked = service("hf://a/b", **there)
    marked["metadata"]["labels"] = {CACHE: "opt"}
    with pytest.raises(KeyError, match=missing):
        local_model.cached_uri(marked, "hf://a/b")

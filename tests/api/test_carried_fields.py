"""Fields that only v1alpha2 has: none is without a carrier, and what carries them obeys the schema.

Rules: CONV-8.
"""

import copy
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from aioctl.api import conversion_carried
from aioctl.api.carried_fields import SPEC, SPEC_FIELDS, STATUS, STATUS_FIELDS, Branch, Rows, check_of
from aioctl.api.conversion import convert_object, up
from aioctl.api.kinds import V1ALPHA1, V1ALPHA2
from aioctl.api.opening import MOST_ANNOTATIONS
from aioctl.api.schema_checks import Check, fits
from aioctl.api.v1alpha1 import down
from testbed.shipped_files import OURS, crd
from tests.api.test_carrier_checks import annotated, judged, problem

POOL = "spec.router.scheduler.pool.spec"
MAPPED = {f"{POOL}.endpointPickerRef", f"{POOL}.selector.matchLabels", f"{POOL}.targetPorts"}
"""Mapped to fields of the older pool by CONV-2."""


def schemas(plural: str) -> dict[str, Any]:
    return {v["name"]: v["schema"]["openAPIV3Schema"] for v in crd(plural)["spec"]["versions"]}


def hub_only(hub: Any, spoke: Any, path: str = "") -> Iterator[str]:
    """Every path that the one schema has and the other one drops, the shortest that says it."""
    for key, part in hub.get("properties", {}).items():
        at = f"{path}.{key}" if path else key
        theirs = spoke.get("properties", {}).get(key)
        if theirs is None:
            yield at
        else:
            yield from hub_only(part, theirs, at)
    for inner in ("items", "additionalProperties"):
        if isinstance(hub.get(inner), dict) and isinstance(spoke.get(inner), dict):
            yield from hub_only(hub[inner], spoke[inner], f"{path}.0")


def is_carried(path: str) -> bool:
    part, _, rest = path.partition(".")
    tree = {"spec": SPEC, "status": STATUS}[part]
    rows, _, inner = rest.partition(".0.")
    at = tree.parts.get(rows)
    return inner in at.parts if isinstance(at, Rows) else check_of(rest, tree) is not None


@pytest.mark.parametrize("plural", OURS)
def test_every_field_that_only_the_hub_has_is_carried(plural: str) -> None:
    versions = schemas(plural)
    found = set(hub_only(versions["v1alpha2"], versions["v1alpha1"]))
    assert found >= MAPPED | {
        "spec.kvCacheOffloading",
        "spec.prefill.kvCacheOffloading",
        f"{POOL}.appProtocol",
    }
    assert {path for path in found - MAPPED if not is_carried(path)} == set()


def fields(branch: Branch, path: str = "", levels: int = 3) -> Iterator[tuple[str, Check]]:
    """The path and check of every carried field, adapters two levels deep."""
    for key, part in branch.parts.items():
        at = f"{path}{key}"
        if isinstance(part, Rows):
            yield from ((f"{at}.0.{name}", check) for name, check in part.parts.items())
        elif not isinstance(part, Branch):
            yield at, part
        elif levels or not part.many:
            yield from fields(part, f"{at}.0." if part.many else f"{at}.", levels - part.many)


def at_path(schema: Any, path: str) -> Any:
    for word in path.split("."):
        schema = schema["items"] if word == "0" else schema["properties"][word]
    return schema


def samples(schema: Any) -> Iterator[tuple[Any, bool]]:
    """Values of a schema, each with whether it fits: a full one, and for each keyword one that breaks it alone."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        wrong: list[Any] = ["ten", "10GB", "1Gi\n", "", True, 1.5, [], None]
        yield from ((number, True) for number in ("10Gi", 3, "1.5", "1e3", "+.5M", "-1"))
        yield from ((number, False) for number in wrong)
        if "maxLength" in schema:
            yield "1" * schema["maxLength"], True
            yield "1" * (schema["maxLength"] + 1), False
    elif kind == "object" and "properties" in schema:
        yield from object_samples(schema)
    elif kind == "object":
        full: Any = good(schema["additionalProperties"])
        yield from (({}, True), ({"a": full}, True), ([], False), ("a", False))
        yield from (
            ({"a": value}, fine)
            for value, fine in samples(schema["additionalProperties"])
            if value is not None
        )
    elif kind == "array":
        yield from (([], True), ({}, False), ("a", False), ([None], False))
        yield from (([value], fine) for value, fine in samples(schema["items"]) if value is not None)
        if "maxItems" in schema:
            yield [good(schema["items"])] * schema["maxItems"], True
            yield [good(schema["items"])] * (schema["maxItems"] + 1), False
        if schema.get("x-kubernetes-list-type") == "map":
            yield [good(schema["items"])] * 2, False
    elif kind == "boolean":
        yield from ((True, True), (False, True), ("true", False), (0, False), (None, False))
    elif kind == "integer":
        low, high = schema.get("minimum", -(2**31)), schema.get("maximum", 2**31 - 1)
        yield from (
            (low, True),
            (high, True),
            (low - 1, False),
            (high + 1, False),
            ("1", False),
            (True, False),
        )
    else:
        yield from text_samples(schema)


def text_samples(schema: Any) -> Iterator[tuple[Any, bool]]:
    yield from ((5, False), (None, False), ({}, False))
    if "enum" in schema:
        yield from ((word, True) for word in schema["enum"])
        yield "another", False
        return
    yield "a", True
    yield "", not schema.get("minLength")
    if "maxLength" in schema:
        yield "a" * schema["maxLength"], True
        yield "a" * (schema["maxLength"] + 1), False
    if "pattern" in schema:
        yield from (("-a", False), ("a_b", False), ("a b", False), ("a\n", False))


def object_samples(schema: Any) -> Iterator[tuple[Any, bool]]:
    full, required = good(schema), schema.get("required", [])
    yield from ((full, True), ({**full, "unknown": [1]}, True), ([], False), ("a", False), (None, False))
    for key, part in schema["properties"].items():
        without = {name: value for name, value in full.items() if name != key}
        if key not in ("port", "kind", "group"):  # Alone these break the rule on Services too.
            yield without, key not in required
        yield from (({**full, key: value}, fine) for value, fine in samples(part) if value is not None)


def good(schema: Any) -> Any:
    """A value with every field."""
    if schema.get("type") == "object" and "properties" in schema:
        return {key: good(part) for key, part in schema["properties"].items()}
    if schema.get("type") == "array":
        return [good(schema["items"])]
    return next(value for value, fine in samples(schema) if fine)


@pytest.mark.parametrize("plural", OURS)
def test_the_checks_say_what_the_schema_says(plural: str) -> None:
    hub = schemas(plural)["v1alpha2"]["properties"]
    seen = 0
    for part, tree in (("spec", SPEC), ("status", STATUS)):
        for path, check in fields(tree):
            try:
                schema = at_path(hub[part], path)
            except KeyError:
                assert "adapters" in path or part == "status", path  # no schema, or a field of the other kind
                continue
            for value, fine in samples(schema):
                assert fits(check, value) is fine, (path, value)
                seen += 1
    assert seen > 300


def test_a_service_in_a_group_needs_a_port() -> None:
    member = {"name": "a", "weight": 1}
    check = check_of("router.group", STATUS)
    assert check is not None
    for reference, fine in (
        ({"name": "s"}, False),
        ({"name": "s", "port": 80}, True),
        ({"name": "p", "kind": "InferencePool", "group": "inference.networking.k8s.io"}, True),
    ):
        assert fits(check, {"name": "g", "members": [{**member, "backendRef": reference}]}) is fine


CACHE = {"cpu": "10Gi", "evictionPolicy": "arc", "secondary": [{"fileSystem": {"emptyDir": {"size": "1Ti"}}}]}
SECRET = {"enabled": True, "resourceId": "kbs:///a/b/c"}
ORIGIN = {"group": "", "kind": "Service", "name": "svc", "namespace": "ns"}
FULL: dict[str, Any] = {
    "apiVersion": V1ALPHA2,
    "kind": "LLMInferenceService",
    "metadata": {"name": "svc", "namespace": "ns"},
    "spec": {
        "kvCacheOffloading": CACHE,
        "prefill": {"replicas": 1, "kvCacheOffloading": CACHE},
        "model": {
            "uri": "hf://a/b",
            "confidential": SECRET,
            "lora": {
                "adapters": [
                    {"name": "a", "uri": "hf://a/c"},
                    {"name": "b", "confidential": SECRET, "lora": {"adapters": [{"name": "c", "confidential": SECRET}]}},
                ]
            },
        },
        "router": {"scheduler": {"pool": {"spec": {"appProtocol": "kubernetes.io/h2c"}}}},
    },
    "status": {
        "addresses": [
            {"url": "http://a", "origin": ORIGIN, "models": [{"name": "m"}]},
            {"url": "http://b", "CACerts": "x"},
        ],
        "router": {"gateways": [{"name": "g"}], "group": {"name": "g", "members": [{"name": "svc", "weight": 1}]}},
        "workloads": {"primary": {"kind": "Deployment", "name": "svc", "readyReplicas": 1}},
        "appliedConfigs": [{"name": "p", "namespace": "kserve", "source": "Preset"}],
        "referencedBy": [{"name": "svc", "namespace": "ns"}],
    },
}  # fmt: skip


def carried(obj: Any, key: str) -> Any:
    return json.loads(obj["metadata"]["annotations"][key])


def test_a_full_object_leaves_nothing_of_it_visible_and_comes_back() -> None:
    below = down(FULL)
    assert carried(below, SPEC_FIELDS) == {
        "kvCacheOffloading": CACHE,
        "prefill.kvCacheOffloading": CACHE,
        "model.confidential": SECRET,
        "model.lora.adapters.1.confidential": SECRET,
        "model.lora.adapters.1.lora.adapters.0.confidential": SECRET,
        "router.scheduler.pool.spec.appProtocol": "kubernetes.io/h2c",
    }
    assert carried(below, STATUS_FIELDS) == {
        "addresses": [{"url": "http://a", "origin": ORIGIN, "models": [{"name": "m"}]}, {"url": "http://b"}],
        "router.group": FULL["status"]["router"]["group"],
        "workloads": FULL["status"]["workloads"],
        "appliedConfigs": FULL["status"]["appliedConfigs"],
        "referencedBy": FULL["status"]["referencedBy"],
    }
    assert " " not in below["metadata"]["annotations"][SPEC_FIELDS]
    visible = json.dumps({**below, "metadata": None})
    for word in (
        "kvCacheOffloading",
        "confidential",
        "appProtocol",
        "origin",
        "workloads",
        "group",
        "appliedConfigs",
    ):
        assert word not in visible
    assert up(below) == FULL
    raw = convert_object(msgspec.json.encode(FULL), V1ALPHA1)
    assert msgspec.json.decode(raw) == below
    assert msgspec.json.decode(convert_object(raw, V1ALPHA2)) == FULL


def test_the_default_protocol_is_not_carried() -> None:
    obj = copy.deepcopy(FULL)
    obj["spec"]["router"]["scheduler"]["pool"]["spec"]["appProtocol"] = "http"
    assert "router.scheduler.pool.spec.appProtocol" not in carried(down(obj), SPEC_FIELDS)


def edited(path: str, value: Any) -> Any:
    """What comes back when v1alpha1 sets `path` (None: takes it away) between down and up."""
    below = copy.deepcopy(down(FULL))
    at: Any = below
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    for word in parents:
        at = at[word]
    if value is None:
        del at[last]
    else:
        at[last] = value
    above = up(below)
    assert not set(above["metadata"].get("annotations", {})) & {SPEC_FIELDS, STATUS_FIELDS}
    return above


def test_a_visible_edit_wins() -> None:
    mine = {"cpu": "1Gi"}
    assert edited("spec.kvCacheOffloading", mine)["spec"]["kvCacheOffloading"] == mine
    assert "prefill" not in edited("spec.prefill", None)["spec"]
    assert "model" not in edited("spec.model", None)["spec"]
    assert edited("spec.model.lora.adapters", [])["spec"]["model"] == {
        "uri": "hf://a/b", "confidential": SECRET, "lora": {"adapters": []}
    }  # fmt: skip
    assert edited("spec.router", {})["spec"]["router"] == {}
    assert "status" not in edited("status", None)
    assert "router" not in edited("status.router", None)["status"]


def test_an_address_gets_its_origin_back_only_with_its_url() -> None:
    addresses = FULL["status"]["addresses"]
    moved = edited("status.addresses", [{"url": "http://b"}, {"url": "http://a"}])["status"]["addresses"]
    assert moved == [{"url": "http://b"}, {"url": "http://a"}]
    more = edited("status.addresses", [{"url": "http://a"}, {"url": "http://c"}, {"url": "http://b"}])
    assert more["status"]["addresses"] == [addresses[0], {"url": "http://c"}, {"url": "http://b"}]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "5", "null", '{"kvCacheOffloading":{"cpu":[]},"x":1}', "[" * 5000]
)
def test_what_is_no_such_object_is_dropped(text: str) -> None:
    below = {**FULL, "apiVersion": V1ALPHA1, "metadata": {"name": "svc", "annotations": {SPEC_FIELDS: text}}}
    below["spec"] = {"model": {"uri": "hf://a/b"}}
    assert up(below) == {**below, "apiVersion": V1ALPHA2, "metadata": {"name": "svc"}}


def test_what_the_schema_refuses_is_not_carried() -> None:
    obj = {**FULL, "spec": {"kvCacheOffloading": {"cpu": "ten"}, "model": {"confidential": {}}}, "status": {}}
    assert "annotations" not in down(obj)["metadata"]
    assert up(down(obj)) == obj


def test_a_hub_object_with_such_a_key_is_normalised() -> None:
    obj = {
        **FULL,
        "metadata": {"name": "svc", "annotations": {SPEC_FIELDS: '{"kvCacheOffloading":{"cpu":1}}'}},
    }
    assert carried(down(obj), SPEC_FIELDS)["kvCacheOffloading"] == CACHE
    bare = {**obj, "spec": {}}
    assert SPEC_FIELDS not in down(bare)["metadata"].get("annotations", {})
    assert "kvCacheOffloading" not in up(down(bare))["spec"]


@pytest.mark.parametrize("escape", [False, True])
def test_what_has_no_room_is_left_out_and_named(escape: bool) -> None:
    note = ("é" if escape else "a") * ((MOST_ANNOTATIONS - 700) // (2 if escape else 1))
    obj = {**FULL, "metadata": {"name": "svc", "namespace": "ns", "annotations": {"note": note}}}
    left: list[str] = []
    below = msgspec.json.decode(convert_object(msgspec.json.encode(obj), V1ALPHA1, left.append))
    annotations = below["metadata"]["annotations"]
    assert (
        sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) <= MOST_ANNOTATIONS
    )
    assert "ns/svc: workloads" in left
    assert "kvCacheOffloading" in carried(below, SPEC_FIELDS)
    named: list[str] = []
    assert down(obj, named.append) == below
    assert [f"ns/svc: {path}" for path in named] == left
    assert up(below) == obj


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        (SPEC_FIELDS, json.dumps(carried(down(FULL), SPEC_FIELDS)), ""),
        (STATUS_FIELDS, json.dumps(carried(down(FULL), STATUS_FIELDS)), ""),
        (SPEC_FIELDS, "[]", "the value is [], must be an object from path to value"),
        (SPEC_FIELDS, "{", 'the value is "{", must be JSON'),
        (
            SPEC_FIELDS,
            '{"prefill.kvCacheOffloading":{"cpu":"ten"}}',
            'prefill.kvCacheOffloading.cpu is "ten", must be a quantity, such as 10Gi',
        ),
        (
            SPEC_FIELDS,
            '{"model.lora.adapters.01.confidential":{"enabled":true}}',
            'key is "model.lora.adapters.01.confidential", must be the path of a field that only v1alpha2 has',
        ),
        (SPEC_FIELDS, '{"workloads":{}}', 'key is "workloads", must be the path of a field that only v1alpha2 has'),
        (STATUS_FIELDS, '{"addresses":[{"url":5}]}', "addresses[0].url is 5, must be a string"),
        (
            STATUS_FIELDS,
            '{"appliedConfigs":[{"name":"a","namespace":"b","source":"c"}]}',
            'appliedConfigs[0].source is "c", must be one of Preset, UserRef',
        ),
    ],
)  # fmt: skip
def test_admission_names_the_entry(key: str, text: str, expected: str) -> None:
    assert problem(**{key: text}) == expected
    for kind in ("LLMInferenceService", "LLMInferenceServiceConfig"):
        allowed, _, message = judged(annotated(kind, **{key: text}))
        assert allowed is not bool(expected)
        assert expected in message
        assert judged(annotated(kind, **{key: text}), annotated(kind, **{key: text}))[0]


@pytest.mark.parametrize("many", [30_000, 300_000])
def test_what_is_too_long_for_any_annotation_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """Checking 3 MB of access modes held the loop for half a second."""
    claim = {"accessModes": [""] * many}
    cache = {"cpu": "1Gi", "secondary": [{"fileSystem": {"pvc": {"spec": claim}}}]}
    models = [{"name": "m"}] * 40_000
    status = {"addresses": [{"url": "http://a", "models": models}]}
    obj = {**FULL, "spec": {"model": {"uri": "hf://a/b"}, "kvCacheOffloading": cache}, "status": status}
    monkeypatch.setattr(conversion_carried, "fits", lambda *_: pytest.fail("looked at"))
    left: list[str] = []
    below = msgspec.json.decode(convert_object(msgspec.json.encode(obj), V1ALPHA1, left.append))
    assert left == ["ns/svc: kvCacheOffloading"]
    assert below["spec"]["kvCacheOffloading"] == cache
    assert below["status"] == status

"""Deep nesting, and YAML that multiplies itself: a clear error or the right result, never a crash."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aioctl.api import kinds, weight
from aioctl.api.admission import review_admission
from aioctl.api.conversion import ConversionFailed, convert_object
from aioctl.api.encoding import decode_deep
from aioctl.api.kinds import SERVICE, V1ALPHA1, V1ALPHA2, ObjectRef
from aioctl.api.mutation import review_mutation
from aioctl.api.review import BadReview, read_conversion
from aioctl.golang.template import ParseError, parse
from aioctl.kube.cached import Cached, key_of_raw
from aioctl.plan.combine import combine
from aioctl.plan.config import parse_config
from aioctl.plan.facts import Facts
from aioctl.plan.model import PlanError
from aioctl.plan.policy import Policy
from aioctl.plan.presets import chosen
from aioctl.rendering import RenderError, render_file
from aioctl.serving.splitting import Splitter
from testbed.plan_world import CONFIG

DEEP = 9_900
"""Levels: nearly what the API server reads."""
TOO_DEEP = 200_000
SHAPES = {"lists": ("[", "1", "]"), "objects": ('{"a":', "1", "}")}
PORTS = '"router":{"scheduler":{"pool":{"spec":{"targetPortNumber":8000}}}}'


def nested(shape: str, levels: int) -> str:
    left, middle, right = SHAPES[shape]
    return left * levels + middle + right * levels


def service(shape: str, levels: int) -> bytes:
    adapters = nested(shape, levels)
    spec = f'{{"model":{{"criticality":"Critical","lora":{{"adapters":{adapters}}}}},{PORTS}}}'
    head = (
        f'"apiVersion":"{V1ALPHA1}","kind":"LLMInferenceService","metadata":{{"name":"a","namespace":"ns"}}'
    )
    return f'{{{head},"spec":{spec}}}'.encode()


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_api_server_stores_is_converted_whatever_its_depth(shape: str) -> None:
    raw = service(shape, DEEP)
    above = bytes(convert_object(raw, V1ALPHA2))
    assert b'"targetPorts":[{"number":8000}]' in above
    assert b'"serving.kserve.io/criticality":"Critical"' in above
    assert nested(shape, DEEP).encode() in above
    assert b'"targetPortNumber":8000' in bytes(convert_object(above, V1ALPHA1))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_review_with_such_an_object_is_read_and_split(shape: str) -> None:
    plain = service("lists", 1)
    objects = b",".join((service(shape, DEEP), plain, plain))
    head = (
        b'{"kind":"ConversionReview","apiVersion":"apiextensions.k8s.io/v1","request":{"uid":"u","objects":['
    )
    body = head + objects + b"]}}"
    assert [bytes(found) for found in read_conversion(body).objects][1:] == [plain, plain]
    assert bytes(next(Splitter(body).objects()) or b"") == service(shape, DEEP)


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_deeper_still_is_refused(shape: str) -> None:
    raw = service(shape, TOO_DEEP)
    with pytest.raises(ConversionFailed, match="expected a JSON object"):
        convert_object(raw, V1ALPHA2)
    review = b'{"kind":"ConversionReview","request":{"uid":"u","objects":[' + raw + b"]}}"
    with pytest.raises(BadReview, match="recursion"):
        read_conversion(review)
    assert key_of_raw(raw) is None


def review(shape: str, levels: int, *, name: str = "a", old: bool = False) -> bytes:
    obj = service(shape, levels).decode().replace(V1ALPHA1, V1ALPHA2)
    new = obj.replace('"name":"a"', f'"name":"{name}"', 1)
    what = f'"operation":"UPDATE","oldObject":{obj}' if old else '"operation":"CREATE"'
    request = f'{{"uid":"u",{what},"object":{new}}}'
    return f'{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{request}}}'.encode()


def admitted(body: bytes) -> Any:
    kind = "LLMInferenceService"
    return json.loads(review_admission(body, "application/json", version="v1alpha2", kind=kind))["response"]


@pytest.mark.parametrize("levels", [101, 450, 1_000, DEEP])
@pytest.mark.parametrize("shape", SHAPES)
def test_such_an_object_is_not_admitted_but_where_it_is_stored_it_can_be_mended(
    shape: str, levels: int
) -> None:
    response = admitted(review(shape, levels))
    assert response["allowed"] is False
    assert response["status"]["code"] == 422
    assert "nested more than 100 levels deep" in response["status"]["message"]
    assert admitted(review(shape, levels, name="b", old=True))["allowed"] is True
    body = review_mutation(review(shape, levels), "application/json", version="v1alpha2")
    assert json.loads(body)["response"]["allowed"] is True


@pytest.mark.parametrize("judge", [review_admission, review_mutation])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_review_that_is_deeper_still_is_refused(shape: str, judge: Callable[..., bytes]) -> None:
    more = {"kind": "LLMInferenceService"} if judge is review_admission else {}
    body = judge(review(shape, TOO_DEEP), "application/json", version="v1alpha2", **more)
    response = json.loads(body)["response"]
    assert response["allowed"] is False
    assert response["status"]["code"] == 400
    assert "recursion" in response["status"]["message"] or "nested" in response["status"]["message"]


@pytest.mark.parametrize("levels", [101, 450, 1_000, DEEP])
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_stored_so_deep_is_cached_and_its_plan_says_it(shape: str, levels: int) -> None:
    raw = service(shape, levels).replace(V1ALPHA1.encode(), V1ALPHA2.encode())
    cached = Cached.from_raw(raw, SERVICE)
    with pytest.raises(PlanError, match="LLMInferenceService ns/a, is nested more than 100 levels deep"):
        combine(Facts({}), weight.decode(cached.raw), CONFIG, Policy())
    config = weight.decode(raw)
    config["metadata"]["name"] = "deep"
    user = {"metadata": {"name": "b", "namespace": "ns"}, "spec": {"baseRefs": [{"name": "deep"}]}}
    known = Facts({ObjectRef(kinds.CONFIG, "ns", "deep"): config})
    with pytest.raises(PlanError, match="LLMInferenceServiceConfig ns/deep, is nested more than 100"):
        combine(known, user, CONFIG, Policy())


def test_the_deepest_that_is_planned_is_combined() -> None:
    levels = weight.MOST_LEVELS - 5
    inline = {"router": {"scheduler": {"config": {"inline": json.loads(nested("objects", levels))}}}}
    model = {"uri": "hf://a/b", "name": "b"}
    spec = {**inline, "model": model, "template": {"containers": [{"name": "main", "image": "a"}]}}
    config = {"metadata": {"name": "deep", "namespace": "ns"}, "spec": inline}
    user = {"metadata": {"name": "b", "namespace": "ns"}, "spec": {**spec, "baseRefs": [{"name": "deep"}]}}
    presets = {
        ObjectRef(kinds.CONFIG, "kserve", name): {
            "metadata": {"name": name, "namespace": "kserve"},
            "spec": {},
        }
        for name in (f"kserve-config-llm-{part}" for part in chosen(spec))
    }
    known = Facts({ObjectRef(kinds.CONFIG, "ns", "deep"): config, **presets})
    made = combine(known, user, CONFIG, Policy()).spec
    assert made["router"]["scheduler"]["config"] == inline["router"]["scheduler"]["config"]


@pytest.mark.parametrize("shape", SHAPES)
def test_one_deep_object_does_not_hide_the_others_of_its_list(shape: str) -> None:
    class Page(msgspec.Struct):
        items: list[msgspec.Raw]

    page = b'{"items":[' + service(shape, DEEP) + b"," + service("lists", 1) + b"]}"
    assert len(decode_deep(msgspec.json.Decoder(Page).decode, page).items) == 2
    key = key_of_raw(service(shape, DEEP))
    assert key is not None
    assert key.name == "a"


@pytest.mark.parametrize("key", ["ingress", "storageInitializer", "credentials"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_config_map_says_that_it_is_nested_too_deeply(shape: str, key: str) -> None:
    amounts = dict.fromkeys(("memoryRequest", "memoryLimit", "cpuRequest", "cpuLimit"), "1")
    data = {"ingress": '{"ingressGateway":"a/b"}', "storageInitializer": json.dumps(amounts)}
    with pytest.raises(PlanError, match="nested too deeply"):
        parse_config({"data": {**data, key: nested(shape, TOO_DEEP)}}, "kserve")


@pytest.mark.parametrize(
    "text",
    [
        "{{ if .Spec }}" * 10_000,
        "{{ if .Spec }}{{ else if .Spec }}" + "{{ else if .Spec }}" * 5_000,
        "{{ " + "(" * 10_000,
        "{{ not " + "(not " * 5_000 + ".Spec" + ")" * 5_000 + " }}",
    ],
    ids=lambda text: text[:24],
)
def test_a_template_says_where_its_nesting_ends(text: str) -> None:
    with pytest.raises(ParseError, match=r"nested deeper than 100|expected end"):
        parse(text)


def laughs(levels: int) -> str:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


YAML: dict[str, tuple[str, str]] = {
    "laughs": (laughs(12), "more than"),
    "itself": ("a: &a [*a]", "more than|nested"),
    "flow": ("[" * 20_000, "nested too deeply"),
    "maps": ("{a: " * 20_000, "nested too deeply"),
    "digits": ("a: " + "9" * 20_000, "digits"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_that_cannot_be_read_is_an_error_of_its_file(name: str, tmp_path: Path) -> None:
    text, expected = YAML[name]
    file = tmp_path / "service.yaml"
    file.write_text(text)
    with pytest.raises(RenderError, match=expected) as refused:
        render_file(file, None, explain=False)
    assert str(refused.value).startswith(f"{file}: ")
    service = tmp_path.parent / "service.yaml"
    service.write_text("kind: LLMInferenceService\n")
    with pytest.raises(RenderError, match=expected) as refused:
        render_file(service, tmp_path, explain=False)
    assert "service.yaml: " in str(refused.value)


def test_anchors_may_be_used(tmp_path: Path) -> None:
    file = tmp_path / "service.yaml"
    file.write_text("a: &a [x]\nb: *a\n")
    with pytest.raises(RenderError) as refused:
        render_file(file, None, explain=False)
    assert "more than" not in str(refused.value)

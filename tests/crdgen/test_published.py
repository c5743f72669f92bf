"""What published CRDs say, taken over without their words and without what only one channel demands.

Rules: SCHEMA-3.
"""

import copy
from typing import Any

import pytest

from aioctl.crdgen.published import for_templates, http_route_spec, release_of, spec_of, without_descriptions
from aioctl.crdgen.schema import SourceError

RULE_A = {"rule": "self.a", "message": "a"}
RULE_B = {"rule": "self.b", "message": "b"}


def crd(spec: dict[str, Any], release: str = "v1.4.1", channel: str = "standard") -> dict[str, Any]:
    annotations = {"example.com/bundle-version": release, "example.com/channel": channel}
    schema = {"openAPIV3Schema": {"properties": {"spec": spec}}}
    return {
        "metadata": {"name": "things.example.com", "annotations": annotations},
        "spec": {"versions": [{"name": "v1", "schema": schema}]},
    }


def headers_without_pattern() -> dict[str, Any]:
    return {"items": {"properties": {"value": {"type": "string"}}}}


def headers() -> dict[str, Any]:
    made = headers_without_pattern()
    made["items"]["properties"]["value"]["pattern"] = "^a$"
    return made


def route(path_rules: list[Any], codes: list[int], extra: dict[str, Any] | None = None) -> dict[str, Any]:
    def filters() -> dict[str, Any]:
        path = {"x-kubernetes-validations": list(path_rules)}
        redirect = {"properties": {"statusCode": {"enum": list(codes)}}}
        rewrite = {"properties": {"path": path}}
        modifier = {"properties": {"add": headers(), "set": headers()}}
        modifiers = {"requestHeaderModifier": modifier, "responseHeaderModifier": copy.deepcopy(modifier)}
        return {"items": {"properties": {"requestRedirect": redirect, "urlRewrite": rewrite, **modifiers}}}

    rule = {
        "matches": {
            "items": {
                "properties": {"path": {"x-kubernetes-validations": list(path_rules)}, "headers": headers()}
            }
        },
        "filters": filters(),
        "backendRefs": {"items": {"properties": {"filters": filters()}}},
    }
    return {
        "description": "words",
        "properties": {
            "parentRefs": {"items": {"properties": {"namespace": {"pattern": "^a$", "maxLength": 63}}}},
            "rules": {"items": {"properties": rule}},
            **(extra or {}),
        },
    }


def test_fields_of_one_channel_stay_and_its_demands_do_not() -> None:
    experimental = route([RULE_A, RULE_B], [301, 302], {"retry": {"x-kubernetes-validations": [RULE_B]}})
    made = http_route_spec(crd(route([RULE_A], [301])), crd(experimental))
    rule = made["properties"]["rules"]["items"]["properties"]
    assert rule["matches"]["items"]["properties"]["path"]["x-kubernetes-validations"] == [RULE_A]
    assert made["properties"]["retry"] == {"x-kubernetes-validations": [RULE_B]}
    assert "description" not in made


def test_header_values_are_left_to_the_route_of_the_cluster() -> None:
    made = http_route_spec(crd(route([RULE_A], [301])), crd(route([RULE_A], [301])))
    rule = made["properties"]["rules"]["items"]["properties"]
    for filters in (rule["filters"], rule["backendRefs"]["items"]["properties"]["filters"]):
        change = filters["items"]["properties"]["requestHeaderModifier"]["properties"]["set"]
        assert change["items"]["properties"]["value"] == {"type": "string"}
    assert rule["matches"]["items"]["properties"]["headers"] == headers_without_pattern()


def test_two_releases_of_one_kind_are_refused() -> None:
    with pytest.raises(SourceError, match=r"'v1\.4\.1' and experimental 'v1\.5\.0'"):
        http_route_spec(crd(route([], [])), crd(route([], []), release="v1.5.0"))


def test_templates_are_held_to_no_shape_at_any_depth() -> None:
    whole = http_route_spec(crd(route([RULE_A], [301])), crd(route([RULE_A], [301])))
    whole["properties"]["pattern"] = {"type": "string", "pattern": "a", "maxLength": 3, "minLength": 1}
    made = for_templates(whole)
    rule = made["properties"]["rules"]["items"]["properties"]
    assert rule["matches"]["items"]["properties"]["path"] == {}
    assert rule["filters"]["items"]["properties"]["urlRewrite"]["properties"]["path"] == {}
    assert made["properties"]["parentRefs"]["items"]["properties"]["namespace"] == {"maxLength": 63}
    assert made["properties"]["pattern"] == {"type": "string", "maxLength": 3}, "a field of that name stays"
    assert (
        "x-kubernetes-validations"
        in whole["properties"]["rules"]["items"]["properties"]["matches"]["items"]["properties"]["path"]
    ), "the schema of the service kind is untouched"


def test_a_field_named_description_is_no_description() -> None:
    node = {"description": "words", "properties": {"description": {"description": "words", "type": "string"}}}
    assert without_descriptions(node) == {"properties": {"description": {"type": "string"}}}


def test_a_crd_without_the_version_is_refused() -> None:
    with pytest.raises(SourceError, match=r"things\.example\.com has no schema of `spec` at version v2"):
        spec_of(crd({}), "v2")


def test_the_crd_of_another_kind_is_refused() -> None:
    with pytest.raises(SourceError, match=r"no field rules\[\]\.matches\[\]\.headers\[\]\.value"):
        http_route_spec(crd({"properties": {}}), crd({"properties": {"rules": {"items": {}}}}))


def test_the_release_is_read_from_the_annotations() -> None:
    assert release_of(crd({}, "v1.4.1", "experimental")) == "v1.4.1 experimental"
    assert release_of({}) == ""

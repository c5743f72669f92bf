"""Names of users before they become part of a host, a certificate, a script or a path."""

from typing import Any

import pytest

from aioctl.api import user_names, validation
from aioctl.api.defaulting import epp_service_name
from aioctl.api.objects import FieldError

HOSTILE = [
    "*",
    "*.fleet.svc",
    "a.b",
    "a\x00",
    "a\nb",
    "a\n",
    "A",
    "-a",
    "a-",
    "a" * 64,
    "\u00e4",
    "a/b",
    " a",
    "\u0661",
]


@pytest.mark.parametrize("name", ["a", "a-1", "a1", "a" * 63])
def test_a_service_is_named_by_a_label(name: str) -> None:
    assert user_names.service_problem(name) == user_names.host_problem(name) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_label_is_no_service(name: str) -> None:
    assert "is no name of a Service: use 1 to 63" in user_names.service_problem(name)
    assert "is no name of a Service: use 1 to 63" in user_names.host_problem(name)


@pytest.mark.parametrize("name", ["1", "7b", "1-a"])
def test_a_digit_may_begin_the_name_of_a_service_that_is_there_but_of_none_that_is_made(name: str) -> None:
    assert "beginning with a letter" in user_names.service_problem(name)
    assert user_names.host_problem(name) == ""


@pytest.mark.parametrize("name", ["a.b", "a" * 63 + ".b"])
def test_an_object_may_have_dots_in_its_name(name: str) -> None:
    assert user_names.object_problem(name) == ""


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a..b", ".a", "*.a", "a.\n", "a_b", ".".join(["a" * 63] * 4)]
)
def test_what_is_no_subdomain_is_no_object(name: str) -> None:
    assert "is no name of an object" in user_names.object_problem(name)


@pytest.mark.parametrize("name", ["", "meta-llama/Llama-3.1-8B", "a b:c@d", "\u6a21\u578b", "it's (new)"])
def test_a_model_may_have_nearly_any_name(name: str) -> None:
    assert user_names.model_problem(name) == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\x00", "\\u0000"), ("a\nb", "\\u000a"), ("$(id)", "$"), ("`id`", "`"), ('a"b', '"'), ("a\\", "\\")],
)
def test_a_model_name_cannot_leave_its_quotes(name: str, shown: str) -> None:
    assert f'has the character "{shown}"' in user_names.model_problem(name)


@pytest.mark.parametrize("path", ["/etc", "..", "a/../b", "a\x00", "a\nb"])
def test_a_path_stays_in_its_volume(path: str) -> None:
    assert "is no path inside a volume" in user_names.path_problem(path)
    assert user_names.path_problem("models/a..b/c d") == ""


@pytest.mark.parametrize("image", ["", "a'; id; echo '", "a b", "$(id)", "-a", "a\n"])
def test_an_image_reference_is_one_word(image: str) -> None:
    assert "is no image reference" in user_names.image_problem(image)
    assert user_names.image_problem("quay.io:443/a/b_c:v1@sha256:0f") == ""


def pooled(name: str) -> dict[str, Any]:
    return {"router": {"scheduler": {"pool": {"spec": {"endpointPickerRef": {"name": name}}}}}}


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceService", "spec": spec}


@pytest.mark.parametrize("name", HOSTILE)
def test_no_host_is_made_of_a_picker_that_is_no_service(name: str) -> None:
    with pytest.raises(FieldError, match=r"^spec\.router\.scheduler\.pool\.spec\.endpointPickerRef\.name: "):
        epp_service_name("svc", pooled(name))


@pytest.mark.parametrize("field", ["endpointPickerRef", "extensionRef"])
def test_admission_names_the_field_once(field: str) -> None:
    at = f"spec.router.scheduler.pool.spec.{field}.name"

    def named(name: str) -> dict[str, Any]:
        return service(router={"scheduler": {"pool": {"spec": {field: {"name": name}}}}})

    (problem,) = validation.validate(named("*.fleet"))
    assert str(problem).startswith(f'{at}: Invalid value: "*.fleet": "*.fleet" is no name of a Service')
    assert validation.validate(named("*.fleet"), named("*.fleet")) == []
    assert validation.validate(named("{{ ChildName .ObjectMeta.Name `-epp` }}")) == []


def test_admission_refuses_a_model_name_that_leaves_its_quotes() -> None:
    (problem,) = validation.validate(service(model={"name": "a$(id)"}))
    assert problem.field == "spec.model.name"
    assert validation.validate(service(model={"name": "a$(id)"}), service(model={"name": "a$(id)"})) == []

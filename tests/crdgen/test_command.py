"""`aioctl crds` from files to files, and what it says about files it cannot use."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aioctl.crdgen.command import crds
from testbed.recorded_yaml import load
from tests.crdgen.test_published import crd, route

OPTIONS = (
    "--openapi",
    "--openapi-autoscaling",
    "--http-route",
    "--http-route-experimental",
    "--pool",
    "--scaled-object",
)
POD = {"type": "object", "required": ["containers"], "properties": {"containers": {"type": "array"}}}
OPENAPI = {
    "info": {"version": "1.34"},
    "components": {
        "schemas": {
            "io.k8s.api.core.v1.PodSpec": POD,
            "io.k8s.api.core.v1.PersistentVolumeClaimSpec": {"type": "object"},
        }
    },
}
BEHAVIOR = {"type": "object", "properties": {"scaleUp": {"type": "object"}}}
AUTOSCALING = {
    "components": {"schemas": {"io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior": BEHAVIOR}}
}
SCALED_OBJECT = {
    "type": "object",
    "properties": {
        "triggers": {"type": "array", "items": {"type": "object"}},
        "fallback": {"type": "object"},
        "advanced": {
            "type": "object",
            "properties": {
                "horizontalPodAutoscalerConfig": {
                    "type": "object",
                    "properties": {"behavior": {}, "name": {}},
                }
            },
        },
    },
}


def scaled_object() -> dict[str, Any]:
    made = crd(SCALED_OBJECT)
    made["spec"]["versions"][0]["name"] = "v1alpha1"
    return made


CONTENT: dict[str, Any] = {
    "--openapi": OPENAPI,
    "--openapi-autoscaling": AUTOSCALING,
    "--http-route": crd(route([], [])),
    "--http-route-experimental": crd(route([], []), channel="experimental"),
    "--pool": crd({"type": "object", "required": ["selector"], "properties": {"selector": {}}}, "v1.5.0", ""),
    "--scaled-object": scaled_object(),
}


def run(folder: Path, *more: str, **replaced: str) -> Result:
    """Runs the command on small sources; `replaced` gives the text of one option's file (`pool=...`)."""
    arguments = []
    for option in OPTIONS:
        file = folder / f"{option.strip('-')}.yaml"
        file.write_text(replaced.get(option.strip("-").replace("-", "_"), yaml.dump(CONTENT[option])))
        arguments += [option, str(file)]
    return CliRunner().invoke(crds, [*arguments, "--output", str(folder / "out"), *more])


def made(folder: Path, plural: str) -> Any:
    return load((folder / "out" / f"serving.kserve.io_{plural}.yaml").read_text())


def test_both_files_are_written(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    service, config = made(tmp_path, "llminferenceservices"), made(tmp_path, "llminferenceserviceconfigs")
    assert service["spec"]["names"]["shortNames"] == ["llmisvc"]
    assert "shortNames" not in config["spec"]["names"]
    for document in (service, config):
        versions = document["spec"]["versions"]
        assert [(item["name"], item["served"], item["storage"]) for item in versions] == [
            ("v1alpha1", True, False),
            ("v1alpha2", True, True),
        ]
        assert all(item["subresources"] == {"status": {}} for item in versions)
    assert service["metadata"]["annotations"]["aioctl.dev/schema-sources"].startswith(
        "PodSpec: Kubernetes 1.34; "
    )


@pytest.mark.parametrize(
    ("plural", "required"), [("llminferenceservices", True), ("llminferenceserviceconfigs", False)]
)
def test_the_config_kind_may_hold_parts(tmp_path: Path, plural: str, required: bool) -> None:
    run(tmp_path)
    for version in made(tmp_path, plural)["spec"]["versions"]:
        fields = version["schema"]["openAPIV3Schema"]["properties"]
        scheduler = fields["spec"]["properties"]["router"]["properties"]["scheduler"]["properties"]
        assert ("required" in scheduler["pool"]["properties"]["spec"]) == required
        assert ("required" in scheduler["tokenizer"]["properties"]["template"]) == required


def test_keda_gets_the_behavior_that_the_api_server_knows(tmp_path: Path) -> None:
    run(tmp_path)
    for version in made(tmp_path, "llminferenceservices")["spec"]["versions"]:
        scaling = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["scaling"]
        advanced = scaling["properties"]["keda"]["properties"]["advanced"]
        hpa = advanced["properties"]["horizontalPodAutoscalerConfig"]["properties"]
        assert hpa["behavior"] == BEHAVIOR


def test_the_service_that_converts_can_be_named(tmp_path: Path) -> None:
    run(tmp_path, "--webhook-service", "hook", "--webhook-namespace", "elsewhere")
    client = made(tmp_path, "llminferenceservices")["spec"]["conversion"]["webhook"]["clientConfig"]
    assert client == {"service": {"name": "hook", "namespace": "elsewhere", "path": "/convert", "port": 443}}


def test_the_same_sources_give_the_same_text_as_json_or_yaml(tmp_path: Path) -> None:
    run(tmp_path)
    before = (tmp_path / "out" / "serving.kserve.io_llminferenceservices.yaml").read_text()
    run(tmp_path, openapi=json.dumps(OPENAPI))
    assert (tmp_path / "out" / "serving.kserve.io_llminferenceservices.yaml").read_text() == before


@pytest.mark.parametrize(
    ("replaced", "said"),
    [
        ({"openapi": "{"}, "openapi.yaml is neither JSON nor YAML"),
        ({"pool": "a: [1"}, "pool.yaml is neither JSON nor YAML"),
        ({"pool": "just text"}, "pool.yaml holds no object"),
        ({"pool": "a: 1\n---\nb: 2\n"}, "pool.yaml is neither JSON nor YAML"),
        ({"openapi": "{}"}, "the OpenAPI document holds no components.schemas"),
        ({"pool": "{}"}, "has no schema of `spec` at version v1"),
    ],
    ids=["no JSON", "no YAML", "no object", "two documents", "no PodSpec", "no such version"],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, replaced: dict[str, str], said: str) -> None:
    result = run(tmp_path, **replaced)
    assert result.exit_code == 1
    assert said in result.output
    assert not (tmp_path / "out").exists()

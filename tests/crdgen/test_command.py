"""`aioctl crds` from files to files, and what it says about files it cannot use."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from aioctl.crdgen.command import crds
from tests.crdgen.test_published import crd, route

OPTIONS = ("--openapi", "--http-route", "--http-route-experimental", "--pool-v1", "--pool-v1alpha2")
POD = {"type": "object", "required": ["containers"], "properties": {"containers": {"type": "array"}}}
OPENAPI = {"info": {"version": "1.34"}, "components": {"schemas": {"io.k8s.api.core.v1.PodSpec": POD}}}


def pool(version: str) -> dict[str, Any]:
    made = crd({"type": "object", "required": ["selector"], "properties": {"selector": {}}}, "v1.1.0", "")
    made["spec"]["versions"][0]["name"] = version
    return made


CONTENT: dict[str, Any] = {
    "--openapi": OPENAPI,
    "--http-route": crd(route([], [])),
    "--http-route-experimental": crd(route([], []), channel="experimental"),
    "--pool-v1": pool("v1"),
    "--pool-v1alpha2": pool("v1alpha2"),
}


def run(folder: Path, *more: str, **replaced: str) -> Result:
    """Runs the command on small sources; `replaced` gives the text of one option's file (`pool_v1=...`)."""
    arguments = []
    for option in OPTIONS:
        file = folder / f"{option.strip('-')}.yaml"
        file.write_text(replaced.get(option.strip("-").replace("-", "_"), yaml.dump(CONTENT[option])))
        arguments += [option, str(file)]
    return CliRunner().invoke(crds, [*arguments, "--output", str(folder / "out"), *more])


def made(folder: Path, plural: str) -> Any:
    return yaml.safe_load((folder / "out" / f"serving.kserve.io_{plural}.yaml").read_text())


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
    assert all(item["subresources"] == {"status": {}} for item in service["spec"]["versions"])
    assert not any("subresources" in item for item in config["spec"]["versions"])
    assert service["metadata"]["annotations"]["aioctl.dev/schema-sources"].startswith(
        "PodSpec: Kubernetes 1.34; "
    )


def test_the_config_kind_may_hold_a_part_of_a_pool_and_has_no_status(tmp_path: Path) -> None:
    run(tmp_path)
    for plural, required in (("llminferenceservices", ["selector"]), ("llminferenceserviceconfigs", None)):
        for version in made(tmp_path, plural)["spec"]["versions"]:
            fields = version["schema"]["openAPIV3Schema"]["properties"]
            scheduler = fields["spec"]["properties"]["router"]["properties"]["scheduler"]
            assert scheduler["properties"]["pool"]["properties"]["spec"].get("required") == required
            assert ("status" in fields) == (required is not None)


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
        ({"pool_v1": "a: [1"}, "pool-v1.yaml is neither JSON nor YAML"),
        ({"pool_v1": "just text"}, "pool-v1.yaml holds no object"),
        ({"pool_v1": "a: 1\n---\nb: 2\n"}, "pool-v1.yaml is neither JSON nor YAML"),
        ({"openapi": "{}"}, "the OpenAPI document holds no components.schemas"),
        ({"pool_v1": "{}"}, "has no schema of `spec` at version v1"),
    ],
    ids=["no JSON", "no YAML", "no object", "two documents", "no PodSpec", "no such version"],
)
def test_a_file_that_does_not_fit_is_named(tmp_path: Path, replaced: dict[str, str], said: str) -> None:
    result = run(tmp_path, **replaced)
    assert result.exit_code == 1
    assert said in result.output
    assert not (tmp_path / "out").exists()

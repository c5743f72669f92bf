"""`aioctl check -f`: manifests without a cluster, each defect by its code."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from aioctl import shipped
from aioctl.cli import main
from aioctl.tools.checks.codes import CHECK
from aioctl.tools.checks.files import Given, check_files
from testbed.world import plain_service
from tests.tools.healthy import codes
from tests.tools.small_fleet import ROUTED

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def service(**spec: Any) -> dict[str, Any]:
    return deepcopy({**plain_service("one", **{**ROUTED, **spec})})


def config(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": "mine"},
        "spec": spec,
    }


def of_files(*objects: dict[str, Any]) -> list[Any]:
    return check_files([Given("a.yaml", one) for one in objects], NOW)


def test_nothing_is_found_in_good_files() -> None:
    presets = list(shipped.objects(shipped.presets_folder()))
    found = of_files(service(baseRefs=[{"name": "mine"}]), config(replicas=2), *presets)
    assert [one.found for one in found] == ["the files", f"{2 + len(presets)} objects of our kinds"]


PLANTED: dict[str, dict[str, Any]] = {
    "AIO-FILE-001": service(modle={}),
    "AIO-FILE-002": service(model={"uri": "oci://image:tag", "name": "m"}),
    "AIO-FILE-003": service(baseRefs=[{"name": "nobody"}]),
    "AIO-FILE-004": {**service(), "apiVersion": "serving.kserve.io/v1beta1"},
    "AIO-FILE-006": service(replicas=1, scaling={"minReplicas": 1, "maxReplicas": 2, "wva": {"hpa": {}}}),
    "AIO-FILE-005": {**service(), "apiVersion": "serving.kserve.io/v1alpha1"},
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_defect_is_found_by_its_code(code: str) -> None:
    assert codes(of_files(service(), config())) == []
    found = of_files(PLANTED[code])
    assert codes(found) == [code], [one.found for one in found]
    assert found[0].found.startswith("a.yaml: LLMInferenceService demo/one: ")


def test_every_code_of_files_has_its_defect() -> None:
    assert set(PLANTED) == {code for code in CHECK if code.startswith("AIO-FILE")}


def test_a_name_that_the_api_server_refuses_is_found() -> None:
    for metadata, said in (
        ({"name": "Not_A_Name"}, "metadata.name: Invalid value"),
        ({"name": "one", "labels": {"a": "b c"}}, "metadata.labels: Invalid value"),
        ({"name": "one", "labels": {"a": 1}}, "labels"),
        ({}, "metadata.name: Required value"),
    ):
        (found,) = of_files({**service(), "metadata": metadata})
        assert found.code is CHECK["AIO-FILE-006"]
        assert said in found.found
    assert "AIO-FILE-006" not in codes(of_files({**service(), "metadata": {"generateName": "one-"}}))


def test_what_the_webhook_writes_is_not_missing() -> None:
    """A baseRef may have the URI, and the key of a ConfigMap may be the usual one (MUT-1)."""
    config = {"apiVersion": "serving.kserve.io/v1alpha2", "kind": "LLMInferenceServiceConfig"}
    base = {**config, "metadata": {"name": "base", "namespace": "ns"}, "spec": {"model": {"uri": "hf://a/b"}}}
    named = {**service(baseRefs=[{"name": "base"}]), "metadata": {"name": "one", "namespace": "ns"}}
    named["spec"]["model"] = {"name": "mine"}
    assert "AIO-FILE-006" not in codes(of_files(base, named))
    keyless = service(router={"scheduler": {"config": {"ref": {"name": "mine"}}}})
    assert "AIO-FILE-006" not in codes(of_files(keyless))


def test_a_config_has_to_render_and_to_be_admitted() -> None:
    image = {"template": {"containers": [{"name": "main", "image": "{{ Lookup .Name }}"}]}}
    (found,) = of_files(config(**image))
    assert found.code is CHECK["AIO-FILE-002"]
    assert 'function "Lookup" not defined' in found.found
    (found,) = of_files(config(baseRefs=[{"name": "other"}]))
    assert "baseRefs is not a permitted field" in found.found


def run(*words: str, text: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["check", *words], input=text)
    return done.exit_code, done.output


def test_the_command_needs_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (tmp_path / "good.yaml").write_text(yaml.safe_dump_all([service(), config()]))
    assert run("-f", str(tmp_path / "good.yaml")) == (
        0,
        "ok      the files\n          2 objects of our kinds\n0 failed, 0 warnings\n",
    )
    listed = {"apiVersion": "v1", "kind": "List", "items": [service(modle={})]}
    (tmp_path / "bad.yml").write_text(yaml.safe_dump(listed))
    code, text = run("-f", str(tmp_path))
    assert code == 1
    assert f"failed  AIO-FILE-001  {tmp_path / 'bad.yml'}: LLMInferenceService demo/one: spec.modle\n" in text
    assert "cure: correct the field's name or place" in text
    assert run("-f", "-", "-o", "name", text=yaml.safe_dump(service(modle={}))) == (1, "AIO-FILE-001\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "-: "),
        ("kind: ConfigMap\nmetadata: {name: a}\n", "no LLMInferenceService and no LLMInferenceServiceConfig"),
        ("- 1\n", "holds a document that is no object"),
        ("", "no LLMInferenceService"),
        ("metadata: {name: 5}\nkind: A\n", "-: A: metadata.name is 5, not a text: put it in quotes"),
        ("metadata: {name: a, namespace: 1}\nkind: A\n", "metadata.namespace is 1, not a text"),
        ("metadata: [a]\nkind: A\n", "-: A: metadata is no object"),
        ("kind: {a: b}\n", "kind is {'a': 'b'}, not a text"),
        ("kind: List\nitems: [{metadata: {name: true}}]\n", "metadata.name is True, not a text"),
    ],
)
def test_a_file_that_holds_nothing_to_check_is_a_usage_error(text: str, said: str) -> None:
    code, output = run("-f", "-", text=text)
    assert code == 2
    assert said in output
    assert len(output.splitlines()) <= 2


def test_a_file_that_is_no_text_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("kind: A".encode("utf-16"))
    assert run("-f", str(tmp_path)) == (2, f"Error: {tmp_path / 'a.yaml'}: is no text in UTF-8\n")


def test_ways_to_check_exclude_each_other() -> None:
    assert run("--pre", "--takeover") == (2, "Error: --pre, --takeover and -f exclude each other\n")

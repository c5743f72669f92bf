"""What follows from other files in the charts is what they say; Helm itself judges in tests/ship."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from aioctl import __version__
from aioctl.plan.config import parse_config
from release import charts
from tests.deploy.manifests import BASE, NAMESPACE, container, deployment, find

MADE = charts.files()


@pytest.mark.parametrize("path", MADE, ids=lambda path: str(path.relative_to(charts.REPOSITORY)))
def test_made_files_are_as_the_program_writes_them(path: Path) -> None:
    assert path.read_text() == MADE[path], "run `python -m release charts`"


def test_defaults_are_those_of_the_base() -> None:
    values = yaml.safe_load((charts.CONTROLLER / "values.yaml").read_text())
    assert values["replicas"] == deployment()["spec"]["replicas"]
    assert values["resources"] == container()["resources"]
    assert container()["image"] == f"{values['image']['repository']}:{__version__}"
    account = find(BASE / "service-account.yaml", "ServiceAccount")
    assert values["serviceAccount"]["annotations"] == account["metadata"].get("annotations", {})


def test_every_value_has_a_description_and_a_default_or_parts() -> None:
    def walk(schema: dict[str, Any], path: str) -> list[str]:
        bad: list[str] = []
        for name, entry in schema["properties"].items():
            if not entry.get("description"):
                bad.append(f"{path}{name}")
            if "default" not in entry and "properties" in entry:
                bad += walk(entry, f"{path}{name}.")
        return bad

    for chart in (charts.CONTROLLER, charts.CRDS, charts.PRESETS):
        assert walk(json.loads(charts.schema_of(chart)), "") == []


def test_each_setting_is_one_of_the_program() -> None:
    schema = json.loads(charts.schema_of(charts.CONTROLLER))
    settings = schema["properties"]["settings"]["properties"]
    assert "AIOCTL_WORKERS" in settings
    assert not charts.OWN & settings.keys()


@pytest.mark.parametrize("path", sorted((charts.CONTROLLER / "ci").iterdir()), ids=lambda path: path.stem)
def test_a_value_set_makes_a_configuration_that_can_be_read(path: Path) -> None:
    given = (yaml.safe_load(path.read_text()).get("configuration") or {}).get("data") or {}
    shipped = find(BASE / "configmap.yaml", "ConfigMap")
    sections = {name: json.dumps(section) for name, section in given.items()}
    parse_config({**shipped, "data": {**shipped["data"], **sections}}, NAMESPACE)

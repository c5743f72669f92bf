"""What stands around the program on GitHub: the CI workflow, issue forms, and the pages a stranger looks for."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from release import publication
from testbed import tools
from testbed.real.build import NotAvailable

REPOSITORY = Path(__file__).parent.parent
GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.y*ml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.y*ml") if path.name != "config.yml")
ELEMENTS = {"checkboxes", "dropdown", "input", "markdown", "textarea"}
"""Of GitHub's issue forms."""
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "docs/operations.md")


def load(path: Path) -> Any:
    # YAML 1.1 reads the key `on` as a boolean; GitHub does not.
    return yaml.load(re.sub(r"(?m)^on:", '"on":', path.read_text()), yaml.CSafeLoader)


def test_ci_runs_what_must_hold_on_the_oldest_python() -> None:
    (job,) = load(GITHUB / "workflows" / "ci.yaml")["jobs"].values()
    assert ".ci/run" in [step.get("run") for step in job["steps"]]
    (python,) = (
        step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/setup-python@")
    )
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert f">={python['python-version']}" == project["requires-python"]
    assert job["timeout-minutes"] > 0


RIGHTS = {
    "image": {"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"},
    "charts": {"contents": "read", "packages": "write", "id-token": "write"},
    "release": {"contents": "write", "id-token": "write", "attestations": "write"},
}
"""Jobs that publish -> what their token may do; every other job reads only."""


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_no_more_than_it_needs_and_knows_no_secret(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    # It would run a stranger's change with the rights of the repository.
    assert "pull_request_target" not in workflow["on"]
    assert "secrets." not in path.read_text()
    for name, job in workflow["jobs"].items():
        assert job.get("permissions", {}) == (RIGHTS.get(name, {}) if path.stem == "release" else {})
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@\S+", step.get("uses", "a/b@c"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path) -> None:
    """It needs `actionlint`, from its Go module github.com/rhysd/actionlint."""
    try:
        actionlint = tools.find("actionlint")
    except NotAvailable as error:
        pytest.skip(str(error))
    done = subprocess.run([str(actionlint), str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_one_that_github_takes(path: Path) -> None:
    form = load(path)
    assert set(form) <= {"name", "description", "title", "labels", "assignees", "body"}
    assert form["name"]
    assert form["description"]
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert ids
    assert len(ids) == len(set(ids))
    for element in form["body"]:
        assert element["type"] in ELEMENTS
        attributes = element["attributes"]
        assert attributes["value" if element["type"] == "markdown" else "label"]
        if element["type"] == "dropdown":
            assert all(isinstance(option, str) for option in attributes["options"])


def test_both_kinds_of_issue_have_a_form() -> None:
    assert [path.stem for path in FORMS] == ["bug", "feature"]


@pytest.mark.parametrize("page", PAGES)
def test_links_within_the_repository_lead_somewhere(page: str) -> None:
    path = REPOSITORY / page
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_a_release_publishes_only_what_was_checked() -> None:
    workflow = load(GITHUB / "workflows" / "release.yaml")
    assert set(workflow["on"]) == {"push"}
    jobs = workflow["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["check"]["steps"]]
    assert all("check" in job["needs"] for name, job in jobs.items() if name != "check")
    text = (GITHUB / "workflows" / "release.yaml").read_text()
    for wanted in (
        "linux/amd64,linux/arm64",
        "cosign sign ",
        "provenance: mode=max",
        "sbom: true",
        "helm push",
        "gh release",
    ):
        assert wanted in text


def test_the_plugin_manifest_names_what_a_release_holds() -> None:
    """It is krew-release-bot's template: what is in braces is filled in when a release is out."""
    text = (REPOSITORY / ".krew.yaml").read_text()
    filled = text.replace("{{ .TagName }}", "v1.2.3")
    filled = re.sub(r'{{addURIAndSha "(.*?)" .TagName }}', rf'uri: \1\n    sha256: "{"0" * 64}"', filled)
    manifest = yaml.safe_load(filled)
    (platform,) = manifest["spec"]["platforms"]
    assert platform["uri"].endswith(f"/v1.2.3/{publication.PLUGIN}.tar.gz")
    assert platform["bin"] == publication.PLUGIN
    assert manifest["metadata"]["name"] == "aioctl"

"""What the commands say when they cannot do what was asked: one line that names the cause, no stack."""

import signal
import socket
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
import yaml
from click.testing import CliRunner, Result

from aioctl import app
from aioctl.cli import main
from aioctl.settings import Settings
from aioctl.tools import connect
from aioctl.tools.access import Access

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {}}]
current-context: a
"""


def log_lines(answer: Result) -> list[dict[str, Any]]:
    """All that went to standard error, which must be JSON."""
    return [msgspec.json.decode(line) for line in answer.stderr.splitlines()]


def test_an_address_in_use_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for name, value in {
            "METRICS_HOST": "127.0.0.1",
            "METRICS_PORT": str(port),
            "HEALTH_PORT": "0",
        }.items():
            monkeypatch.setenv(f"AIOCTL_{name}", value)
        monkeypatch.setenv("AIOCTL_WEBHOOK_PORT", "0")
        answer = CliRunner().invoke(main, ["run", "--kubeconfig", str(kubeconfig)])
    assert answer.exit_code == 1
    last = log_lines(answer)[-1]
    assert (last["level"], last["event"]) == ("error", "cannot start")
    assert last["error"] == f"cannot listen on 127.0.0.1:{port}: Address already in use"


def test_settings_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCTL_WORKERS", "many")
    answer = CliRunner().invoke(main, ["run"])
    assert answer.exit_code == 1
    assert "AIOCTL_WORKERS='many'" in answer.stderr


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["run", "--kubeconfig", str(tmp_path / "none")])
    assert answer.exit_code == 1
    last = log_lines(answer)[-1]
    assert (last["level"], last["event"]) == ("error", "cannot start")
    assert str(tmp_path / "none") in last["error"]


def test_an_error_nobody_expected_is_a_line_of_the_log_with_its_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(_settings: Settings, *, kubeconfig: str) -> None:
        raise RuntimeError(kubeconfig)

    monkeypatch.setattr(app, "run", fails)
    answer = CliRunner().invoke(main, ["run", "--kubeconfig", "boom"])
    assert answer.exit_code == 1
    last = log_lines(answer)[-1]
    assert (last["level"], last["error"]) == ("error", "boom")
    assert last["exception"].endswith("RuntimeError: boom")


def test_in_the_console_format_it_is_a_line_for_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOCTL_LOG_FORMAT", "console")
    answer = CliRunner().invoke(main, ["run", "--kubeconfig", str(tmp_path / "none")])
    assert answer.exit_code == 1
    assert "cannot start" in answer.stderr.splitlines()[-1]
    assert str(tmp_path / "none") in answer.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["status", "version"])
def test_a_cluster_that_is_not_reachable_is_named_with_its_own_code(command: str, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    answer = CliRunner().invoke(main, [command, "--kubeconfig", str(kubeconfig)])
    assert answer.exit_code == 3
    assert answer.stderr.startswith("Error: cluster http://127.0.0.1:1 cannot be reached: ")
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--context", "absent"], "no context has the name absent; it has "),
        (["-n", "a", "-A"], "-n and -A exclude each other"),
        (["--watch", "-o", "json"], "--watch goes with -o table and -o wide only"),
        (["-o", "xml"], "'xml' is not one of"),
    ],
)
def test_a_command_line_that_cannot_be_followed_ends_with_2(
    words: list[str], said: str, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    answer = CliRunner().invoke(main, ["status", "--kubeconfig", str(kubeconfig), *words])
    assert answer.exit_code == 2
    assert said in answer.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["status", "--watch"], 130),
        (["explain"], 130),
        (["check"], 130),
        (["finish", "-A", "--yes"], 130),
        (["storage", "migrate"], 130),
        (["ui"], 0),
    ],
)
@pytest.mark.usefixtures("heard_signals")
def test_ctrl_c_ends_a_command_as_it_ends_kubectl(
    words: list[str], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def connected(_access: Access) -> AsyncIterator[None]:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(60)
        yield

    monkeypatch.setattr(connect, "connected", connected)
    answer = CliRunner().invoke(main, words)
    assert (answer.exit_code, answer.output) == (code, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(shell: str) -> None:
    answer = CliRunner().invoke(main, ["completion", shell])
    assert answer.exit_code == 0
    assert f"_AIOCTL_COMPLETE={shell}_complete" in answer.stdout


def test_kubectl_finds_us_as_a_plugin() -> None:
    scripts = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"][
        "scripts"
    ]
    assert scripts["kubectl-aioctl"] == "aioctl.cli:main"


SERVICE = """\
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: a, namespace: b}
spec: {model: {uri: "hf://m/m", name: m}, baseRefs: BASE_REFS}
"""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("v1alpha2", "v9"), "-: a: apiVersion serving.kserve.io/v9 is none of ours; use serving.kserve.io/v1alpha1 or "),
        (("name: a", "name: 1"), "metadata.name is 1, not a text: put it in quotes"),
        (("name: a", "labels: {}"), "-: a service has no metadata.name"),
    ],
)  # fmt: skip
def test_what_the_api_server_would_not_take_is_not_rendered(change: tuple[str, str], said: str) -> None:
    text = SERVICE.replace("BASE_REFS", "[]").replace(*change)
    assert text != SERVICE.replace("BASE_REFS", "[]")
    answer = CliRunner().invoke(main, ["render", "-f", "-"], input=text)
    assert (answer.exit_code, answer.stdout) == (1, "")
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_a_terminal_that_lacks_a_letter_gets_a_question_mark_for_it() -> None:
    text = SERVICE.replace("BASE_REFS", "[]").replace("{uri:", "{gr─e: 1, uri:").encode()
    answer = CliRunner(charset="latin-1").invoke(main, ["check", "-f", "-"], input=text)
    assert answer.exit_code == 1
    assert "spec.model.gr?e" in answer.stdout


def test_a_service_is_rendered_from_standard_input() -> None:
    answer = CliRunner().invoke(main, ["render", "-f", "-"], input=SERVICE.replace("BASE_REFS", "[]"))
    assert answer.exit_code == 0
    kinds = [obj["kind"] for obj in yaml.safe_load_all(answer.stdout)]
    assert "Deployment" in kinds
    assert answer.stderr == ""


@pytest.mark.parametrize("options", [[], ["--explain"]])
def test_a_service_that_is_not_rendered_to_its_end_is_named_and_fails(options: list[str]) -> None:
    text = SERVICE.replace("BASE_REFS", "[{name: absent}]")
    answer = CliRunner().invoke(main, ["render", "-f", "-", *options], input=text)
    assert answer.exit_code == 1
    assert answer.stderr.startswith("Error: -: a: terminal error: LLMInferenceServiceConfig ")
    assert '"absent" not found' in answer.stderr
    assert '"absent" not found' in answer.stdout


def test_unknown_fields_of_services_and_configs_are_named_with_their_paths(tmp_path: Path) -> None:
    preset = yaml.safe_dump(
        {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceServiceConfig",
            "metadata": {"name": "kserve-config-llm-template", "namespace": "kserve"},
            "spec": {"template": {"containers": [{"name": "main", "imagePullPolice": "Always"}]}},
        }
    )
    (tmp_path / "preset.yaml").write_text(preset)
    first = SERVICE.replace("BASE_REFS", "[], template: {nodeSelectors: {}}")
    second = SERVICE.replace("BASE_REFS", "[], replica: 3").replace("name: a,", "name: other,")
    answer = CliRunner().invoke(
        main, ["render", "-f", "-", "--configs", str(tmp_path)], input=f"{first}---\n{second}extra: 1\n"
    )
    assert answer.exit_code == 1
    for line in (
        "-: a: unknown field spec.template.nodeSelectors, which is dropped",
        "-: other: unknown field spec.replica, which is dropped",
        "-: other: unknown field extra, which is dropped",
        f"{tmp_path}: kserve-config-llm-template: unknown field spec.template.containers[0].imagePullPolice, which",
    ):
        assert line in answer.stderr


def test_render_refuses_what_the_schema_refuses(tmp_path: Path) -> None:
    file = tmp_path / "one.yaml"
    file.write_text(
        "apiVersion: serving.kserve.io/v1alpha2\nkind: LLMInferenceService\nmetadata: {name: one}\n"
        "spec: {model: {uri: 'hf://a/b', name: m}, replicas: 1.5}\n"
    )
    answer = CliRunner().invoke(main, ["render", "-f", str(file)])
    assert answer.exit_code == 1
    assert answer.stdout == ""
    assert "one: spec.replicas: Invalid value" in answer.stderr

"""What `aioctl run` says when it cannot start: one line that names the cause, no stack."""

import socket
from pathlib import Path

import pytest
from click.testing import CliRunner

from aioctl.cli import main

KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: a, cluster: {server: "http://127.0.0.1:1"}}]
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {}}]
current-context: a
"""


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
    assert answer.stderr.splitlines()[-1] == (
        f"Error: cannot listen on 127.0.0.1:{port}: Address already in use"
    )


def test_settings_that_cannot_be_used_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCTL_WORKERS", "many")
    answer = CliRunner().invoke(main, ["run"])
    assert answer.exit_code == 1
    assert "AIOCTL_WORKERS='many'" in answer.stderr


def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    answer = CliRunner().invoke(main, ["run", "--kubeconfig", str(tmp_path / "none")])
    assert answer.exit_code == 1
    assert "none" in answer.stderr.splitlines()[-1]

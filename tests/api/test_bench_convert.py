"""The loss check of the conversion bench: finds none here, and would find one."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aioctl.api.conversion import convert_object
from bench import convert, running, scenario


def test_mutated_objects_lose_nothing() -> None:
    """`make laws` does so with a hundred thousand."""
    report = convert.check_losses(200, seed=3)
    assert report["conversions"] == 200
    assert report["losses"] == 0, report["examples"]


def test_a_lossy_converter_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(raw: bytes, desired: str) -> bytes:
        tree: dict[str, Any] = msgspec.json.decode(convert_object(raw, desired))
        tree["spec"].pop("replicas", None)
        return msgspec.json.encode(tree)

    monkeypatch.setattr(convert, "convert_object", lossy)
    assert convert.check_losses(100, seed=3)["losses"] > 30


def test_a_field_that_a_client_of_the_other_version_would_drop_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_carriers(raw: bytes, desired: str) -> bytes:
        tree: dict[str, Any] = msgspec.json.decode(convert_object(raw, desired))
        tree["metadata"].pop("annotations", None)
        return msgspec.json.encode(tree)

    monkeypatch.setattr(convert, "convert_object", without_carriers)
    found = [case["fault"] for case in convert.check_losses(100, seed=3)["examples"]]
    assert "lost by a client of the other version" in found


def test_the_report_is_json_with_every_figure_of_the_functions(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(convert, "_LISTS", (20,))
    # It would bind every logger of this process to a stream that is closed after this test.
    monkeypatch.setattr(scenario, "quiet_logs", lambda: None)
    file = tmp_path / "result.json"
    given = ["--mutate", "20", "--parts", "losses", "functions", "--json", str(file)]
    assert running.execute(convert.SCENARIO, given) == 0
    written = json.loads(file.read_text())
    assert written["losses"]["losses"] == 0
    assert written["functions"]["one_object"]["up"]["bytes"] >= 10_000
    assert written["functions"]["reviews"][0]["objects"] == 20
    assert "losses 0" in capsys.readouterr().err

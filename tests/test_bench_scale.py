"""Cost against the number of services: the dearest size by the first, of processes and of virtual time apart."""

from io import StringIO
from typing import Any

import pytest

from bench import running
from bench.registry import SCENARIOS
from bench.scale import lived
from bench.scenario import parser_of

SCALE = SCENARIOS["scale"]


def size(services: int, cpu: float, **more: Any) -> dict[str, Any]:
    return {"services": services, "services_lost": 0, "cpu_s_per_service": cpu, **more}


@pytest.mark.parametrize(
    ("sizes", "virtual", "cpu", "calls"),
    [
        ([(0.1, 20), (0.12, 21)], [], 1.2, 1.05),
        ([(0.1, 20), (0.08, 20)], [0.2, 0.3], 1.5, 1),
        ([], [0.2], 1, 1),
    ],
)
def test_growth_is_the_dearest_by_the_first(
    sizes: list[tuple[float, float]], virtual: list[float], cpu: float, calls: float
) -> None:
    result = {
        "sizes": [
            size(10**n, each, calls_per_service=made, conversion_failures=0)
            for n, (each, made) in enumerate(sizes)
        ],
        "virtual": [size(10**n, each) for n, each in enumerate(virtual)],
    }
    values = {each.what: each.value(result) for each in SCALE.expectations}
    assert values["CPU of a service, the dearest size by the first"] == pytest.approx(cpu)
    assert values["calls of a service, the dearest size by the first"] == pytest.approx(calls)
    assert values["services that did not migrate"] == 0


def test_a_small_fleet_in_virtual_time_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SCALE.run is not None
    options = parser_of(SCALE).parse_args(["--sizes", "--virtual", "1"])
    monkeypatch.setattr("bench.scale._alone", lived)
    found = SCALE.run(options)
    assert found.figures["sizes"] == []
    (one,) = found.figures["virtual"]
    assert (one["services"], one["services_lost"], one["failed_reconciles"]) == (1, 0, 0)
    assert one["cpu_s_per_service"] > 0
    (cpu, *_) = found.plots
    assert cpu.values == [1]
    assert running.turns(options) == [""]


def test_the_log_of_a_fleet_in_a_process_of_its_own_is_not_among_the_results(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert SCALE.run is not None
    SCALE.run(parser_of(SCALE).parse_args(["--sizes", "--virtual", "1"]))
    assert capfd.readouterr().out == ""


def test_a_fleet_in_virtual_time_has_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _Terminal()
    monkeypatch.setattr("sys.stderr", seen)
    lived(1, 0)
    assert "migrated" in seen.getvalue()
    assert "1/1" in seen.getvalue()


class _Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_fleet_that_does_not_fit_is_refused_before_it_begins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bench.machine.available_mb", lambda: 6.0)
    assert running.execute(SCALE, ["--sizes", "--virtual", "11"]) == 2
    assert "--virtual 11: " in capsys.readouterr().err

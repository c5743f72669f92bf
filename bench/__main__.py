"""`python -m bench SCENARIO`, `list`, or one of the tools; the result is the exit code."""

import difflib
import sys
import textwrap
from collections.abc import Callable, Mapping
from typing import Final

from aioctl import piped
from bench import all as everything
from bench import compare, running, sweep
from bench.ending import Ended
from bench.registry import SCENARIOS
from bench.scenario import Scenario

_TOOLS: Final[Mapping[str, tuple[Callable[[list[str]], int], str]]] = {
    "all": (everything.main, "every run behind docs/benchmarks.md, and its tables"),
    "sweep": (
        sweep.main,
        "a scenario under every combination of settings, as a table: workers=1,4 pool_stagger=0,0.1",
    ),
    "compare": (compare.main, "two records, A.json B.json: ratios, their spread, and medians"),
}
_WIDTH: Final = 110


def main(argv: list[str]) -> int:
    name, *rest = argv or [""]
    if name == "list":
        print(listing(verbose="--names" not in rest))
        return 0
    try:
        if name in _TOOLS:
            return _TOOLS[name][0](rest)
        if name in SCENARIOS:
            return running.execute(SCENARIOS[name], rest)
    except Ended as ended:
        print(f"{name}: {ended}", file=sys.stderr)
        return ended.code
    print(listing(verbose=False), file=sys.stderr)
    if name:
        near = difflib.get_close_matches(name, [*SCENARIOS, *_TOOLS], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        print(f"\n{name}: there is no such scenario or tool{hint}", file=sys.stderr)
    return 2


def listing(*, verbose: bool) -> str:
    """Every scenario: what happens; and, if verbose, all that it says of itself."""
    blocks = [
        _block(scenario) if verbose else _line(scenario.name, scenario.what)
        for scenario in SCENARIOS.values()
    ]
    tools = [_line(name, text) for name, (_, text) in _TOOLS.items()]
    between = "\n\n" if verbose else "\n"
    return f"{between.join(blocks)}\n\nTools:\n" + "\n".join(tools)


def _line(name: str, text: str) -> str:
    return f"  python -m bench {name:<13} {text}"


def _block(scenario: Scenario) -> str:
    parts = {
        "measures": scenario.measures,
        "judged by": scenario.judged_by,
        "expects": "; ".join(scenario.expected()) or "nothing: it prints",
        "seed": "nothing is drawn" if scenario.seed is None else str(scenario.seed),
        "parameters": ", ".join(
            f"{each.name}={each.default}"
            for each in scenario.parameters
            if each.default not in (None, False, ())
        ),
        "elsewhere": f"not with --kubeconfig: {scenario.not_elsewhere}"
        if scenario.not_elsewhere
        else "--kubeconfig",
    }
    lines = [
        textwrap.fill(f"{name}: {text}", _WIDTH, initial_indent="      ", subsequent_indent="        ")
        for name, text in parts.items()
        if text
    ]
    return "\n".join([_line(scenario.name, scenario.what), *lines])


if __name__ == "__main__":
    piped.command(lambda: main(sys.argv[1:]))

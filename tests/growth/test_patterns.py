"""No pattern of the package backtracks more than linearly, whatever text it is given."""

import re
from functools import partial
from typing import Any

import pytest

from testbed.shipped_files import OURS, crd
from tests.growth import patterns
from tests.growth.measure import Hangs, not_for_ever, seconds
from tests.growth.patterns import Use

SIZES = (22, 512, 16384)
"""The first shows what is exponential and the second what is cubic, each before it hangs; the last what is quadratic."""
CAP = 0.05
"""Seconds for the longest text. Linear matching takes under a millisecond, quadratic over 0.15 s."""
HOPELESS = 5 * CAP
"""Seconds of processor time that are no accident, so that nothing is measured again."""
METHODS: dict[str, tuple[str, ...]] = {
    "aioctl.serving.splitting:_TOKEN": ("findall",),
    "aioctl.serving.splitting:_BRACKET": ("findall",),
    "aioctl.sim.selectors:_REQUIREMENT": ("findall",),
    "aioctl.sim.tables:_PART": ("findall",),
    "aioctl.plan.config:_BROKEN_TEMPLATE": ("search",),
    "aioctl.golang.template.escapes:_NEEDS_GO": ("search",),
    "aioctl.golang.template.functions:_VERB": ("sub",),
    "aioctl.golang.template.nodes:_BETWEEN_BRACES": ("sub",),
}
"""How a pattern is used, where it is not only matched from a given place."""
MADE_WHILE_RUNNING = {"aioctl.cel.functions", "aioctl.sim.schema"}
"""Patterns of CRDs in the embedded cluster: their growth is tested below, on the CRDs that we ship."""
USES = patterns.uses()


def methods(use: Use) -> tuple[str, ...]:
    return METHODS.get(str(use), ("match", "fullmatch") if use.method == "compile" else (use.method,))


def worst(
    pattern: str | bytes, flags: int, names: tuple[str, ...], sizes: tuple[int, ...] = SIZES
) -> tuple[float, str]:
    """The longest time of any text, and which."""
    source = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
    compiled = re.compile(source, flags)
    slowest = (0.0, "")
    calls = [(name, getattr(compiled, name), ("",) if name == "sub" else ()) for name in names]
    for size in sizes:
        with not_for_ever(source):
            for text in patterns.texts(source, size):
                for name, method, before in calls:
                    taken = seconds(partial(method, *before, text), enough=CAP / 10, hopeless=HOPELESS)
                    if taken > slowest[0]:
                        slowest = (taken, f"{name}({text[:30]!r}... {len(text)})")
                    if taken > CAP:
                        return slowest
    return slowest


@pytest.mark.parametrize("use", [use for use in USES if use.pattern is not None], ids=str)
def test_a_pattern_takes_linear_time(use: Use) -> None:
    assert use.pattern is not None
    taken, text = worst(use.pattern, use.flags, methods(use))
    assert taken < CAP, f"{use}: {text} took {taken:.3f} s; make its repeats possessive or scan by hand"


def test_every_pattern_is_known_before_the_program_runs() -> None:
    assert {use.module for use in USES if use.pattern is None} == MADE_WHILE_RUNNING
    assert len(USES) > 15, "the walk through the source finds nothing any more"
    assert set(METHODS) <= {str(use) for use in USES}


def crd_patterns() -> set[str]:
    found: set[str] = set()

    def walk(tree: Any) -> None:
        if isinstance(tree, dict):
            if isinstance(tree.get("pattern"), str):
                found.add(tree["pattern"])
            for value in tree.values():
                walk(value)
        elif isinstance(tree, list):
            for value in tree:
                walk(value)

    for plural in OURS:
        walk(crd(plural))
    return found


def test_patterns_of_the_crds_take_linear_time() -> None:
    """All in one: to know them, two large files are parsed, which is not for every process that collects tests."""
    found = crd_patterns()
    assert found
    slow = {pattern: worst(pattern, 0, ("search",)) for pattern in found}
    assert not {pattern: taken for pattern, taken in slow.items() if taken[0] >= CAP}


@pytest.mark.parametrize(
    "pattern",
    [
        r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)",
        r"(?:[A-Za-z-]+:[^\n]*\n|[ \t]+[^\n]*\n)*x",
        r"(a+)+b",
        r"a*a*b",
        r"x[a-z]*[a-z]*y",
    ],
)
def test_the_test_finds_patterns_that_are_not_linear(pattern: str) -> None:
    try:
        taken, _ = worst(pattern, 0, ("fullmatch",))
    except Hangs:
        return
    assert taken > CAP

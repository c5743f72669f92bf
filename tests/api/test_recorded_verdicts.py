"""KServe's own validator, recorded: every row agrees, in texts and order, but for what we decided otherwise (ADM-3).

A row is compared twice. First our rules, taken as if we had decided nothing, must say what the row says. Then what we do
say is that, less what the old object violated already and plus the names that only we look at; the rows in which this
makes a difference are listed below, each list with its reason.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from aioctl.api import validation
from aioctl.api.kinds import V1ALPHA1
from aioctl.api.problems import Problem
from testbed import shared_data

PLACED = frozenset({"model-uri", "adapter-uri"})
OURS = frozenset({"name", "carrier", *PLACED})
CHANGES = frozenset({"11", "12"})
AFTER_CHANGES = frozenset({"confidential"})
_BETWEEN = re.compile(r", (?=(?:spec|metadata)[.\[])")
_FORMER_RULE_3 = (
    "managed HTTP route spec ('spec.router.route.http.spec') cannot be used with custom gateway refs"
)
"""Refuses parents beside gateways even if they agree: the old revision in both versions, today's in v1alpha1."""


def recorded(row: Mapping[str, Any]) -> list[str]:
    if row["error"] is None:
        return []
    errors = row["error"].partition(" is invalid: ")[2]
    return _BETWEEN.split(errors[1:-1] if errors.startswith("[") else errors)


def undecided(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[Problem]:
    """What our rules find as KServe uses them: nothing is forgiven, and nothing is asked beyond."""
    alone = [problem for problem in validation.validate(new) if problem.rule not in OURS]
    changes = [problem for problem in validation.validate(new, old) if problem.rule in CHANGES] if old else []
    late = [problem for problem in alone if problem.rule in AFTER_CHANGES]
    return [*(problem for problem in alone if problem.rule not in AFTER_CHANGES), *changes, *late]


def rows(root: Path) -> Iterator[tuple[int, dict[str, Any], list[Problem], list[Problem]]]:
    """Number, row, what our rules find, what we say."""
    for number, row in enumerate(shared_data.vectors("validate", root)):
        new, old = row["object"], row.get("old")
        yield number, row, undecided(new, old), validation.validate(new, old)


def former_rule_3(root: Path, row: Mapping[str, Any]) -> bool:
    return root == shared_data.ROOT or row["object"]["apiVersion"] == V1ALPHA1


RATCHETED = {
    shared_data.ROOT: """
        2 8 10 21 27 30 32 37 44 48 49 51 52 53 55 56 57 62 66 67 68 69 72 73 74 78 81 83 84 92
        96 97 100 119 123 125 126 135 141 142 146 151 152 155 158 175 176 179 182 201 203 204
        207 213 218 219 234 236 242 244 246 252 253 258 266 267 270 274 280 286 288 290 295 297
        303 308 311 312 315 321 323 328 342 344 346 350 362 363 366 368 370 372 378 382 386 396
        398
    """,
    shared_data.UPSTREAM: """
        138 224
    """,
}
"""Updates that are not refused for what the old object violated at the same field."""
NAMED = {
    shared_data.ROOT: "",
    shared_data.UPSTREAM: """
        16 43 52 53 287 301 316 320 325 332
    """,
}
"""The model's name holds a quote, which no script can hold."""
PLACES = {
    shared_data.ROOT: "",
    shared_data.UPSTREAM: """
        53 101 148 184 277 301 305 316 320
    """,
}
"""The place of a model or an adapter is none that could be served: KServe says so at the Deployment."""
PARENTS = {
    shared_data.ROOT: """
        21 56 83 102 177 207 219 295 330 347 370
    """,
    shared_data.UPSTREAM: """
        4 65 108 123 140
    """,
}
"""v1alpha1 is judged like v1alpha2: parents beside gateways are refused only where they differ."""


@pytest.mark.parametrize("root", [shared_data.ROOT, shared_data.UPSTREAM], ids=["c6e240af7", "aaac4e294"])
def test_recorded_verdicts_agree_but_for_our_decisions(root: Path) -> None:
    differing: dict[str, set[int]] = {"ratcheted": set(), "named": set(), "placed": set(), "parents": set()}
    for number, row, found, said in rows(root):
        theirs, ours = recorded(row), [str(problem) for problem in found]
        if former_rule_3(root, row):
            without = [text for text in theirs if _FORMER_RULE_3 not in text]
            ours = [str(problem) for problem in found if problem.rule != "3"]
            if len(without) < len(theirs):
                differing["parents"].add(number)
            theirs = without
        assert ours == theirs, number
        old = row.get("old")
        before = {(p.rule, p.field) for p in undecided(old, None)} if old else set()
        kept = [p for p in found if p.rule in CHANGES or (p.rule, p.field) not in before]
        if kept != found:
            differing["ratcheted"].add(number)
        if any(problem.rule in OURS - PLACED for problem in said):
            differing["named"].add(number)
        if any(problem.rule in PLACED for problem in said):
            differing["placed"].add(number)
        assert [problem for problem in said if problem.rule not in OURS] == kept, number
    listed = {"ratcheted": RATCHETED, "named": NAMED, "placed": PLACES, "parents": PARENTS}
    assert differing == {why: {int(row) for row in lists[root].split()} for why, lists in listed.items()}


def test_recorded_warnings_agree_but_for_parents_in_v1alpha1() -> None:
    differing = set()
    for number, row in enumerate(shared_data.vectors("validate", shared_data.UPSTREAM)):
        warnings: Sequence[str] = validation.warnings(row["object"])
        if warnings != row["warnings"]:
            differing.add(number)
            assert row["object"]["apiVersion"] == V1ALPHA1
            assert [warning[:42] for warning in warnings] == ["spec.router.route.http.spec.parentRefs can"]
    assert differing == {int(row) for row in PARENTS[shared_data.UPSTREAM].split()}

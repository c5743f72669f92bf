"""`python -m tests.upstream.fuzz [count] [seed]`: mutates recorded services, and counts what raises where nothing may.

A mutation drops a field, or gives one of the schema a value that its type allows, an edge of it, or one of another type.
Every mutant goes through admission and both conversions; what is admitted, and what an older server may have stored, is
planned twice, the second time on what the first plan wrote. Exceptions are findings: bad input has errors of its own.
"""

import copy
import json
import random
import sys
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from aioctl import piped
from aioctl.api import kinds
from aioctl.api.admission import review_admission
from aioctl.api.conversion import convert_object
from aioctl.api.kinds import ObjectRef
from aioctl.controller.planner import conclude
from aioctl.plan import order
from aioctl.plan.facts import Facts
from aioctl.plan.model import Outcome
from aioctl.plan.policy import Policy
from testbed.plan_world import NOW, World
from testbed.worst_cases import schema
from tests.golden.cases import Object
from tests.upstream import worlds
from tests.upstream.cases import NAMES, UpstreamCase, case, kind_of

POLICY: Final = Policy(auth_disabled=True)
EDGES: Final[Mapping[str, tuple[Any, ...]]] = {
    "string": (
        "",
        " ",
        "a",
        "A_b/c",
        "{{ .Spec.Model.Name }}",
        "{{",
        "é" * 40,
        "x" * 300,
        "-1",
        "%s",
        "a://b",
    ),
    "integer": (0, 1, -1, 2, 2**31 - 1, 2**63),
    "number": (0, 0.5, -1),
    "boolean": (True, False),
    "array": ([], [None], [{}], ["a"]),
    "object": ({}, {"": ""}, {"a": None}),
}
WRONG: Final[tuple[Any, ...]] = (None, "text", 7, True, [], {}, ["a"], {"a": "b"}, 1.5)


@cache
def services() -> tuple[tuple[UpstreamCase, Object], ...]:
    """Every recorded service that is one of v1alpha2, with its case."""
    return tuple(
        (each, obj)
        for each in map(case, NAMES)
        for obj in each.services()
        if (obj["apiVersion"], obj["kind"]) == (kinds.SERVICE.api_version, kinds.SERVICE.kind)
    )


def mutants(count: int, seed: int) -> Iterator[tuple[UpstreamCase, Object]]:
    """Recorded services with one to three fields changed."""
    chance = random.Random(seed)  # noqa: S311  no secret
    spec = schema(kinds.SERVICE.kind, kinds.SERVICE.version)["properties"]["spec"]
    for _ in range(count):
        played, given = chance.choice(services())
        mutant = copy.deepcopy(given)
        for _ in range(chance.randint(1, 3)):
            _mutate(mutant, spec, chance)
        yield played, mutant


def _mutate(mutant: Object, spec: Mapping[str, Any], chance: random.Random) -> None:
    if chance.random() < 0.3:
        tree = mutant["spec"]
        while isinstance(tree, (dict, list)) and tree:
            at: Any = chance.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
            if not tree[at] or not isinstance(tree[at], (dict, list)) or chance.random() < 0.3:
                del tree[at]
                return
            tree = tree[at]
        return
    tree, node = mutant["spec"], spec

    while True:
        if isinstance(tree, list):
            if not tree:
                tree.append({})
            key: Any = chance.randrange(len(tree))
            child = node.get("items") or {}
        else:
            known = list(node.get("properties") or ()) or ["a"]
            # What is there already is more likely to matter.
            there = [name for name in tree if name in known]
            key = chance.choice(there if there and chance.random() < 0.6 else known)
            child = (node.get("properties") or {}).get(key) or node.get("additionalProperties") or {}
        child = child if isinstance(child, Mapping) else {}
        deeper = child.get("type") in ("object", "array") and chance.random() < 0.75
        if not deeper:
            tree[key] = copy.deepcopy(_value(child, chance))
            return
        inner: Any = {} if child["type"] == "object" else []
        found = tree[key] if isinstance(tree, list) else tree.get(key)
        tree[key] = found if isinstance(found, type(inner)) else inner
        tree, node = tree[key], child


def _value(node: Mapping[str, Any], chance: random.Random) -> Any:
    if chance.random() < 0.15:
        return chance.choice(WRONG)
    if "enum" in node and chance.random() < 0.5:
        return chance.choice(node["enum"])
    return chance.choice(EDGES.get(node.get("type", ""), WRONG))


def admitted(mutant: Object) -> bool:
    """Through both validating webhooks' door, and both conversions. Raises what they should not."""
    old = convert_object(json.dumps(mutant).encode(), kinds.V1ALPHA1)
    convert_object(old, kinds.V1ALPHA2)
    request = {
        "uid": "u",
        "operation": "CREATE",
        "namespace": mutant["metadata"]["namespace"],
        "name": mutant["metadata"]["name"],
        "object": mutant,
    }
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
    answer = review_admission(
        json.dumps(review).encode(),
        "application/json",
        version=kinds.SERVICE.version,
        kind=kinds.SERVICE.kind,
    )
    body = getattr(answer, "body", answer)
    return bool(json.loads(body)["response"]["allowed"])


def plan_twice(played: UpstreamCase, mutant: Object) -> None:
    """Two plans, each concluded; the second on what the first wrote."""
    world = World()
    namespace = played.namespace
    stored = {
        **mutant,
        "metadata": {"uid": "u", "generation": 1, "resourceVersion": "1", **mutant["metadata"]},
    }
    for obj in (*worlds.furniture(played.world), *played.before(), stored):
        kind = kind_of(obj)
        where = obj["metadata"].get("namespace", "") if kind.namespaced else ""
        world.objects[ObjectRef(kind, where, obj["metadata"]["name"])] = obj
    key = ObjectRef(kinds.SERVICE, namespace, stored["metadata"]["name"])
    for _ in range(2):
        facts = Facts(world.objects, certificates=world.certificates)
        plan = order.plan(facts, world.objects[key], POLICY, NOW)
        outcome = Outcome()
        for step in plan.steps:
            for write in step.writes:
                if write.verb.name != "DELETE" and write.ref != key:
                    world.apply([write])
            if step.error:
                outcome = Outcome(failed=step)
                break
        concluded = conclude(plan, outcome, facts, POLICY, NOW)
        if concluded.status is not None:
            world.objects[key] = {**world.objects[key], "status": concluded.status}


@dataclass
class Findings:
    """What raised, how often, and the first mutant that it raised for; and how many were admitted."""

    admitted: int = 0
    times: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)


def look(count: int, seed: int) -> Findings:
    """All mutants of a seed, each through everything."""
    found = Findings()
    for played, mutant in mutants(count, seed):
        try:
            found.admitted += admitted(mutant)
            plan_twice(played, mutant)
        except Exception as error:  # noqa: BLE001  that is what is looked for
            at = traceback.extract_tb(error.__traceback__)[-1]
            title = (
                f"{type(error).__name__}: {str(error)[:120]} at {at.filename.rpartition('/')[2]}:{at.lineno}"
            )
            found.times[title] += 1
            found.first.setdefault(title, f"{played.name}: {json.dumps(mutant['spec'])}")
    return found


def main(count: int = 2000, seed: int = 0) -> int:
    found = look(count, seed)
    print(f"{count} mutants, {found.admitted} admitted, {found.times.total()} findings")  # noqa: T201
    for title, times in found.times.most_common():
        print(f"{times:6} {title}\n       {found.first[title][:1500]}")  # noqa: T201
    return 1 if found.times else 0


if __name__ == "__main__":
    piped.command(lambda: main(*map(int, sys.argv[1:3])))

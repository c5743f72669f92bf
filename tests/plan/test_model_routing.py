"""Routing by model: when it is on, and what it does to the rules of the managed route (MODEL-1, MODEL-2)."""

import copy
import json
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.plan.facts import Facts
from aioctl.plan.global_config import RoutingConfig
from aioctl.plan.migration import Decision, Reason, State
from aioctl.plan.model import Context, PlanError
from aioctl.plan.model_routing import (
    adapter_names,
    is_on,
    managed_spec,
    with_adapters,
    without_model_matches,
)
from aioctl.plan.observation import Unanswered
from aioctl.plan.route import expected_route
from testbed.shared_data import UPSTREAM, vectors
from tests.plan.router_world import GATEWAY, ROUTE, RouterWorld, gateway
from tests.plan.test_route_preset import default_route

HEADER = "X-Model"
ASKED = {names.MODEL_ROUTING: "true"}
PARENT = [{"name": GATEWAY[1], "namespace": GATEWAY[0]}]


def context(
    *,
    annotations: Any = ASKED,
    mode: str = "enabled",
    adapters: Any = (),
    rules: Any = None,
    opted_out: str | None = None,
    named: bool = True,
    unknown: bool = False,
) -> Context:
    """Service ns/svc with today's default route; `opted_out`: what its gateway says of routing by model;
    `named`: in `gateway.refs`, and not by the route alone."""
    world = RouterWorld()
    ctx = world.ctx
    door = gateway(*GATEWAY, "203.0.113.1")
    if opted_out is not None:
        door["metadata"]["annotations"] = {names.MODEL_ROUTING: opted_out}
    ref = ObjectRef(kinds.GATEWAY, *GATEWAY)
    spec = {
        **ctx.spec,
        "annotations": annotations,
        "model": {"name": "m", "lora": {"adapters": [{"name": name} for name in adapters]}},
        "router": {
            "scheduler": {},
            "gateway": {"refs": PARENT} if named else {},
            "route": {
                "http": {
                    "spec": {
                        "parentRefs": PARENT,
                        "rules": default_route()["rules"] if rules is None else rules,
                    }
                }
            },
        },
    }
    config = replace(ctx.config, routing=replace(ctx.config.routing, model_header=HEADER, model_routing=mode))
    facts = Facts(objects={**world.objects, ref: door}, unknown={ref: "not synced"} if unknown else {})
    return replace(ctx, obs=facts, spec=spec, config=config)


def by_name(spec: Any) -> dict[str, list[Any]]:
    return {rule["name"]: rule["matches"] for rule in spec["rules"]}


def test_recorded_rules_are_expanded_and_stripped_as_by_kserve() -> None:
    rows = vectors("loramatches", UPSTREAM)
    assert len(rows) > 100
    for row in rows:
        rules = row["route"]["spec"].get("rules", [])
        adapters = adapter_names(row["service"]["spec"])
        # Go leaves out empty lists when it writes.
        expected = [_written(row[key]) for key in ("expanded", "stripped")]
        assert [
            _written(with_adapters(rules, row["header"], row["namespace"], adapters)),
            _written(without_model_matches(rules, row["header"])),
        ] == expected, json.dumps(row)


def _written(rules: Any) -> list[Any]:
    return [{key: value for key, value in rule.items() if value != []} for rule in rules or ()]


@pytest.mark.parametrize(
    ("given", "on"),
    [
        ({}, True),
        ({"annotations": {}}, False),
        ({"annotations": {names.MODEL_ROUTING: "false"}}, False),
        ({"annotations": {names.MODEL_ROUTING: "True"}}, False),
        ({"mode": "disabled"}, False),
        ({"mode": "forced"}, True),
        ({"mode": "forced", "annotations": {}}, False),
        ({"opted_out": "false"}, False),
        ({"opted_out": "true"}, True),
        ({"opted_out": "False"}, True),
        ({"opted_out": ""}, True),
        ({"opted_out": "false", "named": False}, True),
        ({"opted_out": "false", "mode": "forced"}, True),
    ],
)
def test_it_is_on_when_asked_for_and_nobody_is_against_it(given: dict[str, Any], *, on: bool) -> None:
    ctx = context(**given)
    assert is_on(ctx) is on
    rules = by_name(managed_spec(ctx))
    assert ("v1-model-routing" in rules, "v1-catch-all-model-routing" in rules) == (on, on)
    assert len(rules) == (12 if on else 10)


def test_a_gateway_that_is_not_there_has_nothing_against_it_and_one_that_cannot_be_read_is_waited_for() -> (
    None
):
    nobody = {"router": {"gateway": {"refs": [{"name": "nobody"}]}}}
    assert is_on(replace(context(), spec={**context().spec, **nobody}))
    with pytest.raises(Unanswered, match="not synced"):
        managed_spec(context(unknown=True))


def test_matches_for_adapters_stand_behind_the_given_ones_grouped_by_them() -> None:
    rules = by_name(managed_spec(context(adapters=["b", "a"])))
    models = [match["headers"][0]["value"].rsplit("/", 1)[1] for match in rules["v1-model-routing"]]
    paths = [match["path"]["value"] for match in rules["v1-model-routing"]]
    assert models == ["m"] * 8 + ["a", "b"] * 8
    assert paths[8:] == [path for path in paths[:8] for _ in range(2)]
    assert len(rules["v1-catch-all-model-routing"]) == 3
    assert len(rules["v1-publisher-path-catch-all"]) == 1


@pytest.mark.parametrize(("count", "sizes"), [(0, [8]), (2, [24]), (7, [64]), (8, [64, 8]), (12, [64, 40])])
def test_from_the_eighth_adapter_on_the_matches_go_on_in_a_second_rule(count: int, sizes: list[int]) -> None:
    adapters = [f"a{number:02}" for number in range(count)]
    rules = by_name(managed_spec(context(adapters=adapters)))
    parts = [rules[name] for name in rules if name.startswith("v1-model-routing")]
    assert [len(part) for part in parts] == sizes
    assert list(rules)[4 : 4 + len(sizes)] == ["v1-model-routing", "v1-model-routing-2"][: len(sizes)]
    asked = [(match["path"]["value"], match["headers"][0]["value"]) for part in parts for match in part]
    assert len(asked) == len(set(asked)) == 8 * (count + 1)
    assert sum(len(matches) for matches in rules.values()) == 19 + 9 * count


def test_the_second_rule_has_the_same_backends_and_its_name_is_free() -> None:
    rules = copy.deepcopy(default_route()["rules"])
    rules[0]["name"] = "v1-model-routing-2"
    made = managed_spec(context(adapters=[f"a{n}" for n in range(8)], rules=rules))["rules"]
    first, second = (rule for rule in made if rule["name"] in ("v1-model-routing", "v1-model-routing-3"))
    assert {**first, "name": "", "matches": []} == {**second, "name": "", "matches": []}


@pytest.mark.parametrize(
    ("rules", "adapters", "message"),
    [
        (None, 13, "13 LoRA adapters need 136 matches, an HTTPRoute holds 128"),
        (
            [{"matches": [{"headers": [{"name": HEADER, "value": "m"}]}] * 8}, *[{"backendRefs": []}] * 15],
            8,
            "8 LoRA adapters need 17 rules, an HTTPRoute holds 16",
        ),
    ],
)
def test_more_than_a_route_holds_is_said(rules: Any, adapters: int, message: str) -> None:
    with pytest.raises(PlanError) as caught:
        managed_spec(context(adapters=[f"a{number}" for number in range(adapters)], rules=rules))
    assert str(caught.value) == message


def test_too_many_adapters_leave_the_live_route_as_it_is() -> None:
    world = RouterWorld()
    world.migrated()
    live = copy.deepcopy(world.objects[ROUTE])
    rules = default_route()["rules"]
    world.edit_router({**(world.router or {}), "route": {"http": {"spec": {"rules": rules}}}})
    world.more = {
        "annotations": ASKED,
        "model": {"name": "m", "lora": {"adapters": [{"name": f"a{n}"} for n in range(13)]}},
    }
    world.routing = RoutingConfig(model_header=HEADER)
    world.reconcile()
    assert world.objects[ROUTE] == live
    found = world.condition("HTTPRoutesReady")
    assert (found["status"], found["reason"]) == ("False", "HTTPRouteReconcileError")
    assert found["message"].endswith("13 LoRA adapters need 136 matches, an HTTPRoute holds 128")


def test_a_users_rule_without_matches_stays_when_it_is_off() -> None:
    everything = {"backendRefs": [{"kind": "Service", "name": "s", "port": 80}]}
    matched = {**everything, "matches": [{"headers": [{"name": HEADER, "value": "v"}]}]}
    assert without_model_matches([everything, matched], HEADER) == [everything]


def test_other_spellings_of_the_header_are_other_headers() -> None:
    rule = {"matches": [{"headers": [{"name": HEADER.lower(), "value": "v"}]}]}
    assert without_model_matches([rule], HEADER) == [rule]
    assert with_adapters([rule], HEADER, "ns", ["a"]) == [rule]


def test_rules_that_come_with_routing_by_model_keep_the_weights_that_the_others_have() -> None:
    """While nothing can be decided the route goes on as it is; rules are known by their names, not by their place."""
    start = Decision(State.INITIAL, locked=False, reason=Reason.NOT_KNOWN)
    off = expected_route(context(mode="disabled"), start)
    live = copy.deepcopy(off)
    for rule in live["spec"]["rules"]:
        for ref in rule["backendRefs"]:
            if ref["group"]:
                ref["weight"] = 30
    on = expected_route(context(), replace(start, keep=True), live)
    kept = {rule["name"]: [ref["weight"] for ref in rule["backendRefs"]] for rule in on["spec"]["rules"]}
    assert {name for name, weights in kept.items() if weights == [30, 30]} == {
        name for name in kept if "catch-all" not in name
    }


def test_a_route_of_which_no_rule_is_left_is_an_error_that_names_the_cure() -> None:
    rules = [{"matches": [{"headers": [{"name": HEADER, "value": "m"}]}], "backendRefs": []}]
    assert managed_spec(context(rules=rules))["rules"] == rules
    with pytest.raises(PlanError, match=f"no rule without header {HEADER}; give it one"):
        managed_spec(context(rules=rules, annotations={}))

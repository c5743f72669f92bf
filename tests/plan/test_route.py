"""The content of the managed route and its comparison with what an API server stores (ROUTE-2, MIG-5).

Rules: MIG-6, ROUTE-3, ROUTE-4, ROUTE-9.
"""

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api import kinds
from aioctl.golang.equality import equal
from aioctl.plan.migration import Decision, Reason, State
from aioctl.plan.migration_facts import migration_of
from aioctl.plan.model import PlanError
from aioctl.plan.policy import Strategy
from aioctl.plan.route import rewrite_default_refs, route
from aioctl.plan.route_defaults import defaulted
from aioctl.plan.routing import route_spec
from aioctl.plan.weights import weights
from testbed.default_route import default_route_spec
from testbed.shared_data import documents
from tests.plan.router_world import EXTERNAL, MANAGED, NS, SVC, RouterWorld

LOCKED = Decision(State.MIGRATED, locked=True, reason=Reason.LOCKED)
FREE = Decision(State.INITIAL, locked=False, reason=Reason.V1_POOL_NOT_READY)
V1, ALPHA = kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2
POOLS = frozenset({"p"})


def ref(group: str, weight: int | None = None, name: str = "p") -> dict[str, Any]:
    made: dict[str, Any] = {"group": group, "kind": "InferencePool", "name": name}
    return made if weight is None else {**made, "weight": weight}


SERVICE = {"kind": "Service", "name": "p", "weight": 3}


@pytest.mark.parametrize(
    ("given_refs", "before", "after"),
    [
        ([ref(V1, 0), ref(ALPHA, 100)], [ref(V1, 0), ref(ALPHA, 100)], [ref(V1, 100), ref(ALPHA, 0)]),
        ([ref(ALPHA, 90), ref(V1, 10)], [ref(ALPHA, 90), ref(V1, 10)], [ref(ALPHA, 0), ref(V1, 100)]),
        ([ref(ALPHA)], [ref(V1, 0), ref(ALPHA, 1)], [ref(V1, 1), ref(ALPHA, 0)]),
        (
            [SERVICE, ref(ALPHA, 5), SERVICE],
            [SERVICE, ref(V1, 0), ref(ALPHA, 5), SERVICE],
            [SERVICE, ref(V1, 5), ref(ALPHA, 0), SERVICE],
        ),
        ([ref(V1, 5)], [ref(V1, 0), ref(ALPHA, 5)], [ref(V1, 5), ref(ALPHA, 0)]),
        (
            [ref(V1, 3), SERVICE, ref(V1, 1)],
            [ref(V1, 0), ref(ALPHA, 3), SERVICE, ref(V1, 0), ref(ALPHA, 1)],
            [ref(V1, 3), ref(ALPHA, 0), SERVICE, ref(V1, 1), ref(ALPHA, 0)],
        ),
        (
            [ref(V1, 80, "a"), ref(V1, 20, "b")],
            [ref(V1, 80, "a"), ref(V1, 20, "b")],
            [ref(V1, 80, "a"), ref(V1, 20, "b")],
        ),
        ([ref(ALPHA, 1, "a")], [ref(ALPHA, 1, "a")], [ref(ALPHA, 1, "a")]),
        ([SERVICE], [SERVICE], [SERVICE]),
        ([], [], []),
    ],
)
def test_weights_before_and_after_the_migration(
    given_refs: list[Any], before: list[Any], after: list[Any]
) -> None:
    rules = [{"backendRefs": given_refs}]
    assert weights(rules, FREE, POOLS) == [{"backendRefs": before}]
    assert weights(rules, LOCKED, POOLS) == [{"backendRefs": after}]


@pytest.mark.parametrize(
    ("given_refs", "before", "after"),
    [
        ([ref(ALPHA, 5), SERVICE], [ref(ALPHA, 5), SERVICE], [ref(V1, 5), SERVICE]),
        ([ref(V1, 5)], [ref(V1, 5)], [ref(V1, 5)]),
        ([ref(V1, 0), ref(ALPHA, 100)], [ref(V1, 0), ref(ALPHA, 100)], [ref(V1, 100), ref(ALPHA, 0)]),
    ],
)
def test_a_single_reference_to_a_users_pool_stays_single(
    given_refs: list[Any], before: list[Any], after: list[Any]
) -> None:
    rules = [{"backendRefs": given_refs}]
    assert weights(rules, FREE, POOLS, own=False) == [{"backendRefs": before}]
    assert weights(rules, LOCKED, POOLS, own=False) == [{"backendRefs": after}]


@pytest.mark.parametrize("group", [V1, ALPHA])
def test_a_single_reference_names_the_one_generation_that_may_stand(group: str) -> None:
    rules = [{"backendRefs": [ref(group, 7), SERVICE]}]

    def made(**decided: Any) -> Any:
        (rule,) = weights(rules, Decision(State.INITIAL, reason=Reason.V1_POOL_NOT_READY, **decided), POOLS)
        return rule["backendRefs"]

    assert made(locked=False, strategy=Strategy.SWAP) == [ref(ALPHA, 7), SERVICE]
    assert made(locked=True, strategy=Strategy.SWAP) == [ref(V1, 7), SERVICE]
    assert made(locked=True, only=V1) == [ref(V1, 7), SERVICE]
    assert made(locked=False, only=ALPHA) == [ref(ALPHA, 7), SERVICE]


def test_swap_keeps_one_reference_to_the_active_generation() -> None:
    rules = [{"backendRefs": [ref(V1, 0), ref(ALPHA, 100), SERVICE]}]
    free = Decision(State.INITIAL, locked=False, reason=Reason.V1_POOL_NOT_READY, strategy=Strategy.SWAP)
    locked = Decision(State.MIGRATED, locked=True, reason=Reason.LOCKED, strategy=Strategy.SWAP)
    assert weights(rules, free, POOLS) == [{"backendRefs": [ref(ALPHA, 100), SERVICE]}]
    assert weights(rules, locked, POOLS) == [{"backendRefs": [ref(V1, 100), SERVICE]}]


def test_rules_without_backends_or_of_a_wrong_type_pass_through() -> None:
    rules: list[Any] = [{"matches": []}, "odd"]
    assert weights(rules, LOCKED, POOLS) == rules


def test_gateway_refs_become_the_parents_as_they_are() -> None:
    world = RouterWorld(router=copy.deepcopy(MANAGED))
    refs = [{"name": "a", "sectionName": "web"}, {"name": "b", "namespace": "elsewhere"}]
    world.edit_router({**MANAGED, "gateway": {"refs": refs}})
    given = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
    assert route_spec(world.ctx)["parentRefs"] == [{**given, **ref} for ref in refs]


def test_default_references_follow_scheduler_and_external_pool() -> None:
    spec = default_route_spec(SVC, NS, "gw", "kserve")
    workload = rewrite_default_refs(spec, SVC, {"router": {"route": {}}})
    assert [
        [
            (each.get("group"), each["kind"], each["name"], each["port"], each["weight"])
            for each in rule["backendRefs"]
        ]
        for rule in workload["rules"]
    ] == [
        *[[("", "Service", "svc-kserve-workload-svc", 8000, w) for w in (0, 100)]] * 2,
        [(None, "Service", "svc-kserve-workload-svc", 8000, 100)],
    ]
    external = rewrite_default_refs(spec, SVC, {"router": EXTERNAL})
    assert [each["name"] for each in external["rules"][0]["backendRefs"]] == ["my-pool", "my-pool"]
    assert [each["group"] for each in external["rules"][0]["backendRefs"]] == [V1, ALPHA]
    assert rewrite_default_refs(spec, SVC, {"router": MANAGED}) == spec


NOBODYS: tuple[dict[str, Any], ...] = ({}, {"group": ""}, {"group": None}, {"group": "example.com"})
"""Groups in which there are no InferencePools, or none that we make; left out means the core group."""


@pytest.mark.parametrize("group", [*NOBODYS, {"group": V1}, {"group": ALPHA}])
def test_a_reference_to_the_default_pool_is_one_whatever_its_group(group: dict[str, Any]) -> None:
    """As in KServe, which sets the group of every reference of that kind and name (ROUTE-3)."""
    given = {"rules": [{"backendRefs": [{**group, "kind": "InferencePool", "name": "svc-inference-pool"}]}]}

    def rewritten(router: dict[str, Any]) -> dict[str, Any]:
        (only,) = rewrite_default_refs(given, SVC, {"router": router})["rules"][0]["backendRefs"]
        return dict(only)

    named = ALPHA if group.get("group") == ALPHA else V1
    assert rewritten(MANAGED) == ref(named, name="svc-inference-pool")
    assert rewritten(EXTERNAL) == ref(named, name="my-pool")
    assert rewritten({}) == {"group": "", "kind": "Service", "name": "svc-kserve-workload-svc"}


@pytest.mark.parametrize("group", [*NOBODYS, {"group": V1}, {"group": ALPHA}])
def test_a_reference_to_the_users_pool_is_one_whatever_its_group(group: dict[str, Any]) -> None:
    theirs = {**group, "kind": "InferencePool", "name": "my-pool"}
    spec = {"rules": [{"backendRefs": [theirs]}]}
    named = ALPHA if group.get("group") == ALPHA else V1
    assert rewrite_default_refs(spec, SVC, {"router": EXTERNAL})["rules"][0]["backendRefs"] == [
        ref(named, name="my-pool")
    ]
    for router in (MANAGED, {}):
        assert rewrite_default_refs(spec, SVC, {"router": router}) == spec


@pytest.mark.parametrize("group", NOBODYS)
def test_a_reference_without_a_group_of_pools_moves_as_any_other(group: dict[str, Any]) -> None:
    rule = {"backendRefs": [{**group, "kind": "InferencePool", "name": "svc-inference-pool", "port": 8000}]}
    world = RouterWorld({**MANAGED, "route": {"http": {"spec": {"rules": [rule]}}}})
    world.reconcile()
    world.reconcile()
    assert [each["group"] for each in world.refs()] == [V1, ALPHA]
    assert [each["weight"] for each in world.refs()] == [0, 1]


def test_rewriting_leaves_other_references_and_specs_without_rules_alone() -> None:
    spec = {"rules": [{"backendRefs": [ref(V1, 1, "other")]}, {"matches": []}]}
    assert rewrite_default_refs(spec, SVC, {"router": {"route": {}}}) == spec
    assert rewrite_default_refs({"hostnames": ["a"]}, SVC, {}) == {"hostnames": ["a"]}


def test_an_empty_pool_reference_counts_as_none() -> None:
    spec = default_route_spec(SVC, NS, "gw", "kserve")
    router = {"scheduler": {"pool": {"ref": {"name": ""}}}}
    assert rewrite_default_refs(spec, SVC, {"router": router}) == spec


def test_the_default_route_is_what_the_go_controller_makes() -> None:
    for case in ("router-all", "route-only", "upd-drop-scheduler", "external-pool"):
        (recorded,) = documents(f"golden/{case}.yaml")[case]
        key = "gateway.networking.k8s.io/v1/httproutes/svc-kserve-route"
        live = recorded["objects"][key]["spec"]
        routers = {
            "router-all": MANAGED,
            "external-pool": {"scheduler": {"pool": {"ref": {"name": "ext"}}}},
        }
        router = routers.get(case, {"route": {}})
        made = default_route_spec(SVC, f"c-{case}", "kserve-ingress-gateway", "kserve")
        made = rewrite_default_refs(made, SVC, {"router": router})
        made["rules"] = weights(
            made["rules"], LOCKED if "scheduler" in router else FREE, frozenset({"svc-inference-pool", "ext"})
        )
        assert defaulted(made) == live


def _fill(schema: Mapping[str, Any], value: Any) -> Any:
    """Structural defaulting as an API server does it: absent properties with a default, then downwards."""
    if isinstance(value, dict):
        for name, sub in schema.get("properties", {}).items():
            if name not in value and "default" in sub:
                value[name] = copy.deepcopy(sub["default"])
            if name in value:
                value[name] = _fill(sub, value[name])
    elif isinstance(value, list):
        return [_fill(schema.get("items", {}), item) for item in value]
    return value


_CRDS = ("crds/gateway-api-v1.2.1/gatewayapi_httproute.yaml", "crds/gateway-api-v1.4.0/*httproutes.yaml")
_BACKEND = st.fixed_dictionaries(
    {"name": st.just("b")},
    optional={
        "group": st.just("g"),
        "weight": st.integers(0, 5),
        "filters": st.just(
            [
                {
                    "type": "RequestMirror",
                    "requestMirror": {"backendRef": {"name": "m"}, "fraction": {"numerator": 1}},
                }
            ]
        ),
    },
)
_MATCH = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from([{}, {"value": "/x"}, {"type": "Exact"}]),
        "headers": st.just([{"name": "h", "value": "v"}]),
        "queryParams": st.just([{"name": "q", "value": "v"}]),
        "method": st.just("GET"),
    },
)
_RULE = st.fixed_dictionaries(
    {},
    optional={
        "matches": st.lists(_MATCH, max_size=2),
        "backendRefs": st.lists(_BACKEND, max_size=2),
        "filters": st.just(
            [
                {"type": "RequestRedirect", "requestRedirect": {}},
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "m"}}},
            ]
        ),
        "timeouts": st.just({"request": "1s"}),
    },
)
_SPEC = st.fixed_dictionaries(
    {},
    optional={
        "parentRefs": st.just([{"name": "gw"}]),
        "hostnames": st.just(["a.example.org"]),
        "rules": st.lists(_RULE, max_size=2),
    },
)


@pytest.mark.parametrize("pattern", _CRDS)
def test_our_defaults_are_those_of_the_crds(pattern: str) -> None:
    (crd,) = next(iter(documents(pattern).values()))
    version = next(each for each in crd["spec"]["versions"] if each["name"] == "v1")
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]

    @given(_SPEC)
    def check(spec: dict[str, Any]) -> None:
        stored = _fill(schema, copy.deepcopy(spec))
        assert equal(defaulted(spec), defaulted(stored))
        # Fraction defaults came with Gateway API 1.3; everything else is exactly what is stored.
        if "1.4" in pattern:
            assert defaulted(spec) == stored

    check()


def test_without_gateway_api_the_cure_is_named() -> None:
    world = RouterWorld()
    world.unserved |= {kinds.HTTP_ROUTE}
    world.reconcile()
    assert "install the Gateway API CRDs" in world.condition("HTTPRoutesReady")["message"]


def test_a_managed_route_without_any_spec_is_named() -> None:
    world = RouterWorld()
    ctx = world.ctx
    ctx.spec["router"]["route"]["http"].pop("spec")
    with pytest.raises(PlanError, match=r"spec\.router\.route\.http\.spec is empty"):
        list(route(ctx, lambda: migration_of(ctx)))

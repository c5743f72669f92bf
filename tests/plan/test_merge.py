"""The merge: recorded Go results, the worked examples of MERGE-3, and its laws.

Rules: MERGE-1, MERGE-4.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.api.objects import FieldError
from aioctl.golang.roundtrip import round_trip
from aioctl.plan.merge import MergeError, merge
from testbed.shared_data import UPSTREAM, vectors

# Rows of merge.jsonl whose recorded result differs by the Decision at the end of MERGE-3: the override has
# a scheduler template without containers, and Go loses the base's containers there.
SCHEDULER_CONTAINERS_KEPT = frozenset({46, 94, 95, 97, 130, 138, 143, 163, 221, 311, 401, 429, 438, 461, 496})


def _without_scheduler_containers(spec: dict[str, Any]) -> dict[str, Any]:
    template = spec["router"]["scheduler"]["template"]
    scheduler = {**spec["router"]["scheduler"], "template": {**template, "containers": None}}
    return {**spec, "router": {**spec["router"], "scheduler": scheduler}}


def _merged_or_error(row: dict[str, Any]) -> Any:
    try:
        return merge(row["base"], row["override"])
    except MergeError as error:
        return str(error)


def test_recorded_merges_are_equal_but_for_the_reviewed_decision() -> None:
    differing = set()
    for number, row in enumerate(vectors("merge")):
        result: Any = _merged_or_error(row)
        if "error" in row:
            assert result == row["error"]
        elif result != row["result"]:
            differing.add(number)
            assert _without_scheduler_containers(result) == row["result"]
    assert differing == SCHEDULER_CONTAINERS_KEPT


def test_every_merge_recorded_from_todays_kserve_is_equal() -> None:
    rows = vectors("merge", UPSTREAM)
    assert len(rows) == 340
    assert [number for number, row in enumerate(rows) if _merged_or_error(row) != row["result"]] == []


def test_an_inline_scheduler_configuration_replaces_the_one_below_whole() -> None:
    def configured(*plugins: str) -> dict[str, Any]:
        inline = {"plugins": [{"type": name} for name in plugins]}
        return {"router": {"scheduler": {"config": {"inline": inline}}}}

    base = configured("a", "b")
    base["router"]["scheduler"]["config"]["inline"]["apiVersion"] = "x/v1"
    merged = merge(base, configured("c"))
    assert merged["router"]["scheduler"]["config"] == {"inline": {"plugins": [{"type": "c"}]}}


def pod(**fields: Any) -> dict[str, Any]:
    return {"template": fields}


def main(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "main", **fields}])


def named(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "image": name} for name in names]


def names_of(spec: dict[str, Any], field: str = "containers") -> list[str]:
    return [item["name"] for item in spec["template"][field]]


@pytest.mark.parametrize(
    ("base", "override", "order"),
    [
        (["a", "b", "c"], ["n1", "c", "n2", "a"], ["n1", "b", "c", "n2", "a"]),
        (["busybox"], ["busybox-2"], ["busybox-2", "busybox"]),
        (["a", "b", "c"], ["c", "a"], ["b", "c", "a"]),
        (["a", "b"], [], ["a", "b"]),
        (["a"], ["b", "a", "b"], ["b", "a"]),
    ],
)
def test_order_of_a_list_merged_by_key(base: list[str], override: list[str], order: list[str]) -> None:
    assert names_of(merge(pod(containers=named(*base)), pod(containers=named(*override)))) == order


def test_over_an_absent_list_repeated_keys_stay() -> None:
    assert names_of(merge({"template": {}}, pod(initContainers=named("b", "a", "b"))), "initContainers") == [
        "b",
        "a",
        "b",
    ]


def test_new_env_comes_first_and_an_empty_value_changes_nothing() -> None:
    base = main(env=[{"name": "a", "value": "1"}, {"name": "z", "value": "42"}])
    override = main(env=[{"name": "b", "value": "2"}, {"name": "z", "value": ""}])
    env = merge(base, override)["template"]["containers"][0]["env"]
    assert env == [{"name": "b", "value": "2"}, {"name": "a", "value": "1"}, {"name": "z", "value": "42"}]


def test_a_volume_keeps_both_sources() -> None:
    base = pod(volumes=[{"name": "model-cache", "emptyDir": {}}])
    override = pod(volumes=[{"name": "model-cache", "persistentVolumeClaim": {"claimName": "c"}}])
    volume = merge(base, override)["template"]["volumes"][0]
    assert volume == {"name": "model-cache", "emptyDir": {}, "persistentVolumeClaim": {"claimName": "c"}}


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe", "startupProbe"])
def test_a_probe_keeps_both_handlers(probe: str) -> None:
    base = main(**{probe: {"httpGet": {"port": 8000}, "initialDelaySeconds": 120}})
    override = main(**{probe: {"exec": {"command": ["true"]}, "initialDelaySeconds": 0}})
    merged = merge(base, override)["template"]["containers"][0][probe]
    assert merged == {
        "httpGet": {"port": 8000},
        "exec": {"command": ["true"]},
        "initialDelaySeconds": 120,
    }


@pytest.mark.parametrize(
    "path",
    [
        ("template",),
        ("worker",),
        ("prefill", "template"),
        ("prefill", "worker"),
        ("router", "scheduler", "template"),
        ("router", "scheduler", "tokenizer", "template"),
    ],
)
def test_a_pod_spec_without_containers_keeps_the_containers_of_the_base(path: tuple[str, ...]) -> None:
    base: dict[str, Any] = {"containers": [{"name": "main"}]}
    override: dict[str, Any] = {"serviceAccountName": "sa"}
    for part in reversed(path):
        base, override = {part: base}, {part: override}
    merged: Any = merge(base, override)
    for part in path:
        merged = merged[part]
    assert [item["name"] for item in merged["containers"]] == ["main"]
    assert merged["serviceAccountName"] == "sa"


def test_ports_join_by_number_alone() -> None:
    base = main(ports=[{"containerPort": 8000, "protocol": "TCP"}])
    override = main(ports=[{"containerPort": 8000, "name": "http"}, {"containerPort": 9}])
    ports = merge(base, override)["template"]["containers"][0]["ports"]
    assert ports == [{"name": "http", "containerPort": 8000, "protocol": "TCP"}, {"containerPort": 9}]


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        (
            {"resources": {"limits": {"cpu": 1, "memory": "2"}}},
            {"resources": {"limits": {"cpu": "4000m"}}},
            {"resources": {"limits": {"cpu": "4", "memory": "2"}}},
        ),
        (
            {"securityContext": {"capabilities": {"add": ["A"], "drop": ["ALL"]}}},
            {"securityContext": {"capabilities": {"add": ["B"]}}},
            {"resources": {}, "securityContext": {"capabilities": {"add": ["B"], "drop": ["ALL"]}}},
        ),
        (
            {"securityContext": {"readOnlyRootFilesystem": True}},
            {"securityContext": {"readOnlyRootFilesystem": False}},
            {"resources": {}, "securityContext": {"readOnlyRootFilesystem": False}},
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}]},
            {"volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": False}]},
            {"resources": {}, "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}]},
        ),
        ({"args": ["a"]}, {"args": []}, {"resources": {}, "args": ["a"]}),
        ({"args": ["a"]}, {"args": ["b"]}, {"resources": {}, "args": ["b"]}),
        (
            {"livenessProbe": {"grpc": {"port": 1, "service": "s"}}},
            {"livenessProbe": {"grpc": {"port": 2, "service": ""}}},
            {"resources": {}, "livenessProbe": {"grpc": {"port": 2, "service": ""}}},
        ),
    ],
)
def test_fields_of_a_container(base: Any, override: Any, merged: Any) -> None:
    container = merge(main(**base), main(**override))["template"]["containers"][0]
    assert container == {"name": "main", **merged}


@pytest.mark.parametrize(
    ("base", "override", "merged"),
    [
        (
            {"model": {"uri": "hf://u", "name": "n"}},
            {"model": {"uri": ""}},
            {"model": {"uri": "hf://u", "name": "n"}},
        ),
        (
            {"parallelism": {"tensor": 2, "expert": True}},
            {"parallelism": {"pipeline": 4, "expert": False}},
            {"model": {"uri": ""}, "parallelism": {"tensor": 2, "pipeline": 4, "expert": True}},
        ),
        ({"replicas": 3}, {"replicas": 0}, {"model": {"uri": ""}, "replicas": 0}),
        (
            {
                "router": {
                    "gateway": {"refs": [{"name": "g1"}]},
                    "route": {"http": {"refs": [{"name": "r1"}]}},
                }
            },
            {
                "router": {
                    "gateway": {"refs": [{"name": "g2"}]},
                    "route": {"http": {"refs": [{"name": "r2"}]}},
                }
            },
            {
                "model": {"uri": ""},
                "router": {
                    "gateway": {"refs": [{"name": "g2"}]},
                    "route": {"http": {"refs": [{"name": "r2"}]}},
                },
            },
        ),
        (
            {"model": {"uri": "", "lora": {"adapters": [{"uri": "hf://l1"}]}}},
            {"model": {"uri": "", "lora": {"adapters": [{"uri": "HF://l2/a b"}]}}},
            {"model": {"uri": "", "lora": {"adapters": [{"uri": "hf://l2/a%20b"}]}}},
        ),
        ({}, {"unknown": 1, "router": {}}, {"model": {"uri": ""}, "router": {}}),
    ],
)
def test_fields_of_a_spec(base: Any, override: Any, merged: Any) -> None:
    assert merge(base, override) == merged


def test_tolerations_are_replaced_and_node_selectors_joined() -> None:
    base = pod(tolerations=[{"key": "a"}], nodeSelector={"x": "1", "y": "1"})
    template = merge(base, pod(tolerations=[{"key": "b"}], nodeSelector={"y": "2"}))["template"]
    assert template["tolerations"] == [{"key": "b"}]
    assert template["nodeSelector"] == {"x": "1", "y": "2"}


def test_a_projected_volume_without_sources_drops_those_of_the_base() -> None:
    base = pod(volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}])
    override = pod(volumes=[{"name": "v", "projected": {"defaultMode": 1}}])
    assert merge(base, override)["template"]["volumes"][0]["projected"] == {
        "sources": None,
        "defaultMode": 1,
    }


def test_patch_directives_are_data() -> None:
    base = pod(nodeSelector={"x": "1"})
    assert merge(base, pod(nodeSelector={"$patch": "delete"}))["template"]["nodeSelector"] == {
        "x": "1",
        "$patch": "delete",
    }
    assert merge(base, {"template": {"$patch": "delete"}})["template"]["nodeSelector"] == {"x": "1"}


@pytest.mark.parametrize(("base", "override"), [([{}], [{"name": "a"}]), ([{"name": "a"}], [{}])])
def test_an_element_without_its_merge_key_is_an_error(base: Any, override: Any) -> None:
    with pytest.raises(MergeError) as caught:
        merge(pod(imagePullSecrets=base), pod(imagePullSecrets=override))
    assert str(caught.value) == (
        "failed to merge specs: could not apply merge patch: "
        "map: map[] does not contain declared merge key: name"
    )


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"template": {"containers": [{"name": "a"}, {"name": 1}]}}, "spec.template.containers[1].name"),
        ({"replicas": "2"}, "spec.replicas"),
        ({"template": []}, "spec.template"),
        ({"template": {"containers": {}}}, "spec.template.containers"),
        ({"model": {"uri": "oci://image:tag"}}, "spec.model.uri"),
        (main(resources={"limits": {"cpu": "much"}}), "spec.template.containers[0].resources.limits.cpu"),
    ],
)
def test_a_value_go_could_not_decode_is_named(spec: Any, path: str) -> None:
    with pytest.raises(FieldError) as caught:
        merge({}, spec)
    assert caught.value.path == path


_names = st.sampled_from(["a", "b", "c", "d"])
_containers = st.lists(
    st.fixed_dictionaries({"name": _names}, optional={"image": _names, "args": st.lists(_names, max_size=2)}),
    max_size=4,
    unique_by=lambda item: item["name"],
)
_specs = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(0, 3),
        "template": st.fixed_dictionaries(
            {}, optional={"containers": _containers, "nodeSelector": st.dictionaries(_names, _names)}
        ),
        "parallelism": st.fixed_dictionaries({}, optional={"tensor": st.integers(1, 4)}),
    },
)


@given(_specs)
def test_an_empty_override_changes_nothing(spec: dict[str, Any]) -> None:
    assert merge(spec, {}) == round_trip(spec)


@given(_specs, _specs)
def test_merging_the_same_override_twice_changes_nothing_more(base: Any, override: Any) -> None:
    once = merge(base, override)
    assert merge(once, override) == once


@given(_specs, _specs)
def test_both_sides_are_left_unchanged_and_the_result_is_as_go_writes_it(base: Any, override: Any) -> None:
    before = repr((base, override))
    merged = merge(base, override)
    assert repr((base, override)) == before
    assert round_trip(merged) == merged

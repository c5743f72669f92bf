"""The combination of presets, baseRefs and service (PRESET-3), and where each field came from.

Rules: PRESET-1, PRESET-2.
"""

from typing import Any

import pytest

from aioctl.api.objects import FieldError
from aioctl.plan.combine import Combined, combine
from aioctl.plan.config_lookup import ConfigNotFound
from aioctl.plan.model import PlanError
from aioctl.plan.observation import Unanswered
from aioctl.plan.policy import Policy
from aioctl.plan.provenance import CONTROLLER, explain
from tests.plan.combined_world import PREFIX, PRESETS, SETTINGS, combined, observation, refs

CATCH_ALL = {"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}


def test_the_service_wins_over_its_base_refs_and_those_over_the_preset() -> None:
    image = [{"name": "main", "image": "{}"}]
    configs = {
        "ns/first": {"template": {"containers": [{**image[0], "image": "first"}], "hostname": "first"}},
        "kserve/second": {
            "template": {"containers": [{**image[0], "image": "second"}], "hostname": "second"}
        },
    }
    result = combined({"baseRefs": refs("first", "second"), "template": {"hostname": "own"}}, configs)
    template = result.spec["template"]
    assert template["hostname"] == "own"
    assert template["containers"][0]["image"] == "second"
    assert template["volumes"] == [{"name": "home", "emptyDir": {}}]
    assert template["containers"][0]["args"] == ["--name", "svc"]


def test_a_config_of_the_namespace_shadows_the_preset() -> None:
    shadow = {f"ns/{PREFIX}template": {"template": {"containers": [{"name": "main", "image": "shadow"}]}}}
    assert combined({}, shadow).spec["template"]["containers"][0]["image"] == "shadow"
    elsewhere = {
        f"other/{PREFIX}template": {"template": {"containers": [{"name": "main", "image": "shadow"}]}}
    }
    assert combined({}, elsewhere).spec["template"]["containers"][0]["image"] == "preset"


def test_a_model_name_in_a_base_ref_beats_the_service_and_the_last_one_wins() -> None:
    configs = {
        "ns/a": {"model": {"uri": "", "name": "from-a"}},
        "ns/b": {"model": {"uri": "", "name": "from-b"}},
    }
    given = {"model": {"uri": "hf://o/m", "name": "own"}, "baseRefs": refs("a", "b")}
    result = combined(given, configs)
    assert result.service["spec"]["model"] == {"uri": "hf://o/m", "name": "from-b"}
    assert result.spec["model"] == {"uri": "hf://o/m", "name": "from-b"}
    assert result.spec["template"]["containers"][0]["args"] == ["--name", "from-b"]


def test_an_empty_model_name_in_a_base_ref_is_a_name_too() -> None:
    configs = {"ns/a": {"model": {"uri": "", "name": "from-a"}}, "ns/b": {"model": {"uri": "", "name": ""}}}
    result = combined({"baseRefs": refs("a", "b")}, configs)
    assert result.spec["model"] == {"uri": "hf://o/m", "name": ""}
    assert result.spec["template"]["containers"][0]["args"] == ["--name", ""]


def test_presets_are_chosen_from_what_the_base_refs_enable() -> None:
    result = combined({"baseRefs": refs("a")}, {"ns/a": {"router": {"scheduler": {}}}})
    assert [source.title.rpartition("/")[2] for source in result.sources] == [
        f"{PREFIX}scheduler",
        f"{PREFIX}template",
        "a",
        "svc",
    ]
    assert result.spec["router"]["scheduler"]["template"]["containers"][0]["image"] == "epp"


def test_a_base_ref_that_places_the_tokenizer_keeps_the_presets_containers() -> None:
    """MERGE-3."""

    def tokenizer(**pod: Any) -> dict[str, Any]:
        return {"router": {"scheduler": {"tokenizer": {"template": pod}}}}

    preset = tokenizer(containers=[{"name": "main", "image": "render"}])
    configs = {f"kserve/{PREFIX}tokenizer": preset, "ns/a": tokenizer(nodeSelector={"pool": "cpu"})}
    result = combined({"baseRefs": refs("a")}, configs).spec["router"]["scheduler"]["tokenizer"]["template"]
    assert [(each["name"], each["image"]) for each in result["containers"]] == [("main", "render")]
    assert result["nodeSelector"] == {"pool": "cpu"}


def test_templates_see_the_service_as_stored() -> None:
    preset = {
        f"kserve/{PREFIX}template": {
            "template": {"hostname": "{{ if .Spec.Parallelism }}yes{{ else }}no{{ end }}"}
        }
    }
    result = combined({"baseRefs": refs("a")}, {**preset, "ns/a": {"parallelism": {"data": 2}}})
    assert result.spec["parallelism"] == {"data": 2}
    assert result.spec["template"]["hostname"] == "no"


TWO_SIDES = ("kserve/kserve-config-llm-prefill-template", "kserve/kserve-config-llm-decode-template")
FLAG = "{{ kvTransferConfig .Spec.KVCacheOffloading }}{{ if .Spec.Prefill }}/{{ kvTransferConfig .Spec.Prefill.KVCacheOffloading }}{{ end }}"


@pytest.mark.parametrize(
    ("own", "base", "main", "prefill"),
    [
        ({}, {"kvCacheOffloading": {"cpu": "1Ki"}}, '"cpu_bytes_to_use\\":1024', None),
        ({}, {"prefill": {"kvCacheOffloading": {"cpu": "2Ki"}}}, None, '"cpu_bytes_to_use\\":2048'),
        (
            {"kvCacheOffloading": {"cpu": "3Ki"}},
            {"kvCacheOffloading": {"cpu": "1Ki", "evictionPolicy": "arc"}},
            '"cpu_bytes_to_use\\":3072,\\"eviction_policy\\":\\"arc\\"',
            None,
        ),
        ({"prefill": {"replicas": 1}}, {"prefill": {"kvCacheOffloading": {"cpu": "4Ki"}}}, None, ":4096"),
        ({}, {}, None, None),
    ],
)
def test_templates_see_the_kv_cache_of_the_configs_too(
    own: dict[str, Any], base: dict[str, Any], main: str | None, prefill: str | None
) -> None:
    template = {"template": {"containers": [{"name": "main", "args": [FLAG]}]}}
    configs = {"ns/base": {**base, **template}, **{preset: {} for preset in TWO_SIDES}}
    result = combined({**own, "baseRefs": refs("base")}, configs)
    flags = result.spec["template"]["containers"][0].get("args", [""])[0].partition("/")
    for flag, wanted in ((flags[0], main), (flags[2], prefill)):
        assert wanted in flag if wanted else flag == ""


def test_the_pool_selector_and_the_scheduler_account_are_completed() -> None:
    scheduler = combined({"router": {"scheduler": {}}}).spec["router"]["scheduler"]
    assert scheduler["pool"]["spec"]["selector"]["matchLabels"] == {
        "mine": "x",
        "app.kubernetes.io/name": "other",
    }
    assert scheduler["template"]["serviceAccountName"] == "svc-epp-sa"
    own = combined({"router": {"scheduler": {"template": {"serviceAccountName": "mine"}}}}).spec["router"][
        "scheduler"
    ]
    assert own["template"]["serviceAccountName"] == "mine"
    assert own["template"]["containers"][0]["image"] == "epp"


def _backends(result: Combined) -> list[tuple[str, str, str]]:
    refs_of_rule = result.spec["router"]["route"]["http"]["spec"]["rules"][0]["backendRefs"]
    return [(ref.get("group", ""), ref["kind"], ref["name"]) for ref in refs_of_rule]


def test_default_references_follow_the_scheduler() -> None:
    v1, v1alpha2 = "inference.networking.k8s.io", "inference.networking.x-k8s.io"
    managed = combined({"router": {"route": {}, "scheduler": {}}})
    assert _backends(managed) == [
        (v1, "InferencePool", "svc-inference-pool"),
        (v1alpha2, "InferencePool", "svc-inference-pool"),
    ]
    external = combined({"router": {"route": {}, "scheduler": {"pool": {"ref": {"name": "theirs"}}}}})
    assert _backends(external) == [(v1, "InferencePool", "theirs"), (v1alpha2, "InferencePool", "theirs")]
    assert _backends(combined({"router": {"route": {}}})) == [("", "Service", "svc-kserve-workload-svc")] * 2


@pytest.mark.parametrize("where", ["service", "baseRef"])
def test_rules_that_only_the_crd_default_put_there_do_not_replace_the_preset(where: str) -> None:
    inline = {
        "router": {"route": {"http": {"spec": {"hostnames": ["h"], "rules": [CATCH_ALL]}}}, "scheduler": {}}
    }
    result = combined(inline) if where == "service" else combined({"baseRefs": refs("a")}, {"ns/a": inline})
    route = result.spec["router"]["route"]["http"]["spec"]
    assert route["hostnames"] == ["h"]
    assert route["rules"][0]["matches"][0]["path"]["value"] == "/v1"


def test_a_worker_without_parallelism_gets_no_workload_preset() -> None:
    assert combined({"worker": {}, "replicas": 2}).spec == {
        "model": {"uri": "hf://o/m", "name": "svc"},
        "replicas": 2,
        "worker": {"containers": []},
    }


def failure(spec: dict[str, Any], configs: dict[str, Any] | None = None, **metadata: Any) -> str:
    with pytest.raises(PlanError) as caught:
        combined(spec, configs, **metadata)
    return str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ({"baseRefs": [{"name": "absent"}]}, "absent"),
        ({"worker": {}, "parallelism": {"pipeline": 2}}, f"{PREFIX}worker-pipeline-parallel"),
        ({"baseRefs": [{"name": ""}]}, ""),
    ],
)
def test_a_missing_config_names_both_namespaces(spec: dict[str, Any], name: str) -> None:
    assert failure(spec) == (f'LLMInferenceServiceConfig "{name}" not found in namespaces [ns kserve]')


def test_a_config_that_is_gone_but_pinned_names_the_pin() -> None:
    pin = "serving.kserve.io/config-llm-template"
    service = {
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {"model": {"uri": "hf://o/m"}},
        "status": {"annotations": {pin: "v1-config-llm-template"}},
    }
    with pytest.raises(ConfigNotFound) as caught:
        combine(observation(), service, SETTINGS, Policy())
    assert str(caught.value) == (
        'LLMInferenceServiceConfig "v1-config-llm-template" not found in namespaces [ns kserve]'
        f'; pinned in status.annotations["{pin}"]'
    )
    # Whoever does not pin takes today's.
    assert combine(observation(), service, SETTINGS, Policy(pins_configs=False)).spec["template"]


def test_what_is_applied_is_listed_weakest_first() -> None:
    configs = {"ns/a": {"router": {"scheduler": {}}}, f"ns/{PREFIX}template": {"template": {"hostname": "h"}}}
    assert combined({"baseRefs": refs("a", "a")}, configs).applied == (
        {"name": f"{PREFIX}scheduler", "namespace": "kserve", "source": "Preset"},
        {"name": f"{PREFIX}template", "namespace": "ns", "source": "Preset"},
        {"name": "a", "namespace": "ns", "source": "UserRef"},
        {"name": "a", "namespace": "ns", "source": "UserRef"},
    )


def test_a_preset_that_a_service_refers_to_is_listed_by_both_sources() -> None:
    made = combined({"baseRefs": refs(f"{PREFIX}template")}).applied
    assert [(each["name"], each["source"]) for each in made] == [
        (f"{PREFIX}template", "Preset"),
        (f"{PREFIX}template", "UserRef"),
    ]


def _pool(pool_spec: dict[str, Any]) -> Any:
    own = {"router": {"scheduler": {"pool": {"spec": pool_spec}}}}
    preset = {
        f"kserve/{PREFIX}scheduler": {
            "router": {"scheduler": {"pool": {"spec": {"targetPorts": [{"number": 1}]}}}}
        }
    }
    return combined(own, preset).spec["router"]["scheduler"]["pool"]["spec"]


OURS = {
    "app.kubernetes.io/part-of": "llminferenceservice",
    "app.kubernetes.io/name": "svc",
    "kserve.io/component": "workload",
}


def test_a_pool_without_selector_selects_the_services_own_pods() -> None:
    assert _pool({})["selector"]["matchLabels"] == OURS
    old = {"selector": {"matchLabels": {"app.kubernetes.io/part-of": "llminferenceservice"}}}
    assert _pool(old)["selector"]["matchLabels"] == OURS
    old["selector"]["matchLabels"]["mine"] = "x"
    assert _pool(old)["selector"]["matchLabels"] == {**OURS, "mine": "x"}
    assert _pool({"selector": {"matchLabels": {"mine": "x"}}})["selector"]["matchLabels"] == {"mine": "x"}


def test_a_pool_names_the_port_of_its_picker() -> None:
    assert _pool({})["endpointPickerRef"]["port"] == {"number": 9002}
    assert _pool({"endpointPickerRef": {"name": "e", "port": {"number": 1}}})["endpointPickerRef"][
        "port"
    ] == {"number": 1}
    other = {"endpointPickerRef": {"name": "e", "group": "g", "kind": "Other"}}
    assert "port" not in _pool(other)["endpointPickerRef"]


@pytest.mark.parametrize("unknown", [f"ns/{PREFIX}template", f"kserve/{PREFIX}template"])
def test_an_unknown_config_is_not_taken_for_absent(unknown: str) -> None:
    with pytest.raises(Unanswered):
        combined({}, unknown=(unknown,))


def test_a_merge_that_fails_says_so_twice_in_the_final_fold_and_once_for_base_refs() -> None:
    keyless: dict[str, Any] = {"template": {"imagePullSecrets": [{}]}}
    text = "could not apply merge patch: map: map[] does not contain declared merge key: name"
    configs = {f"kserve/{PREFIX}template": {"template": {"imagePullSecrets": [{"name": "a"}]}}}
    assert failure(keyless, configs) == f"failed to merge specs: failed to merge specs: {text}"
    given = {"template": {"imagePullSecrets": [{"name": "a"}]}, "baseRefs": refs("a")}
    assert failure(given, {"ns/a": keyless}) == f"failed to merge specs: {text}"


def test_a_template_error_names_the_config_the_service_and_the_path() -> None:
    broken = {f"kserve/{PREFIX}template": {"template": {"hostname": 'a\n{{ ChildName .Name "x" }}'}}}
    assert failure({}, broken).startswith(
        'failed to parse template config: template: config:1: unexpected "\\\\" in operand '
        f"(in spec.template.hostname of LLMInferenceServiceConfig kserve/{PREFIX}template for LLMInferenceService ns/svc, "
        "line 2; expected "
    )
    assert failure({"template": {"hostname": "{{ .Nope }}"}}).endswith(
        "(in spec.template.hostname of LLMInferenceService ns/svc, line 1; where {{ is meant as text, write {{`{{`}})"
    )


def test_templates_in_the_service_metadata_count_for_errors_only() -> None:
    assert "metadata.annotations.a of LLMInferenceService ns/svc" in failure(
        {}, annotations={"a": "{{ .Nope }}"}
    )
    assert combined({}, annotations={"a": "{{ .Name }}"}).service["metadata"]["annotations"] == {
        "a": "{{ .Name }}"
    }


def test_a_string_rendered_empty_is_dropped_as_go_does() -> None:
    preset = {f"kserve/{PREFIX}template": {"template": {"hostname": "{{ if .Spec.Prefill }}x{{ end }}"}}}
    assert combined({}, preset).spec["template"] == {"containers": None}


def test_an_unparseable_uri_is_named() -> None:
    with pytest.raises(
        ValueError, match=r'spec.model.uri: parse "oci://image:tag": invalid port ":tag" after host'
    ):
        combined({"model": {"uri": "oci://image:tag"}})


def test_combining_changes_neither_configs_nor_service() -> None:
    spec = {"router": {"route": {}, "scheduler": {}}, "baseRefs": refs("a")}
    configs = {"ns/a": {"model": {"uri": "", "name": "n"}, "template": {"nodeSelector": {"a": "b"}}}}
    before = repr((spec, configs, PRESETS))
    first = combined(spec, configs)
    assert combined(spec, configs) == first
    assert repr((spec, configs, PRESETS)) == before


def test_every_field_tells_where_it_came_from() -> None:
    result = combined(
        {
            "router": {"scheduler": {}},
            "baseRefs": refs("a"),
            "template": {"containers": [{"name": "main", "env": [{"name": "A", "value": "1"}]}]},
        },
        {"ns/a": {"template": {"containers": [{"name": "main", "image": "from-a"}]}}},
    )
    sources = dict(explain(result.spec, result.sources))
    assert sources["spec.template.containers[0].image"] == "LLMInferenceServiceConfig ns/a"
    assert (
        sources["spec.template.containers[0].args[1]"] == f"LLMInferenceServiceConfig kserve/{PREFIX}template"
    )
    assert sources["spec.template.containers[0].env[0].value"] == "LLMInferenceService ns/svc"
    assert sources["spec.router.scheduler.template.serviceAccountName"] == CONTROLLER
    assert sources["spec.model.uri"] == "LLMInferenceService ns/svc"
    assert all(sources.values())


@pytest.mark.parametrize("name", ['a"; id; echo "', "$(id)", "a\nb", "a\x00"])
def test_a_model_name_that_would_leave_its_quotes_in_a_script_is_refused(name: str) -> None:
    with pytest.raises(FieldError, match=r"^spec\.model\.name: .* which a script cannot hold"):
        combined({"model": {"uri": "hf://o/m", "name": name}}, {})
    with pytest.raises(FieldError, match=r"^spec\.model\.name: "):
        combined({"baseRefs": refs("a")}, {"ns/a": {"model": {"uri": "hf://o/m", "name": name}}})

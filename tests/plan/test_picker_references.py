"""A picker's configuration that the combination finds by reference, and the tokenizer that its plugins ask for.

Rules: PRESET-7, TOK-1.
"""

from typing import Any

import pytest

from aioctl.api.kinds import CONFIG, CONFIG_MAP, ObjectRef
from aioctl.plan.combine import combine
from aioctl.plan.config_lookup import ConfigNotFound
from aioctl.plan.facts import Facts
from aioctl.plan.model import PlanError
from aioctl.plan.policy import Policy
from tests.plan.combined_world import PREFIX, SETTINGS, combined, observation

CONFIG_MAPS = {
    "ns/mine": {"epp": "kind: EndpointPickerConfig\n", "other": "{}", "wrong": "a: b: c"},
    "kserve/config-scheduler-shared": {"epp": "kind: Shared\n"},
    "kserve/mine-too": {"epp": "x: 1"},
}


def referring(ref: dict[str, str], **model: Any) -> Any:
    """The combined configuration of the picker where the service refers to one."""
    known = observation()
    objects = dict(known.objects)
    for key, data in CONFIG_MAPS.items():
        namespace, _, name = key.partition("/")
        objects[ObjectRef(CONFIG_MAP, namespace, name)] = {
            "metadata": {"namespace": namespace, "name": name},
            "data": data,
        }
    scheduler = {"config": {"ref": ref}}
    service = {
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {"model": {"uri": "hf://o/m", **model}, "router": {"scheduler": scheduler}},
    }
    made = combine(Facts(objects), service, SETTINGS, Policy())
    return made.spec["router"]["scheduler"]["config"]


@pytest.mark.parametrize(
    ("ref", "text"),
    [
        ({"name": "mine", "key": "epp"}, "kind: EndpointPickerConfig\n"),
        ({"name": "mine", "key": ""}, "kind: EndpointPickerConfig\n"),
        ({"name": "mine", "key": "other"}, "{}"),
        ({"name": "config-scheduler-shared", "key": "epp"}, "kind: Shared\n"),
    ],
)
def test_a_reference_to_the_pickers_configuration_becomes_its_text(ref: dict[str, str], text: str) -> None:
    assert referring(ref) == {"inline": text}


def test_a_plugin_in_a_config_map_brings_the_tokenizers_preset_but_no_latency_predictors() -> None:
    text = "kind: K\nplugins: [{type: token-producer}, {type: predicted-latency-producer}]"
    config_map = {"metadata": {"namespace": "ns", "name": "mine"}, "data": {"epp": text}}
    presets = {
        ObjectRef(CONFIG, "kserve", f"{PREFIX}{part}"): {
            "metadata": {"namespace": "kserve", "name": f"{PREFIX}{part}"},
            "spec": spec,
        }
        for part, spec in (
            ("scheduler", {}),
            (
                "tokenizer",
                {"router": {"scheduler": {"tokenizer": {"template": {"containers": [{"name": "main"}]}}}}},
            ),
            ("template", {}),
        )
    }
    service = {
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {
            "model": {"uri": "hf://o/m"},
            "router": {"scheduler": {"config": {"ref": {"name": "mine"}}}},
        },
    }
    known = Facts({ObjectRef(CONFIG_MAP, "ns", "mine"): config_map, **presets})
    made = combine(known, service, SETTINGS, Policy()).spec["router"]["scheduler"]
    assert [each["name"] for each in made["tokenizer"]["template"]["containers"]] == ["main"]
    assert made["config"] == {"inline": text}


@pytest.mark.parametrize(
    ("ref", "problem"),
    [
        ({"name": "mine", "key": "no"}, 'ConfigMap ns/mine doesn\'t have key "no" in data'),
        ({"name": "mine", "key": "wrong"}, 'ConfigMap ns/mine, key "wrong": neither JSON nor YAML: '),
        ({"name": "mine-too", "key": "epp"}, "failed to get ConfigMap ns/mine-too: not found"),
        (
            {"name": "config-scheduler-no", "key": "epp"},
            (
                'failed to get scheduler config "config-scheduler-no" from namespaces ["ns", "kserve"]: '
                'failed to get v1.ConfigMap kserve/config-scheduler-no from API Server: configmaps "config-scheduler-no" not found'
            ),
        ),
    ],
)
def test_a_reference_that_leads_nowhere_says_where_it_was_looked_for(
    ref: dict[str, str], problem: str
) -> None:
    with pytest.raises(PlanError) as caught:
        referring(ref)
    assert str(caught.value).startswith(problem)


def test_it_is_told_before_an_adapter_that_cannot_be_attached() -> None:
    """As KServe's errors follow each other."""
    bad = {"lora": {"adapters": [{"name": "a", "uri": "oci://a/b"}]}}
    with pytest.raises(PlanError, match=r"^ConfigMap ns/mine doesn't have key"):
        referring({"name": "mine", "key": "no"}, **bad)
    with pytest.raises(PlanError, match=r'^failed to enumerate LoRA adapters: LoRA adapter "a": oci://'):
        referring({"name": "mine", "key": "epp"}, **bad)


BESIDE = {"router": {"scheduler": {"template": {"containers": [{"name": "main"}, {"name": "tokenizer"}]}}}}
PRECISE = {"config": {"inline": {"plugins": [{"type": "precise-prefix-cache-scorer"}]}}}


def test_a_fleet_whose_picker_has_its_tokenizer_beside_it_needs_no_preset_for_one() -> None:
    """KServe's presets up to v0.20 (TOK-1)."""
    old = {f"kserve/{PREFIX}scheduler": BESIDE}
    made = combined({"router": {"scheduler": PRECISE}}, old)
    assert "tokenizer" not in made.spec["router"]["scheduler"]
    assert not any("tokenizer" in config["name"] for config in made.applied)
    for asked, configs in (({**PRECISE, "tokenizer": {}}, old), (PRECISE, {})):
        with pytest.raises(ConfigNotFound, match="tokenizer"):
            combined({"router": {"scheduler": asked}}, configs)


def test_one_that_has_the_preset_gets_the_tokenizer_of_today() -> None:
    today = {"router": {"scheduler": {"tokenizer": {"template": {"containers": [{"name": "main"}]}}}}}
    configs = {f"kserve/{PREFIX}scheduler": BESIDE, f"kserve/{PREFIX}tokenizer": today}
    made = combined({"router": {"scheduler": PRECISE}}, configs)
    assert made.spec["router"]["scheduler"]["tokenizer"]["template"]["containers"][0]["name"] == "main"

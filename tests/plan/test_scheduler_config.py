"""The endpoint picker's configuration: which one it gets, when a generated one is replaced, and what the user should know of it.

Rules: COND-9, EPP-3, EPP-7.
"""

import hashlib
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.plan import epp_defaults, scheduler
from aioctl.plan.epp_defaults import Shape, generated
from aioctl.plan.scheduler_config import with_config, with_served_group
from testbed.plan_world import World, service
from tests.plan.picker_world import GENERATED, SPEC, TEMPLATE, picker_args, run, spec_with


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], True),
        *(
            ([*given], False)
            for dashes in ("-", "--")
            for name in ("config-text", "configText", "config-file", "configFile")
            for given in ((f"{dashes}{name}", "x"), (f"{dashes}{name}=x",))
        ),
        (["--configtext", "x"], True),
        (["--config-texts", "x"], True),
    ],
)
def test_the_configuration_is_appended_unless_there_is_one(given: list[str], added: bool) -> None:
    for prefill in (True, False):
        text = generated(Shape(prefill=prefill, adapters=False))
        pod: dict[str, Any] = {"containers": [{"name": "side"}, {"name": "main", "args": list(given)}]}
        with_config(pod, {"prefill": {}} if prefill else {}, None)
        assert pod["containers"][1].get("args") == given + (["--config-text", text] if added else [])
        assert pod["containers"][0] == {"name": "side"}


INLINE = {"kind": "K", "apiVersion": "a/v1", "plugins": [{"weight": 2, "type": "<"}]}
RAW = '{"apiVersion":"a/v1","kind":"K","plugins":[{"type":"\\u003c","weight":2}]}'
WITH_PREFILL = generated(Shape(prefill=True, adapters=False))
FORMER = GENERATED.replace("llm-d.ai", "inference.networking.x-k8s.io")


@pytest.mark.parametrize(
    ("inline", "template", "live", "wanted"),
    [
        (INLINE, [], [], ["--config-text", RAW]),
        (INLINE, ["-configText", "t"], ["--config-file", "l"], ["-configText", "t", "--config-text", RAW]),
        ("raw: yaml\n", [], [], ["--config-text", "raw: yaml\n"]),
        (None, ["--config-file", "t"], ["--config-text", "l"], ["--config-file", "t"]),
        (None, ["-v", "4"], ["--x", "-configFile", "l"], ["-v", "4", "-configFile", "l"]),
        (None, [], ["--config-text", "kind: Mine"], ["--config-text", "kind: Mine"]),
        (None, [], ["--config-text=l"], ["--config-text", GENERATED]),
        (None, [], ["--config-text"], ["--config-text", GENERATED]),
        (None, [], [], ["--config-text", GENERATED]),
        (None, [], ["--configText", FORMER], ["--configText", FORMER]),
        (None, [], ["--config-text", WITH_PREFILL], ["--config-text", GENERATED]),
    ],
)
def test_the_first_configuration_that_there_is_counts(
    inline: Any, template: list[str], live: list[str], wanted: list[str]
) -> None:
    pod: dict[str, Any] = {"containers": [{"name": "main", "args": template}]}
    spec = {"router": {"scheduler": {"config": {"inline": inline}}}} if inline else {}
    with_config(
        pod,
        spec,
        {"containers": [{"name": "other", "args": ["--config-text", "o"]}, {"name": "main", "args": live}]},
    )
    assert pod["containers"][0]["args"] == wanted


def test_the_generated_configurations_are_byte_exact() -> None:
    shapes = [Shape(prefill, adapters) for prefill in (False, True) for adapters in (False, True)]
    digests = [hashlib.sha256(generated(shape).encode()).hexdigest()[:16] for shape in shapes]
    assert digests == ["02f9a531adbb6596", "63a9c697b5b0358a", "0ecd768aafd2a1f1", "1c4ce0900968508f"]


def test_a_generated_configuration_follows_prefill_and_adapters_and_a_users_one_stays() -> None:
    world = World()
    run(world, SPEC)
    assert picker_args(world) == ["--pool-name", "p", "--config-text", GENERATED]
    run(world, {**SPEC, "prefill": {}})
    assert picker_args(world)[-1] == WITH_PREFILL
    lora = {**SPEC, "model": {**SPEC["model"], "lora": {"adapters": [{"name": "a"}]}}}
    run(world, lora)
    assert picker_args(world)[-1] == generated(Shape(prefill=False, adapters=True))
    run(world, SPEC)
    assert picker_args(world)[-1] == GENERATED
    run(world, spec_with(config={"inline": INLINE}))
    assert picker_args(world)[-1] == RAW
    run(world, {**SPEC, "prefill": {}})
    assert picker_args(world)[-1] == RAW, "what an inline configuration left behind stays"


FIRST = """
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: single-profile-handler
- type: prefix-cache-scorer
- type: load-aware-scorer
- type: max-score-picker
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: prefix-cache-scorer
    weight: 2.0
  - pluginRef: load-aware-scorer
    weight: 1.0
  - pluginRef: max-score-picker
"""


@pytest.mark.parametrize(
    ("text", "wanted", "outdated"),
    [
        (FIRST, Shape(prefill=False, adapters=False), False),
        (FIRST, Shape(prefill=False, adapters=True), False),
        (FIRST, Shape(prefill=True, adapters=False), True),
        (FIRST.replace("2.0", "2.5"), Shape(prefill=True, adapters=False), False),
        (GENERATED, Shape(prefill=False, adapters=True), True),
        (GENERATED + "# mine", Shape(prefill=False, adapters=True), True),
        ("no configuration", Shape(prefill=True, adapters=False), False),
        (
            "kind: K\nplugins: [{type: pd-profile-handler, parameters: 5}]",
            Shape(prefill=True, adapters=False),
            False,
        ),
    ],
)
def test_only_a_generated_text_for_another_shape_is_replaced(
    text: str, wanted: Shape, outdated: bool
) -> None:
    assert epp_defaults.outdated(text, wanted) is outdated


@pytest.mark.parametrize("version", ["0.7.0", "0.8.0", "0.10.0"])
@pytest.mark.parametrize("tls", [False, True])
def test_a_generated_configuration_is_known_again_after_it_was_rewritten(version: str, tls: bool) -> None:
    command = ["--model-server-metrics-scheme=https", "--lora-info-metric=x"] if tls else []
    template = {"containers": [{**TEMPLATE["containers"][0], "args": command}]}
    spec = spec_with(template, annotations={"app.kubernetes.io/version": version})
    world = World()
    run(world, spec)
    assert run(world, spec) == []
    before = picker_args(world)[-1]
    run(world, {**spec, "prefill": {}})
    assert "disagg-profile-handler" in picker_args(world)[-1]
    run(world, spec)
    assert picker_args(world)[-1] == before


def test_live_bytes_that_mean_the_same_stay() -> None:
    world = World()
    spec = spec_with(config={"inline": INLINE}, annotations={"app.kubernetes.io/version": "0.10.0"})
    run(world, spec)
    written = picker_args(world)
    written[-1] = "# the same\nplugins: [{type: '<', weight: 2.0}]\nkind: K\napiVersion: a/v1"
    kept = list(written)
    assert run(world, spec) == []
    changed = spec_with(
        config={"inline": {**INLINE, "kind": "L"}}, annotations={"app.kubernetes.io/version": "0.10.0"}
    )
    run(world, changed)
    assert picker_args(world) != kept


def test_prefill_even_empty_chooses_the_disaggregated_configuration() -> None:
    world = World()
    run(world, {**SPEC, "prefill": {}})
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["--pool-name", "p", "--config-text", WITH_PREFILL]
    assert pod["serviceAccountName"] == "svc-epp-sa"


V1_GROUP, X_GROUP = kinds.POOL_GROUP_V1, kinds.POOL_GROUP_V1ALPHA2


@pytest.mark.parametrize(
    ("given", "served", "wanted"),
    [
        (["--pool-group", X_GROUP, "-v", "4"], V1_GROUP, ["--pool-group", V1_GROUP, "-v", "4"]),
        ([f"--pool-group={X_GROUP}"], V1_GROUP, [f"--pool-group={V1_GROUP}"]),
        (["-pool-group", X_GROUP], V1_GROUP, ["-pool-group", V1_GROUP]),
        ([f"-pool-group={X_GROUP}"], V1_GROUP, [f"-pool-group={V1_GROUP}"]),
        (["--pool-group", V1_GROUP], X_GROUP, ["--pool-group", X_GROUP]),
        (["--pool-group", V1_GROUP], V1_GROUP, ["--pool-group", V1_GROUP]),
        (["--pool-group", "mine.example.org"], V1_GROUP, ["--pool-group", "mine.example.org"]),
        (["--pool-name", X_GROUP], V1_GROUP, ["--pool-name", X_GROUP]),
        (["--pool-group"], V1_GROUP, ["--pool-group"]),
        ([7, None], V1_GROUP, [7, None]),
    ],
)
@pytest.mark.parametrize("field", ["command", "args"])
def test_the_pickers_pool_group_becomes_the_one_that_is_served_and_is_never_added(
    field: str, given: list[Any], served: str, wanted: list[Any]
) -> None:
    pod = {"containers": [{"name": "main", field: list(given)}, {"name": "other", field: list(given)}]}
    with_served_group(pod, served)
    assert pod["containers"][0][field] == wanted
    assert pod["containers"][1][field] == given
    bare: dict[str, Any] = {"containers": [{"name": "main"}]}
    with_served_group(bare, served)
    assert bare == {"containers": [{"name": "main"}]}


PRECISE = {"kind": "K", "plugins": [{"type": "precise-prefix-cache-scorer"}]}
DEPRECATED = (
    "DeprecatedPlugin",
    (
        'LLMInferenceService "svc" uses precise-prefix-cache-scorer in config.inline. Update config.inline to use '
        "token-producer, precise-prefix-cache-producer, and prefix-cache-scorer directly. This implicit migration will be "
        "removed in a future release."
    ),
)


@pytest.mark.parametrize(
    ("scheduler_spec", "told"),
    [
        ({"tokenizer": {}}, True),
        ({}, False),
        ({"tokenizer": {}, "config": {"inline": {"kind": "K", "plugins": [{"type": "mine"}]}}}, False),
        ({"tokenizer": {}, "args": ["--config-file=/x"]}, False),
    ],
)
def test_a_tokenizer_that_no_generated_plugin_calls_is_told_of(
    scheduler_spec: dict[str, Any], told: bool
) -> None:
    """COND-9. Of plugins in a configuration of the user's nobody knows what they call."""
    args = scheduler_spec.pop("args", None)
    spec = spec_with(**scheduler_spec)
    if args is not None:
        container = {**spec["router"]["scheduler"]["template"]["containers"][0], "args": args}
        spec["router"]["scheduler"]["template"] = {"containers": [container]}
    found = scheduler.notices(World().context(spec))
    assert [text.partition(" has no effect")[0] for _, text in found] == (
        ["spec.router.scheduler.tokenizer"] * told
    )


PREDICTED = "kind: K\nplugins: [{type: predicted-latency-producer}]"


@pytest.mark.parametrize(
    ("own", "bases", "name"),
    [
        ({}, ["a"], "of-a"),
        ({}, ["a", "b"], "of-b"),
        ({}, ["b", "other"], "of-b"),
        ({"ref": {"name": "mine"}}, ["a", "b"], "mine"),
        ({"inline": {}}, ["shared"], "of-shared"),
        ({}, ["other"], ""),
        ({}, ["a", "gone"], ""),
    ],
)
def test_a_config_map_that_a_config_names_is_told_of_as_the_services_own(
    own: dict[str, Any], bases: list[str], name: str
) -> None:
    world = World()
    for place, config in (("ns", "a"), ("ns", "b"), ("kserve", "shared"), ("ns", "other")):
        named = {} if config == "other" else {"config": {"ref": {"name": f"of-{config}"}}}
        world.put(kinds.CONFIG, config, place, spec={"router": {"scheduler": named}})
    refs = [{"name": base} for base in bases]
    stored = {**service(), "spec": {"baseRefs": refs, "router": {"scheduler": {"config": own}}}}
    told = scheduler.notices(world.context(spec_with(config={"inline": PREDICTED}), of=stored))
    assert [text.partition('"')[2].partition('"')[0] for _, text in told] == [name] * bool(name)


@pytest.mark.parametrize(
    ("config", "own", "reasons"),
    [
        ({"inline": PRECISE}, {}, ["DeprecatedPlugin"]),
        ({"inline": PREDICTED}, {"ref": {"name": "mine"}}, ["LatencyPredictorConfigRef"]),
        ({"inline": PREDICTED}, {"inline": {}}, []),
        ({"inline": INLINE}, {"ref": {"name": "mine"}}, []),
        ({}, {}, []),
    ],
)
def test_what_the_user_should_know_of_the_configuration_is_told(
    config: dict[str, Any], own: dict[str, Any], reasons: list[str]
) -> None:
    stored = {**service(), "spec": {"router": {"scheduler": {"config": own}}}}
    found = scheduler.notices(World().context(spec_with(config=config), of=stored))
    assert [reason for reason, _ in found] == reasons
    if reasons == ["DeprecatedPlugin"]:
        assert found == (DEPRECATED,)
    stopped = {**stored, "metadata": {**stored["metadata"], "annotations": {names.STOP: "true"}}}
    assert scheduler.notices(World().context(spec_with(config=config), of=stopped)) == ()

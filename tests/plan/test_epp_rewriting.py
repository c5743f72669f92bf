"""The picker's pod made to fit each release of its image: every change of a release in its own line.

Rules: EPP-6.
"""

from copy import deepcopy
from typing import Any

import pytest

from aioctl.golang import goyaml
from aioctl.plan import epp_config, presets
from aioctl.plan.epp_rewriting import Picker, rewrite, version_of
from aioctl.plan.model import PlanError

URL = "http://svc-tokenizer.ns.svc.cluster.local:8000"
X_GROUP, OWN_GROUP = "inference.networking.x-k8s.io/v1alpha1", "llm-d.ai/v1alpha1"


def config(*plugins: Any, profile: tuple[Any, ...] = (), group: str = OWN_GROUP) -> dict[str, Any]:
    made: dict[str, Any] = {"apiVersion": group, "kind": "EndpointPickerConfig", "plugins": list(plugins)}
    if profile:
        made["schedulingProfiles"] = [{"name": "default", "plugins": list(profile)}]
    return made


def refer(name: str, weight: int | None = None) -> dict[str, Any]:
    return {"pluginRef": name} if weight is None else {"pluginRef": name, "weight": weight}


def pod_of(text: str, *args: str, command: tuple[str, ...] = (), side: bool = False) -> dict[str, Any]:
    main: dict[str, Any] = {"name": "main", "args": ["--config-text", text, *args]}
    if command:
        main["command"] = list(command)
    return {"containers": [main, *([{"name": "tokenizer", "image": "t"}] if side else [])]}


def rewritten(pod: dict[str, Any], version: str, tokenizer: str = "") -> dict[str, Any]:
    made = deepcopy(pod)
    rewrite(made, Picker("ns/svc-kserve-router-scheduler", version, tokenizer))
    return made


def after(given: dict[str, Any], version: str, *args: str, tokenizer: str = "") -> Any:
    """The configuration that comes out."""
    return goyaml.load(
        rewritten(pod_of(goyaml.dump(given), *args), version, tokenizer)["containers"][0]["args"][1]
    )


def args_after(version: str, *args: str, command: tuple[str, ...] = ()) -> tuple[list[str], list[str], Any]:
    """Args and command without the configuration, and the plugins."""
    main = rewritten(pod_of(goyaml.dump(config()), *args, command=command), version)["containers"][0]
    return main["args"][2:], main.get("command", []), goyaml.load(main["args"][1])["plugins"]


@pytest.mark.parametrize("version", ["", "0.6.1", "0.7.0-rc.1"])
def test_before_0_7_nothing_is_touched(version: str) -> None:
    text = "# mine\nkind: EndpointPickerConfig\nplugins:\n  - type: prefill-header-handler\n"
    pod = pod_of(text, "--total-queued-requests-metric=m1")
    assert rewritten(pod, version) == pod


PD = "disagg-profile-handler"
DECIDED = {"type": PD, "parameters": {"deciders": {"prefill": "d1"}}}
ALWAYS = {"type": "always-disagg-pd-decider"}
BY_ALWAYS = {"type": PD, "parameters": {"deciders": {"prefill": "always-disagg-pd-decider"}}}
BY_PREFIX = {"type": PD, "parameters": {"deciders": {"prefill": "prefix-based-pd-decider"}}}


def handler(**parameters: Any) -> dict[str, Any]:
    return {"type": "pd-profile-handler", "parameters": parameters}


def prefix_based(tokens: int) -> dict[str, Any]:
    return {"type": "prefix-based-pd-decider", "parameters": {"nonCachedTokens": tokens}}


PLUGINS: list[tuple[str, list[Any], list[Any]]] = [
    ("0.7.0", [handler(deciderPluginName="d1")], [DECIDED]),
    ("0.7.0", [handler(threshold=0)], [ALWAYS, BY_ALWAYS]),
    ("0.7.0", [handler(threshold="0")], [ALWAYS, BY_ALWAYS]),
    ("0.7.0", [handler(threshold=0.0)], [ALWAYS, BY_ALWAYS]),
    ("0.7.0", [handler(threshold=100)], [prefix_based(25), BY_PREFIX]),
    *(
        ("0.7.0", [{"type": "a"}, handler(threshold=given)], [{"type": "a"}, prefix_based(tokens), BY_PREFIX])
        for given, tokens in (
            (5, 2),
            (1, 1),
            (3, 1),
            (0.5, 1),
            (7.0, 2),
            ("8", 2),
            ("words", 1),
            (-4, 1),
            (None, 1),
        )
    ),
    ("0.7.0", [handler(threshold=100, deciderPluginName="d1")], [DECIDED]),
    (
        "0.7.0",
        [handler(deciders={"prefill": "x"}, threshold=1)],
        [{"type": PD, "parameters": {"deciders": {"prefill": "x"}, "threshold": 1}}],
    ),
    ("0.7.0", [handler(threshold=0), ALWAYS], [BY_ALWAYS, ALWAYS]),
    (
        "0.7.0",
        [handler(threshold=0), handler(threshold=8)],
        [ALWAYS, prefix_based(2), BY_ALWAYS, BY_PREFIX],
    ),
    ("0.7.0", [{"type": "pd-profile-handler"}], [{"type": PD}]),
    (
        "0.7.0",
        [{"type": "t", "parameters": {"hashBlockSize": 64, "k": 1}}],
        [{"type": "t", "parameters": {"k": 1}}],
    ),
    ("0.8.0", [{"type": "model-server-protocol-metrics"}], [{"type": "core-metrics-extractor"}]),
    ("0.7.0", [{"type": "model-server-protocol-metrics"}], [{"type": "model-server-protocol-metrics"}]),
    (
        "0.9.0",
        [{"type": "prefix-cache-scorer", "parameters": {"blockSizeTokens": 16}}],
        [{"type": "prefix-cache-scorer"}],
    ),
    (
        "0.9.0",
        [{"type": "prefix-cache-scorer", "parameters": {"a": 1, "prefixMatchInfoProducerName": "p"}}],
        [{"type": "prefix-cache-scorer", "parameters": {"prefixMatchInfoProducerName": "p"}}],
    ),
    (
        "0.9.0-rc.1",
        [{"type": "prefix-cache-scorer", "parameters": {"blockSizeTokens": 16}}],
        [{"type": "prefix-cache-scorer", "parameters": {"blockSizeTokens": 16}}],
    ),
    ("0.10.0", ["no plugin", {"name": "no type"}, 5], ["no plugin", {"name": "no type"}, 5]),
]


@pytest.mark.parametrize(("version", "given", "wanted"), PLUGINS)
def test_plugins_change_with_the_release(version: str, given: list[Any], wanted: list[Any]) -> None:
    assert after(config(*given), version)["plugins"] == wanted


def test_a_renamed_plugin_is_renamed_wherever_it_is_named() -> None:
    old, new = "prefill-header-handler", "disagg-headers-handler"
    given = config(
        {"type": old, "name": old}, {"type": old, "name": "mine"}, profile=(refer(old), refer("mine", 1))
    )
    wanted = config(
        {"type": new, "name": new}, {"type": new, "name": "mine"}, profile=(refer(new), refer("mine", 1))
    )
    assert after(given, "0.7.0") == wanted


@pytest.mark.parametrize(
    ("version", "given", "wanted"),
    [("0.8.0", X_GROUP, X_GROUP), ("0.9.0", X_GROUP, OWN_GROUP), ("0.9.0", "a/v1", "a/v1")],
)
def test_the_group_of_the_configuration_changes_at_0_9(version: str, given: str, wanted: str) -> None:
    assert after(config(group=given), version)["apiVersion"] == wanted


def extractor(name: str, **specs: str) -> dict[str, Any]:
    engine = {"engineLabelKey": "inference.networking.k8s.io/engine-type", "defaultEngine": "vllm"}
    return {
        "name": name,
        "type": name,
        "parameters": {**engine, "engineConfigs": [{"name": "vllm", **specs}]},
    }


FORMER, TODAY = "model-server-protocol-metrics", "core-metrics-extractor"
METRICS: list[tuple[str, list[str], list[str], dict[str, str]]] = [
    (FORMER, ["--total-queued-requests-metric", "m1", "--grpc-port", "9002"], ["--grpc-port", "9002"],
     {"queuedRequestsSpec": "m1"}),
    (TODAY, ["--total-queued-requests-metric", "m1", "--grpc-port", "9002"], ["--grpc-port", "9002"],
     {"queuedRequestsSpec": "m1"}),
    (FORMER, ["-total-running-requests-metric=a=b", "---lora-info-metric=l"], [],
     {"runningRequestsSpec": "a=b", "loraSpec": "l"}),
    (FORMER, ["--kv-cache-usage-percentage-metric", "-v", "--cache-info-metric"], ["-v"],
     {"kvUsageSpec": "", "cacheInfoSpec": ""}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "left", "specs"), METRICS)
def test_metric_flags_become_a_plugin(
    name: str, args: list[str], left: list[str], specs: dict[str, str]
) -> None:
    version = "0.7.0" if name == FORMER else "0.8.0"
    assert args_after(version, *args) == (left, [], [extractor(name, **specs)])


def test_a_metrics_plugin_that_is_there_stays_and_the_flags_value_is_lost() -> None:
    made = after(config({"type": FORMER}), "0.8.0", "--total-queued-requests-metric=m1")
    assert made["plugins"] == [{"type": TODAY}]


def test_of_several_containers_with_metric_flags_the_last_ones_count() -> None:
    pod = pod_of(goyaml.dump(config()), "--lora-info-metric=a")
    pod["containers"].append({"name": "other", "args": ["--cache-info-metric=b"]})
    made = rewritten(pod, "0.7.0")
    assert goyaml.load(made["containers"][0]["args"][1])["plugins"] == [extractor(FORMER, cacheInfoSpec="b")]
    assert made["containers"][1] == {"name": "other"}


SCRAPE: list[tuple[str, list[str], list[Any]]] = [
    ("0.9.0", ["--model-server-metrics-scheme=https"], []),
    ("0.10.0", ["--model-server-metrics-scheme=https"], [{"scheme": "https"}]),
    ("0.10.0", ["--model-server-metrics-scheme", "https", "-model-server-metrics-path=/m"],
     [{"scheme": "https", "path": "/m"}]),
    ("0.10.0", ["--model-server-metrics-scheme="], []),
    ("0.10.0", ["--model-server-metrics-port=8000"], []),
    ("0.10.0", ["--model-server-metrics-https-insecure-skip-verify"], [{"insecureSkipVerify": True}]),
    ("0.10.0", ["--model-server-metrics-https-insecure-skip-verify=F"], [{"insecureSkipVerify": False}]),
]  # fmt: skip


@pytest.mark.parametrize("command", [True, False])
@pytest.mark.parametrize(("version", "flags", "wanted"), SCRAPE)
def test_scrape_flags_become_a_data_source(
    version: str, flags: list[str], wanted: list[Any], command: bool
) -> None:
    stays = flags if version == "0.9.0" else []
    plugins = [{"type": "metrics-data-source", "parameters": given} for given in wanted]
    if command:
        assert args_after(version, command=("/epp", *flags)) == ([], ["/epp", *stays], plugins)
    else:
        assert args_after(version, *flags) == (stays, [], plugins)


def test_a_data_source_that_is_there_stays() -> None:
    given = config({"type": "metrics-data-source", "parameters": {"scheme": "http"}})
    assert after(given, "0.10.0", "--model-server-metrics-scheme=https") == given


def scorer(**parameters: Any) -> dict[str, Any]:
    return {"type": "precise-prefix-cache-scorer", **({"parameters": parameters} if parameters else {})}


TOKENS = {"type": "token-producer", "parameters": {"modelName": "/mnt/models/base", "vllm": {"url": URL}}}
READER = {
    "type": "prefix-cache-scorer",
    "parameters": {"prefixMatchInfoProducerName": "precise-prefix-cache-producer"},
}
A, B = {"type": "a"}, {"type": "b"}


def producer(**parameters: Any) -> dict[str, Any]:
    return {"type": "precise-prefix-cache-producer", **({"parameters": parameters} if parameters else {})}


INDEX = {"tokenizersPoolConfig": {"x": 1}, "tokenProcessorConfig": {"blockSize": 16}}
SPLIT: list[tuple[list[Any], list[Any]]] = [
    ([A, scorer(), B], [A, TOKENS, producer(), READER, B]),
    ([A, scorer(), {"type": "prefix-cache-scorer"}, B], [A, TOKENS, producer(), READER, B]),
    ([{"type": "prefix-cache-scorer"}, scorer(), B], [B, TOKENS, producer(), READER]),
    ([{"type": "prefix-cache-scorer"}, scorer()], [TOKENS, producer(), READER]),
    ([scorer(), scorer(k=1)], [TOKENS, producer(), READER, scorer(k=1)]),
    ([scorer(indexerConfig=INDEX)], [TOKENS, producer(tokenProcessorConfig={"blockSize": 16}), READER]),
    (
        [scorer(indexerConfig={**INDEX, "other": 1}, tokenProcessorConfig={"blockSize": 32})],
        [TOKENS, producer(indexerConfig={"other": 1}, tokenProcessorConfig={"blockSize": 32}), READER],
    ),
    ([scorer(indexerConfig={"tokenizersPoolConfig": {}})], [TOKENS, producer(), READER]),
    ([{"type": "token-producer"}], [TOKENS]),
    (
        [{"type": "token-producer", "parameters": {"modelName": "m", "vllm": {"timeout": "5s"}}}],
        [{"type": "token-producer", "parameters": {"modelName": "m", "vllm": {"timeout": "5s", "url": URL}}}],
    ),
    (
        [{"type": "token-producer", "parameters": {"vllm": {"url": "http://mine"}}}],
        [{"type": "token-producer", "parameters": {"modelName": "/mnt/models/base", "vllm": {"url": "http://mine"}}}],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "wanted"), SPLIT)
def test_the_precise_scorer_is_split_and_producers_get_the_tokenizers_address(
    given: list[Any], wanted: list[Any]
) -> None:
    assert after(config(*given), "0.9.0", tokenizer=URL)["plugins"] == wanted
    assert after(config(*given), "0.8.0", tokenizer=URL) == config(*given), "not before 0.9"
    assert epp_config.plugin_types(goyaml.dump(config(*given))) == {each["type"] for each in given}


def test_one_reference_to_the_scorer_remains_and_has_the_precise_ones_weight() -> None:
    both = (refer("precise-prefix-cache-scorer", 3), refer("x"), refer("prefix-cache-scorer", 2))
    made = after(config(scorer(), profile=both), "0.9.0", tokenizer=URL)
    assert made["schedulingProfiles"][0]["plugins"] == [refer("prefix-cache-scorer", 3), refer("x")]
    other = (refer("prefix-cache-scorer", 2),)
    made = after(config(scorer(), profile=other), "0.9.0", tokenizer=URL)
    assert made["schedulingProfiles"][0]["plugins"] == list(other)


@pytest.mark.parametrize(
    ("version", "plugin", "stays"),
    [("0.8.0", A, True), ("0.9.0", A, False), ("0.9.0", scorer(), True)],
)
def test_a_side_container_for_tokens_that_nobody_needs_goes(
    version: str, plugin: dict[str, Any], stays: bool
) -> None:
    made = rewritten(pod_of(goyaml.dump(config(plugin)), side=True), version)
    assert [each["name"] for each in made["containers"]] == ["main", *(["tokenizer"] if stays else [])]


@pytest.mark.parametrize("version", ["", "0.5.0", "0.8.0"])
def test_the_side_container_has_its_settings_written_for_every_version(version: str) -> None:
    given = config(
        scorer(indexerConfig={"tokenProcessorConfig": {"blockSize": 16}}),
        {"type": "prefix-cache-scorer", "parameters": {"blockSize": 64}},
        {"type": "prefix-cache-scorer", "parameters": {"blockSize": 64, "blockSizeTokens": 3}},
    )
    made = rewritten(pod_of(goyaml.dump(given), side=True), version)
    pool = {"modelName": "base", "uds": {"socketFile": "/tmp/tokenizer/tokenizer-uds.socket"}}
    processor = {"blockSize": 16}
    index = {"tokenProcessorConfig": processor, "tokenizersPoolConfig": pool}
    assert goyaml.load(made["containers"][0]["args"][1])["plugins"] == [
        scorer(indexerConfig=index, tokenProcessorConfig=processor),
        {"type": "prefix-cache-scorer", "parameters": {"blockSize": 64, "blockSizeTokens": 64}},
        {"type": "prefix-cache-scorer", "parameters": {"blockSize": 64, "blockSizeTokens": 3}},
    ]


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    (
        "0.7.0",
        {"args": ["--config-file", "/f", "--lora-info-metric=x"]},
        ("scheduler deployment ns/svc-kserve-router-scheduler uses deprecated metric flags but has no inline "
        "--config-text; automatic migration to core-metrics-extractor plugin is not possible — convert to "
        "--config-text or remove the deprecated flags manually"),
    ),
    (
        "0.10.0",
        {"args": ["--config-file", "/f"], "command": ["--model-server-metrics-scheme=a", "-model-server-metrics-path"]},
        ("scheduler deployment ns/svc-kserve-router-scheduler sets deprecated --model-server-metrics-path, "
        "--model-server-metrics-scheme but has no inline --config-text; automatic migration to the "
        "metrics-data-source plugin is not possible — convert to --config-text or remove the flags manually"),
    ),
    (
        "0.10.0",
        {"args": ["--config-text", "x", "--model-server-metrics-https-insecure-skip-verify=maybe"]},
        ('invalid value "maybe" for --model-server-metrics-https-insecure-skip-verify: strconv.ParseBool: parsing '
        '"maybe": invalid syntax'),
    ),
    ("bad", {}, 'failed to parse version "bad": bad is not in dotted-tri format'),
    ("1", {}, 'failed to parse version "1": 1 is not in dotted-tri format'),
    ("latest-1", {}, 'failed to parse version "latest-1": latest is not in dotted-tri format'),
    ("1.2.x", {}, 'failed to parse version "1.2.x": strconv.ParseInt: parsing "x": invalid syntax'),
    ("0.10.0.1", {}, 'failed to parse version "0.10.0.1": strconv.ParseInt: parsing "0.1": invalid syntax'),
    ("..", {}, 'failed to parse version "..": strconv.ParseInt: parsing "": invalid syntax'),
    ("0.9.", {}, 'failed to parse version "0.9.": strconv.ParseInt: parsing "": invalid syntax'),
    (
        "0.9223372036854775808.0",
        {},
        ('failed to parse version "0.9223372036854775808.0": strconv.ParseInt: parsing "9223372036854775808": '
        "value out of range"),
    ),
    (
        "0.9.0-rc_1",
        {},
        'failed to parse version "0.9.0-rc_1": failed to validate pre-release: rc_1 is not a valid semver identifier',
    ),
    (
        "0.9.0+a..b",
        {},
        'failed to parse version "0.9.0+a..b": failed to validate metadata: a..b is not a valid semver identifier',
    ),
    (
        "0.7.0",
        {"args": ["--config-text", goyaml.dump(config(handler(deciderPluginName=5)))]},
        ("failed to mutate config for scheduler deployment ns/svc-kserve-router-scheduler: "
        ".parameters.deciderPluginName accessor error: 5 is of the wrong type, expected string"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("version", "main", "message"), ERRORS)
def test_what_cannot_be_rewritten_says_why(version: str, main: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        rewritten({"containers": [{"name": "main", **main}]}, version)
    assert str(caught.value) == f"failed to apply scheduler migrations: {message}"


@pytest.mark.parametrize(
    ("version", "flag"),
    [("0.7.0", "--total-queued-requests-metric=m"), ("0.10.0", "--model-server-metrics-scheme=https")],
)
def test_flags_beside_a_text_that_is_too_long_to_look_into_are_not_lost(version: str, flag: str) -> None:
    text = goyaml.dump({**config(), "description": "x" * epp_config.LONGEST})
    with pytest.raises(PlanError, match=r"at most 32,768 are read — shorten it, or write into it"):
        rewritten(pod_of(text, flag), version)
    assert rewritten(pod_of(text), version) == pod_of(text)


@pytest.mark.parametrize("version", ["", "0.10.0"])
def test_what_the_container_of_older_pickers_cannot_have_says_why(version: str) -> None:
    given = goyaml.dump(config(scorer(indexerConfig={"tokenizersPoolConfig": "pool"})))
    with pytest.raises(PlanError) as caught:
        rewritten(pod_of(given, side=True), version)
    assert str(caught.value) == (
        "failed to mutate scheduler config: failed to mutate config for scheduler deployment ns/svc-kserve-router-scheduler: "
        "value cannot be set because .parameters.indexerConfig.tokenizersPoolConfig is not a map[string]interface{}"
    )


def test_the_port_flag_alone_goes_without_a_text_too() -> None:
    pod = {
        "containers": [{"name": "main", "args": ["--config-file", "/f", "--model-server-metrics-port=8000"]}]
    }
    assert rewritten(pod, "0.10.0") == {"containers": [{"name": "main", "args": ["--config-file", "/f"]}]}


@pytest.mark.parametrize("version", ["v0.9.0", "0.9", "v0.9", "0.9.0+build.1"])
def test_versions_are_read_tolerantly(version: str) -> None:
    assert after(config(group=X_GROUP), version)["apiVersion"] == OWN_GROUP


@pytest.mark.parametrize(
    "text",
    [
        "just words",
        "- a\n- b\n",
        "plugins: []",
        "kind: ''",
        "kind: 5",
        "kind: K\napiVersion: a/b/c",
        "kind: [",
        "kind: K\nx: .inf",
        f"kind: K\nx: {'y' * epp_config.LONGEST}",
    ],
)
def test_a_text_that_go_does_not_take_for_an_object_stays_as_it_is(text: str) -> None:
    pod = pod_of(text, side=True)
    assert rewritten(pod, "0.10.0", URL) == pod
    assert epp_config.plugin_types(text) == frozenset()


def test_a_text_is_written_anew_even_if_nothing_in_it_changes_and_the_second_time_comes_out_the_same() -> (
    None
):
    text = '# mine\nkind: EndpointPickerConfig\nplugins:\n  - {weight: 2.0, type: "a", y: on}\n'
    once = rewritten(pod_of(text), "0.10.0")
    assert once["containers"][0]["args"][1] == (
        'kind: EndpointPickerConfig\nplugins:\n- "true": true\n  type: a\n  weight: 2\n'
    )
    assert rewritten(once, "0.10.0") == once


def test_every_spelling_of_the_text_flag_is_rewritten_and_files_are_not() -> None:
    for dashes in ("-", "--"):
        for name, changes in (("config-text", True), ("configText", True), ("config-file", False)):
            pod = {"containers": [{"name": "main", "args": [f"{dashes}{name}", "kind: K # mine"]}]}
            wanted = "kind: K\n" if changes else "kind: K # mine"
            assert rewritten(pod, "0.10.0")["containers"][0]["args"] == [f"{dashes}{name}", wanted]


@pytest.mark.parametrize(
    ("annotation", "image", "version"),
    [
        ("0.10.0", "epp:v0.2.0", (0, 10, 0, True)),
        ("", "registry:5000/epp:v0.2.0", (0, 2, 0, True)),
        ("", "registry:5000/epp:v0.3.0-rc.1@sha256:0", (0, 3, 0, False)),
        ("words", "epp:v0.4", (0, 4, 0, True)),
        ("", "epp:latest", None),
        ("", "registry:5000/epp", None),
        ("", "", None),
    ],
)
def test_the_version_is_that_of_the_annotation_or_of_the_images_tag(
    annotation: str, image: str, version: object
) -> None:
    pod = {"containers": [{"name": "side", "image": "x:v9.9.9"}, {"name": "main", "image": image}]}
    assert version_of({"app.kubernetes.io/version": annotation} if annotation else {}, pod) == version


def test_plugins_are_seen_in_a_text_without_kind_that_nothing_rewrites() -> None:
    text = '{"plugins":[{"type":"predicted-latency-producer"},{"type":"latency-scorer"}]}'
    assert epp_config.plugin_types(text) == {"predicted-latency-producer", "latency-scorer"}
    spec = {
        "router": {"scheduler": {"config": {"inline": {"plugins": [{"type": "predicted-latency-producer"}]}}}}
    }
    assert "scheduler-latency-predictor" in presets.chosen(spec)
    pod = pod_of(text)
    assert rewritten(pod, "0.10.0", URL) == pod

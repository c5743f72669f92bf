"""What becomes of an EndpointPickerConfig on its way to a newer picker: one rule for each change of a release (EPP-6).

Each rule changes the parsed configuration in place and does nothing where its subject is missing, so that a text that went
through once comes out the same again. Which rules a version gets is decided in `plan/epp_rewriting.py`.
"""

from collections.abc import Mapping
from copy import deepcopy
from math import ceil
from typing import Any, Final

from aioctl.plan.epp_config import NotAnObject, Rule, Tree, entries, lists_plugins, parameters, plugins, put

PRECISE_SCORER: Final = "precise-prefix-cache-scorer"
TOKEN_PRODUCER: Final = "token-producer"  # noqa: S105 - the type of a plugin
MODEL_AT: Final = "/mnt/models/base"
"""Where tokenizer and side container find the model."""
_SCORER: Final = "prefix-cache-scorer"
_PRODUCER: Final = "precise-prefix-cache-producer"
_PRODUCER_NAME: Final = "prefixMatchInfoProducerName"
_SOCKET: Final = "/tmp/tokenizer/tokenizer-uds.socket"  # noqa: S108 - a path in the picker's pod, not one of ours
_HANDLER: Final = "disagg-profile-handler"
_ALWAYS: Final = "always-disagg-pd-decider"
_PREFIX_BASED: Final = "prefix-based-pd-decider"
_EXTRACTOR: Final = "model-server-protocol-metrics"
_RENAMED_EXTRACTOR: Final = "core-metrics-extractor"
_DATA_SOURCE: Final = "metrics-data-source"
_CHARACTERS_A_TOKEN: Final = 4
"""`threshold` counted characters, `nonCachedTokens` counts tokens; KServe takes four for one, as in English text."""


def use_socket_tokenizer(config: Tree) -> None:
    """The scorer's tokenizer is the side container, with the model under the name `base`."""
    for plugin in plugins(config, PRECISE_SCORER):
        at = ("parameters", "indexerConfig", "tokenizersPoolConfig")
        put(plugin, "base", *at, "modelName")
        put(plugin, _SOCKET, *at, "uds", "socketFile")


def copy_token_processor(config: Tree) -> None:
    """Since router 0.6 `tokenProcessorConfig` stands beside `indexerConfig`; older ones still read it inside."""
    for plugin in plugins(config, PRECISE_SCORER):
        given = parameters(plugin)
        inner = given.get("indexerConfig")
        if (
            "tokenProcessorConfig" not in given
            and isinstance(inner, dict)
            and "tokenProcessorConfig" in inner
        ):
            given["tokenProcessorConfig"] = deepcopy(inner["tokenProcessorConfig"])


def copy_block_size(config: Tree) -> None:
    """Since router 0.6 the scorer does not start with `blockSize` alone."""
    for plugin in plugins(config, _SCORER):
        given = parameters(plugin)
        if "blockSize" in given:
            given.setdefault("blockSizeTokens", given["blockSize"])


def renamed(old: str, new: str) -> Rule:
    """The rule for a plugin type with a new name: its type, the plugin's name and what refers to it."""

    def rule(config: Tree) -> None:
        if not lists_plugins(config):
            return
        for plugin in plugins(config):
            plugin.update({field: new for field in ("type", "name") if plugin.get(field) == old})
        for reference in _references(config):
            if reference.get("pluginRef") == old:
                reference["pluginRef"] = new

    return rule


def use_deciders(config: Tree) -> None:
    """The profile handler's flat parameters become its map of deciders, and the decider it needs a plugin before it.

    Raises NotAnObject where the parameters are none, or the decider's name is no text.
    """
    if not lists_plugins(config):
        return
    listed = config["plugins"]
    needed: list[Tree] = []
    first = -1
    for at, plugin in enumerate(listed):
        if isinstance(plugin, dict) and plugin.get("type") in (_HANDLER, "pd-profile-handler"):
            first = at if first < 0 else first
            decider = _decider_of(plugin)
            needed += [decider] if decider else []
    for decider in needed:
        if not any(plugin["type"] == decider["type"] for plugin in plugins(config, decider["type"])):
            listed.insert(first, decider)
            first += 1


def _decider_of(plugin: Tree) -> Tree | None:
    """Moves the handler's parameters, and returns the decider plugin that a threshold stands for."""
    given = plugin.get("parameters")
    if given is None:
        return None
    if not isinstance(given, dict):
        at = ".parameters.deciderPluginName"
        raise NotAnObject(
            f"{at} accessor error: {given} is of the wrong type, expected map[string]interface{{}}"
        )
    if "deciders" in given:
        return None
    if "deciderPluginName" in given:
        name = given.pop("deciderPluginName")
        if not isinstance(name, str):
            at = ".parameters.deciderPluginName"
            raise NotAnObject(f"{at} accessor error: {name} is of the wrong type, expected string")
        given.pop("threshold", None)
        given["deciders"] = {"prefill": name}
        return None
    if "threshold" not in given:
        return None
    threshold = given.pop("threshold")
    always = threshold == "0" or (threshold == 0 and not isinstance(threshold, bool))
    decider = _ALWAYS if always else _PREFIX_BASED
    given["deciders"] = {"prefill": decider}
    if always:
        return {"type": decider}
    return {"type": decider, "parameters": {"nonCachedTokens": _tokens(threshold)}}


def _tokens(threshold: Any) -> int:
    """Tokens for a number of characters, at least one; one for what is no number."""
    try:
        characters = float(threshold) if not isinstance(threshold, bool) else 0.0
        return max(1, ceil(characters / _CHARACTERS_A_TOKEN))
    except (TypeError, ValueError, OverflowError):
        return 1


def drop_hash_block_size(config: Tree) -> None:
    """Router 0.7 no longer knows `hashBlockSize`, whatever plugin has it."""
    for plugin in plugins(config):
        parameters(plugin).pop("hashBlockSize", None)


def drop_scorer_parameters(config: Tree) -> None:
    """Router 0.9 leaves the scorer only the name of its producer."""
    for plugin in plugins(config, _SCORER):
        given = plugin.get("parameters")
        if isinstance(given, dict):
            for field in given.keys() - {_PRODUCER_NAME}:
                del given[field]
            if not given:
                del plugin["parameters"]


def use_own_group(config: Tree) -> None:
    """Router 0.9 has its configuration in a group of its own."""
    if config.get("apiVersion") == "inference.networking.x-k8s.io/v1alpha1":
        config["apiVersion"] = "llm-d.ai/v1alpha1"


def with_metrics_extractor(specs: Mapping[str, str]) -> Rule:
    """The rule that gives the metrics of former flags to a plugin of their own, by the plugin's field; a plugin there wins."""

    def rule(config: Tree) -> None:
        engine = {"name": "vllm", **specs}
        engines = {
            "engineLabelKey": "inference.networking.k8s.io/engine-type",
            "defaultEngine": "vllm",
            "engineConfigs": [engine],
        }
        _add(config, {"name": _EXTRACTOR, "type": _EXTRACTOR, "parameters": engines}, _RENAMED_EXTRACTOR)

    return rule


def with_data_source(given: Mapping[str, Any]) -> Rule:
    """The rule that gives the scrape settings of former flags to a plugin of their own; a plugin there wins."""

    def rule(config: Tree) -> None:
        _add(config, {"type": _DATA_SOURCE, "parameters": dict(given)})

    return rule


def rename_metrics_extractor(config: Tree) -> None:
    renamed(_EXTRACTOR, _RENAMED_EXTRACTOR)(config)


def with_tokenizer(url: str) -> Rule:
    """The rule that splits the scorer in three, whose first asks the tokenizer, and gives every producer that address."""

    def rule(config: Tree) -> None:
        _split_scorer(config)
        for plugin in plugins(config, TOKEN_PRODUCER):
            given = plugin.setdefault("parameters", {})
            if isinstance(given, dict):
                given.setdefault("modelName", MODEL_AT)
                vllm = given.setdefault("vllm", {})
                if isinstance(vllm, dict):
                    vllm.setdefault("url", url)

    return rule


def _split_scorer(config: Tree) -> None:
    """The first precise scorer becomes a producer of tokens, one of matches and the scorer that reads them.

    They stand at its index; of the others the scorers that a reader replaces are taken out first, in front of it too.
    """
    scorer = next(plugins(config, PRECISE_SCORER), None)
    if scorer is None:
        return
    given: list[Any] = config["plugins"]
    index = next(at for at, plugin in enumerate(given) if plugin is scorer)
    others = [
        plugin
        for plugin in given
        if plugin is not scorer and not (isinstance(plugin, dict) and plugin.get("type") == _SCORER)
    ]
    producer: Tree = {"type": _PRODUCER, **_producer_parameters(scorer)}
    reader = {"type": _SCORER, "parameters": {_PRODUCER_NAME: _PRODUCER}}
    config["plugins"] = [*others[:index], {"type": TOKEN_PRODUCER}, producer, reader, *others[index:]]
    for profile in entries(config, "schedulingProfiles"):
        if any(reference.get("pluginRef") == PRECISE_SCORER for reference in entries(profile, "plugins")):
            profile["plugins"] = [
                _read_by(each) for each in profile["plugins"] if not _refers_to_scorer(each)
            ]


def _producer_parameters(scorer: Tree) -> Tree:
    """The scorer's parameters without what only the old tokenizer read; nothing where nothing is left."""
    given = dict(parameters(scorer))
    inner = given.get("indexerConfig")
    if isinstance(inner, dict):
        inner = dict(inner)
        inner.pop("tokenizersPoolConfig", None)
        processor = inner.pop("tokenProcessorConfig", None)
        if processor is not None:
            given.setdefault("tokenProcessorConfig", processor)
        given["indexerConfig"] = inner
        if not inner:
            del given["indexerConfig"]
    return {"parameters": given} if given else {}


def _refers_to_scorer(reference: Any) -> bool:
    return isinstance(reference, dict) and reference.get("pluginRef") == _SCORER


def _read_by(reference: Any) -> Any:
    if isinstance(reference, dict) and reference.get("pluginRef") == PRECISE_SCORER:
        return {**reference, "pluginRef": _SCORER}
    return reference


def _references(config: Tree) -> list[Tree]:
    profiles = entries(config, "schedulingProfiles")
    return [reference for profile in profiles for reference in entries(profile, "plugins")]


def _add(config: Tree, plugin: Tree, *also: str) -> None:
    """Appends the plugin unless one of its type, or of the other types, is listed."""
    if next(plugins(config, plugin["type"], *also), None) is None:
        listed = config.get("plugins")
        config["plugins"] = [*(listed if isinstance(listed, list) else []), plugin]


NEWEST: Final[tuple[Rule, ...]] = (
    renamed("prefill-header-handler", "disagg-headers-handler"),
    renamed("pd-profile-handler", _HANDLER),
    use_deciders,
    drop_hash_block_size,
    rename_metrics_extractor,
    drop_scorer_parameters,
    use_own_group,
)
"""What every configuration goes through for the newest picker, whatever its flags and tokenizer."""


def is_from_flags(plugin: Any) -> bool:
    """Whether the plugin is one that a rule made of former flags."""
    return isinstance(plugin, dict) and plugin.get("type") in (_EXTRACTOR, _RENAMED_EXTRACTOR, _DATA_SOURCE)

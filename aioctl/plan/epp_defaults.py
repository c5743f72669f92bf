"""The endpoint picker's configuration where nobody gives one, and telling one that was generated from a user's (EPP-7).

The texts stand in pod specs, where one changed byte rolls every picker, so they are made of literals. A generated text that
the live picker has is kept as long as it fits: it is replaced when prefill or adapters came or went since.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final

from aioctl.caching import MIB, keeping
from aioctl.plan import epp_config, epp_rules


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides about the generated text."""

    prefill: bool
    adapters: bool


_LORA: Final = "lora-affinity-scorer"
_OWN: Final = "llm-d.ai/v1alpha1"
_FORMER: Final = "inference.networking.x-k8s.io/v1alpha1"
_SINGLE: Final = (
    "queue-scorer",
    "kv-cache-utilization-scorer",
    "prefix-cache-scorer",
    "no-hit-lru-scorer",
    "max-score-picker",
)
_WEIGHTS: Final = {
    "queue-scorer": 2,
    "kv-cache-utilization-scorer": 2,
    "prefix-cache-scorer": 3,
    "no-hit-lru-scorer": 2,
    "active-request-scorer": 2,
    _LORA: 4,
}
_DISAGGREGATED: Final = (
    "disagg-headers-handler",
    "prefill-filter",
    "decode-filter",
    "queue-scorer",
    "kv-cache-utilization-scorer",
    "active-request-scorer",
    "prefix-cache-scorer",
    "max-score-picker",
    "always-disagg-pd-decider",
)
_PREFILL: Final = ("prefix-cache-scorer", "queue-scorer", "kv-cache-utilization-scorer", "max-score-picker")
_DECODE: Final = ("active-request-scorer", "prefix-cache-scorer", "max-score-picker")
_HANDLER: Final = (
    "- type: disagg-profile-handler\n  parameters:\n    deciders:\n      prefill: always-disagg-pd-decider\n"
)


@cache
def generated(shape: Shape) -> str:
    """The text for a shape; it begins with a newline."""
    lora = (_LORA,) if shape.adapters else ()
    if not shape.prefill:
        plugins = _plugins("single-profile-handler", *_SINGLE, *lora)
        return _config(_OWN, plugins, _profile("default", *lora, *_SINGLE))
    prefill = _profile("prefill", "prefill-filter", *lora, *_PREFILL)
    decode = _profile("decode", "decode-filter", *lora, *_DECODE)
    return _config(_OWN, _plugins(*_DISAGGREGATED) + _HANDLER + _plugins(*lora), prefill + decode)


def outdated(text: str, wanted: Shape) -> bool:
    """Whether the text was generated, by us or by a KServe, for another shape than the one that is wanted now."""
    essence = _essence(text)
    made_for = _shapes().get(essence) if essence else None
    return made_for is not None and wanted not in made_for


def _config(group: str, plugins: str, profiles: str) -> str:
    return f"\napiVersion: {group}\nkind: EndpointPickerConfig\nplugins:\n{plugins}schedulingProfiles:\n{profiles}"


def _plugins(*types: str) -> str:
    return "".join(f"- type: {each}\n" for each in types)


def _profile(name: str, *references: str) -> str:
    weighted = ((each, _WEIGHTS.get(each)) for each in references)
    listed = (
        f"  - pluginRef: {each}\n" + (f"    weight: {weight}\n" if weight else "")
        for each, weight in weighted
    )
    return f"- name: {name}\n  plugins:\n{''.join(listed)}"


@cache
def _shapes() -> dict[str, frozenset[Shape]]:
    """The shapes that every text that was ever generated fits, by its essence."""
    shapes = [Shape(prefill, adapters) for prefill in (False, True) for adapters in (False, True)]
    made = {_essence(make(shape)): frozenset({shape}) for shape in shapes for make in (generated, _between)}
    # The first texts knew no adapters, so a service with some has them too: taking it over restarts no picker.
    for first, prefill in ((_FIRST_SINGLE, False), (_FIRST_PREFILL, True)):
        made[_essence(first)] = frozenset(shape for shape in shapes if shape.prefill is prefill)
    return made


@keeping(MIB)
def _essence(text: str) -> str:
    """The configuration as the newest picker would have it, without what flags added; one text for all ways of writing it."""
    config = epp_config.read(text)
    if config is None:
        return ""
    try:
        for rule in epp_rules.NEWEST:
            rule(config)
    except epp_config.NotAnObject:
        return ""
    if epp_config.lists_plugins(config):
        config["plugins"] = [each for each in config["plugins"] if not epp_rules.is_from_flags(each)]
    return epp_config.write(config)


def _between(shape: Shape) -> str:
    """What KServe generated between the first texts and today's: fewer scorers, the group of Inference Extension."""
    lora = (_LORA,) if shape.adapters else ()
    scorers = ("queue-scorer", "prefix-cache-scorer", "max-score-picker")
    if not shape.prefill:
        plugins = _plugins("single-profile-handler", *scorers, *lora)
        return _config(_FORMER, plugins, _profile("default", *lora, *scorers))
    plugins = _plugins(
        "disagg-headers-handler", "prefill-filter", "decode-filter", *scorers, "always-disagg-pd-decider"
    )
    profiles = "".join(_profile(each, f"{each}-filter", *lora, *scorers) for each in ("prefill", "decode"))
    return _config(_FORMER, plugins + _HANDLER + _plugins(*lora), profiles)


_FIRST_PREFILL: Final = """
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
  - type: prefill-header-handler
  - type: prefill-filter
  - type: decode-filter
  - type: max-score-picker
  - type: prefix-cache-scorer
  - type: queue-scorer
  - type: pd-profile-handler
    parameters:
      threshold: 0
schedulingProfiles:
  - name: prefill
    plugins:
      - pluginRef: prefill-filter
      - pluginRef: queue-scorer
        weight: 1.0
      - pluginRef: prefix-cache-scorer
        weight: 1.0
      - pluginRef: max-score-picker
  - name: decode
    plugins:
      - pluginRef: decode-filter
      - pluginRef: queue-scorer
        weight: 1.0
      - pluginRef: prefix-cache-scorer
        weight: 1.0
      - pluginRef: max-score-picker
"""

_FIRST_SINGLE: Final = """
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

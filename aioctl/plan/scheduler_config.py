"""The endpoint picker's arguments: its configuration, and the pool generation it reads (EPP-3).

The two texts are part of the pod spec: a single changed byte rolls every picker in the fleet. They are literals on
purpose and go through no YAML library.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from aioctl.api.kinds import POOL_GROUP_V1, POOL_GROUP_V1ALPHA2
from aioctl.api.objects import sequence, text

_POOL_GROUP = ("--pool-group", "-pool-group")
_FLAGS = frozenset(
    f"{dashes}{name}"
    for dashes in ("--", "-")
    for name in ("config-text", "configText", "config-file", "configFile")
)
"""Every spelling that some image of the picker reads; `with_config` adds nothing beside one of them."""

DISAGGREGATED = """
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

SINGLE_PROFILE = """
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


def with_config(pod: dict[str, Any], *, disaggregated: bool) -> None:
    """Append the configuration to the arguments of container `main`, unless they have one already.

    Changes the pod spec. A second configuration would make the picker fail, so `--config-text=...` counts too.
    """
    for container in sequence(pod, "containers"):
        if text(container, "name") != "main":
            continue
        args = list(sequence(container, "args"))
        if not any(_configures(arg) for arg in args):
            container["args"] = [*args, "--config-text", DISAGGREGATED if disaggregated else SINGLE_PROFILE]


def _configures(arg: Any) -> bool:
    return str(arg).partition("=")[0] in _FLAGS


def with_served_group(pod: dict[str, Any], served: str) -> None:
    """Puts the group that is served in the place of the other generation's in `--pool-group` of container `main`.

    A picker that waits for a kind nobody serves never gets ready. No flag is added: images of llm-d-inference-scheduler
    before 0.3 exit on it, and later ones read the v1 pool without it. Changes the pod spec.
    """
    other = POOL_GROUP_V1 if served == POOL_GROUP_V1ALPHA2 else POOL_GROUP_V1ALPHA2
    for container in sequence(pod, "containers"):
        if text(container, "name") == "main" and sequence(container, "args"):
            container["args"] = list(_regrouped(sequence(container, "args"), other, served))


def _regrouped(args: Sequence[Any], other: str, served: str) -> Iterator[Any]:
    before: Any = None
    for arg in args:
        flag, separator, value = arg.partition("=") if isinstance(arg, str) else (arg, "", "")
        if flag in _POOL_GROUP and separator and value == other:
            yield f"{flag}={served}"
        else:
            yield served if before in _POOL_GROUP and arg == other else arg
        before = arg

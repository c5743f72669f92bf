"""The endpoint picker's configuration as an argument (spec 40 section 7.1).

The two texts are part of the pod spec: a single changed byte rolls every picker in the fleet. They are literals on
purpose and go through no YAML library.
"""

from typing import Any

from aioctl.api.objects import sequence, text

_FLAGS = ("--config-text", "-config-text", "--config-file", "-config-file")

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

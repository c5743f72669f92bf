"""Templates as KServe has them: what `.` is, the functions beside Go's own, and errors in the words of a plan.

The root is the service as stored, with the KV cache of its merged spec, and the global configuration (CFG-1, TPL-3).
"""

import json
from collections.abc import Sequence
from math import ceil
from typing import Any, Final

from aioctl.api import names
from aioctl.api.objects import Object, integer, name_of, namespace_of, present, sequence, text
from aioctl.golang import quantity
from aioctl.golang.gotypes import ROOT
from aioctl.golang.template import (
    Builtin,
    Functions,
    OperationError,
    Rendered,
    Source,
    Takes,
    Template,
    TemplateError,
    Value,
)
from aioctl.golang.template import parse as parse_go
from aioctl.golang.template import render as render_go
from aioctl.golang.template.values import as_string, of_int64, of_string
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import PlanError


def _child_name(operands: Sequence[Value]) -> Value:
    parent, suffix = (as_string(operand) for operand in operands)
    return of_string(names.child(parent, suffix))


def _shutdown_timeout(operands: Sequence[Value]) -> Value:
    """Seconds that a server has for its shutdown: the grace period less the pre-stop hook less a reserve, at least 0."""
    pod_spec, pre_stop = operands
    grace = None
    if pod_spec.type.title == _POD_SPEC and pod_spec.data is not None:
        grace = integer(pod_spec.data, "terminationGracePeriodSeconds")
    if grace is None:
        grace = _GRACE
    return of_int64(max(0, grace - pre_stop.data - min(_RESERVE, grace)))


_POD_SPEC: Final = "*v1.PodSpec"
_GRACE: Final = 60
"""Seconds, where the pod says nothing: what the shipped presets set."""
_RESERVE: Final = 5
"""Seconds between the server's own timeout and the moment it is killed."""


def _kv_transfer_config(operands: Sequence[Value]) -> Value:
    """The flag that tells vLLM to offload its KV cache, quotes escaped for a shell; empty for nil and other types."""
    (offloading,) = operands
    if offloading.type.title != "*v1alpha2.KVCacheOffloadingSpec" or offloading.data is None:
        return of_string("")
    settings = offloading.data
    tiers = [
        {"root_dir": f"/mnt/kv-cache-{place}", "type": "fs"}
        for place, tier in enumerate(sequence(settings, "secondary"))
        if present(tier, "fileSystem")
    ]
    policy = text(settings, "evictionPolicy")
    config = {
        "kv_connector": "OffloadingConnector",
        "kv_connector_extra_config": {
            "cpu_bytes_to_use": _bytes(settings.get("cpu")),
            **({"eviction_policy": policy} if policy else {}),
            **({"secondary_tiers": tiers} if tiers else {}),
            "spec_name": "TieringOffloadingSpec",
        },
        "kv_role": "kv_both",
    }
    flag = json.dumps(config, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    escaped = flag.replace('"', '\\"')
    return of_string(f"--kv-transfer-config '{escaped}'")


def _bytes(cpu: Any) -> int:
    """A quantity in bytes, rounded up as Go does. Raises OperationError for what is none."""
    try:
        return ceil(quantity.parse(str(cpu if cpu is not None else 0)))
    except ValueError as error:
        raise OperationError(f"error calling kvTransferConfig: kvCacheOffloading.cpu: {error}") from error


FUNCTIONS: Final[Functions] = {
    "ChildName": Builtin(_child_name, 2, types=(Takes.STRING, Takes.STRING)),
    "shutdownTimeout": Builtin(_shutdown_timeout, 2, types=(Takes.ANY, Takes.INT64)),
    "kvTransferConfig": Builtin(_kv_transfer_config, 1),
}
"""KServe's own, by name (NAME-1, TPL-5): `ChildName parent suffix`, `shutdownTimeout podSpec seconds`, `kvTransferConfig kv`."""


def parse(template: str) -> Template:
    """One string as a template. Raises ParseError."""
    return parse_go(template, _NAMES)


def render(tree: Any, root: Value, *, source: Source = lambda _path: "", path: str = "") -> Rendered:
    """All templates of a tree rendered. Raises PlanError with the text of the first that fails."""
    try:
        return render_go(tree, root, functions=FUNCTIONS, source=source, path=path)
    except TemplateError as error:
        raise PlanError(str(error)) from error


_NAMES: Final = frozenset(FUNCTIONS)


def root(service: Object, config: GlobalConfig, pool: str = "") -> Value:
    """What `.` is at the start of every template; `pool` is the InferencePool that the combined spec names, if any."""
    pool = pool or names.default_pool_name(name_of(service))
    global_config = {
        "systemNamespace": config.system_namespace,
        "ingressGatewayName": config.ingress_gateway_name,
        "ingressGatewayNamespace": config.ingress_gateway_namespace,
        "enableTLS": bool(config.routing.enable_tls),
        "modelBasedRoutingHeaderName": config.routing.model_header,
        "inferencePoolNamespacedName": f"{namespace_of(service)}/{pool}",
    }
    return Value(ROOT, {**service, "globalConfig": global_config})

"""Values inside error texts, spelled as Go's encoder spells its structs: declared field order, its fillers, `\\u003c`.

Only the types that admission quotes are known (ADM-2): parallelism, the route of a service, pod specs.
What is not known keeps the order it came in. Nothing compares these texts but people and recordings.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Struct:
    """Field order of one Go struct; `parts` are its fields that are structs (or lists of them) of a known type."""

    order: tuple[str, ...] = ()
    parts: Mapping[str, "Struct"] = field(default_factory=dict)
    fillers: Mapping[str, Any] = field(default_factory=dict)
    """Fields Go writes although they are unset."""
    drops: frozenset[str] = frozenset()
    """Fields Go leaves out when they are false."""


def _fields(names: str) -> tuple[str, ...]:
    return tuple(names.split())


PARALLELISM = Struct(
    ("tensor", "pipeline", "data", "dataLocal", "dataRPCPort", "expert"), drops=frozenset({"expert"})
)
_BACKEND = Struct(("group", "kind", "name", "namespace", "port", "weight", "filters"))
_NAMED_MATCH = Struct(("type", "name", "value"))
_MATCH = Struct(
    ("path", "headers", "queryParams", "method"),
    {"path": Struct(("type", "value")), "headers": _NAMED_MATCH, "queryParams": _NAMED_MATCH},
)
_RULE = Struct(
    ("name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence"),
    {"matches": _MATCH, "backendRefs": _BACKEND, "timeouts": Struct(("request", "backendRequest"))},
)
_PARENT = Struct(("group", "kind", "namespace", "name", "sectionName", "port"))
ROUTE_SPEC = Struct(("parentRefs", "hostnames", "rules"), {"parentRefs": _PARENT, "rules": _RULE})
ROUTE = Struct(("refs", "spec"), {"spec": ROUTE_SPEC})
_CONTAINER = Struct(
    _fields(
        "name image command args workingDir ports envFrom env resources volumeMounts livenessProbe "
        "readinessProbe startupProbe lifecycle terminationMessagePath terminationMessagePolicy "
        "imagePullPolicy securityContext stdin stdinOnce tty"
    ),
    {
        "ports": Struct(("name", "hostPort", "containerPort", "protocol", "hostIP")),
        "env": Struct(("name", "value", "valueFrom")),
        "resources": Struct(("limits", "requests", "claims")),
        "volumeMounts": Struct(("name", "readOnly", "mountPath", "subPath")),
    },
    {"resources": {}},
)
POD_SPEC = Struct(
    _fields(
        "volumes initContainers containers ephemeralContainers restartPolicy "
        "terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy nodeSelector "
        "serviceAccountName serviceAccount automountServiceAccountToken nodeName hostNetwork "
        "hostPID hostIPC shareProcessNamespace securityContext imagePullSecrets hostname subdomain "
        "affinity schedulerName tolerations"
    ),
    {"initContainers": _CONTAINER, "containers": _CONTAINER, "ephemeralContainers": _CONTAINER},
    {"containers": None},
)


def _ordered(value: Any, struct: Struct) -> Any:
    if isinstance(value, list):
        return [_ordered(item, struct) for item in value]
    if not isinstance(value, Mapping):
        return value
    filled = {**struct.fillers, **{key: part for key, part in value.items() if part is not None}}
    rank = {key: place for place, key in enumerate(struct.order)}
    return {
        key: _ordered(filled[key], struct.parts.get(key, Struct()))
        for key in sorted(filled, key=lambda key: rank.get(key, len(rank)))
        if not (key in struct.drops and not filled[key])
    }


def dump(value: Any, struct: Struct | None = None) -> str:
    """Compact JSON as Go writes it; absent is `null`, and `<`, `>` and `&` are escaped."""
    text = json.dumps(_ordered(value, struct or Struct()), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text

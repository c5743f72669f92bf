"""What kube-apiserver 1.34 makes of a pod template, so that an unchanged Deployment compares equal without a call.

`canonical` is the template as Go would write it (plain `false` and `0` left out); every pod spec we send went through
it, so templates stored by the Go controller and ours do not differ. `with_defaults` adds what the API server fills in.
A default that is missing here costs one dry run per reconcile (EQ-3), never a wrong write.
Empty objects and strings need not be filled in, as the comparisons take them as absent; the one that is in every pod is,
because what is equal to the letter is compared fastest.
"""

from collections.abc import Mapping
from typing import Any, Final

from aioctl.api.encoding import MAPPINGS
from aioctl.api.objects import mapping, sequence
from aioctl.golang import quantity

_LEFT_OUT_WHEN_FALSE: Final = frozenset(
    {"hostNetwork", "hostPID", "hostIPC", "stdin", "stdinOnce", "tty", "readOnly"}
)
_POINTERS_READ_ONLY: Final = frozenset({"csi", "azureDisk"})
_LEFT_OUT_WHEN_ZERO: Final = frozenset(
    {
        "hostPort",
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    }
)
_POD: Final = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}
_PROBE: Final = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}
_NUMBERS: Final = frozenset({int, bool, float})
_AMOUNTS: Final = frozenset({"limits", "requests"})
_PROBES: Final = ("livenessProbe", "readinessProbe", "startupProbe")
_REFERENCES: Final = {"fieldRef": {"apiVersion": "v1"}, "resourceFieldRef": {"divisor": "0"}}
_VOLUMES: Final[dict[str, dict[str, Any]]] = {
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}


def canonical(value: Any, *, _parent: str = "") -> Any:
    """A deep copy without null, and without the false and zero values that Go's types cannot tell from absent."""
    if isinstance(value, (list, tuple)):
        return [item if type(item) is str else canonical(item, _parent=_parent) for item in value]
    if isinstance(value, MAPPINGS):
        copy: dict[str, Any] = {}
        for key, item in value.items():
            kind = type(item)
            if kind is str or (kind in _NUMBERS and item):
                copy[key] = item
            elif item or (item is not None and not _left_out(key, item, _parent)):
                copy[key] = canonical(item, _parent=key)
        return copy
    return value


def with_defaults(pod_spec: Mapping[str, Any]) -> dict[str, Any]:
    """The pod spec of a template as the API server stores it. Raises FieldError for lists that are no lists."""
    pod: dict[str, Any] = canonical(pod_spec)
    _fill(pod, _POD)
    account = pod.get("serviceAccountName") or pod.get("serviceAccount")
    if account:
        pod["serviceAccountName"] = pod["serviceAccount"] = account
    for field in ("initContainers", "containers"):
        for container in sequence(pod, field):
            _container(container)
    for volume in sequence(pod, "volumes"):
        _volume(volume)
    return pod


def with_canonical_amounts(pod_spec: Mapping[str, Any]) -> dict[str, Any]:
    """The pod spec with resource amounts as an API server spells them, to foretell what it stores."""
    return {key: _spelled(value, key) for key, value in pod_spec.items()}


def pull_policy(image: str) -> str:
    """Always for the tag `latest` and for no tag at all, IfNotPresent otherwise."""
    name, _, digest = image.partition("@")
    _, colon, tag = name.rpartition("/")[2].partition(":")
    if colon:
        return "Always" if tag == "latest" else "IfNotPresent"
    return "IfNotPresent" if digest or not name else "Always"


def _left_out(key: str, value: Any, parent: str) -> bool:
    if value is False:
        return key in _LEFT_OUT_WHEN_FALSE and not (key == "readOnly" and parent in _POINTERS_READ_ONLY)
    return type(value) is int and value == 0 and key in _LEFT_OUT_WHEN_ZERO


def _fill(target: dict[str, Any], defaults: Mapping[str, Any]) -> None:
    for key, value in defaults.items():
        if target.get(key) in (None, ""):
            target[key] = value


def _container(container: dict[str, Any]) -> None:
    _fill(
        container,
        {
            "terminationMessagePath": "/dev/termination-log",
            "terminationMessagePolicy": "File",
            "imagePullPolicy": pull_policy(str(container.get("image", ""))),
        },
    )
    for port in sequence(container, "ports"):
        _fill(port, {"protocol": "TCP"})
    for variable in sequence(container, "env"):
        _references(mapping(variable, "valueFrom"))
    for name in _PROBES:
        probe = container.get(name)
        if probe is not None:
            _fill(probe, _PROBE)
            _http_get(probe)
    for hook in mapping(container, "lifecycle").values():
        _http_get(hook)


def _http_get(handler: Any) -> None:
    request = mapping(handler, "httpGet")
    if isinstance(request, dict) and request:
        _fill(request, {"path": "/", "scheme": "HTTP"})


def _references(holder: Mapping[str, Any]) -> None:
    for name, defaults in _REFERENCES.items():
        reference = mapping(holder, name)
        if isinstance(reference, dict) and reference:
            _fill(reference, defaults)


def _volume(volume: dict[str, Any]) -> None:
    for source, defaults in _VOLUMES.items():
        if isinstance(volume.get(source), dict):
            _fill(volume[source], defaults)
    for item in sequence(volume, "downwardAPI", "items"):
        _references(item)
    for projection in sequence(volume, "projected", "sources"):
        for item in sequence(projection, "downwardAPI", "items"):
            _references(item)
        token = projection.get("serviceAccountToken")
        if isinstance(token, dict):
            _fill(token, {"expirationSeconds": 3600})
    claim = volume.get("ephemeral", {}).get("volumeClaimTemplate", {}).get("spec")
    if isinstance(claim, dict):
        _fill(claim, {"volumeMode": "Filesystem"})
    image = volume.get("image")
    if isinstance(image, dict):
        _fill(image, {"pullPolicy": pull_policy(str(image.get("reference", "")))})


def _spelled(value: Any, key: str) -> Any:
    if isinstance(value, MAPPINGS):
        if key in _AMOUNTS:
            return {name: _amount(item) for name, item in value.items()}
        return {
            name: _amount(item)
            if name == "sizeLimit"
            else (item if type(item) is str else _spelled(item, name))
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [item if type(item) is str else _spelled(item, key) for item in value]
    return value


def _amount(value: Any) -> Any:
    try:
        return quantity.canonical(str(value))
    except ValueError:
        return value

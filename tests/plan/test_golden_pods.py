"""Pod templates as a real kube-apiserver stored them: nothing is missing from our defaulting, and nothing is too much."""

from functools import cache
from typing import Any

from aioctl.golang.equality import equal
from aioctl.plan.pod_defaults import canonical, with_defaults
from testbed.shared_data import documents

_CONTAINER = {
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "resources": {},
}
_POD = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "schedulerName": "default-scheduler",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
}


@cache
def deployments() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{case} {path}", found["spec"]["template"]["spec"])
        for case, files in documents("golden/*.yaml").items()
        for path, found in (files[0].get("objects") or {}).items()
        if path.startswith("apps/v1/deployments/")
    ]


def without(value: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in defaults or defaults[key] != item}


def as_sent(pod: dict[str, Any]) -> dict[str, Any]:
    """The stored pod spec with what an API server filled in taken out again, where it can be told."""
    sent = without(canonical(pod), _POD)
    sent.pop("serviceAccount", None)
    for field in ("initContainers", "containers"):
        if field in sent:
            sent[field] = [without(container, _CONTAINER) for container in sent[field]]
    for volume in sent.get("volumes", ()):
        for source in ("secret", "configMap"):
            volume.get(source, {}).pop("defaultMode", None)
    return sent


def test_stored_pod_specs_have_all_their_defaults() -> None:
    for name, pod in deployments():
        assert with_defaults(pod) == pod, name


def test_stored_pod_specs_come_out_of_what_was_sent() -> None:
    for name, pod in deployments():
        assert equal(with_defaults(as_sent(pod)), pod), name

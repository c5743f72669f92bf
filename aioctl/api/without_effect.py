"""What is accepted but has no effect: whoever writes it is told, at admission or, where presets decide, by an event (COND-9).

One function reads a service as it is written and its combined form alike. As written, only what no config can change is told:
a preset may bring the worker, or the flag, that is missing.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from aioctl.api import model_uri
from aioctl.api.objects import Object, dig

REASON: Final = "WithoutEffect"
MAIN: Final = "main"
_SIDES: Final = (("spec",), ("spec", "prefill"))
_PODS: Final = ("template", "worker")
_FLAGS: Final = {"tensor": ("tensor-parallel", "-tp"), "pipeline": ("pipeline-parallel", "-pp")}
"""Degrees that a model server only knows from its command line, and what shows there."""
_TOKENS: Final = {
    model_uri.HF: ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    model_uri.S3: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
}
_INITIALIZER: Final = "storage-initializer"


class Finding(NamedTuple):
    """A field, and why nothing follows from it."""

    path: str
    why: str

    def __str__(self) -> str:
        return f"{self.path} has no effect: {self.why}"


def warnings(service: Object) -> list[str]:
    """Of a service in v1alpha2 as it is written."""
    return [str(finding) for finding in (*_tokens(service), *_unnamed(service), *_lonely(service))]


def of_combined(service: Object) -> list[str]:
    """Of a service with its combined spec, templates rendered."""
    return [str(finding) for finding in (*_tokens(service), *_headless(service), *_unread(service))]


def _tokens(service: Object) -> Iterator[Finding]:
    """Credentials that the server has, while the model is downloaded before it starts."""
    if dig(service, "spec", "storageInitializer", "enabled") is False:
        return
    scheme = str(dig(service, "spec", "model", "uri") or "").partition(model_uri.SEPARATOR)[0]
    for path, pod in _pods(service):
        given = _variables(_named(pod, "containers", MAIN))
        known = _variables(_named(pod, "initContainers", _INITIALIZER))
        for name in _TOKENS.get(scheme, ()):
            if name in given and name not in known:
                why = "downloads use the service account's secrets"
                yield Finding(f"{path}: {name} in {MAIN}", why)


def _unnamed(service: Object) -> Iterator[Finding]:
    for path, pod in _pods(service):
        if _containers(pod, "containers") and _named(pod, "containers", MAIN) is None:
            yield Finding(f"{path}.containers without {MAIN}", f"the model goes to {MAIN}, beside these")


def _headless(service: Object) -> Iterator[Finding]:
    for path, pod in _pods(service):
        if _containers(pod, "containers") and _named(pod, "containers", MAIN) is None:
            yield Finding("spec.model", f"no container in {path} is named {MAIN}")


def _lonely(service: Object) -> Iterator[Finding]:
    """Degrees for several nodes where there is one, and nothing else that could bring a second."""
    if dig(service, "spec", "baseRefs"):
        return
    for at in _SIDES:
        if dig(service, *at) is None or dig(service, *at, "worker") is not None:
            continue
        shown = _shown(dig(service, *at, "template"))
        if "parallel" not in shown.lower():
            path = ".".join(at)
            for degree in ("pipeline", "data", "dataLocal"):
                if _degree(service, at, degree) > 1:
                    yield Finding(f"{path}.parallelism.{degree}", f"{path} has no worker")


def _unread(service: Object) -> Iterator[Finding]:
    """Degrees that no command line shows: no template reads them, or templates read a service that lacks them."""
    for at in _SIDES:
        shown = " ".join(_shown(dig(service, *at, pod)) for pod in _PODS)
        for degree, flags in _FLAGS.items():
            if _degree(service, at, degree) > 1 and shown and not any(flag in shown for flag in flags):
                yield Finding(
                    f"{'.'.join(at)}.parallelism.{degree}",
                    f"no command of its pods has --{flags[0]}-size; templates read the service alone, not its configs",
                )


def _pods(service: Object) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for at in _SIDES:
        for name in _PODS:
            pod = dig(service, *at, name)
            if isinstance(pod, Mapping):
                yield ".".join((*at, name)), pod


def _containers(pod: object, field: str) -> list[Mapping[str, Any]]:
    found = dig(pod, field)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _named(pod: object, field: str, name: str) -> Mapping[str, Any] | None:
    return next((item for item in _containers(pod, field) if item.get("name") == name), None)


def _variables(container: Mapping[str, Any] | None) -> frozenset[str]:
    found = dig(container, "env")
    return frozenset(
        str(item.get("name"))
        for item in (found if isinstance(found, list) else ())
        if isinstance(item, Mapping)
    )


def _degree(service: Object, at: tuple[str, ...], name: str) -> int:
    found = dig(service, *at, "parallelism", name)
    return found if isinstance(found, int) else 0


def _shown(pod: object) -> str:
    """All command lines of a pod spec, and the variables that they may use."""
    words: list[object] = []
    for container in _containers(pod, "containers"):
        for field in ("command", "args"):
            found = container.get(field)
            words += found if isinstance(found, list) else []
        variables = container.get("env")
        words += [dig(item, "value") or "" for item in (variables if isinstance(variables, list) else ())]
    return " ".join(str(word) for word in words)

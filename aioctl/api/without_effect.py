"""What is accepted but has no effect: whoever writes it is told, at admission or, where presets decide, by an event (COND-9).

One function reads a service as it is written and its combined form alike. As written, only what no config can change is told:
a preset may bring the worker, or the flag, that is missing.
"""

from collections.abc import Iterator
from typing import Final

from aioctl.api import idle_fields, idle_metadata, idle_routing, local_model, model_uri, service_names
from aioctl.api.objects import Object, dig
from aioctl.api.pod_reading import (
    INITIALIZER,
    MAIN,
    PODS,
    SIDES,
    Finding,
    containers,
    named,
    pods,
    shown,
    variables,
)

REASON: Final = "WithoutEffect"
_FLAGS: Final = {
    "tensor": ("tensor-parallel", "-tp"),
    "pipeline": ("pipeline-parallel", "-pp"),
    "data": ("data-parallel", "-dp"),
    "dataLocal": ("data-parallel-size-local", "-dpl"),
    "dataRPCPort": ("data-parallel-rpc-port", "-dpp"),
    "expert": ("enable-expert-parallel", "-ep"),
}
"""What a model server only knows from its command line, and what shows there."""
_TOKENS: Final = {
    model_uri.HF: ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"),
    model_uri.S3: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
}


def warnings(service: Object) -> list[str]:
    """Of a service in v1alpha2 as it is written."""
    parts = (
        _tokens,
        _unnamed,
        _lonely,
        service_names.podless_sets,
        idle_fields.as_written,
        idle_routing.as_written,
        idle_metadata.of_labels,
        idle_metadata.of_annotations,
    )
    return [str(finding) for part in parts for finding in part(service)]


def warnings_of_annotations(service: Object) -> list[str]:
    """Of its annotations alone, which change without the spec."""
    return [str(finding) for finding in idle_metadata.of_annotations(service)]


def of_combined(service: Object) -> list[str]:
    """Of a service with its combined spec, templates rendered."""
    parts = (
        _tokens,
        _headless,
        _unread,
        idle_fields.combined,
        idle_routing.combined,
        idle_metadata.combined,
    )
    return [str(finding) for part in parts for finding in part(service)]


def _tokens(service: Object) -> Iterator[Finding]:
    """Credentials that the server has, while the model is downloaded before it starts."""
    if dig(service, "spec", "storageInitializer", "enabled") is False or local_model.is_cached(service):
        return
    scheme = str(dig(service, "spec", "model", "uri") or "").partition(model_uri.SEPARATOR)[0]
    for path, pod in pods(service):
        given = variables(named(pod, "containers", MAIN))
        known = variables(named(pod, "initContainers", INITIALIZER))
        for name in _TOKENS.get(scheme, ()):
            if name in given and name not in known:
                why = "downloads use the service account's secrets"
                yield Finding(f"{path}: {name} in {MAIN}", why)


def _unnamed(service: Object) -> Iterator[Finding]:
    for path, pod in pods(service):
        if containers(pod, "containers") and named(pod, "containers", MAIN) is None:
            yield Finding(f"{path}.containers without {MAIN}", f"the model goes to {MAIN}, beside these")


def _headless(service: Object) -> Iterator[Finding]:
    for path, pod in pods(service):
        if containers(pod, "containers") and named(pod, "containers", MAIN) is None:
            yield Finding("spec.model", f"no container in {path} is named {MAIN}")


def _lonely(service: Object) -> Iterator[Finding]:
    """Degrees for several nodes where there is one, and nothing else that could bring a second."""
    if dig(service, "spec", "baseRefs"):
        return
    for at in SIDES:
        if dig(service, *at) is None or dig(service, *at, "worker") is not None:
            continue
        if "parallel" not in shown(dig(service, *at, "template")).lower():
            path = ".".join(at)
            for degree in ("pipeline", "data", "dataLocal"):
                if _degree(service, at, degree) > 1:
                    yield Finding(f"{path}.parallelism.{degree}", f"{path} has no worker")


def _unread(service: Object) -> Iterator[Finding]:
    """Degrees that no command line shows: no template reads them, or templates read a service that lacks them."""
    for at in SIDES:
        commands = " ".join(shown(dig(service, *at, pod)) for pod in PODS)
        for degree, flags in _FLAGS.items():
            if _degree(service, at, degree) > 1 and commands and not any(flag in commands for flag in flags):
                yield Finding(
                    f"{'.'.join(at)}.parallelism.{degree}",
                    f"no command of its pods has --{flags[0]}; templates read the service alone, not its configs",
                )


def _degree(service: Object, at: tuple[str, ...], name: str) -> int:
    """The number; of a switch 2 for on."""
    found = dig(service, *at, "parallelism", name)
    return 2 * found if isinstance(found, bool) else found if isinstance(found, int) else 0

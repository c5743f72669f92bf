"""LoRA adapters of a service: where each one lies in the pod, and how the server is told (LORA-1).

Adapters are downloaded with the base model (`initializer.py`) or mounted from claims. The arguments are vLLM's.
`attach` changes the pod spec it is given, which must be the caller's own copy.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from aioctl.api import model_uri, names, user_names
from aioctl.api.objects import integer, sequence, text
from aioctl.golang.gojson import dump
from aioctl.plan.model import PlanError
from aioctl.plan.workload.containers import MAIN, Item, add_named, mount, named
from aioctl.plan.workload.initializer import Download, enabled

ROOT: Final = "/mnt/lora"
_CLAIM_VOLUME: Final = "lora-pvc-"
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9._-]")
_UNQUOTABLE: Final = re.compile(r"['\\]")
"""Ends the quotes, or is eaten, where a preset evaluates its arguments once more."""
_DOCS: Final = "https://github.com/kserve/kserve/blob/master/docs/samples/llmisvc/lora-adapters/README.md"
_MODULES: Final = "--lora-modules"
_EXTRA_ARGS: Final = "VLLM_ADDITIONAL_ARGS"


@dataclass(frozen=True, slots=True)
class Adapter:
    """One adapter of the combined spec."""

    name: str
    uri: str
    path: str
    """Its directory in the pod."""

    @property
    def scheme(self) -> str:
        return self.uri.partition(model_uri.SEPARATOR)[0]

    @property
    def rest(self) -> str:
        return self.uri.partition(model_uri.SEPARATOR)[2]


def resolve(spec: Mapping[str, Any]) -> tuple[Adapter, ...]:
    """The adapters of a combined spec, sorted by name. Raises PlanError for one that cannot be attached."""
    given = sequence({"spec": spec}, "spec", "model", "lora", "adapters")
    found = sorted(
        ((text(entry, "name"), text(entry, "uri")) for entry in given), key=lambda pair: pair[0].encode()
    )
    for name, uri in found:
        problem = _problem(name, uri, initializer=enabled(spec))
        if problem:
            raise PlanError(f'LoRA adapter "{name}": {problem}')
    segments = _segments([name for name, _ in found])
    return tuple(Adapter(name, uri, f"{ROOT}/{segments[name]}") for name, uri in found)


def downloads(adapters: Sequence[Adapter]) -> list[Download]:
    """What the storage initializer has to fetch, in the order of names."""
    return [
        Download(adapter.uri, adapter.path) for adapter in adapters if adapter.scheme in model_uri.DOWNLOADED
    ]


def attach(pod: Item, adapters: Sequence[Adapter], settings: Mapping[str, Any], namespace: str) -> None:
    """Mount adapters from claims and tell the server of all. `settings` is `spec.model.lora`.

    Raises PlanError for a pod without `main`.
    """
    if not adapters:
        return
    main = named(pod, "containers", MAIN)
    if main is None:
        raise PlanError(f'no container "{MAIN}" in pod spec for LoRA injection')
    for adapter in adapters:
        if adapter.scheme == model_uri.PVC:
            _mount_claim(pod, main, adapter)
    if not _told(main):
        main["args"] = [*_arguments(adapters, settings, namespace), *(main.get("args") or ())]


def _problem(name: str, uri: str, *, initializer: bool) -> str:
    parts = model_uri.split(uri)
    if parts is None:
        return f'invalid URI "{uri}"'
    scheme, rest = parts
    if scheme in model_uri.DOWNLOADED and not initializer:
        return (
            "hf:// and s3:// require the storage initializer \u2014 "
            f"set storageInitializer.enabled to true (see {_DOCS})"
        )
    if scheme == model_uri.PVC and not initializer:
        return (
            "pvc:// requires a mounted volume \u2014 "
            f"do not set storageInitializer.enabled to false (see {_DOCS})"
        )
    if scheme == model_uri.OCI:
        return f"oci:// is not supported for LoRA adapters; use hf://, s3://, or pvc:// instead (see {_DOCS})"
    if scheme not in model_uri.ADAPTER_SCHEMES:
        return (
            f'unsupported URI scheme "{scheme}://"; supported schemes are hf://, s3://, pvc:// (see {_DOCS})'
        )
    if _UNQUOTABLE.search(name):
        return "invalid name"
    reason = model_uri.rest_problem(scheme, rest)
    return f'invalid URI "{uri}": {reason}; {model_uri.ADAPTER_FORMS}' if reason else ""


def _segments(ordered: Sequence[str]) -> dict[str, str]:
    """A directory for each name. Of different names with the same one, the later get a digest behind it."""
    taken: Counter[str] = Counter()
    segments = {}
    for name in dict.fromkeys(ordered):
        segment = _UNSAFE.sub("-", name)
        segment = "adapter" if segment in ("", ".", "..") else segment
        segments[name] = f"{segment}-{_digest(name)[:8]}" if taken[segment] else segment
        taken[segment] += 1
    return segments


def _digest(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def _mount_claim(pod: Item, main: Item, adapter: Adapter) -> None:
    claim, _, path = adapter.rest.partition("/")
    volume = names.child(_CLAIM_VOLUME, adapter.name)
    if user_names.LABEL.fullmatch(volume) is None:
        volume = f"{_CLAIM_VOLUME}{_digest(adapter.name)[:16]}"
    add_named(pod, "volumes", {"name": volume, "persistentVolumeClaim": {"claimName": claim}})
    sub_path = {"subPath": path} if path else {}
    add_named(main, "volumeMounts", mount(volume, adapter.path, readOnly=True, **sub_path))


def _told(main: Item) -> bool:
    """Whether the user gives the server its adapters. What a reference stands for cannot be known."""
    extra = named(main, "env", _EXTRA_ARGS) or {}
    line = " ".join([*(main.get("command") or ()), *(main.get("args") or ())])
    return _MODULES in line or _MODULES in (extra.get("value") or "")


def _arguments(adapters: Sequence[Adapter], settings: Mapping[str, Any], namespace: str) -> list[str]:
    limits = (
        ("--max-lora-rank", integer(settings, "maxRank")),
        ("--max-loras", integer(settings, "maxAdapters")),
        ("--max-cpu-loras", integer(settings, "maxCpuAdapters")),
    )
    modules = (
        f"'{dump({'name': name, 'path': adapter.path})}'"
        for adapter in adapters
        for name in (adapter.name, f"publishers/{namespace}/models/{adapter.name}")
    )
    flags = (f"{flag}={value}" for flag, value in limits if value is not None)
    return ["--enable-lora", *flags, _MODULES, *modules]

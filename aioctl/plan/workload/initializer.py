"""The storage initializer: the init container that downloads the base model and LoRA adapters (ART-4).

One container fetches all pairs of (URI, path). A container of its name in the user's pod spec is laid over the generated
one, whose name, arguments and command stand. Changes the pod spec it is given, which must be the caller's own copy.
"""

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from aioctl.api import model_uri
from aioctl.api.objects import Object, dig, mapping, sequence, text
from aioctl.golang.gotypes import go_type
from aioctl.golang.strategic_merge import MissingMergeKey, merge_struct
from aioctl.plan.model import Context, PlanError
from aioctl.plan.workload.containers import (
    MODEL_PATH,
    PROVISION_VOLUME,
    SERVER,
    Item,
    Reader,
    add_named,
    add_provision_volume,
    append,
    mount,
    named,
    take_named,
)
from aioctl.plan.workload.credentials import attach_ca_bundle, attach_credentials

NAME: Final = "storage-initializer"
_DEFAULT_IMAGE: Final = "kserve/storage-initializer:latest"
_CONTAINER: Final = go_type("core.Container").struct
_HF_DEFAULTS: Final[tuple[tuple[str, str], ...]] = (
    ("HF_HUB_ENABLE_HF_TRANSFER", "1"),
    ("HF_XET_HIGH_PERFORMANCE", "1"),
    ("HF_XET_NUM_CONCURRENT_RANGE_GETS", "8"),
)
_FILES: Final = "STORAGE_ALLOW_PATTERNS"


class Download(NamedTuple):
    """One thing to fetch."""

    uri: str
    path: str
    """Where the server looks for it; below `/mnt`."""


def enabled(spec: Mapping[str, Any]) -> bool:
    """Whether the service wants its model attached; the default."""
    return dig({"spec": spec}, "spec", "storageInitializer", "enabled") is not False


def remove_users(pod: Item) -> None:
    """Take out a container that the user gave for a download that does not take place."""
    take_named(pod, "initContainers", NAME)


def overrides_command(pod: Mapping[str, Any]) -> bool:
    """Whether the user's container has arguments or a command: the generated ones stand instead."""
    containers = pod.get("initContainers") or ()
    return any(
        item.get("name") == NAME and bool(item.get("args") or item.get("command")) for item in containers
    )


def attach(
    ctx: Context,
    pod: Item,
    downloads: Sequence[Download],
    account: Object | None,
    *,
    at: str | None = None,
    reader: Reader = SERVER,
    running: Mapping[str, Any] | None = None,
) -> None:
    """Add the container, last, and give the reader what it downloads. `at`: where it mounts the shared volume.

    `running` is the live pod spec of a pod that no form is remembered for: another image, or variables that only make a
    download faster, are no reason to restart it.
    Raises PlanError for a container of the user's that cannot be laid over, or for credentials that are not there.
    """
    base_alone = [download.path for download in downloads] == [MODEL_PATH]
    parent = at or posixpath.commonpath([download.path for download in downloads])
    users = take_named(pod, "initContainers", NAME)
    kept = named(dict(running), "initContainers", NAME) if running is not None else None
    container = _laid_over(_generated(ctx, downloads, kept), users)
    add_provision_volume(pod)
    add_named(container, "volumeMounts", mount(PROVISION_VOLUME, parent))
    append(pod, "initContainers", container)
    main = named(pod, "containers", reader.container)
    if main is not None:
        there = parent if reader == SERVER else reader.path
        add_named(main, "volumeMounts", mount(PROVISION_VOLUME, there, readOnly=True))
    schemes = {download.uri.partition("://")[0] for download in downloads}
    credible = attach_credentials(ctx, pod, container, account)
    if credible and model_uri.HF in schemes and _has_defaults(kept):
        for name, value in _HF_DEFAULTS:
            add_named(container, "env", {"name": name, "value": value})
    if not base_alone or model_uri.S3 in schemes:
        attach_ca_bundle(ctx, pod, container)
    if credible and reader.files:
        add_named(container, "env", {"name": _FILES, "value": reader.files})


def _has_defaults(kept: Mapping[str, Any] | None) -> bool:
    """Whether a running container was made with Hugging Face's variables, or there is none."""
    return kept is None or any(text(variable, "name").startswith("HF_") for variable in sequence(kept, "env"))


def _generated(ctx: Context, downloads: Sequence[Download], kept: Mapping[str, Any] | None) -> Item:
    storage = ctx.config.storage
    container: Item = {
        "name": NAME,
        "image": text(kept or {}, "image") or storage.image or _DEFAULT_IMAGE,
        "args": [text for download in downloads for text in download],
        "resources": {
            "limits": _amount(cpu=storage.cpu_limit, memory=storage.memory_limit),
            "requests": _amount(cpu=storage.cpu_request, memory=storage.memory_request),
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    confidential = _confidential(ctx) if downloads[0].path == MODEL_PATH else []
    return {**container, "env": confidential} if confidential else container


def _confidential(ctx: Context) -> list[Item]:
    """What tells the initializer to decrypt the base model. Upstream loses it where adapters are downloaded too."""
    wanted = mapping({"spec": ctx.spec}, "spec", "model", "confidential")
    if wanted.get("enabled") is not True:
        return []
    found = [{"name": "CONFIDENTIAL_ENABLED", "value": "true"}]
    resource = text(wanted, "resourceId")
    return found + ([{"name": "CONFIDENTIAL_RESOURCE_ID", "value": resource}] if resource else [])


def _laid_over(generated: Item, users: Item | None) -> Item:
    if users is None:
        return generated
    patch = {name: value for name, value in users.items() if name not in ("args", "command")}
    try:
        merged = merge_struct(generated, patch, _CONTAINER)
    except MissingMergeKey as error:
        raise PlanError(f"failed to merge user {NAME} customizations: {error}") from error
    if "env" in merged:
        theirs = {item.get("name"): item for item in users.get("env") or ()}
        merged["env"] = [_one_source(item, theirs.get(item.get("name"))) for item in merged["env"]]
    return merged


def _one_source(variable: Item, users: Item | None) -> Item:
    """A variable with a value and a reference, which no API server takes: the user's side stands."""
    if users is not None and "value" in variable and "valueFrom" in variable:
        return users
    return variable


def _amount(**quantities: str) -> dict[str, Any]:
    return {name: value for name, value in quantities.items() if value}

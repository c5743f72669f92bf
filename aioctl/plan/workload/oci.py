"""A model that is an OCI image: beside the server as a modelcar, or as an image volume of its pod (ART-5).

Changes the pod spec it is given, which must be the caller's own copy. Raises PlanError for what cannot be served.
"""

import posixpath
import re
from typing import Final

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
)

MODELCAR: Final = "modelcar"
NATIVE: Final = "native"
_FIRST_NUMBER: Final = re.compile(r"\d+")


def mode(ctx: Context) -> str:
    """How the images of `oci://` come into pods: the configured mode, `fetch` being the same as `modelcar`.

    Raises PlanError when the administrator allows none.
    """
    storage = ctx.config.storage
    if storage.oci_model_mode:
        return NATIVE if storage.oci_model_mode == NATIVE else MODELCAR
    if storage.enable_modelcar or storage.enable_oci_model_support:
        return MODELCAR
    raise PlanError("OCI modelcars is not enabled")


def compatibility(version: tuple[str, str] | None) -> tuple[str, str] | None:
    """(reason, message) for what the API server of this (major, minor) lacks for image volumes, None for nothing.

    ImageVolume is alpha since Kubernetes 1.31, knows sub-paths since 1.33 (beta, off) and is on since 1.35 (KEP-4639).
    A version that is not known says nothing.
    """
    if version is None:
        return None
    major, minor = version
    number = _FIRST_NUMBER.match(minor)
    if number is None:
        return None
    shown = f"{major}.{minor}"
    match int(number.group()):
        case old if old < 31:
            return "ImageVolumeUnsupported", (
                f"Cluster K8s {shown} does not support ImageVolume (introduced in 1.31 as alpha). "
                "Falling back to modelcar may be required."
            )
        case alpha if alpha < 33:
            return "ImageVolumeSubPathUnsupported", (
                f"Cluster K8s {shown} (alpha) does not support subPath on ImageVolume VolumeMounts. "
                "Upgrade to K8s 1.33+ (beta) for full oci+native:// support."
            )
        case beta if beta < 35:
            return "ImageVolumeAlpha", (
                f"Cluster K8s {shown} has ImageVolume feature-gated (K8s 1.33\u20131.34 beta). "
                "Ensure --feature-gates=ImageVolume=true is set on kube-apiserver and kubelet."
            )
    return None


def attach_native(pod: Item, image: str, reader: Reader = SERVER) -> None:
    """The image as a volume that the reader has; the container runtime pulls it (KEP-4639)."""
    main, volume = _reading(pod, reader), reader.path.strip("/").replace("/", "-")
    for found in main.get("volumeMounts") or ():
        if found.get("mountPath") == reader.path and found.get("name") != volume:
            raise PlanError(f'mountPath "{reader.path}" already used by volume "{found.get("name", "")}"')
    source = {"reference": image, "pullPolicy": "IfNotPresent"}
    add_named(pod, "volumes", {"name": volume, "image": source})
    add_named(main, "volumeMounts", mount(volume, reader.path, subPath="models", readOnly=True))


def attach_modelcar(ctx: Context, pod: Item, image: str, reader: Reader = SERVER) -> None:
    """A container of the image beside the reader, which has its files through the shared process namespace."""
    main = _reading(pod, reader)
    shared = posixpath.dirname(reader.path)
    known = named(main, "env", "MODEL_INIT_MODE")
    if known is None:
        append(main, "env", {"name": "MODEL_INIT_MODE", "value": "async"})
    else:
        known["value"] = "async"
    add_provision_volume(pod)
    add_named(main, "volumeMounts", mount(PROVISION_VOLUME, shared))
    uid = ctx.config.storage.uid_modelcar
    if uid is not None:
        main["securityContext"] = {**(main.get("securityContext") or {}), "runAsUser": uid}
    if named(pod, "containers", MODELCAR) is None:
        append(pod, "containers", _modelcar(ctx, image, uid, reader))
        append(pod, "initContainers", _modelcar_init(ctx, image))
    pod["shareProcessNamespace"] = True


def _reading(pod: Item, reader: Reader) -> Item:
    container = named(pod, "containers", reader.container)
    if container is None:
        raise PlanError(f"no container found with name {reader.container}")
    return container


def _modelcar(ctx: Context, image: str, uid: int | None, reader: Reader) -> Item:
    # Four dollars: Kubernetes halves them, and the shell then reads its own process id.
    script = f"ln -sf /proc/$$$$/root/models {reader.path} && sleep infinity"
    if reader.path != MODEL_PATH:
        script = f"mkdir -p {posixpath.dirname(reader.path)} && {script}"
    container = _container(ctx, MODELCAR, image, script)
    container["volumeMounts"] = [mount(PROVISION_VOLUME, posixpath.dirname(reader.path))]
    if uid is not None:
        container["securityContext"] = {"runAsUser": uid}
    return container


def _modelcar_init(ctx: Context, image: str) -> Item:
    script = (
        f"echo 'Pre-fetching modelcar {image}: ' && [ -d /models ] && "
        '[ "$$(ls -A /models)" ] && '
        "echo 'OK ... Prefetched and valid (/models exists)' || "
        "(echo 'NOK ... Prefetched but modelcar is invalid (/models does not exist or is empty)' && exit 1)"
    )
    return _container(ctx, "modelcar-init", image, script)


def _container(ctx: Context, name: str, image: str, script: str) -> Item:
    storage = ctx.config.storage
    amount = {"cpu": storage.cpu_modelcar or "10m", "memory": storage.memory_modelcar or "15Mi"}
    return {
        "name": name,
        "image": image,
        "args": ["sh", "-c", script],
        "resources": {"requests": dict(amount), "limits": dict(amount)},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }

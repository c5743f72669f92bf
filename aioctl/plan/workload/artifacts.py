"""How the model gets into the pod: claim, modelcar or storage initializer (ART-1).

Changes the pod spec it is given, which must be the caller's own copy. Only the container `main` is served. Raises
PlanError for a URI that cannot be served.
"""

from typing import Any

from aioctl.api import user_names
from aioctl.api.objects import Object, text
from aioctl.golang import gourl
from aioctl.plan.model import Context, PlanError
from aioctl.plan.workload.containers import (
    MODEL_PATH,
    PROVISION_VOLUME,
    Item,
    add_named,
    add_provision_volume,
    append,
    mount,
    named,
)
from aioctl.plan.workload.credentials import attach_ca_bundle, attach_credentials

_FORMS = " (spec.model.uri; use hf://<organisation>/<model>, s3://<bucket>/<path>, pvc://<claim>/<path> or oci://<image>)"
_CLAIM_VOLUME = "kserve-pvc-source"
_DEFAULT_IMAGE = "kserve/storage-initializer:latest"
_INITIALIZER_ENV = (
    ("HF_HOME", "/tmp"),  # noqa: S108 - a path inside the container
    ("HF_HUB_ENABLE_HF_TRANSFER", "1"),
    ("HF_XET_HIGH_PERFORMANCE", "1"),
    ("HF_XET_NUM_CONCURRENT_RANGE_GETS", "8"),
)


def attach_model(ctx: Context, pod: Item, account: Object | None) -> None:
    """Attach the service's model. `account` is whose credentials count; None means `default` of the namespace."""
    uri = text({"spec": ctx.spec}, "spec", "model", "uri")
    try:
        uri = gourl.go_string(uri)
    except gourl.UrlError as error:
        raise PlanError(f"invalid model URI: {uri}: {error}{_FORMS}") from error
    scheme, separator, rest = uri.partition("://")
    if not separator:
        raise PlanError(f"invalid model URI: {uri}{_FORMS}")
    match scheme:
        case "pvc":
            _attach_claim(pod, rest)
        case "oci":
            _attach_modelcar(ctx, pod, rest)
        case "hf" | "s3":
            _attach_initializer(ctx, pod, uri, account)
        case _:
            raise PlanError(f"unsupported schema in model URI: {uri}{_FORMS}")


def _attach_claim(pod: Item, rest: str) -> None:
    main = named(pod, "containers", "main")
    if main is None:
        return
    claim, _, path = rest.partition("/")
    problem = user_names.object_problem(claim) or user_names.path_problem(path)
    if problem:
        raise PlanError(f"invalid model URI: spec.model.uri is pvc://<claim>/<path>, and {problem}")
    sub_path = {"subPath": path} if path else {}
    add_named(main, "volumeMounts", mount(_CLAIM_VOLUME, MODEL_PATH, readOnly=True, **sub_path))
    add_named(pod, "volumes", {"name": _CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": claim}})


def _attach_modelcar(ctx: Context, pod: Item, image: str) -> None:
    if not ctx.config.storage.enable_modelcar:
        raise PlanError(
            "OCI modelcars is not enabled (spec.model.uri begins with oci://; set enableModelcar in storageInitializer of "
            "ConfigMap inferenceservice-config, or use hf://, s3:// or pvc://)"
        )
    problem = user_names.image_problem(image)
    if problem:
        raise PlanError(f"invalid model URI: spec.model.uri is oci://<image>, and {problem}")
    main = named(pod, "containers", "main")
    if main is None:
        raise PlanError("no container found with name main")
    mode = named(main, "env", "MODEL_INIT_MODE")
    if mode is None:
        append(main, "env", {"name": "MODEL_INIT_MODE", "value": "async"})
    else:
        mode["value"] = "async"
    add_provision_volume(pod)
    add_named(main, "volumeMounts", mount(PROVISION_VOLUME, "/mnt"))
    uid = ctx.config.storage.uid_modelcar
    if uid is not None:
        main["securityContext"] = {"runAsUser": uid}
    if named(pod, "containers", "modelcar") is None:
        append(pod, "containers", _modelcar(ctx, image, uid))
        append(pod, "initContainers", _modelcar_init(ctx, image))
    pod["shareProcessNamespace"] = True


def _modelcar(ctx: Context, image: str, uid: int | None) -> Item:
    # Four dollars: Kubernetes halves them, and the shell then reads its own process id.
    script = f"ln -sf /proc/$$$$/root/models {MODEL_PATH} && sleep infinity"
    container = _modelcar_container(ctx, "modelcar", image, script)
    container["volumeMounts"] = [mount(PROVISION_VOLUME, "/mnt")]
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
    return _modelcar_container(ctx, "modelcar-init", image, script)


def _modelcar_container(ctx: Context, name: str, image: str, script: str) -> Item:
    storage = ctx.config.storage
    amount = {"cpu": storage.cpu_modelcar or "10m", "memory": storage.memory_modelcar or "15Mi"}
    return {
        "name": name,
        "image": image,
        "args": ["sh", "-c", script],
        "resources": {"requests": dict(amount), "limits": dict(amount)},
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _attach_initializer(ctx: Context, pod: Item, uri: str, account: Object | None) -> None:
    add_provision_volume(pod)
    initializer = add_named(pod, "initContainers", _initializer(ctx, uri))
    main = named(pod, "containers", "main")
    if main is not None:
        add_named(main, "volumeMounts", mount(PROVISION_VOLUME, MODEL_PATH, readOnly=True))
    attach_credentials(ctx, pod, initializer, account)
    if uri.startswith("s3://"):
        attach_ca_bundle(ctx, pod, initializer)


def _initializer(ctx: Context, uri: str) -> Item:
    storage = ctx.config.storage
    return {
        "name": "storage-initializer",
        "image": storage.image or _DEFAULT_IMAGE,
        "args": [uri, MODEL_PATH],
        "env": [{"name": name, "value": value} for name, value in _INITIALIZER_ENV],
        "resources": {
            "limits": _amount(cpu=storage.cpu_limit, memory=storage.memory_limit),
            "requests": _amount(cpu=storage.cpu_request, memory=storage.memory_request),
        },
        "volumeMounts": [mount(PROVISION_VOLUME, MODEL_PATH)],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }


def _amount(**quantities: str) -> dict[str, Any]:
    return {name: value for name, value in quantities.items() if value}

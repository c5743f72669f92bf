"""How the model gets into the pod, by the scheme of its URI, and its LoRA adapters with it (ART-1).

Changes the pod spec it is given, which must be the caller's own copy. Only the container `main` is served. Raises
PlanError for a URI that cannot be served.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from aioctl.api import local_model, model_uri, pod_reading
from aioctl.api.idle_fields import processes_apart
from aioctl.api.objects import Object, dig, mapping, text
from aioctl.api.pod_reading import Finding, pods
from aioctl.golang import gourl
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.model import Context, PlanError
from aioctl.plan.workload import initializer, lora, oci
from aioctl.plan.workload.containers import (
    MODEL_PATH,
    SERVER,
    Item,
    Reader,
    add_named,
    append,
    mount,
    named,
)
from aioctl.plan.workload.initializer import Download

_AT: Final = "spec.model.uri"
_CLAIM_VOLUME: Final = "kserve-pvc-source"


def attach_model(
    ctx: Context,
    pod: Item,
    account: Object | None,
    reader: Reader = SERVER,
    running: Mapping[str, Any] | None = None,
) -> None:
    """Attach the service's model. `account` is whose credentials count; None means `default` of the namespace.

    Adapters are for the model server alone. `running`: as `initializer.attach` takes it.
    """
    uri = _served(text({"spec": ctx.spec}, "spec", "model", "uri"))
    if not initializer.enabled(ctx.spec):
        return
    uri = _cached(ctx, uri)
    scheme, _, rest = uri.partition(model_uri.SEPARATOR)
    if scheme not in model_uri.SCHEMES:
        raise PlanError(f"unsupported schema in model URI: {uri}")
    if problem := model_uri.rest_problem(scheme, rest):
        raise PlanError(f"invalid model URI: {uri} ({_AT}: {problem}; {model_uri.FORMS})")
    adapters = lora.resolve(ctx.spec) if reader == SERVER else ()
    native = scheme == model_uri.OCI_NATIVE or (scheme == model_uri.OCI and oci.mode(ctx) == oci.NATIVE)
    modelcar = scheme == model_uri.OCI and not native
    if scheme == model_uri.PVC:
        _attach_claim(pod, rest, reader)
    elif native:
        oci.attach_native(pod, rest, reader)
    elif modelcar:
        oci.attach_modelcar(ctx, pod, rest, reader)
    base = [Download(uri, MODEL_PATH)] if scheme in model_uri.DOWNLOADED else []
    if wanted := [*base, *lora.downloads(adapters)]:
        # A modelcar has the shared volume at /mnt in `main`, so that is where adapters must appear.
        at = "/mnt" if modelcar else None
        initializer.attach(ctx, pod, wanted, account, at=at, reader=reader, running=running)
    else:
        initializer.remove_users(pod)
    lora.attach(pod, adapters, mapping({"spec": ctx.spec}, "spec", "model", "lora"), ctx.namespace)


def native_wanted(config: GlobalConfig, spec: Any) -> bool:
    """Whether the service's image, or all images by configuration, come as image volumes; whatever the spec is."""
    if config.storage.oci_model_mode == oci.NATIVE:
        return True
    uri = dig(spec, "model", "uri")
    return isinstance(uri, str) and uri.startswith(f"{model_uri.OCI_NATIVE}{model_uri.SEPARATOR}")


def notices(ctx: Context) -> Iterator[Finding]:
    """Fields of pods in whose place a modelcar needs others (ART-5). Raises what keeps the model from being attached."""
    if not initializer.enabled(ctx.spec):
        return
    uri = _cached(ctx, _served(text({"spec": ctx.spec}, "spec", "model", "uri")))
    if not uri.startswith(f"{model_uri.OCI}{model_uri.SEPARATOR}") or oci.mode(ctx) == oci.NATIVE:
        return
    combined = {"spec": ctx.spec}
    yield from processes_apart(combined, "the modelcar needs it true")
    uid = ctx.config.storage.uid_modelcar
    for path, pod in pods(combined):
        given = dig(pod_reading.named(pod, "containers", SERVER.container), "securityContext", "runAsUser")
        if uid is not None and given is not None and given != uid:
            why = f"uidModelcar of the cluster's configuration is {uid}, and both containers need the same"
            yield Finding(f"{path}: runAsUser {given} of {SERVER.container}", why)


def _served(uri: str) -> str:
    """The URI as Go prints it. Raises PlanError for one without a scheme."""
    try:
        printed = gourl.go_string(uri)
    except gourl.UrlError as error:
        raise PlanError(f"invalid model URI: {uri}: {error} ({_AT}; {model_uri.FORMS})") from error
    if model_uri.split(printed) is None:
        raise PlanError(f"invalid model URI: {printed}")
    return printed


def _cached(ctx: Context, uri: str) -> str:
    """The claim of the local cache that admission found for the model, or the URI itself (LM-1)."""
    try:
        return local_model.cached_uri(ctx.service, uri) or uri
    except KeyError as error:
        raise PlanError(
            f"LLMInferenceService {ctx.namespace}/{ctx.name}: annotation {error.args[0]} not found"
        ) from error


def _attach_claim(pod: Item, rest: str, reader: Reader) -> None:
    """Mount a claim, at the path in it. A mount of that name in the reader means that the user has done so."""
    main = named(pod, "containers", reader.container)
    if main is None or named(main, "volumeMounts", _CLAIM_VOLUME) is not None:
        return
    claim, _, path = rest.partition("/")
    sub_path = {"subPath": path} if path else {}
    append(main, "volumeMounts", mount(_CLAIM_VOLUME, reader.path, readOnly=True, **sub_path))
    add_named(pod, "volumes", {"name": _CLAIM_VOLUME, "persistentVolumeClaim": {"claimName": claim}})

"""The model, its adapters, and whether it may be read only under attestation."""

import re
from collections.abc import Iterator
from typing import Final

from aioctl.api import local_model, model_uri
from aioctl.api.objects import Object, boolean, dig, integer, mapping, name_of, sequence, text, within
from aioctl.api.problems import Problem, invalid, required
from aioctl.golang import gourl

_AT: Final = "spec.model"
_RESOURCE: Final = re.compile(r"kbs://(?:/[a-zA-Z0-9_.-]++){3}")
_NO_RESOURCE: Final = "must be in the format kbs:///<repo>/<type>/<tag>"
_PATHS: Final = frozenset({".", ".."})
_WITHOUT_EFFECT: Final = {
    "oci": (
        "confidential has no effect with OCI URIs; OCI image decryption is handled by the container runtime "
        "via runtimeClassName"
    ),
    "pvc": (
        "confidential has no effect with PVC URIs; the storage-initializer is not injected for PVC volumes"
    ),
}
"""By the scheme of the model's URI."""


def lora(service: Object) -> Iterator[Problem]:
    """Limits of the adapters, and names that clients can tell apart."""
    found = mapping(service, "spec", "model", "lora")
    at = f"{_AT}.lora"
    for name in ("maxRank", "maxAdapters", "maxCpuAdapters"):
        value = integer(found, name)
        if value is not None and value < 1:
            yield invalid("lora-least", f"{at}.{name}", value, f"{name} must be at least 1")
    base = text(service, "spec", "model", "name") or name_of(service)
    seen: dict[str, int] = {}
    for index, adapter in enumerate(sequence(found, "adapters")):
        with within(f"{at}.adapters[{index}]"):
            name = text(adapter, "name")
        yield from _adapter_name(name, index, base, seen)


def _adapter_name(name: str, index: int, base: str, seen: dict[str, int]) -> Iterator[Problem]:
    """`seen`: name to index of the adapters before it, which this one joins."""
    at = f"{_AT}.lora.adapters[{index}].name"
    if not name:
        yield required("lora-name", at, "adapter name is required")
        return
    if name in _PATHS:
        detail = 'adapter name must not include "." or ".." (path traversal risk)'
        yield invalid("lora-path", at, name, detail)
        return
    if name in seen:
        yield invalid("lora-twice", at, name, f"duplicate name (same as adapters[{seen[name]}])")
    else:
        seen[name] = index
    if name == base:
        shown = gourl.quote(base.encode(errors="replace"))
        yield invalid("lora-base", at, name, f"adapter name must differ from base model name {shown}")


def uris(service: Object) -> Iterator[Problem]:
    """Places of models that cannot be served, as far as the text tells: ours, KServe says so at the Deployment (ART-1)."""
    initializer = dig(service, "spec", "storageInitializer", "enabled") is not False
    uri, cached = text(service, "spec", "model", "uri"), local_model.is_cached(service)
    if problem := model_uri.literal_problem(uri, initializer=initializer, cached=cached):
        yield invalid("model-uri", f"{_AT}.uri", uri, problem)
    for index, adapter in enumerate(sequence(service, "spec", "model", "lora", "adapters")):
        at = f"{_AT}.lora.adapters[{index}]"
        with within(at):
            place = text(adapter, "uri")
        if problem := model_uri.literal_problem(place, initializer=initializer, adapter=True):
            yield invalid("adapter-uri", f"{at}.uri", place, problem)


def confidential(service: Object) -> Iterator[Problem]:
    """Where the key of an encrypted model lies."""
    resource = text(service, "spec", "model", "confidential", "resourceId")
    if _is_confidential(service) and resource and not _RESOURCE.fullmatch(resource):
        yield invalid("confidential", f"{_AT}.confidential.resourceId", resource, _NO_RESOURCE)


def confidential_warnings(service: Object) -> Iterator[str]:
    """Ways to fetch a model at which nobody looks for a key; a scheme counts in any case. Raises UrlError."""
    scheme, separator, _ = gourl.go_string(text(service, "spec", "model", "uri")).partition("://")
    if separator and scheme in _WITHOUT_EFFECT and _is_confidential(service):
        yield _WITHOUT_EFFECT[scheme]


def _is_confidential(service: Object) -> bool:
    return boolean(service, "spec", "model", "confidential", "enabled")

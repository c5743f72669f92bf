"""LocalModelCaches: which one holds a service's model, and the metadata by which a service says so (LM-1).

Admission chooses a cache and notes it on the service; planning mounts the cache's claim. Both are here as pure functions
on objects.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from aioctl.api.objects import (
    Object,
    annotations_of,
    dig,
    labels_of,
    name_of,
    namespace_of,
    sequence,
    text,
)
from aioctl.golang import gourl

CACHE: Final = "internal.serving.kserve.io/localmodel"
"""Label: the name of the cache."""
CACHE_NAMESPACE: Final = "internal.serving.kserve.io/localmodel-namespace"
"""Label: its namespace, for a LocalModelNamespaceCache only."""
SOURCE: Final = "internal.serving.kserve.io/localmodel-sourceuri"
"""Annotation: the URI that the cache was filled from."""
CLAIM: Final = "internal.serving.kserve.io/localmodel-pvc-name"
"""Annotation: the claim of the cache for one group of nodes."""
DISABLED: Final = "serving.kserve.io/disable-localmodel"
"""Annotation that users set, with any value."""
NODE_GROUP: Final = "serving.kserve.io/nodegroup"
"""Annotation that users set: only caches on this group of nodes count."""
_LABELS: Final = (CACHE, CACHE_NAMESPACE)
_ANNOTATIONS: Final = (SOURCE, CLAIM)


@dataclass(frozen=True, slots=True)
class Mark:
    """What admission notes on a service; a None takes the key away, and what is not named stays as it was sent."""

    labels: Mapping[str, str | None]
    annotations: Mapping[str, str | None]


NO_MARK: Final = Mark(dict.fromkeys(_LABELS), dict.fromkeys(_ANNOTATIONS))
AS_SENT: Final = Mark({}, {})


def names_model(service: Object) -> bool:
    """Whether the service itself has a URI; one that a baseRef gives is never found in a cache."""
    return bool(_uri(service))


def mark(service: Object, caches: Iterable[Object]) -> Mark | None:
    """What to note on a service that names a model and may have it from a cache; None where that cannot be told.

    `caches`: the LocalModelNamespaceCaches of its namespace, then the LocalModelCaches, each in list order. A cache without node
    groups cannot be mounted and decides nothing.
    """
    uri = _uri(service)
    wanted = annotations_of(service).get(NODE_GROUP)
    for cache in caches:
        groups = sequence(cache, "spec", "nodeGroups")
        source = text(cache, "spec", "sourceModelUri")
        if (wanted is not None and wanted not in groups) or not _below(uri, source):
            continue
        if not groups:
            return None
        group = groups[0] if wanted is None else wanted
        return Mark(
            {CACHE: name_of(cache), CACHE_NAMESPACE: namespace_of(cache) or None},
            {SOURCE: source, CLAIM: f"{name_of(cache)}-{group}"},
        )
    return NO_MARK


def mark_of(service: Object) -> Mark:
    """What a stored service has noted: to be put on its new form where nothing can be decided."""
    labels, annotations = labels_of(service), annotations_of(service)
    return Mark(
        {key: labels.get(key) for key in _LABELS}, {key: annotations.get(key) for key in _ANNOTATIONS}
    )


def is_cached(service: Object) -> bool:
    """Whether a cache has the service's model; whatever the shape of the service is, this raises nothing."""
    return dig(service, "metadata", "labels", CACHE) is not None


def cached_uri(service: Object, uri: str) -> str | None:
    """The claim in which a marked service finds the model of this URI, as `pvc://...`; None for an unmarked service.

    Raises KeyError with the key of the first annotation that is not there, in KServe's order.
    """
    if CACHE not in labels_of(service):
        return None
    annotations = annotations_of(service)
    source, claim = annotations[SOURCE], annotations[CLAIM]
    place = uri.removeprefix(source.rstrip("/")).lstrip("/") if _below(uri, source) else uri
    return f"pvc://{claim}/models/{sha256(source.encode()).hexdigest()[:16]}/{place}"


def _uri(service: Object) -> str:
    """As Go prints it, which is what caches are compared with; one that Go cannot read stays as it is."""
    uri = text(service, "spec", "model", "uri")
    try:
        return gourl.go_string(uri)
    except gourl.UrlError:
        return uri


def _below(uri: str, source: str) -> bool:
    """Whether the URI is the source or lies below it."""
    uri, source = uri.rstrip("/"), source.rstrip("/")
    return bool(source) and (uri == source or uri.startswith(f"{source}/"))

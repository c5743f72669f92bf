"""The cluster itself, and the CRDs of others: which version is installed, and whether it is needed."""

import re
from collections.abc import Callable, Iterator
from typing import Final

from aioctl.api import kinds
from aioctl.api.objects import Object, annotations_of, dig, key_of, name_of
from aioctl.tools.checks.finding import Finding, bad, fine, warn
from aioctl.tools.checks.survey import Survey
from aioctl.tools.installation import versions

OLDEST_MINOR: Final = 30
_BUNDLES: Final = (
    "gateway.networking.k8s.io/bundle-version",
    "inference.networking.k8s.io/bundle-version",
)
"""Annotations in which Gateway API and Inference Extension say of which release a CRD is."""
_CHANNEL: Final = "gateway.networking.k8s.io/channel"
_VERSION_LABEL: Final = "app.kubernetes.io/version"
_NEEDED: Final = (kinds.HTTP_ROUTE, kinds.GATEWAY, kinds.GATEWAY_CLASS)
_OPTIONAL: Final = (
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.LEADER_WORKER_SET,
    kinds.SCALED_OBJECT,
    kinds.DESTINATION_RULE,
    kinds.POD_MONITOR,
    kinds.SERVICE_MONITOR,
    kinds.AUTH_POLICY,
)


def cluster(facts: Survey) -> Iterator[Finding]:
    match = re.match(r"v?(\d+)\.(\d+)", facts.version)
    if match and (int(match[1]), int(match[2])) < (1, OLDEST_MINOR):
        yield warn("AIO-CLU-001", f"the API server is {facts.version}")
    for what, said in facts.unread.items():
        yield warn("AIO-CLU-003" if what in facts.broken else "AIO-CLU-002", said)


def others(facts: Survey) -> Iterator[Finding]:
    if not facts.read(kinds.CRD):
        return
    there = {name_of(crd): crd for crd in facts.all(kinds.CRD)}
    if missing := [kind.resource for kind in _NEEDED if kind.resource not in there]:
        yield bad("AIO-EXT-001", f"not installed: {', '.join(missing)}")
    pools = [kind for kind in (kinds.POOL_V1, kinds.POOL_V1ALPHA2) if kind.resource in there]
    if not pools:
        yield bad(
            "AIO-EXT-003", f"neither {kinds.POOL_V1.resource} nor {kinds.POOL_V1ALPHA2.resource} is installed"
        )
    elif kinds.POOL_V1 not in pools:
        yield warn("AIO-EXT-002", f"{kinds.POOL_V1.resource} is not installed")
    if kinds.LEADER_WORKER_SET.resource not in there:
        yield from _wanting(facts, "AIO-EXT-004", _has_workers, "has workers")
    if kinds.SCALED_OBJECT.resource not in there:
        yield from _wanting(facts, "AIO-EXT-006", _wants_keda, "asks for keda")
    for kind in (*_NEEDED, *_OPTIONAL):
        crd = there.get(kind.resource)
        need = "needed" if kind in _NEEDED else "optional"
        if crd is None:
            if kind in _OPTIONAL:
                yield fine("EXT", f"{kind.resource} is not installed ({need})")
            continue
        served, _ = versions(crd)
        if kind.version not in served:
            yield bad(
                "AIO-EXT-005", f"{kind.resource} serves {', '.join(served) or 'nothing'}, not {kind.version}"
            )
        else:
            yield fine("EXT", f"{kind.resource} {_release(crd)}serves {', '.join(served)} ({need})")


def _release(crd: Object) -> str:
    """The release that the CRD says it is of, `v1.4.0, standard, `; empty where it says nothing."""
    said = annotations_of(crd)
    label = dig(crd, "metadata", "labels", _VERSION_LABEL)
    found = [
        *(said[key] for key in _BUNDLES if said.get(key)),
        *([label] if label else []),
        said.get(_CHANNEL),
    ]
    return "".join(f"{each}, " for each in dict.fromkeys(found) if each)


def _wanting(facts: Survey, code: str, wants: Callable[[Object], bool], said: str) -> Iterator[Finding]:
    for service in facts.all(kinds.SERVICE):
        if wants(service):
            yield bad(code, f"{kinds.SERVICE.kind} {key_of(service)} {said}")


def _has_workers(service: Object) -> bool:
    return any(dig(service, "spec", *side, "worker") is not None for side in ((), ("prefill",)))


def _wants_keda(service: Object) -> bool:
    ways = (("keda",), ("wva", "keda"))
    return any(
        dig(service, "spec", *side, "scaling", *way) is not None
        for side in ((), ("prefill",))
        for way in ways
    )

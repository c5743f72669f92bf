"""Warnings that admission sends with its verdict: deprecated fields, traps of the API, presets being changed.

Texts stay below 120 characters, as the protocol asks. Nothing here decides whether a write is allowed.
"""

from collections.abc import Iterator, Sequence

from aioctl.api import local_model, pod_metadata, without_effect
from aioctl.api.conversion import up
from aioctl.api.kinds import SERVICE, V1ALPHA1, V1ALPHA2, ObjectKey
from aioctl.api.objects import Object, dig, name_of, namespace_of
from aioctl.api.pod_reading import SIDES
from aioctl.golang.equality import derivative_as
from aioctl.golang.gotypes import SPEC


def _of_old_version(obj: Object) -> Sequence[str]:
    if obj.get("apiVersion") != V1ALPHA1:
        return ()
    found = [f"{V1ALPHA1} {obj.get('kind')} is deprecated; use {V1ALPHA2} {obj.get('kind')}"]
    if dig(obj, "spec", "model", "criticality") is not None:
        found.append("spec.model.criticality is deprecated and has no effect")
    return found


def _of_traps(obj: Object) -> Sequence[str]:
    found = []
    ports = dig(obj, "spec", "router", "scheduler", "pool", "spec", "targetPorts")
    if isinstance(ports, list) and len(ports) > 1:
        found.append(
            f"spec.router.scheduler.pool.spec.targetPorts has {len(ports)} ports; InferencePool of GIE 1.0 accepts one"
        )
    return [*found, *pod_metadata.problems(obj), *_of_degrees(obj), *_of_adapters(obj), *_of_switches(obj)]


def _of_degrees(obj: Object) -> Iterator[str]:
    """Ranks are dealt out to whole pods: the rest of a division is never started, and the others wait for it."""
    for at in SIDES:
        ranks, each = (dig(obj, *at, "parallelism", degree) for degree in ("data", "dataLocal"))
        if isinstance(ranks, int) and isinstance(each, int) and each > 0 and ranks % each:
            yield f"{'.'.join(at)}.parallelism: dataLocal {each} does not divide data {ranks}, so some ranks have no pod"


def _of_adapters(obj: Object) -> Iterator[str]:
    """vLLM does not start where fewer adapters fit the memory of the CPU than are in use."""
    limits = dig(obj, "spec", "model", "lora")
    used, kept = dig(limits, "maxAdapters"), dig(limits, "maxCpuAdapters")
    if isinstance(used, int) and isinstance(kept, int) and kept < used:
        yield f"spec.model.lora: vLLM does not start with maxCpuAdapters {kept} below maxAdapters {used}"


def _of_switches(obj: Object) -> Iterator[str]:
    said = dig(obj, "metadata", "annotations", local_model.DISABLED)
    if isinstance(said, str) and said.casefold() == "false":
        yield f'metadata.annotations[{local_model.DISABLED}]: caches are off with any value, "false" too'


def of_spec(new: Object, old: Object | None) -> list[str]:
    """Warnings about what is written; of its fields only when the spec is new or changes, not at every patch of ours, and of its
    annotations when these do."""
    if old is not None and new.get("spec") == old.get("spec"):
        return [*_of_old_version(new), *_of_new_annotations(new, old)]
    idle = without_effect.warnings(up(new)) if new.get("kind") == SERVICE.kind else ()
    return [*_of_old_version(new), *_of_traps(new), *idle]


def _of_new_annotations(new: Object, old: Object) -> Iterator[str]:
    if new.get("kind") == SERVICE.kind:
        known = without_effect.warnings_of_annotations(old)
        yield from (text for text in without_effect.warnings_of_annotations(new) if text not in known)


def _label(config: Object) -> str:
    return f"{namespace_of(config)}/{name_of(config)}"


def of_config_update(new: Object, old: Object, well_known: frozenset[str]) -> list[str]:
    """A preset, known by its name in any namespace, loses or changes something; additions are fine."""
    if name_of(new) not in well_known or derivative_as(SPEC, old.get("spec"), new.get("spec")):
        return []
    advice = "Consider creating a custom config instead"
    return [f"modifying well-known config {_label(new)} is not recommended. {advice}"]


def of_config_delete(old: Object) -> list[str]:
    """A preset of the system namespace is deleted."""
    return [f"deleting well-known config {_label(old)} is not recommended"]


def of_config_in_use(old: Object, users: Sequence[ObjectKey]) -> list[str]:
    """A config is deleted that services use."""
    others = " and others" if len(users) > 1 else ""
    first = f"{users[0].namespace}/{users[0].name}"
    return [
        f"config {_label(old)} is used by {first}{others}: it stays, in deletion, until no service uses it"
    ]

"""One child object: make it so, or make it go. The rules every builder shares (CHILD-1, CHILD-2, EQ-2).

`ensure` compares what we want with what is there and returns at most one write; `remove` deletes only what this service
controls. An update starts from the live object: foreign labels, annotations, finalizers and owner references stay, but
for keys that the caller alone may set.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from aioctl.api.kinds import Kind, Served
from aioctl.api.objects import (
    Object,
    annotations_of,
    dig,
    is_controlled_by,
    labels_of,
    mapping,
    owner_reference,
    sequence,
    uid_of,
)
from aioctl.api.records import changed
from aioctl.golang.equality import derivative
from aioctl.plan import given
from aioctl.plan.memo import get_standing
from aioctl.plan.model import Context, PlanError, Verb, Write
from aioctl.plan.observation import need

Same = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""(wanted, live) -> True when nothing of what we want differs; labels and annotations are compared apart."""

_SERVER_FIELDS: Final = ("metadata", "status", "apiVersion", "kind")
_PODS: Final = ("template", "leaderWorkerTemplate")
"""What a workload makes its pods of."""


def spec_is_derivative(wanted: Mapping[str, Any], live: Mapping[str, Any]) -> bool:
    """Everything but metadata and status, by the derivative comparison of EQ-2."""
    fields = [name for name in wanted if name not in _SERVER_FIELDS]
    return all(derivative(wanted[name], live.get(name)) for name in fields)


def build(
    ctx: Context,
    kind: Kind,
    name: str,
    *,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
    owned: bool = True,
    **fields: Any,
) -> dict[str, Any]:
    """The wanted object: metadata with our labels and (if owned) the controller reference, then the given fields."""
    metadata: dict[str, Any] = {"name": name}
    if kind.namespaced:
        metadata["namespace"] = ctx.namespace
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    if owned:
        metadata["ownerReferences"] = [owner_reference(ctx.service)]
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}


def ensure(
    ctx: Context,
    kind: Kind,
    wanted: Object,
    *,
    same: Same = spec_is_derivative,
    owned: bool = True,
    confirm: bool = False,
    paced: bool = False,
    exists_is_fine: bool = False,
    quiet: bool = False,
    subject: str = "v1alpha2.LLMInferenceService",
    exclusive: tuple[str, ...] = (),
) -> Iterator[Write]:
    """The write that makes the object as wanted, if one is needed.

    `exclusive`: prefixes of label and annotation keys that go when they are not wanted, whoever set them. Raises PlanError when an object of that name exists and is not controlled by this service (namespaced and owned
    objects only), Unanswered when it is not known what exists. `quiet` writes make no event (unowned objects).
    """
    namespace, name = _address(kind, wanted)
    live = need(get_standing(ctx, kind, name, namespace))
    if live is None:
        yield create(kind, wanted, paced=paced, exists_is_fine=exists_is_fine, quiet=quiet)
        return
    if owned and kind.namespaced and not is_controlled_by(live, ctx.uid):
        raise PlanError(
            f"failed to update {kind.type_name} {namespace}/{name}: "
            f"it is not controlled by {subject} {ctx.namespace}/{ctx.name}"
        )
    if (
        same(wanted, live)
        and _metadata_same(wanted, live, owned=owned)
        and not has_left_over(mapping(wanted, "metadata"), mapping(live, "metadata"), exclusive)
    ):
        return
    yield Write(
        Verb.UPDATE,
        kind,
        namespace,
        name,
        body=onto(wanted, live, exclusive=exclusive),
        live=need(ctx.obs.get(kind, namespace, name)),
        event="" if quiet else f"Updated {kind.type_name} {namespace}/{name}",
        error=f"failed to update {kind.type_name} {namespace}/{name}: ",
        confirm=confirm,
        scales=confirm and _scales(wanted, live),
    )


def create(
    kind: Kind, wanted: Object, *, paced: bool = False, exists_is_fine: bool = False, quiet: bool = False
) -> Write:
    """The creation of an object that is known not to be there."""
    namespace, name = _address(kind, wanted)
    return Write(
        Verb.CREATE,
        kind,
        namespace,
        name,
        body=wanted,
        event="" if quiet else f"Created {kind.type_name} {namespace}/{name}",
        error=f"failed to create {kind.type_name} {namespace}/{name}: ",
        paced=paced,
        exists_is_fine=exists_is_fine,
    )


def remove(
    ctx: Context, kind: Kind, name: str, *, namespace: str | None = None, quiet: bool = False
) -> Iterator[Write]:
    """The delete of our own object, if it is there; nothing for a stranger's object or a kind that is not served.

    The live owner decides (CHILD-1); cluster-scoped objects are the caller's to check.
    """
    if kind.optional and ctx.obs.served(kind) is Served.NO:
        return
    at = (ctx.namespace if kind.namespaced else "") if namespace is None else namespace
    live = need(get_standing(ctx, kind, name, at))
    if live is None or dig(live, "metadata", "deletionTimestamp"):
        return
    if kind.namespaced and not is_controlled_by(live, ctx.uid):
        return
    yield delete(kind, live, quiet=quiet)


def delete(kind: Kind, live: Object, *, quiet: bool = False) -> Write:
    """The delete of exactly this object (uid as precondition)."""
    namespace, name = _address(kind, live)
    return Write(
        Verb.DELETE,
        kind,
        namespace,
        name,
        live=live,
        event="" if quiet else f"Deleted {kind.type_name} {namespace}/{name}",
        error=f"failed to delete {kind.type_name} {namespace}/{name}: ",
    )


def has_left_over(wanted: Object, live: Object, exclusive: tuple[str, ...]) -> bool:
    """Whether live metadata has labels or annotations with these prefixes that the wanted metadata lacks."""
    for field in ("labels", "annotations") if exclusive else ():
        kept = mapping(wanted, field)
        if any(key not in kept and key.startswith(exclusive) for key in mapping(live, field)):
            return True
    return False


def onto(wanted: Object, live: Object, *, exclusive: tuple[str, ...] = ()) -> dict[str, Any]:
    """The live object with our fields replaced: foreign metadata entries stay, ours win, status is not sent.

    Labels and annotations whose keys have an `exclusive` prefix are ours alone, and so are those that the object was given.
    """
    gone = given.before(live) | given.RECORDS
    body = {name: value for name, value in live.items() if name in ("apiVersion", "kind")}
    body.update({name: value for name, value in wanted.items() if name != "status"})
    metadata = dict(mapping(live, "metadata"))
    metadata.pop("managedFields", None)
    wanted_metadata = mapping(wanted, "metadata")
    for field in ("labels", "annotations"):
        theirs = mapping(live, "metadata", field).items()
        merged = {key: value for key, value in theirs if not key.startswith(exclusive) and key not in gone}
        merged.update(mapping(wanted_metadata, field))
        metadata.pop(field, None)
        if merged:
            metadata[field] = merged
    owners = _merge_owners(
        sequence(wanted_metadata, "ownerReferences"), sequence(live, "metadata", "ownerReferences")
    )
    if owners:
        metadata["ownerReferences"] = owners
    body["metadata"] = metadata
    return body


def _scales(wanted: Object, live: Object) -> bool:
    """Whether another number of the pods that stand is wanted."""
    number, stands = dig(wanted, "spec", "replicas"), dig(live, "spec", "replicas")
    if type(number) is not int or type(stands) is not int or number == stands:
        return False
    return all(dig(wanted, "spec", pods) == dig(live, "spec", pods) for pods in _PODS)


def _address(kind: Kind, obj: Object) -> tuple[str, str]:
    metadata = mapping(obj, "metadata")
    return str(metadata.get("namespace") or "") if kind.namespaced else "", str(metadata.get("name"))


def _merge_owners(ours: Iterable[Any], theirs: Iterable[Any]) -> list[Any]:
    wanted = {ref.get("uid"): ref for ref in ours}
    merged = [wanted.pop(ref.get("uid"), ref) for ref in theirs]
    return merged + list(wanted.values())


def _metadata_same(wanted: Object, live: Object, *, owned: bool) -> bool:
    if not derivative(labels_of(wanted), labels_of(live)):
        return False
    # The record comes along with the next write, and is no reason for one.
    asked = {key: value for key, value in annotations_of(wanted).items() if key not in given.RECORDS}
    if not derivative(asked, annotations_of(live)):
        return False
    if not owned:
        return True
    ours = {dig(ref, "uid") for ref in sequence(wanted, "metadata", "ownerReferences")}
    return ours <= {dig(ref, "uid") for ref in sequence(live, "metadata", "ownerReferences")}


def is_ours(ctx: Context, obj: Object) -> bool:
    return is_controlled_by(obj, uid_of(ctx.service))


def under(prefix: str, writes: Iterable[Write]) -> Iterator[Write]:
    """The same writes, with the prefix before their errors and before what their builder raises as PlanError."""
    try:
        for write in writes:
            yield changed(write, error=prefix + write.error)
    except PlanError as error:
        raise PlanError(prefix + str(error)) from error

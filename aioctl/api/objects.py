"""Typed getters over raw API objects.

Objects stay plain mappings so that unknown fields survive (ARCH-4). A getter returns None, an empty mapping or
an empty tuple for what is absent or null, and raises `FieldError` naming the field for a value of the wrong type: such
objects exist when an older CRD let them in.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar, cast

from aioctl.api.kinds import V1ALPHA2, ObjectKey
from aioctl.golang.errors import FieldError as FieldError  # noqa: PLC0414 - the getters raise it; it is read with them

Object = Mapping[str, Any]
T = TypeVar("T")
_T_co = TypeVar("_T_co", covariant=True)
_MAPPINGS: Final = (dict, Mapping)
"""For isinstance: nearly all are dicts, and asking an abstract class is ten times slower."""


def _type_of(value: object) -> str:
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "integer", float: "number"}
    found = names.get(type(value))
    return found or ("object" if isinstance(value, Mapping) else type(value).__name__)


@contextmanager
def within(path: str) -> Iterator[None]:
    """Puts `path` before the path of every FieldError raised inside: getters see only the part they are given."""
    try:
        yield
    except FieldError as error:
        raise FieldError(f"{path}.{error.path}" if error.path else path, error.problem) from error


def dig(obj: object, *path: str) -> Any:
    """The value at the path, or None where any part of it is absent, null or not an object."""
    for part in path:
        if not isinstance(obj, _MAPPINGS):
            return None
        obj = obj.get(part)
    return obj


def _walked(obj: object, path: tuple[str, ...], wanted: type | tuple[type, ...], title: str) -> Any:
    at: list[str] = []
    for part in path:
        if obj is None:
            return None
        if not isinstance(obj, _MAPPINGS):
            raise FieldError(".".join(at), f"expected an object, got {_type_of(obj)}")
        obj = obj.get(part)
        at.append(part)
    if obj is None:
        return None
    if not isinstance(obj, wanted) or (isinstance(obj, bool) and wanted is int):
        raise FieldError(".".join(at), f"expected {title}, got {_type_of(obj)}")
    return obj


class _Getter(Protocol[_T_co]):
    def __call__(self, obj: object, *path: str) -> _T_co: ...


def _getter(absent: T, exact: type, wanted: type | tuple[type, ...], title: str) -> "_Getter[T]":
    """Gives what is at a path, `absent` where nothing is. Raises FieldError for what is not `wanted`.

    A plan asks some 1,000 times: plain JSON, of the `exact` type in the end, takes the short way.
    """

    def get(obj: object, *path: str) -> T:
        found: Any = obj
        for part in path:
            if found.__class__ is not dict:
                break
            found = found.get(part)
            if found is None:
                return absent
        else:
            plain: T = found
            if type(found) is exact:
                return plain
        other: T | None = _walked(obj, path, wanted, title)
        return absent if other is None else other

    return get


sequence: Final = _getter(cast("Sequence[Any]", ()), list, (list, tuple), "a list")
"""The list at the path, empty when absent. Raises FieldError when it is something else."""
text: Final = _getter("", str, str, "a string")
"""The string at the path, empty when absent. Raises FieldError when it is something else."""
integer: Final = _getter(cast("int | None", None), int, int, "an integer")
"""The integer at the path, None when absent. Raises FieldError when it is something else."""
boolean: Final = _getter(False, bool, bool, "a boolean")
"""The boolean at the path, False when absent. Raises FieldError when it is something else."""
_object: Final = _getter(cast("Mapping[str, Any] | None", None), dict, Mapping, "an object")


def mapping(obj: object, *path: str) -> Mapping[str, Any]:
    """The object at the path, empty when absent. Raises FieldError when it is something else."""
    found = _object(obj, *path)
    return found if found is not None else {}


def present(obj: object, *path: str) -> bool:
    """True when the path holds an object, even an empty one (`scheduler: {}` means something, CONV-6)."""
    return _object(obj, *path) is not None


def name_of(obj: Object) -> str:
    return text(obj, "metadata", "name")


def namespace_of(obj: Object) -> str:
    return text(obj, "metadata", "namespace")


def key_of(obj: Object) -> ObjectKey:
    return ObjectKey(namespace_of(obj), name_of(obj))


def uid_of(obj: Object) -> str:
    return text(obj, "metadata", "uid")


def resource_version_of(obj: Object) -> str:
    return text(obj, "metadata", "resourceVersion")


def generation_of(obj: Object) -> int:
    return integer(obj, "metadata", "generation") or 0


def labels_of(obj: Object) -> Mapping[str, str]:
    return mapping(obj, "metadata", "labels")


def annotations_of(obj: Object) -> Mapping[str, str]:
    return mapping(obj, "metadata", "annotations")


def created_at(obj: Object) -> datetime | None:
    """When the API server created it, by its clock, which counts whole seconds; None where that is not known."""
    try:
        return datetime.fromisoformat(text(obj, "metadata", "creationTimestamp"))
    except ValueError:
        return None


def age_of(obj: Object, now: datetime) -> float:
    """Seconds since it was created; 0 where that is not known."""
    created = created_at(obj)
    return 0.0 if created is None else max(0.0, (now - created).total_seconds())


def replaced(tree: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of the tree with the value at the path, whose parts above it are there already; the rest is shared."""
    head, *rest = path
    return {**tree, head: replaced(tree[head], rest, value) if rest else value}


def is_deleting(obj: Object) -> bool:
    return bool(dig(obj, "metadata", "deletionTimestamp"))


def controller_of(obj: Object) -> Mapping[str, Any] | None:
    """The owner reference with `controller: true`, if there is one."""
    for ref in sequence(obj, "metadata", "ownerReferences"):
        if isinstance(ref, Mapping) and ref.get("controller") is True:
            return ref
    return None


def is_controlled_by(obj: Object, uid: str) -> bool:
    """Ownership goes by uid alone: children made before the migration carry v1alpha1 references (API-1)."""
    ref = controller_of(obj)
    return ref is not None and bool(uid) and ref.get("uid") == uid


def owner_reference(service: Object) -> dict[str, Any]:
    """The controller reference every owned child carries (OWN-1)."""
    return {
        "apiVersion": V1ALPHA2,
        "kind": "LLMInferenceService",
        "name": name_of(service),
        "uid": uid_of(service),
        "controller": True,
        "blockOwnerDeletion": True,
    }

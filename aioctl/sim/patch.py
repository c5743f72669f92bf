"""Patches: JSON merge patch (RFC 7396), JSON patch (RFC 6902) and the part of strategic merge that our clients send.

Pure functions on decoded JSON; a patch that cannot be applied raises StatusError as the real server words it. Server-side
apply is done as a merge patch without field ownership: enough to install manifests, not to test ownership.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aioctl.sim.errors import StatusError, bad_request

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"
STRATEGIC_PATCH: Final = "application/strategic-merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

_MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "imagePullSecrets": ("name",),
    "secrets": ("name",),
}
"""Lists that a strategic patch merges by key; all others it replaces."""
_SET_LISTS: Final = frozenset({"finalizers"})
_DIRECTIVES: Final = ("$setElementOrder/", "$retainKeys", "$deleteFromPrimitiveList/")


def merge_patch(target: Any, patch: Any) -> Any:
    """A merge patch of an object. Raises StatusError 400 for a patch that is none."""
    if not isinstance(patch, Mapping):
        raise bad_request("error decoding patch: a merge patch is an object")
    return merge(target, patch)


def merge(target: Any, patch: Any) -> Any:
    """RFC 7396: null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, *, field: str = "") -> Any:
    """Strategic merge with the merge keys above and the directives `$patch: delete|replace`."""
    if isinstance(patch, list):
        return _strategic_list(target if isinstance(target, list) else [], patch, field)
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.split("/", 1)[1]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif key.startswith(_DIRECTIVES) or key == "$patch":
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, field=key)
    return result


def _strategic_list(target: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in _SET_LISTS:
        return [*target, *(item for item in patch if item not in target)]
    key = next(
        (
            key
            for key in _MERGE_KEYS.get(field, ())
            if all(isinstance(i, Mapping) and key in i for i in patch)
        ),
        None,
    )
    if key is None:
        return copy.deepcopy(patch)
    result = list(target)
    for item in patch:
        at = next((i for i, found in enumerate(result) if found.get(key) == item[key]), None)
        if item.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(strategic({}, item))
        else:
            result[at] = strategic(result[at], item)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises StatusError: 400 for what is no patch, 422 for a test or path that fails."""
    if not isinstance(operations, Sequence) or isinstance(operations, (str, bytes)):
        raise bad_request("error decoding patch: a JSON patch is a list of operations")
    document = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, Mapping) or "op" not in operation or "path" not in operation:
            raise bad_request("error decoding patch: an operation needs op and path")
        document = _apply(document, operation)
    return document


def _apply(document: Any, operation: Mapping[str, Any]) -> Any:
    op, path = operation["op"], _pointer(operation["path"])
    if op in {"add", "replace"}:
        return _put(document, path, copy.deepcopy(operation.get("value")), replace=op == "replace")
    if op == "remove":
        return _remove(document, path)
    if op == "test":
        if _get(document, path) != operation.get("value"):
            raise _unprocessable()
        return document
    if op in {"move", "copy"}:
        source = _pointer(operation.get("from", ""))
        value = copy.deepcopy(_get(document, source))
        if op == "move":
            document = _remove(document, source)
        return _put(document, path, value, replace=False)
    raise bad_request(f"error decoding patch: unexpected operation {op!r}")


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _unprocessable() -> StatusError:
    """The real server keeps to itself which operation failed."""
    return StatusError(422, "Invalid", "the server rejected our request due to an error in our request")


def _index(container: list[Any], part: str, *, end: bool) -> int:
    if part == "-" and end:
        return len(container)
    if not part.isdigit() or int(part) > len(container) - (0 if end else 1):
        raise _unprocessable()
    return int(part)


def _get(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        if isinstance(document, list):
            document = document[_index(document, part, end=False)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            raise _unprocessable()
    return document


def _put(document: Any, path: Sequence[str], value: Any, *, replace: bool) -> Any:
    if not path:
        return value
    container, last = _get(document, path[:-1]), path[-1]
    if isinstance(container, list):
        if replace:
            container[_index(container, last, end=False)] = value
        else:
            container.insert(_index(container, last, end=True), value)
    elif isinstance(container, dict):
        if replace and last not in container:
            raise _unprocessable()
        container[last] = value
    else:
        raise _unprocessable()
    return document


def _remove(document: Any, path: Sequence[str]) -> Any:
    if not path:
        raise _unprocessable()
    container, last = _get(document, path[:-1]), path[-1]
    if isinstance(container, list):
        del container[_index(container, last, end=False)]
    elif isinstance(container, dict) and last in container:
        del container[last]
    else:
        raise _unprocessable()
    return document

"""Metadata as the API server keeps it: what it fills in, what clients may not change, what it refuses.

Pure functions on decoded objects, shared by create, update and status writes of every kind.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from aioctl.api.objects import dig
from aioctl.sim.errors import Cause, bad_request, conflict, forbidden_field, invalid, invalid_value, required
from aioctl.sim.resources import Object, Resource

SYSTEM_FIELDS: Final = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
)
"""Fields that keep their stored value whatever a client sends."""
MAX_ANNOTATIONS: Final = 256 * 1024
_SUBDOMAIN: Final = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_PATH_SEGMENT: Final = re.compile(r"^[^/%]+$")
_DNS_LABEL: Final = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_LABEL_VALUE: Final = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
_LABEL_KEY: Final = re.compile(r"^([^/]{1,253}/)?([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]$")
_SUBDOMAIN_TEXT: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_DNS_LABEL_TEXT: Final = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and "
    "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    "'[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_TEXT: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


_KEY_TEXT: Final = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def metadata_of(obj: Object) -> Object:
    """The metadata, made if absent; strings where the API wants strings. Raises StatusError 400."""
    metadata = obj.setdefault("metadata", {})
    if not isinstance(metadata, dict):
        raise bad_request("the object provided is unrecognized: metadata is no object")
    for field in ("labels", "annotations"):
        found = metadata.get(field)
        if found is None:
            metadata.pop(field, None)
        elif not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise bad_request(f"unable to decode: metadata.{field} must be a map of strings")
        elif not found:
            del metadata[field]
    for field in ("finalizers", "ownerReferences"):
        if not metadata.get(field):
            metadata.pop(field, None)
    metadata.pop("managedFields", None)
    return metadata


def check_type(resource: Resource, obj: Mapping[str, Any], api_version: str) -> None:
    """The body must be of the type the path names. Raises StatusError 400, for the kind of a custom object 422."""
    version, kind = obj.get("apiVersion") or "", obj.get("kind") or ""
    if (version, kind) == (api_version, resource.kind):
        return
    if not resource.custom:
        known = (
            f'no kind "{kind}" is registered for version "{version}" in scheme "pkg/runtime/scheme.go:110"'
        )
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {resource.kind}: {known}')
    if version != api_version:
        text = (
            f"the API version in the data ({version}) does not match the expected API version ({api_version})"
        )
        raise bad_request(text)
    name = dig(obj, "metadata", "name")
    raise invalid(
        str(kind), resource.group, str(name or ""), [invalid_value("kind", kind, f"must be {resource.kind}")]
    )


def check_address(metadata: Mapping[str, Any], namespace: str, name: str) -> None:
    """Name and namespace in the body, where given, are those of the path. Raises StatusError 400."""
    found = metadata.get("name", "")
    if found != name:
        raise bad_request(f"the name of the object ({found}) does not match the name on the URL ({name})")
    if metadata.get("namespace", namespace) != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )


def findings(resource: Resource, metadata: Mapping[str, Any]) -> Iterator[Cause]:
    """What the API server's metadata validation would say."""
    name = metadata.get("name")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif not isinstance(name, str):
        yield invalid_value("metadata.name", name, "must be a string")
    else:
        yield from _name_findings(resource, name)
    for key, value in (metadata.get("labels") or {}).items():
        if not _LABEL_KEY.match(key):
            yield invalid_value("metadata.labels", key, _KEY_TEXT)
        if len(value) > 63:
            yield invalid_value("metadata.labels", value, "must be no more than 63 characters")
        elif not _LABEL_VALUE.match(value):
            yield invalid_value("metadata.labels", value, _LABEL_TEXT)
    for key in metadata.get("annotations") or {}:
        if not _LABEL_KEY.match(key):
            yield invalid_value("metadata.annotations", key, _KEY_TEXT)
    size = sum(len(k.encode()) + len(v.encode()) for k, v in (metadata.get("annotations") or {}).items())
    if size > MAX_ANNOTATIONS:
        body = f"Too long: may not be more than {MAX_ANNOTATIONS} bytes"
        yield Cause("metadata.annotations", body, "FieldValueTooLong")
    yield from _owner_findings(metadata.get("ownerReferences") or ())


def _name_findings(resource: Resource, name: str) -> Iterator[Cause]:
    if resource.dns_label:
        if len(name) > 63:
            yield invalid_value("metadata.name", name, "must be no more than 63 characters")
        if not _DNS_LABEL.match(name):
            yield invalid_value("metadata.name", name, _DNS_LABEL_TEXT)
    elif resource.group == "rbac.authorization.k8s.io":
        if not _PATH_SEGMENT.match(name):
            yield invalid_value("metadata.name", name, "may not contain '/' or '%'")
    else:
        if len(name) > 253:
            yield invalid_value("metadata.name", name, "must be no more than 253 characters")
        if not _SUBDOMAIN.match(name):
            yield invalid_value("metadata.name", name, _SUBDOMAIN_TEXT)


def _owner_findings(references: Any) -> Iterator[Cause]:
    controllers = []
    for index, reference in enumerate(references):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not reference.get(field):
                body = f'Invalid value: "": {"version" if field == "apiVersion" else field} must not be empty'
                yield Cause(f"metadata.ownerReferences[{index}].{field}", body)
        if reference.get("controller"):
            controllers.append(str(reference.get("name")))
    if len(controllers) > 1:
        detail = (
            'Only one reference can have Controller set to true. Found "true" in references for '
            f"{controllers[0]} and {controllers[1]}"
        )
        yield invalid_value("metadata.ownerReferences", list(references), detail)


def cautions(resource: Resource, new: Mapping[str, Any], old: Mapping[str, Any] | None) -> list[str]:
    """Warnings of an object that is taken all the same: new finalizers of a custom one that are nobody's by their name, and
    what its kind has to say."""
    found = [] if resource.cautions is None else resource.cautions(new)
    if not resource.custom:
        return found
    known = {*_finalizers(old), "foregroundDeletion", "orphan"}
    return found + [
        f'metadata.finalizers: "{name}": prefer a domain-qualified finalizer name including a path (/) to avoid accidental '
        "conflicts with other finalizer writers"
        for name in sorted(set(_finalizers(new)) - known)
        if "/" not in name
    ]


def _finalizers(obj: Mapping[str, Any] | None) -> list[str]:
    return list(dig(obj, "metadata", "finalizers") or ())


def keep_system_fields(new: Object, old: Object) -> None:
    """Restores what clients cannot change."""
    metadata, stored = new["metadata"], old["metadata"]
    for field in SYSTEM_FIELDS:
        if field in stored:
            metadata[field] = stored[field]
        else:
            metadata.pop(field, None)
    metadata["name"] = stored["name"]
    if "namespace" in stored:
        metadata["namespace"] = stored["namespace"]


def check_update(resource: Resource, new: Mapping[str, Any], old: Mapping[str, Any]) -> None:
    """Optimistic concurrency and uid. Raises StatusError 409."""
    name = old["metadata"]["name"]
    uid, stored_uid = new["metadata"].get("uid"), old["metadata"].get("uid")
    if uid and uid != stored_uid:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {stored_uid}"
        raise conflict(resource.title, resource.group, name, why)
    revision = new["metadata"].get("resourceVersion")
    if revision and revision != old["metadata"].get("resourceVersion"):
        raise conflict(resource.title, resource.group, name)


def update_findings(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Cause]:
    """Rules that compare with the stored object."""
    if old["metadata"].get("deletionTimestamp"):
        held = set(old["metadata"].get("finalizers") or ())
        added = [item for item in new["metadata"].get("finalizers") or () if item not in held]
        if added:
            listing = ", ".join(f'"{item}"' for item in added)
            detail = (
                "no new finalizers can be added if the object is being deleted, "
                f"found new finalizers []string{{{listing}}}"
            )
            yield forbidden_field("metadata.finalizers", detail)


def check_preconditions(resource: Resource, options: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    """DeleteOptions.preconditions. Raises StatusError 409."""
    wanted = options.get("preconditions")
    if not isinstance(wanted, Mapping):
        return
    metadata = stored["metadata"]
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    for field, title, guess in (
        ("uid", "UID", "deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "modified"),
    ):
        if wanted.get(field) and wanted[field] != metadata.get(field):
            why = (
                f"the {title} in the precondition ({wanted[field]}) does not match the {title} in record "
                f"({metadata.get(field)}). The object might have been {guess}"
            )
            raise conflict(kind, resource.group, metadata["name"], why)


def same_apart_from_revision(new: Object, old: Object) -> bool:
    """True when a write would change nothing: the real server then writes nothing."""
    return _without_revision(new) == _without_revision(old)


def _without_revision(obj: Object) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}
    return {**obj, "metadata": metadata}


def spec_changed(resource: Resource, new: Object, old: Object) -> bool:
    """True when generation must grow: anything but metadata, and status where it is a subresource."""
    ignored = {"metadata", "apiVersion", "kind"} | ({"status"} if resource.status else set())
    return any(new.get(key) != old.get(key) for key in (new.keys() | old.keys()) - ignored)


def copy(obj: Object) -> Object:
    """A deep copy of JSON data, by the fastest road there is."""
    made: Object = msgspec.json.decode(msgspec.json.encode(obj))
    return made

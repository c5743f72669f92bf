"""Objects as bytes, and the changes of objects: what the store keeps and the watchers are told.

An object is kept as the JSON it is served as, with a little metadata beside it for selectors and garbage collection; the
line of a change is encoded once for all watchers of a version.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from aioctl.sim.resources import GroupVersion, Object

Key = tuple[str, str]
"""Namespace (empty for cluster-scoped objects) and name."""


class Record(NamedTuple):
    """One object at one revision. `raw` starts with apiVersion and kind, in the version `at`."""

    key: Key
    revision: int
    uid: str
    at: GroupVersion
    raw: bytes
    labels: Mapping[str, str]
    owners: tuple[str, ...]

    def decode(self) -> Object:
        """A fresh copy that may be changed."""
        decoded: Object = msgspec.json.decode(self.raw)
        return decoded


class Manager(NamedTuple):
    """Who wrote an object, how and in which version: an entry of `metadata.managedFields` without the fields."""

    name: str
    operation: str
    at: GroupVersion
    subresource: str


def encode(obj: Object) -> bytes:
    """JSON with apiVersion and kind first, so that lists of built-in kinds can cut them off."""
    head = {"apiVersion": obj.get("apiVersion"), "kind": obj.get("kind")}
    return msgspec.json.encode({**head, **obj})


def record_of(obj: Object, key: Key, revision: int) -> Record:
    """The record of a complete object; sets its resourceVersion."""
    metadata = obj["metadata"]
    metadata["resourceVersion"] = str(revision)
    return Record(
        key,
        revision,
        metadata.get("uid", ""),
        GroupVersion.parse(obj["apiVersion"]),
        encode(obj),
        metadata.get("labels") or {},
        tuple(ref.get("uid", "") for ref in metadata.get("ownerReferences") or ()),
    )


class Change:
    """One event of a view, with the labels before it (None: the object was not there before)."""

    __slots__ = ("_lines", "old_labels", "record", "revision", "type")

    def __init__(self, kind: str, record: Record, old_labels: Mapping[str, str] | None) -> None:
        self.type = kind
        self.record = record
        self.revision = record.revision
        self.old_labels = old_labels
        self._lines: dict[str, bytes] = {}

    def line(self, kind: str) -> bytes:
        """The watch line; the same bytes for all watchers."""
        line = self._lines.get(kind)
        if line is None:
            line = self._lines[kind] = watch_line(kind, self.record.raw)
        return line

    def forget_lines(self) -> None:
        """Everybody who watches now has them; history keeps the object only."""
        self._lines.clear()

    def metadata_line(self, kind: str) -> bytes:
        """The watch line with metadata only."""
        line = self._lines.get("metadata " + kind)
        if line is None:
            line = self._lines["metadata " + kind] = watch_line(kind, partial_metadata(self.record.raw))
        return line


def watch_line(kind: str, raw: bytes) -> bytes:
    return b'{"type":"%b","object":%b}\n' % (kind.encode(), raw)


class _MetadataOnly(msgspec.Struct):
    metadata: msgspec.Raw


_decode_metadata = msgspec.json.Decoder(_MetadataOnly).decode


def partial_metadata(raw: bytes) -> bytes:
    """The object as PartialObjectMetadata (meta.k8s.io/v1)."""
    head = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}'
    return head % bytes(_decode_metadata(raw).metadata)


def as_list_item(record: Record, kind: str, *, bare: bool) -> bytes:
    """The object as an item of a list; items of built-in kinds come without apiVersion and kind (`bare`)."""
    if not bare:
        return record.raw
    prefix = b'{"apiVersion":"%b","kind":"%b",' % (record.at.api_version.encode(), kind.encode())
    return b"{" + record.raw.removeprefix(prefix) if record.raw.startswith(prefix) else record.raw

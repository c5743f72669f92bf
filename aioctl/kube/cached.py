"""An object as the caches keep it: the raw JSON, and beside it only what is asked for often.

Memory decides the form: a decoded object costs about five times its JSON text, and thousands of children are kept to be
read rarely. So the text stays text, is decoded afresh for whoever reads it (who may then change the result freely), and is
stripped on the way in: `managedFields` always, kubectl's last-applied copy of children too. Objects that templates can see
keep that copy, because expressions inside it count (TPL-1).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, Final, NamedTuple

import msgspec

from aioctl.api.encoding import decode_deep
from aioctl.api.kinds import CONFIG, SERVICE, Kind, ObjectKey

LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_KEEPS_LAST_APPLIED: Final = frozenset({SERVICE.resource, CONFIG.resource})


class OwnerRef(NamedTuple):
    """The controlling owner: enough to find it in another cache."""

    api_version: str
    kind: str
    name: str
    uid: str


class _OwnerReference(msgspec.Struct):
    api_version: str = msgspec.field(default="", name="apiVersion")
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class _Metadata(msgspec.Struct):
    """What is looked at; everything else stays in the text."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = msgspec.field(default="", name="resourceVersion")
    generation: int = 0
    labels: dict[str, str] | None = None
    deletion_timestamp: str | None = msgspec.field(default=None, name="deletionTimestamp")
    owner_references: list[_OwnerReference] | None = msgspec.field(default=None, name="ownerReferences")


class _Name(msgspec.Struct):
    name: str
    namespace: str = ""


class _Named(msgspec.Struct):
    metadata: _Name


_SHARED_LABELS: Final = 1_000
"""3 MB of labels (256,000) took 180 ms to be cached, 110 of them for this."""

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_annotations_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_whole_decoder = msgspec.json.Decoder(dict[str, Any])
_metadata_decoder = msgspec.json.Decoder(_Metadata)
_named_decoder = msgspec.json.Decoder(_Named)
_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, eq=False)
class Cached:
    """One object at one resource version; equal to another that is the same object at the same version."""

    key: ObjectKey
    uid: str
    resource_version: str
    generation: int
    labels: Mapping[str, str]
    owner: OwnerRef | None
    deleting: bool
    """It has a deletionTimestamp."""
    raw: bytes

    @classmethod
    def from_raw(cls, raw: bytes, kind: Kind) -> "Cached":
        """Reads one object of a list or watch. Raises msgspec.MsgspecError when it is none."""
        fields = decode_deep(_object_decoder.decode, raw)
        metadata_text = fields.get("metadata", msgspec.Raw(b"{}"))
        metadata = decode_deep(_metadata_decoder.decode, metadata_text)
        return cls(
            # The same few words stand in thousands of objects: kept once.
            key=ObjectKey(intern(metadata.namespace), metadata.name),
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            generation=metadata.generation,
            labels=_shared(metadata.labels or {}),
            owner=_controller(metadata.owner_references or ()),
            deleting=bool(metadata.deletion_timestamp),
            raw=_encoder.encode(_stripped(fields, metadata_text, kind)),
        )

    def decode(self) -> dict[str, Any]:
        """The whole object, made anew each time."""
        return _whole_decoder.decode(self.raw)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cached):
            return NotImplemented
        return (self.key, self.uid, self.resource_version) == (other.key, other.uid, other.resource_version)

    def __hash__(self) -> int:
        return hash((self.key, self.uid, self.resource_version))


def key_of_raw(raw: bytes) -> ObjectKey | None:
    """Whose text it is, where nothing more of an object may be readable; None where not even that is."""
    try:
        metadata = decode_deep(_named_decoder.decode, raw).metadata
    except (msgspec.MsgspecError, RecursionError):
        return None
    return ObjectKey(metadata.namespace, metadata.name)


def _shared(labels: dict[str, str]) -> dict[str, str]:
    """The same labels, each text kept once; not of so many that they are no longer those of thousands of objects."""
    if len(labels) > _SHARED_LABELS:
        return labels
    return {intern(label): intern(value) for label, value in labels.items()}


def _controller(owners: Iterable[_OwnerReference]) -> OwnerRef | None:
    for owner in owners:
        if owner.controller:
            return OwnerRef(
                intern(owner.api_version), intern(owner.kind), intern(owner.name), intern(owner.uid)
            )
    return None


def _stripped(
    fields: dict[str, msgspec.Raw], metadata_text: msgspec.Raw, kind: Kind
) -> dict[str, msgspec.Raw]:
    """The object without dead weight, and with its kind: items of a list do not say theirs."""
    metadata = decode_deep(_object_decoder.decode, metadata_text)
    metadata.pop("managedFields", None)
    if kind.resource not in _KEEPS_LAST_APPLIED and "annotations" in metadata:
        annotations = _annotations_decoder.decode(metadata["annotations"])
        if annotations is not None and annotations.pop(LAST_APPLIED, None) is not None:
            metadata["annotations"] = msgspec.Raw(_encoder.encode(annotations))
    head = {
        "apiVersion": msgspec.Raw(_encoder.encode(kind.api_version)),
        "kind": msgspec.Raw(_encoder.encode(kind.kind)),
    }
    return {**head, **fields, **head, "metadata": msgspec.Raw(_encoder.encode(metadata))}

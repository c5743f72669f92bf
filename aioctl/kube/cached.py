"""An object as the caches keep it: its JSON text, and beside it only what is asked for often.

Memory decides the form: a decoded object costs about five times its JSON text, and thousands of children are kept to be
read rarely. So the text stays text, packed (`packing.py`), is decoded afresh for whoever reads it (who may then change the result
freely), and is stripped on the way in: `managedFields` always, kubectl's last-applied copy of children too. Objects that templates can see
keep that copy, because expressions inside it count (TPL-1).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from sys import intern
from typing import Any, Final, NamedTuple

import msgspec

from aioctl.api.encoding import decode_deep
from aioctl.api.kinds import CONFIG, SERVICE, Kind, ObjectKey
from aioctl.kube.packing import Packing, Text, plain

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
    labels: msgspec.Raw = msgspec.Raw(b"null")
    deletion_timestamp: str | None = msgspec.field(default=None, name="deletionTimestamp")
    owner_references: list[_OwnerReference] | None = msgspec.field(default=None, name="ownerReferences")


class _Name(msgspec.Struct):
    name: str
    namespace: str = ""


class _Named(msgspec.Struct):
    metadata: _Name


_READ_LABELS: Final = 64 * 1024
"""Bytes of labels that are decoded. 3 MB of them (256,000) took 76 ms to be cached, 180 with each text kept once."""

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_annotations_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_labels_decoder = msgspec.json.Decoder(dict[str, str] | None)
_LONGEST_VALUE: Final = 128
"""Bytes in which a label's value ends, which has 63 at most."""
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
    text: Text

    @classmethod
    def from_raw(cls, raw: bytes, kind: Kind, packing: Packing | None = None) -> "Cached":
        """Reads one object of a list or watch; `packing` is that of the kind, None keeps the text as it is.

        Raises msgspec.MsgspecError when it is none.
        """
        fields = decode_deep(_object_decoder.decode, raw)
        metadata_text = fields.get("metadata", msgspec.Raw(b"{}"))
        metadata = decode_deep(_metadata_decoder.decode, metadata_text)
        return cls(
            # The same few words stand in thousands of objects: kept once.
            key=ObjectKey(intern(metadata.namespace), metadata.name),
            uid=metadata.uid,
            resource_version=metadata.resource_version,
            generation=metadata.generation,
            labels=_labels(metadata.labels),
            owner=_controller(metadata.owner_references or ()),
            deleting=bool(metadata.deletion_timestamp),
            text=(packing.pack if packing is not None else plain)(
                _encoder.encode(_stripped(fields, metadata_text, kind))
            ),
        )

    @property
    def raw(self) -> bytes:
        """The JSON text, unpacked each time."""
        return self.text.read()

    def decode(self) -> dict[str, Any]:
        """The whole object, made anew each time."""
        return _whole_decoder.decode(self.raw)

    def part(self, field: str) -> bytes:
        """The JSON text of one field of the object, empty where it has none."""
        return bytes(decode_deep(_object_decoder.decode, self.raw).get(field, b""))

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


def _labels(encoded: msgspec.Raw) -> Mapping[str, str]:
    """Labels of an object, each text kept once; those of an object with very many are looked up in their text."""
    if len(memoryview(encoded)) > _READ_LABELS:
        return LongLabels(bytes(encoded))
    found = _labels_decoder.decode(encoded) or {}
    return {intern(label): intern(value) for label, value in found.items()}


class LongLabels(Mapping[str, str]):
    """Labels that stay encoded: a few of them are asked for, by name.

    Neither keys nor values of labels hold quotes or escapes, so that a quoted key before a colon can be nothing else.
    """

    def __init__(self, encoded: bytes) -> None:
        self._encoded = encoded

    def __getitem__(self, label: str) -> str:
        wanted = _encoder.encode(label)
        after = self._encoded.find(wanted)
        while after >= 0:
            after += len(wanted)
            rest = self._encoded[after : after + _LONGEST_VALUE].lstrip()
            if rest.startswith(b":"):
                return rest.split(b'"', 2)[1].decode()
            after = self._encoded.find(wanted, after)
        raise KeyError(label)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        return _labels_decoder.decode(self._encoded) or {}


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

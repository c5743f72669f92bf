"""Conversion of LLMInferenceService and LLMInferenceServiceConfig between their versions (CONV-1).

Versions stand around a hub, the one that is stored: each other version is a spoke, one module that knows the way up to the
hub and down from it. Field-wise on the JSON tree: known fields are mapped, everything else passes through, so what is not
in the input is not in the output and unknown fields survive. No defaulting, no validation, no error because of a field's
content. `convert_object` decodes an encoded object only where the spoke looks, and hands the rest through as the bytes it
came in.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from aioctl.api import v1alpha1
from aioctl.api.conversion_carried import LeftOut
from aioctl.api.encoding import MAPPINGS
from aioctl.api.kinds import CONFIG, SERVICE, V1ALPHA1, V1ALPHA2
from aioctl.api.opening import BROKEN, opened, text_at, top_level

_SCHEME: Final = "aioctl"
_KINDS: Final = frozenset({SERVICE.kind, CONFIG.kind})
_encode = msgspec.json.Encoder().encode


class ConversionFailed(Exception):
    """The object cannot be converted; the text names it as `<namespace>/<name>` and says which part is wrong."""


class Spoke(NamedTuple):
    """One version beside the hub, on decoded trees and on objects whose fields are still encoded.

    `left_out` is told the path of each field for which the version has no room.
    """

    up: Callable[[Mapping[str, Any]], dict[str, Any]]
    up_encoded: Callable[[dict[str, Any]], dict[str, Any]]
    down_encoded: Callable[[dict[str, Any], LeftOut | None], dict[str, Any]]


class Versions:
    """The versions that convert into each other: the hub, and the spokes by version."""

    def __init__(self, hub: str, spokes: Mapping[str, Spoke]) -> None:
        self._hub = hub
        self._spokes = spokes

    def direction(self, desired: str) -> str:
        """Which way a conversion to that version leads: up, down or unknown."""
        return "up" if desired == self._hub else "down" if desired in self._spokes else "unknown"

    def up(self, obj: Mapping[str, Any]) -> dict[str, Any]:
        """A decoded object in the hub's version; of any other version, as it is."""
        spoke = self._spokes.get(obj.get("apiVersion", ""))
        return spoke.up(obj) if spoke else dict(obj)

    def convert(
        self, raw: bytes | msgspec.Raw, desired: str, left_out: LeftOut | None = None
    ) -> bytes | msgspec.Raw:
        """One encoded object in the desired version; the same bytes when it has that version already.

        `left_out` is told `<namespace>/<name>: <path>` of each field for which the desired version has no room.

        Raises ConversionFailed for what the protocol cannot express: no JSON object, another kind, an unknown version.
        """
        try:
            top = top_level(raw)
        except BROKEN as error:
            raise ConversionFailed(f"<unnamed>: expected a JSON object: {error}") from error
        source = text_at(top, "apiVersion")
        try:
            self._check(text_at(top, "kind"), source, desired)
        except ConversionFailed as error:
            raise ConversionFailed(f"{_label(top)}: {error}") from error
        if source == desired:
            return raw
        if source != self._hub:
            raw = _encode(self._spokes[source].up_encoded(top))
            if desired == self._hub:
                return raw
            top = top_level(raw)
        told = left_out and (lambda path: left_out(f"{_label(top)}: {path}"))
        return _encode(self._spokes[desired].down_encoded(top, told))

    def _check(self, kind: str, source: str, desired: str) -> None:
        """Raises ConversionFailed, without naming the object, for what is none of our kinds and versions."""
        if not kind:
            raise ConversionFailed("kind: Object 'Kind' is missing")
        if not source:
            raise ConversionFailed("apiVersion: Object 'apiVersion' is missing")
        if kind.removesuffix("List") not in _KINDS or not self._has(source):
            raise ConversionFailed(_not_registered(kind, source))
        if not self._has(desired):
            raise ConversionFailed(_not_registered(kind, desired))
        if kind not in _KINDS:
            raise ConversionFailed(
                f"*{_short(source)}.{kind} is not convertible to *{_short(desired)}.{kind}"
            )

    def _has(self, version: str) -> bool:
        return version == self._hub or version in self._spokes


def _label(top: Mapping[str, Any]) -> str:
    """`<namespace>/<name>` for error texts, whatever the object is."""
    metadata = top.get("metadata")
    if isinstance(metadata, msgspec.Raw):
        metadata = opened(metadata, {})
    if not isinstance(metadata, MAPPINGS):
        return "<unnamed>"
    return f"{text_at(metadata, 'namespace')}/{text_at(metadata, 'name') or '<unnamed>'}"


def _not_registered(kind: str, version: str) -> str:
    return f'no kind "{kind}" is registered for version "{version}" in scheme "{_SCHEME}"'


def _short(version: str) -> str:
    return version.rpartition("/")[2]


VERSIONS: Final = Versions(
    V1ALPHA2, {V1ALPHA1: Spoke(v1alpha1.up, v1alpha1.up_encoded, v1alpha1.down_encoded)}
)
convert_object: Final = VERSIONS.convert
up: Final = VERSIONS.up

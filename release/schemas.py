"""The schemas of our CRDs as the program carries them, for `aioctl check -f`: `python -m release charts` writes the file.

Of each version what a file is judged by: no descriptions, no status. A pod's schema stands in the CRDs a dozen times, so
equal nodes are written once and named by their number; a node's parts come before it.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

REPOSITORY: Final = Path(__file__).resolve().parent.parent
FILE: Final = REPOSITORY / "aioctl" / "tools" / "checks" / "schemas.json"
PLURALS: Final = ("llminferenceserviceconfigs", "llminferenceservices")
KEPT: Final = {
    "type", "nullable", "default", "required", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties", "x-kubernetes-int-or-string", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-validations",
}  # fmt: skip
LEFT_OUT: Final = {
    "description", "format", "x-kubernetes-map-type", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
}  # fmt: skip
"""For people, for server-side apply, or for pruning, which `check -f` judges by the fields that the program knows."""
INT_OR_STRING: Final = [{"type": "integer"}, {"type": "string"}]


class UnknownKeywordError(ValueError):
    """A CRD says what the file does not carry: extend it, and what reads it."""


class Nodes:
    """What is written: each node once."""

    def __init__(self) -> None:
        self.every: list[dict[str, Any]] = []
        self._numbers: dict[str, int] = {}

    def number(self, source: Mapping[str, Any]) -> int:
        """The number of a schema, which is added with its parts. Raises UnknownKeywordError."""
        node = dict(self._kept(source))
        key = json.dumps(node, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.every)
            self.every.append(node)
        return self._numbers[key]

    def _kept(self, source: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in source.items():
            if name == "properties":
                yield name, {part: self.number(sub) for part, sub in value.items()}
            elif name == "items" or (name == "additionalProperties" and isinstance(value, Mapping)):
                yield name, self.number(value)
            elif name in KEPT:
                yield name, _known_rules(value) if name == "x-kubernetes-validations" else value
            elif not (name in LEFT_OUT or (name == "anyOf" and value == INT_OR_STRING)):
                raise UnknownKeywordError(f"{name}: {value!r}")


def _known_rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for rule in rules:
        if unknown := rule.keys() - {"rule", "message"}:
            raise UnknownKeywordError(f"x-kubernetes-validations: {sorted(unknown)}")
    return rules


def made(crds: list[Mapping[str, Any]]) -> str:
    """The text of the file: nodes, and kind -> version -> number of the schema of `spec`."""
    nodes = Nodes()
    kinds = {
        crd["spec"]["names"]["kind"]: {
            version["name"]: nodes.number(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
            for version in crd["spec"]["versions"]
        }
        for crd in crds
    }
    lines = ",\n".join(json.dumps(node, sort_keys=True, separators=(",", ":")) for node in nodes.every)
    return f'{{"kinds":{json.dumps(kinds)},\n"nodes":[\n{lines}\n]}}\n'


def shipped() -> list[Mapping[str, Any]]:
    folder = REPOSITORY / "deploy" / "crds"
    return [
        yaml.load((folder / f"serving.kserve.io_{plural}.yaml").read_text(), yaml.CSafeLoader)
        for plural in PLURALS
    ]


def write() -> None:
    FILE.write_text(made(shipped()))

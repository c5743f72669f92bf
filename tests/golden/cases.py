"""The recorded cases of the Go controller, read from where `shared_data` finds them; nothing of them is kept in this repository."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectRef
from testbed.shared_data import ROOT, documents

Object = dict[str, Any]
NAMES = sorted(path.stem for path in ROOT.glob("golden/*.yaml"))
WHY_ABSENT = "recorded cases are not here: shared/data/golden"
PLACE = "<ns>"
"""Stands for the namespace of a case in keys and texts, so that one list of differences fits all."""

RECORDED = (
    kinds.SERVICE,
    kinds.SERVICE_V1ALPHA1,
    kinds.CONFIG_MAP,
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.SECRET,
    kinds.CORE_SERVICE,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
    kinds.MODEL,
    kinds.DESTINATION_RULE,
    kinds.POD_MONITOR,
    kinds.SERVICE_MONITOR,
)
OTHERS = (kinds.CONFIG, kinds.CONFIG_V1ALPHA1, kinds.GATEWAY, kinds.GATEWAY_CLASS, kinds.NAMESPACE)
LABELLED = "app.kubernetes.io/part-of"
"""Recordings hold services, and of everything else what carries this label."""


@dataclass(frozen=True)
class Case:
    """One recorded case; `given` as the recording's README says."""

    name: str
    given: Mapping[str, Any]
    refused: Mapping[str, str]
    events: tuple[str, ...]
    objects: Mapping[str, Object]

    @property
    def namespace(self) -> str:
        return f"c-{self.name}"

    def before(self) -> list[Object]:
        return [self._placed(obj) for obj in self.given.get("before") or ()]

    def services(self) -> list[Object]:
        return [self._placed(obj) for obj in self.given.get("services") or ()]

    def later(self) -> bool:
        """Whether something is done after everything has settled."""
        return any(self.given.get(part) for part in ("then_merge_patch", "then", "then_delete"))

    def _placed(self, obj: Object) -> Object:
        """With the namespace of the case (where the kind has one), and text secrets as a server stores them."""
        placed = {name: value for name, value in obj.items() if name != "stringData"}
        if "stringData" in obj:
            texts = {key: base64.b64encode(text.encode()).decode() for key, text in obj["stringData"].items()}
            placed["data"] = {**obj.get("data", {}), **texts}
        if kind_of(obj).namespaced:
            placed["metadata"] = {"namespace": self.namespace, **obj["metadata"]}
        return placed


@cache
def case(name: str) -> Case:
    """One case by name."""
    ((found,),) = documents(f"golden/{name}.yaml").values()
    return Case(
        found["case"],
        found["given"],
        found.get("refused") or {},
        tuple(found.get("events") or ()),
        found.get("objects") or {},
    )


def cases() -> list[Case]:
    """All cases; skips the test where there are none."""
    if not NAMES:
        pytest.skip(WHY_ABSENT)
    return [case(name) for name in NAMES]


@cache
def presets() -> tuple[Object, ...]:
    """The third-party presets that the recordings were made with, in namespace kserve."""
    found = [preset for file in documents("presets/*.yaml").values() for preset in file]
    return tuple({**preset, "metadata": {**preset["metadata"], "namespace": "kserve"}} for preset in found)


def kind_of(obj: Mapping[str, Any]) -> Kind:
    """The kind of an object; kinds this program does not know are guessed to be namespaced with a plain plural."""
    for kind in (*RECORDED, *OTHERS):
        if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"]):
            return kind
    group, _, version = obj["apiVersion"].rpartition("/")
    return Kind(group, version, obj["kind"], f"{obj['kind'].lower()}s")


def kind_at(path: str) -> tuple[Kind, str]:
    """The kind and name behind `<group/version>/<plural>/<name>`."""
    prefix, _, name = path.rpartition("/")
    for kind in (*RECORDED, *OTHERS):
        if prefix == f"{kind.api_version}/{kind.plural}":
            return kind, name
    raise AssertionError(f"a recording holds a kind this test does not know: {path}")


def recorded_refs(found: Case) -> Iterator[tuple[ObjectRef, Object]]:
    """The recorded objects with their addresses."""
    for path, obj in found.objects.items():
        kind, name = kind_at(path)
        yield ObjectRef(kind, found.namespace if kind.namespaced else "", name), obj

"""What reviews are told of the cluster: from the caches, and from the API server when a namespace may be ending (ADM-8)."""

from typing import Any

import anyio
import msgspec
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.controller.caches import Caches, watched
from aioctl.kube.cached import Cached
from aioctl.kube.errors import KubeError
from aioctl.reviews import Reviews

PRESET = "kserve-config-llm-template"


class Server:
    """Stands for the client: one namespace, or an error."""

    def __init__(self, found: dict[str, Any] | Exception | None = None, *, takes: float = 0.0) -> None:
        self.found = found
        self.takes = takes
        self.asked: list[str] = []

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        assert (kind, namespace) == (kinds.NAMESPACE, "")
        self.asked.append(name)
        await anyio.sleep(self.takes)
        if isinstance(self.found, Exception):
            raise self.found
        return {"metadata": {"name": name, **(self.found or {})}}


def reviews(server: Server | None = None, *objects: dict[str, Any]) -> Reviews:
    caches = Caches(watched("sys", None))
    for kind in (kinds.SERVICE, kinds.CONFIG):
        (store,) = (store for watch, store in caches.stores.items() if watch.kind == kind)
        found = [
            Cached.from_raw(msgspec.json.encode(obj), kind) for obj in objects if obj["kind"] == kind.kind
        ]
        store.replace({item.key: item for item in found})
    return Reviews(caches, server or Server(), namespace="sys")  # type: ignore[arg-type]


def service(name: str, namespace: str = "ns", *refs: str, **parts: Any) -> dict[str, Any]:
    return {
        "kind": "LLMInferenceService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"baseRefs": [{"name": ref} for ref in refs]},
        **parts,
    }


def config(name: str, namespace: str = "ns") -> dict[str, Any]:
    return {"kind": "LLMInferenceServiceConfig", "metadata": {"name": name, "namespace": namespace}}


def users(found: Reviews, name: str, namespace: str = "ns") -> list[str]:
    return [f"{key.namespace}/{key.name}" for key in found.config_rules.users(config(name, namespace))]


def test_users_of_a_config_are_found_in_its_namespace_or_everywhere_for_the_systems() -> None:
    found = reviews(
        None,
        service("a", "ns", "c"),
        service("b", "team", "c"),
        service("c", "ns"),
        service("d", "ns", "other"),
    )
    assert users(found, "c") == ["ns/a"]
    assert users(found, "c", "team") == ["team/b"]
    assert users(found, "c", "sys") == ["ns/a", "team/b"]
    assert users(found, "unknown") == []


def test_no_more_users_are_looked_for_than_are_told() -> None:
    found = reviews(None, *(service(f"a{number}", "ns", "c") for number in range(5)))
    assert users(found, "c") == ["ns/a0", "ns/a1"]
    assert users(found, PRESET, "sys") == ["ns/a0", "ns/a1"]


def test_what_hides_a_config_of_the_system_is_what_is_used() -> None:
    found = reviews(None, service("a", "ns", "c"), service("b", "team", "c"), config("c"))
    assert users(found, "c", "sys") == ["team/b"]


@pytest.mark.parametrize("part", [{"spec": "c"}, {"status": ["c"]}])
def test_a_service_with_wrong_types_uses_nothing(part: dict[str, Any]) -> None:
    assert users(reviews(None, service("a", "ns", **part)), "c") == []


@pytest.mark.parametrize(
    ("server", "ends"),
    [
        (Server({}), False),
        (Server({"deletionTimestamp": "2026-01-01T00:00:00Z"}), True),
        (Server(KubeError("refused")), False),
    ],
)
def test_whether_the_system_namespace_ends_is_read_when_something_in_it_goes(
    server: Server, *, ends: bool
) -> None:
    found = reviews(server)
    anyio.run(found.before_deletion, "ns")
    assert server.asked == []
    anyio.run(found.before_deletion, "sys")
    assert server.asked == ["sys"]
    assert found.config_rules.terminating("sys") == ends
    assert not found.config_rules.terminating("ns")


def test_what_was_read_is_forgotten_when_it_cannot_be_read_again() -> None:
    server = Server({"deletionTimestamp": "2026-01-01T00:00:00Z"})
    found = reviews(server)
    anyio.run(found.before_deletion, "sys")
    server.found = KubeError("refused")
    anyio.run(found.before_deletion, "sys")
    assert not found.config_rules.terminating("sys")


def test_keys_of_configs_are_whole() -> None:
    """A name inside another name is no use."""
    assert users(reviews(None, service("a", "ns", "config")), "conf") == []
    assert ObjectKey("ns", "a") not in reviews().config_rules.users(config("a"))

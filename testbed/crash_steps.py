"""What happens in a life of the crash matrix, as steps: users write, edit and delete; administrators install kinds and take them away."""

from collections.abc import Mapping
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from testbed.crashes import Step
from testbed.world import NAMESPACE, World

Object = dict[str, Any]


def create(*objects: tuple[Kind, Object]) -> Step:
    async def step(world: World) -> None:
        for kind, obj in objects:
            namespace = obj["metadata"].get("namespace", NAMESPACE) if kind.namespaced else ""
            await world.user.create(kind, namespace, obj)

    return step


def service(*services: Object) -> Step:
    return create(*((kinds.SERVICE, service) for service in services))


def patch(spec: Mapping[str, Any]) -> Step:
    """Edits the spec of the service."""
    return edit(kinds.SERVICE, "one", {"spec": spec})


def annotate(marks: Mapping[str, str | None]) -> Step:
    return edit(kinds.SERVICE, "one", {"metadata": {"annotations": marks}})


def edit(kind: Kind, name: str, body: Mapping[str, Any], subresource: str = "") -> Step:
    async def step(world: World) -> None:
        await world.user.patch(kind, NAMESPACE, name, dict(body), subresource=subresource)

    return step


def both(*steps: Step) -> Step:
    """At the same moment."""

    async def step(world: World) -> None:
        for each in steps:
            await each(world)

    return step


def install(kind: Kind) -> Step:
    async def step(world: World) -> None:
        await world.cluster.install(kind.resource)

    return step


def uninstall(kind: Kind) -> Step:
    async def step(world: World) -> None:
        await world.cluster.uninstall(kind.resource)

    return step


def delete(kind: Kind, name: str) -> Step:
    async def step(world: World) -> None:
        await world.user.delete(kind, NAMESPACE, name)

    return step


async def nothing(_: World) -> None:
    """The fleet is empty when the process starts."""


def object_of(kind: Kind, name: str, **fields: Any) -> tuple[Kind, Object]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return kind, {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}

"""A service whose router is ready, and what a condition says of it after the next look."""

from tests.plan.router_world import RouterWorld

PREFIX = "The following HTTPRoutes are not ready: "


def settled() -> RouterWorld:
    """Migrated, accepted by everybody, RouterReady."""
    world = RouterWorld().migrated()
    world.accept_route()
    world.reconcile()
    assert world.status_of("RouterReady") == "True"
    return world


def said(world: RouterWorld, type_: str = "HTTPRoutesReady") -> str:
    world.reconcile()
    found = world.condition(type_)
    return "" if found["status"] == "True" else str(found["message"])

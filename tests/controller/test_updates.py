"""An update of which the API server keeps nothing is no write, and is not sent again."""

import anyio
import msgspec

from aioctl.api import kinds
from aioctl.plan.model import Part, Plan, Step, Verb, Write
from aioctl.sim import seed
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, world

ROUTE = {
    "apiVersion": kinds.HTTP_ROUTE.api_version,
    "kind": kinds.HTTP_ROUTE.kind,
    "metadata": {"name": "route", "namespace": NAMESPACE},
    "spec": {"hostnames": ["a.example.com"]},
}
SERVICE = {"metadata": {"name": "svc", "namespace": NAMESPACE, "uid": "uid-svc"}}


def updates(stage: World) -> int:
    """Updates of routes that the controller has sent."""
    return sum(
        count
        for (verb, resource, client, _), count in stage.cluster.stats.calls.items()
        if client.startswith("aioctl/") and (verb, resource.partition(".")[0]) == ("update", "httproutes")
    )


@virtual_time
async def test_an_update_that_changes_nothing_is_sent_once_and_makes_no_event() -> None:
    async with world() as stage:
        for obj in seed.world():
            await stage.cluster.create(obj, client="user")
        live = await stage.user.create(kinds.HTTP_ROUTE, NAMESPACE, ROUTE)
        controller = stage.controller()
        # Like a field that the CRD does not know, the status is not taken over by a write of the object itself.
        ignored = {**live, "status": {"parents": [{"controllerName": "nobody"}]}}
        renamed = {**live, "spec": {"hostnames": ["b.example.com"]}}

        def plan(body: dict[str, object]) -> Plan:
            write = Write(
                Verb.UPDATE, kinds.HTTP_ROUTE, NAMESPACE, "route", body=body, live=live, event="Updated it"
            )
            return Plan(SERVICE, (Step(Part.ROUTES, writes=(write,)),))

        async with anyio.create_task_group() as group:
            group.start_soon(controller.recorder.run)
            for _ in range(3):
                applied = await controller.reconciler.converger.applier.run(plan(ignored))
                assert (applied.outcome.answers, applied.outcome.failed) == ({}, None)
                assert updates(stage) == 1
            # Its version was shown before: kept as one to come, it could hide a change.
            assert len(controller._own_writes) == 0
            applied = await controller.reconciler.converger.applier.run(plan(renamed))
            assert len(applied.outcome.answers) == 1
            assert len(controller._own_writes) == 1
            await anyio.sleep(5)
            group.cancel_scope.cancel()
        assert updates(stage) == 2
        pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
        notes = [msgspec.json.decode(item)["note"] for page in pages for item in page.items]
        assert notes == ["Updated it"]


@virtual_time
async def test_a_dry_run_that_is_refused_has_words_of_its_own() -> None:
    """KServe asks for the defaults of a Deployment before it compares; where that is refused nothing is sent (CHILD-2)."""
    deployment = {
        "apiVersion": kinds.DEPLOYMENT.api_version,
        "kind": kinds.DEPLOYMENT.kind,
        "metadata": {"name": "one", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "main", "image": "i"}]},
            },
        },
    }
    async with world() as stage:
        for obj in seed.world():
            await stage.cluster.create(obj, client="user")
        live = await stage.user.create(kinds.DEPLOYMENT, NAMESPACE, deployment)
        changed = {**live, "spec": {**live["spec"], "selector": {"matchLabels": {"c": "d"}}}}
        for confirm, scales, words in (
            (True, False, "failed to get defaults for"),
            (True, True, "failed to get defaults for"),
            (False, False, "failed to update"),
        ):
            write = Write(
                Verb.UPDATE,
                kinds.DEPLOYMENT,
                NAMESPACE,
                "one",
                body=changed,
                live=live,
                error="outer: failed to update v1.Deployment one: ",
                confirm=confirm,
                scales=scales,
            )
            plan = Plan(SERVICE, (Step(Part.SINGLE_NODE, writes=(write,)),))
            outcome = (await stage.controller().reconciler.converger.applier.run(plan)).outcome
            assert outcome.error.startswith(f"outer: {words} v1.Deployment one: ")
        # Whose number differs is not asked about first.
        assert sum(stage.cluster.stats.dry_runs.values()) == 1

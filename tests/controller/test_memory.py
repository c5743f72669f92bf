"""What a controller remembers of objects ends with them: nothing piles up, and a new object of an old name inherits nothing."""

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.plan.model import Part, Plan, Step, Verb, Write
from aioctl.sim import seed
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service, world

ROUTE = {
    "apiVersion": kinds.HTTP_ROUTE.api_version,
    "kind": kinds.HTTP_ROUTE.kind,
    "metadata": {"name": "route", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "x"}},
    "spec": {"hostnames": ["a.example.com"]},
}
OWNER = {"metadata": {"name": "svc", "namespace": NAMESPACE, "uid": "uid-svc"}}


@virtual_time
async def test_an_update_known_to_change_nothing_is_forgotten_with_its_object() -> None:
    async with world() as stage:
        for obj in seed.world():
            await stage.cluster.create(obj, client="user")
        controller = stage.controller()
        applier = controller.reconciler.converger.applier
        async with stage.running(controller):
            live = await stage.user.create(kinds.HTTP_ROUTE, NAMESPACE, ROUTE)
            write = Write(Verb.UPDATE, kinds.HTTP_ROUTE, NAMESPACE, "route", body=live, live=live)
            await applier.run(Plan(OWNER, (Step(Part.ROUTES, writes=(write,)),)))
            assert list(applier._same) == [ObjectRef(kinds.HTTP_ROUTE, NAMESPACE, "route")]
            await stage.user.delete(kinds.HTTP_ROUTE, NAMESPACE, "route")
            await anyio.sleep(1)
            assert not applier._same


@virtual_time
async def test_a_shared_object_is_forgotten_when_it_goes() -> None:
    async with furnished() as stage:
        controller = stage.controller()
        extra = {"apiVersion": kinds.V1ALPHA2, "kind": "LLMInferenceServiceConfig", "spec": {}}
        extra["metadata"] = {"name": "extra", "namespace": NAMESPACE}
        service = plain_service(baseRefs=[{"name": "extra"}])
        async with stage.running(controller):
            await stage.user.create(kinds.CONFIG, NAMESPACE, extra)
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await anyio.sleep(5)
            kept = controller.reconciler.converger.decoded._objects
            assert ObjectRef(kinds.CONFIG, NAMESPACE, "extra") in kept
            await stage.drop_config("extra")
            await anyio.sleep(5)
            assert ObjectRef(kinds.CONFIG, NAMESPACE, "extra") not in kept


@virtual_time
async def test_a_service_made_anew_under_its_name_inherits_nothing() -> None:
    async with world() as stage:
        for obj in seed.world():
            await stage.cluster.create(obj, client="user")
        controller = stage.controller()
        key = ObjectKey(NAMESPACE, "one")
        service = plain_service()
        async with stage.running(controller):
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await anyio.sleep(5)
            controller.states.of(key).problem = "told already"
            # Gone and back between two looks of the workers: both events come in one stretch.
            (watch,) = stage.cluster.faults.watchers(Match(client="aioctl/", resource="llminferenceservices"))
            watch.stall(on=True)
            await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"metadata": {"finalizers": None}})
            await stage.user.delete(kinds.SERVICE, NAMESPACE, "one")
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            watch.stall(on=False)
            await anyio.sleep(5)
            assert controller.states.of(key).problem != "told already"

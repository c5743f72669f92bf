"""What a controller remembers of objects ends with them: nothing piles up, and a new object of an old name inherits nothing."""

import gc
import types
from collections import Counter

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import name_of
from aioctl.controller.knobs import Knobs
from aioctl.controller.observe import CacheObservation
from aioctl.controller.service_state import WarmMemos
from aioctl.plan.combine import Combined
from aioctl.plan.model import Context, Part, Plan, Step, Verb, Write
from aioctl.sim import fleet, seed
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service, world

ROUTE = {
    "apiVersion": kinds.HTTP_ROUTE.api_version,
    "kind": kinds.HTTP_ROUTE.kind,
    "metadata": {"name": "route", "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "x"}},
    "spec": {"hostnames": ["a.example.com"]},
}
SETTLE = 1.0
WARM = 1
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


def reachable(root: object) -> Counter[type]:
    """How many objects of each type hang on it, but for what belongs to the program and not to a process's state."""
    seen: set[int] = set()
    found: Counter[type] = Counter()
    todo = [root]
    while todo:
        one = todo.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType | types.CodeType):
            continue
        seen.add(id(one))
        found[type(one)] += 1
        todo += gc.get_referents(one)
    return found


@virtual_time
async def test_a_storm_keeps_no_plan_of_who_waits_and_few_combined_specs() -> None:
    """All services of a storm wait at the same moment for their status to settle: what each keeps is there a thousand times."""
    services = fleet.services(3)
    waiting = combined = 0
    async with furnished() as stage:
        controller = stage.controller(knobs=Knobs(workers=1, status_settle=SETTLE, pool_create_rate=0.0))
        controller.reconciler.warm = WarmMemos(WARM)
        async with stage.running(controller):
            await fleet.create(stage.user, services)
            for _ in range(4):
                await anyio.sleep(SETTLE)
                kept = reachable(controller.states)
                assert not kept[CacheObservation]
                assert not kept[Context]
                assert not kept[Plan]
                assert kept[Combined] <= WARM
                states = [controller.states.of(ObjectKey(NAMESPACE, name_of(one))) for one in services]
                waiting = max(
                    waiting,
                    sum(
                        state.at_rest is not None and state.at_rest.unsettled is not None for state in states
                    ),
                )
                combined = max(combined, kept[Combined])
    assert waiting == len(services)
    assert combined == WARM

"""After today's KServe: ours takes over what it left, and restarts no model server, makes no second one and writes no pair anew."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from aioctl.api import kinds
from aioctl.api.objects import name_of, namespace_of
from aioctl.kube.errors import AlreadyExists, ApiError
from aioctl.plan.workload.pod_form import template_digest
from aioctl.sim.backup import Backup
from aioctl.sim.memory import MemoryWire
from testbed.sampling import sampled
from testbed.shared_data import UPSTREAM, listed
from testbed.virtual_time import run_virtual
from testbed.world import World
from tests.golden.cases import Object
from tests.golden.inherit import adopted, give_service, with_pair
from tests.upstream import worlds
from tests.upstream.cases import NAMES, RECORDED, WHY_ABSENT, UpstreamCase, address_of, case, kind_of
from tests.upstream.playing import Stage
from tests.upstream.simulated import KNOBS, Rest, furnished, played, reviews, scene

pytestmark = pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)

_PICKERS = ("-router-scheduler", "-tokenizer")
_SERVED = (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)


def is_model_server(path: str) -> bool:
    return address_of(path)[0] in _SERVED and not path.endswith(_PICKERS)


def runs_models(name: str) -> bool:
    return any(map(is_model_server, listed(UPSTREAM / "golden" / f"{name}.yaml", "objects")))


TAKEN = [name for name in NAMES if runs_models(name)]


@pytest.mark.parametrize("name", sampled(TAKEN, every=14))
def test_taking_over_from_todays_kserve_restarts_no_model_server(name: str) -> None:
    taken = case(name)
    before, after = run_virtual(take_over, taken, furnished(taken.world))
    assert before.templates, "the case has model servers"
    assert after.templates == before.templates
    assert after.pairs == before.pairs


class Found:
    """What stands in the namespace of a case."""

    def __init__(self, objects: Mapping[str, Object]) -> None:
        self.templates = {
            path: template_digest(obj) for path, obj in objects.items() if is_model_server(path)
        }
        self.pairs = {
            path: obj["data"] for path, obj in objects.items() if address_of(path)[0] is kinds.SECRET
        }


async def take_over(taken: UpstreamCase, backup: Backup) -> tuple[Found, Found]:
    """Before and after a controller of ours has come to rest there."""
    async with scene(backup) as found:
        stage = Stage.on(MemoryWire(found.cluster, agent="kubectl/test"), taken)
        await inherit(stage)
        before = Found((await stage.state()).objects)
        writes = Rest(found.cluster)
        async with played(found, taken):
            await writes.rest()
            async with controlled(found, taken):
                await writes.rest()
        return before, Found((await stage.state()).objects)


@asynccontextmanager
async def controlled(found: World, taken: UpstreamCase) -> AsyncIterator[None]:
    controller = found.controller(policy=worlds.policy(taken.world), knobs=KNOBS)
    async with found.running(controller):
        found.hooks.reviews = reviews(controller, taken.world)
        yield


async def inherit(stage: Stage) -> None:
    """What the case began with, as it was changed later, and what KServe had made of it."""
    await stage.open()
    if stage.case.world == "switch":
        await stage.switch()
    await change_surroundings(stage)
    objects = [(address_of(path)[0], obj) for path, obj in stage.case.objects.items()]
    uids = {
        name_of(obj): (await give_service(stage.client, obj))["metadata"]["uid"]
        for kind, obj in objects
        if kind is kinds.SERVICE
    }
    addresses: dict[str, list[str]] = {}
    versions = (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG_V1ALPHA1)
    # A certificate names the addresses of Services, so these have to be there first.
    for kind, obj in sorted(objects, key=lambda item: item[0] is kinds.SECRET):
        if kind in versions:
            continue
        child = adopted(kind, obj, uids)
        if kind is kinds.SECRET and obj.get("type") == "kubernetes.io/tls":
            child = with_pair(child, addresses)
        try:
            made = await stage.client.create(kind, namespace_of(obj) if kind.namespaced else "", child)
        except AlreadyExists:
            continue
        if kind is kinds.CORE_SERVICE:
            addresses[name_of(obj)] = made["spec"].get("clusterIPs", [])


async def change_surroundings(stage: Stage) -> None:
    """The later changes of what the case brought along and no recording holds."""
    given = stage.case.given
    for entry in (*(given.get("then") or ()), *(given.get("afterwards") or ())):
        try:
            kind, name, subresource = address_of(str(entry["object"]))
        except AssertionError:
            continue
        brought = {(kind_of(obj), name_of(obj)) for obj in stage.case.before()}
        if (kind, name) not in brought or (
            kind in RECORDED and kind is not kinds.SECRET and kind is not kinds.CONFIG
        ):
            continue
        where = stage.case.namespace if kind.namespaced else ""
        try:
            if entry["verb"] == "DELETE":
                await stage.client.delete(kind, where, name)
            else:
                await stage.client.patch(kind, where, name, entry["body"], subresource=subresource)
        except ApiError:
            continue

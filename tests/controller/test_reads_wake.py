"""What a plan has read wakes its service from that moment on, not only when its reconcile is over.

Rules: WATCH-1.
"""

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.apply import Applied
from aioctl.controller.interests import Interests
from aioctl.controller.service_state import ServiceStates
from aioctl.plan.model import Plan
from aioctl.sim import seed
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, furnished, plain_service

KEY = ObjectKey(NAMESPACE, "one")
CONFIG_MAP = ObjectRef(kinds.CONFIG_MAP, seed.SYSTEM_NAMESPACE, "inferenceservice-config")
ABSENT = ObjectRef(kinds.DEPLOYMENT, NAMESPACE, "one-kserve")


@virtual_time
async def test_what_a_plan_has_read_is_known_before_its_first_write() -> None:
    async with furnished() as stage:
        controller = stage.controller()
        reconciler = controller.reconciler
        apply, seen = reconciler.converger.applier.run, []

        async def run(plan: Plan) -> Applied:
            seen.append([KEY in reconciler.interests.readers(ref) for ref in (CONFIG_MAP, ABSENT)])
            return await apply(plan)

        reconciler.converger.applier.run = run  # type: ignore[method-assign]
        async with stage.running(controller):
            service = plain_service(
                template={"containers": [{"name": "main", "image": "quay.io/example/vllm:1"}]}
            )
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await anyio.sleep(2)
    assert seen
    assert seen[0] == [True, True]


def test_widening_keeps_what_was_known_and_recording_replaces_it() -> None:
    states = ServiceStates()
    interests = Interests(states)
    interests.record(KEY, {CONFIG_MAP})
    interests.widen(KEY, {ABSENT})
    assert interests.readers(CONFIG_MAP) == interests.readers(ABSENT) == {KEY}
    interests.record(KEY, {ABSENT})
    assert interests.readers(CONFIG_MAP) == frozenset()
    assert interests.readers(ABSENT) == {KEY}
    state = states.pop(KEY)
    assert state is not None
    interests.forget(KEY, state)
    assert interests.readers(ABSENT) == frozenset()

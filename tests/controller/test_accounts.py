"""Accounts that users name: what the controller does not watch is read, whatever it is called."""

from aioctl import shipped
from aioctl.api import kinds
from aioctl.api.objects import dig
from aioctl.sim import seed
from tests.controller.world import NAMESPACE, world
from tests.support.virtual_time import virtual_time

OURS = "one-kserve"
"""The name of the account that a routing sidecar of service `one` would get."""


@virtual_time
async def test_a_users_account_is_found_under_a_name_that_we_would_give() -> None:
    async with world() as stage:
        for obj in seed.world():
            await stage.cluster.create(obj, client="user")
        for preset in shipped.objects(shipped.presets_folder()):
            await stage.user.create(kinds.CONFIG, seed.SYSTEM_NAMESPACE, preset)
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": OURS}}
        made = await stage.user.create(kinds.SERVICE_ACCOUNT, NAMESPACE, account)
        service = {
            "apiVersion": kinds.V1ALPHA2,
            "kind": kinds.SERVICE.kind,
            "metadata": {"name": "one", "namespace": NAMESPACE},
            "spec": {
                "model": {"uri": "hf://facebook/opt-125m"},
                "template": {"serviceAccountName": OURS, "containers": [{"name": "main"}]},
            },
        }

        async def is_deployed() -> bool:
            deployment = await stage.find(kinds.DEPLOYMENT, "one-kserve")
            return bool(dig(deployment, "spec", "template", "spec", "serviceAccountName") == OURS)

        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, service)
            await stage.until(is_deployed)
        assert await stage.find(kinds.SERVICE_ACCOUNT, OURS) == made

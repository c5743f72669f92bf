"""Accounts that users name: what the controller does not watch is read, whatever it is called."""

from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.api.objects import dig
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, World, condition, furnished

OURS = "one-kserve"
"""The name of the account that a routing sidecar of service `one` would get."""


async def create_account(stage: World, name: str, *secrets: str) -> dict[str, Any]:
    account = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name},
        "secrets": [{"name": secret} for secret in secrets],
    }
    return await stage.user.create(kinds.SERVICE_ACCOUNT, NAMESPACE, account)


def service(account: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": "one", "namespace": NAMESPACE},
        "spec": {
            "model": {"uri": "hf://facebook/opt-125m"},
            "template": {"serviceAccountName": account, "containers": [{"name": "main"}]},
            **more,
        },
    }


async def until_deployed(stage: World, account: str) -> None:
    async def is_deployed() -> bool:
        deployment = await stage.find(kinds.DEPLOYMENT, "one-kserve")
        return bool(dig(deployment, "spec", "template", "spec", "serviceAccountName") == account)

    await stage.until(is_deployed)


@virtual_time
async def test_whoever_changes_account_and_service_gets_what_the_account_says_now() -> None:
    """The answer about the account that was read before is kept for others, not for this service."""
    async with furnished() as stage:
        account = await create_account(stage, "mine")
        async with stage.running(stage.controller()):
            await stage.user.create(
                kinds.SERVICE, NAMESPACE, service("mine", router={"scheduler": {}, "route": {}})
            )
            await until_deployed(stage, "mine")
            marked = {
                **account,
                "metadata": {**account["metadata"], "annotations": {"eks.amazonaws.com/role-arn": "new"}},
            }
            await stage.user.update(kinds.SERVICE_ACCOUNT, marked)
            await stage.user.patch(
                kinds.SERVICE, NAMESPACE, "one", {"metadata": {"annotations": {"trigger": "1"}}}
            )

            async def is_copied() -> bool:
                copy = await stage.find(kinds.SERVICE_ACCOUNT, "one-epp-sa")
                return bool(dig(copy, "metadata", "annotations", "eks.amazonaws.com/role-arn") == "new")

            await stage.until(is_copied)


@virtual_time
async def test_a_users_account_is_found_under_a_name_that_we_would_give() -> None:
    async with furnished() as stage:
        made = await create_account(stage, OURS)
        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, service(OURS))
            await until_deployed(stage, OURS)
        assert await stage.find(kinds.SERVICE_ACCOUNT, OURS) == made


@virtual_time
async def test_an_account_with_many_secrets_is_read_without_a_failed_reconcile() -> None:
    secrets = [f"secret-{number}" for number in range(6)]
    async with furnished() as stage:
        await create_account(stage, "mine", *secrets)
        for name in secrets:
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
            await stage.user.create(kinds.SECRET, NAMESPACE, secret)
        async with stage.running(stage.controller()):
            await stage.user.create(kinds.SERVICE, NAMESPACE, service("mine"))
            await until_deployed(stage, "mine")
            await anyio.sleep(5)
        # The next process has nothing to write, so it makes one plan.
        async with stage.running(stage.controller()):
            await anyio.sleep(5)
        assert stage.failed_reconciles() == 0


@virtual_time
async def test_a_pickers_account_that_comes_after_a_while_is_seen_within_a_minute() -> None:
    """Nobody watches accounts of users, and the back-off of failures grows to a quarter of an hour (EPP-9)."""
    template = {"serviceAccountName": "late", "containers": [{"name": "main"}]}
    router = {"route": {}, "gateway": {}, "scheduler": {"template": template}}
    async with furnished() as stage, stage.running(stage.controller()):
        await stage.user.create(kinds.SERVICE, NAMESPACE, service("mine", router=router))
        await create_account(stage, "mine")

        async def said() -> str:
            return condition(await stage.find(kinds.SERVICE, "one"), "SchedulerWorkloadReady")[1]

        await anyio.sleep(3600)
        assert await said() == "SchedulerReconcileError"
        await create_account(stage, "late")
        await anyio.sleep(70)
        assert await said() != "SchedulerReconcileError"

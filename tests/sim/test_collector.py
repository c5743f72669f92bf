"""Owners and dependents, namespaces: what the controller manager does on a real cluster."""

import anyio
import pytest

from testbed.virtual_time import virtual_time
from tests.sim.driver import SERVICES, Driver, Object, cluster, config_map, service

MAPS = "/api/v1/namespaces/demo/configmaps"
A2 = SERVICES.format(version="v1alpha2")


async def family(api: Driver, **reference: object) -> str:
    """A service that owns a config map that owns another; answers the service's uid."""
    uid = str((await api("POST", A2, service())).body["metadata"]["uid"])
    child = await api("POST", MAPS, owned("child", uid, **reference))
    await api("POST", MAPS, owned("grandchild", child.body["metadata"]["uid"], kind="ConfigMap", **reference))
    return uid


def owned(name: str, uid: str, **reference: object) -> Object:
    ref = {"apiVersion": "x/v1", "kind": "LLMInferenceService", "name": "svc", "uid": uid, **reference}
    return {**config_map(name), "metadata": {"name": name, "ownerReferences": [ref]}}


async def present(api: Driver) -> list[str]:
    await anyio.sleep(0.1)
    names = [item["metadata"]["name"] for item in (await api.get(MAPS)).body["items"]]
    if (await api.get(f"{A2}/svc")).status == 200:
        names.append("svc")
    return names


@virtual_time
async def test_dependents_follow_their_owner_in_the_background() -> None:
    async with cluster() as api:
        await family(api)
        await api("DELETE", f"{A2}/svc")
        assert await present(api) == []


@virtual_time
async def test_dependents_go_first_in_the_foreground() -> None:
    async with cluster(garbage_delay=1.0) as api:
        await family(api, blockOwnerDeletion=True)
        answer = await api("DELETE", f"{A2}/svc", {"propagationPolicy": "Foreground"})
        assert answer.body["metadata"]["finalizers"] == ["foregroundDeletion"]
        assert await present(api) == ["child", "grandchild", "svc"]
        await anyio.sleep(10)
        assert await present(api) == []


@virtual_time
async def test_orphans_are_let_go() -> None:
    async with cluster() as api:
        await family(api)
        await api("DELETE", f"{A2}/svc", {"propagationPolicy": "Orphan"})
        assert await present(api) == ["child", "grandchild"]
        assert "ownerReferences" not in (await api.get(f"{MAPS}/child")).body["metadata"]


@virtual_time
async def test_a_dependent_with_another_living_owner_stays() -> None:
    async with cluster() as api:
        uid = await family(api)
        other = (await api("POST", A2, service("other"))).body["metadata"]["uid"]
        refs = [owned("", each)["metadata"]["ownerReferences"][0] for each in (uid, other)]
        await api.merge(f"{MAPS}/child", {"metadata": {"ownerReferences": refs}})
        await api("DELETE", f"{A2}/svc")
        assert await present(api) == ["child", "grandchild"]


@virtual_time
async def test_a_child_born_after_its_owners_death_is_collected() -> None:
    async with cluster() as api:
        await api("POST", MAPS, owned("late", "no-such-uid"))
        assert await present(api) == []


@virtual_time
async def test_without_a_collector_everything_stays() -> None:
    async with cluster(garbage_collection=False) as api:
        await family(api)
        await api("DELETE", f"{A2}/svc")
        assert await present(api) == ["child", "grandchild"]


@virtual_time
async def test_a_dependent_with_a_finalizer_waits_for_its_holder() -> None:
    async with cluster() as api:
        uid = (await api("POST", A2, service())).body["metadata"]["uid"]
        child = owned("child", uid)
        child["metadata"]["finalizers"] = ["a/b"]
        await api("POST", MAPS, child)
        await api("DELETE", f"{A2}/svc")
        await anyio.sleep(0.1)
        assert (await api.get(f"{MAPS}/child")).body["metadata"]["deletionTimestamp"]
        await api.merge(f"{MAPS}/child", {"metadata": {"finalizers": None}})
        assert await present(api) == []


@virtual_time
async def test_a_namespace_goes_when_it_is_empty_and_takes_nothing_new_meanwhile() -> None:
    async with cluster() as api:
        held = service()
        held["metadata"]["finalizers"] = ["a/b"]
        await api("POST", A2, held)
        await api("POST", MAPS, config_map("m"))
        await api("DELETE", "/api/v1/namespaces/demo")
        await anyio.sleep(0.1)
        assert (await api.get("/api/v1/namespaces/demo")).body["status"]["phase"] == "Terminating"
        refused = await api("POST", MAPS, config_map("n"))
        assert refused.status == 403
        assert "because it is being terminated" in refused.message
        await api.merge(f"{A2}/svc", {"metadata": {"finalizers": None}})
        await anyio.sleep(0.1)
        assert (await api.get("/api/v1/namespaces/demo")).status == 404


@pytest.mark.parametrize("policy", ["Background", ""])
def test_the_default_policy_is_background(policy: str) -> None:
    @virtual_time
    async def run() -> None:
        async with cluster() as api:
            await family(api)
            await api("DELETE", f"{A2}/svc", {"propagationPolicy": policy} if policy else None)
            assert await present(api) == []

    run()

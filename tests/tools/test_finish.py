"""`aioctl finish`: refuses for each condition alone, removes v1alpha2 pools paced, goes on after a kill at any write, and back.

Rules: MIG-9.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from itertools import product
from typing import Any

import anyio
import pytest

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import annotations_of, sequence
from aioctl.finish_command import would
from aioctl.kube.client import Client
from aioctl.plan.finished import is_marked
from aioctl.plan.lock import has_lock
from aioctl.sim.memory import MemoryWire
from aioctl.tools import finish
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.connect import Connection
from aioctl.tools.finish import Options, Picture
from aioctl.tools.session import Session
from aioctl.tools.writing import Told
from testbed.sampling import sampled
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, plain_service
from tests.tools.small_fleet import fleet, ready

LEASE = ObjectKey("kserve", "llminferenceservice-kserve-controller-manager")
OPTIONS = Options(timedelta(0), 20.0, 60.0, LEASE)
SERVICES = ("one", "two")


class Killed(BaseException):
    """The process ends here."""


class Mortal(MemoryWire):
    """A connection whose process is killed before its n-th write is sent, or right after."""

    def __init__(self, cluster: Any, *, writes: int, after: bool) -> None:
        super().__init__(cluster, agent="aioctl/finish")
        self.writes, self.after = writes, after

    async def send(self, request: Any, *, timeout: float) -> Any:  # noqa: ASYNC109  as the wire has it
        if request.method == "GET":
            return await super().send(request, timeout=timeout)
        self.writes -= 1
        if self.writes < 0 and not self.after:
            raise Killed
        answer = await super().send(request, timeout=timeout)
        if self.writes < 0:
            raise Killed
        return answer


def session(stage: World, client: Client | None = None, namespace: str = "") -> Session:
    access = Access(everywhere=not namespace, namespace=namespace)
    return Session(Connection(client or stage.user, "https://stage", namespace), access, POLICY)


async def settled(stage: World, *services: str) -> None:
    """Somebody leads, the services are ready, and nothing is left to do."""
    lease = {
        "apiVersion": kinds.LEASE.api_version,
        "kind": kinds.LEASE.kind,
        "metadata": {"name": LEASE.name, "namespace": LEASE.namespace},
        "spec": {"holderIdentity": "aioctl-0", "leaseDurationSeconds": 15},
    }
    await stage.user.create(kinds.LEASE, LEASE.namespace, lease)
    for name in services:
        await ready(stage, name)


async def old_pools(stage: World) -> set[str]:
    found = {name: await stage.find(kinds.POOL_V1ALPHA2, names.default_pool_name(name)) for name in SERVICES}
    return {name for name, pool in found.items() if pool is not None}


async def config_map(stage: World) -> dict[str, Any]:
    found = await stage.find(kinds.CONFIG_MAP, names.CONFIG_MAP_NAME, "kserve")
    assert found is not None
    return found


async def groups(stage: World, name: str) -> list[tuple[str, int]]:
    route = await stage.find(kinds.HTTP_ROUTE, names.route_name(name))
    assert route is not None
    assert has_lock(route)
    return [
        (ref["group"], ref.get("weight", 1))
        for rule in sequence(route, "spec", "rules")
        for ref in sequence(rule, "backendRefs")
        if ref.get("kind") == "InferencePool"
    ]


async def done(opened: Session, options: Options = OPTIONS) -> list[Told]:
    found = await finish.picture(opened, options)
    assert found.allowed, [check for check in found.checks if not check.holds]
    return [told async for told in finish.remove(opened, found, options)]


def against(found: Picture) -> list[str]:
    return [said for check in found.checks for said in check.against]


@virtual_time
async def test_pools_go_routes_name_v1_alone_and_undo_brings_them_back() -> None:
    async with fleet(at_rest=SERVICES) as stage:
        await settled(stage)
        assert await old_pools(stage) == set(SERVICES)
        told = await done(session(stage))
        assert [one.failed for one in told] == [False] * 3
        assert await old_pools(stage) == set()
        for name in SERVICES:
            assert {group for group, _ in await groups(stage, name)} == {kinds.POOL_GROUP_V1}
        assert is_marked(await config_map(stage))
        # A new service is made without a v1alpha2 pool, and starts on v1.
        await ready(stage, "three")
        assert {group for group, _ in await groups(stage, "three")} == {kinds.POOL_GROUP_V1}
        assert await stage.find(kinds.POOL_V1ALPHA2, names.default_pool_name("three")) is None

        undone = [told async for told in finish.undo(session(stage))]
        assert [str(one.service) for one in undone] == [
            "kserve/inferenceservice-config",
            "demo/one",
            "demo/two",
        ]

        async def back() -> bool:
            return await old_pools(stage) == set(SERVICES)

        await stage.until(back)
        for name in SERVICES:
            await groups(stage, name)


def own_route(**ref: Any) -> dict[str, Any]:
    """A user's HTTPRoute on the gateway of the demo, to one backend."""
    return {
        "metadata": {"name": "own"},
        "spec": {
            "parentRefs": [{"name": "kserve-ingress-gateway", "namespace": "kserve"}],
            "rules": [{"backendRefs": [{"port": 8000, **ref}]}],
        },
    }


OWN_POOL = {"group": kinds.POOL_GROUP_V1, "kind": "InferencePool", "name": names.default_pool_name("one")}
OWN = {"http": {"refs": [{"name": "own"}]}}


@virtual_time
@pytest.mark.parametrize(
    ("router", "pool"),
    [
        ({}, False),
        ({"gateway": {}, "route": {}}, False),
        ({"scheduler": {}}, True),
        ({"route": OWN, "scheduler": {}}, True),
        ({"route": OWN}, False),
    ],
    ids=[
        "an empty router",
        "no scheduler",
        "no route",
        "a route of the user's",
        "to no pool",
    ],
)
async def test_a_service_without_a_pool_or_a_route_of_ours_is_in_nobodys_way(
    router: dict[str, Any], pool: bool
) -> None:
    """There is nothing to lock: it is asked for what it has, and is not marked where it has nothing."""
    async with fleet(at_rest=("two",)) as stage:
        await settled(stage)
        await create(kinds.HTTP_ROUTE, own_route(**OWN_POOL))(stage)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(router=router))
        await anyio.sleep(30)
        assert (await old_pools(stage)) == ({"one", "two"} if pool else {"two"})
        told = await done(session(stage))
        assert [(str(one.service), one.failed) for one in told] == [
            *([("demo/one", False)] if pool else []),
            ("demo/two", False),
            ("kserve/inferenceservice-config", False),
        ]
        assert await old_pools(stage) == set()
        assert is_marked(await config_map(stage))


@virtual_time
async def test_the_model_of_a_service_with_a_users_pool_is_ours_and_goes_with_the_others() -> None:
    ports = [{"number": 8000}]
    picker = {"name": "picker", "port": {"number": 9002}}
    spec = {"selector": {"matchLabels": {"app": "a"}}, "targetPorts": ports, "endpointPickerRef": picker}
    router = {"gateway": {}, "route": {}, "scheduler": {"pool": {"ref": {"name": "theirs"}}}}
    async with fleet() as stage:
        await settled(stage)
        await create(kinds.POOL_V1, {"metadata": {"name": "theirs"}, "spec": spec})(stage)
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service(router=router))
        await anyio.sleep(30)
        assert await stage.find(kinds.MODEL, names.model_name("one"))
        (told,) = await done(session(stage))
        assert not told.failed
        await anyio.sleep(30)
        assert await stage.find(kinds.MODEL, names.model_name("one")) is None
        assert await stage.find(kinds.POOL_V1, "theirs")


@virtual_time
async def test_the_pool_of_a_service_stays_as_long_as_a_route_that_it_names_does_not_resolve() -> None:
    async with fleet() as stage:
        await settled(stage)
        nowhere = {"group": kinds.POOL_GROUP_V1, "kind": "InferencePool", "name": "nobodys"}
        await create(kinds.HTTP_ROUTE, own_route(**nowhere))(stage)
        await stage.user.create(
            kinds.SERVICE, NAMESPACE, plain_service(router={"route": OWN, "scheduler": {}})
        )
        await anyio.sleep(30)
        (told,) = await done(session(stage))
        assert told.failed
        assert told.said.startswith(
            "stopped: its HTTPRoute own does not resolve: gateway kserve-ingress-gateway: "
        )
        assert await old_pools(stage) == {"one"}
        await stage.user.patch(kinds.HTTP_ROUTE, NAMESPACE, "own", own_route(**OWN_POOL))
        assert not any(one.failed for one in await done(session(stage)))
        assert await old_pools(stage) == set()


@virtual_time
async def test_a_namespace_alone_leaves_the_config_map_alone() -> None:
    async with fleet(at_rest=SERVICES) as stage:
        await settled(stage)
        told = await done(session(stage, namespace=NAMESPACE))
        assert len(told) == 2
        assert await old_pools(stage) == set()
        assert not is_marked(await config_map(stage))
        assert [one async for one in finish.undo(session(stage, namespace=NAMESPACE))]


@virtual_time
@pytest.mark.parametrize("kill", sampled(product((False, True), range(3)), every=2))
async def test_after_a_kill_at_any_write_it_goes_on(kill: tuple[bool, int]) -> None:
    after, writes = kill
    async with fleet(at_rest=SERVICES) as stage:
        await settled(stage)
        mortal = Client(Mortal(stage.cluster, writes=writes, after=after))
        with suppress(Killed):
            await done(session(stage, mortal))
            raise AssertionError("it was to be killed")
        told = await done(session(stage))
        assert not any(one.failed for one in told)
        assert await old_pools(stage) == set()
        assert is_marked(await config_map(stage))
        found = await finish.picture(session(stage), OPTIONS)
        assert not found.todo


def patch(kind: Kind, name: str, body: dict[str, Any], namespace: str = NAMESPACE) -> Any:
    async def change(stage: World) -> None:
        await stage.user.patch(kind, namespace if kind.namespaced else "", name, body)

    return change


def create(kind: Kind, body: dict[str, Any], namespace: str = NAMESPACE) -> Any:
    async def change(stage: World) -> None:
        made = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            **body,
            "metadata": {"namespace": namespace, **body["metadata"]},
        }
        await stage.user.create(kind, namespace, made)

    return change


async def no_lease(stage: World) -> None:
    await stage.user.delete(kinds.LEASE, *LEASE)


POOL = names.default_pool_name("one")
FOREIGN = {"group": kinds.POOL_GROUP_V1ALPHA2, "kind": "InferencePool", "name": POOL, "weight": 0}


@virtual_time
@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (
            patch(kinds.SERVICE, "one", {"metadata": {"annotations": {names.MIGRATION: "paused"}}}),
            "demo/one: is paused; `aioctl resume`",
        ),
        (
            create(
                kinds.HTTP_ROUTE,
                {"metadata": {"name": "theirs"}, "spec": {"rules": [{"backendRefs": [FOREIGN]}]}},
            ),
            f"HTTPRoute demo/theirs refers to {POOL}, weight 0",
        ),
        (
            create(
                kinds.POD,
                {
                    "metadata": {"name": "reader", "labels": {names.PART_OF: names.PART_OF_VALUE}},
                    "spec": {
                        "containers": [
                            {
                                "name": "main",
                                "image": "epp:1",
                                "args": ["--pool-group", kinds.POOL_GROUP_V1ALPHA2],
                            }
                        ]
                    },
                },
            ),
            "Pod demo/reader, container main: --pool-group is",
        ),
        (
            patch(kinds.POOL_V1ALPHA2, POOL, {"metadata": {"finalizers": ["example.com/mine"]}}),
            "demo/one: its v1alpha2 pool has finalizers: example.com/mine",
        ),
        (
            create(
                kinds.DEPLOYMENT,
                {
                    "metadata": {"name": "llmisvc-controller-manager"},
                    "spec": {
                        "replicas": 1,
                        "selector": {"matchLabels": {"a": "b"}},
                        "template": {
                            "metadata": {"labels": {"a": "b"}},
                            "spec": {"containers": [{"name": "manager", "image": "kserve:1"}]},
                        },
                    },
                },
                "kserve",
            ),
            "KServe's own controller runs",
        ),
        (no_lease, "nobody holds the lease"),
    ],
)
async def test_each_condition_alone_refuses(plant: Callable[[World], Awaitable[None]], says: str) -> None:
    async with fleet(at_rest=SERVICES[:1]) as stage:
        await settled(stage)
        before = await finish.picture(session(stage), OPTIONS)
        assert before.allowed, against(before)
        await plant(stage)
        found = await finish.picture(session(stage), OPTIONS)
        assert not found.allowed
        assert any(says in said for said in against(found)), against(found)


@virtual_time
@pytest.mark.parametrize(("pool_in", "allowed"), [("", True), ("kserve", True), (NAMESPACE, False)])
async def test_of_a_namespace_only_its_own_pools_count(pool_in: str, allowed: bool) -> None:
    """Another namespace may still be in the midst of its migration."""
    ref = {**FOREIGN, **({"namespace": pool_in} if pool_in else {})}
    route = {
        "metadata": {"name": "theirs"},
        "spec": {"rules": [{"backendRefs": [ref]}, {"backendRefs": [ref]}]},
    }
    async with fleet(at_rest=SERVICES[:1]) as stage:
        await settled(stage)
        await create(kinds.HTTP_ROUTE, route, "kserve")(stage)
        found = await finish.picture(session(stage, namespace=NAMESPACE), OPTIONS)
        assert found.allowed is allowed, against(found)
        everywhere = await finish.picture(session(stage), OPTIONS)
        assert against(everywhere) == [f"HTTPRoute kserve/theirs refers to {POOL}, weight 0"]


@virtual_time
async def test_a_fresh_lock_has_to_soak() -> None:
    async with fleet() as stage:
        await settled(stage, "one")
        found = await finish.picture(session(stage), Options(timedelta(hours=24), 20.0, 60.0, LEASE))
        assert not found.allowed
        (said,) = against(found)
        assert said.startswith("demo/one: ")


@virtual_time
async def test_one_that_does_not_come_to_its_end_stops_the_rest() -> None:
    async with fleet(at_rest=SERVICES) as stage:
        await settled(stage)
        found = await finish.picture(session(stage), OPTIONS)
        # Between the look and the deed somebody pauses the first one.
        await patch(kinds.SERVICE, "one", {"metadata": {"annotations": {names.MIGRATION: "paused"}}})(stage)
        told = [one async for one in finish.remove(session(stage), found, OPTIONS)]
        assert [(one.said, one.failed) for one in told] == [("is paused; nothing was changed", True)]
        assert await old_pools(stage) == set(SERVICES)
        two = await stage.find(kinds.SERVICE, "two")
        assert two is not None
        assert names.OLD_POOLS not in annotations_of(two)


SIDECAR_IMAGE = "ghcr.io/llm-d/llm-d-routing-sidecar:v0.10.0"
OLD_FLAG, NEW_FLAG = (f"--pool-group={group}" for group in (kinds.POOL_GROUP_V1ALPHA2, kinds.POOL_GROUP_V1))


async def disaggregated(stage: World) -> None:
    """Service `one` gets a prefill side and a routing sidecar that reads the v1alpha2 pool."""
    sidecar = {"name": "llm-d-routing-sidecar", "image": SIDECAR_IMAGE, "args": [OLD_FLAG]}
    main = {"name": "main", "image": "vllm:1"}
    spec = {
        "template": {"containers": [main], "initContainers": [sidecar]},
        "prefill": {"template": {"containers": [main]}},
    }
    await stage.user.patch(kinds.SERVICE, NAMESPACE, "one", {"spec": spec})


async def template_flags(stage: World) -> list[str]:
    found = await stage.find(kinds.DEPLOYMENT, "one-kserve")
    assert found is not None
    sidecars = sequence(found, "spec", "template", "spec", "initContainers")
    return [flag for each in sidecars for flag in each.get("args") or ()]


def pod(name: str, *, component: str, container: str, field: str) -> Any:
    labels = {names.PART_OF: names.PART_OF_VALUE, names.NAME: "one", names.COMPONENT: component}
    process = {"name": container, "image": SIDECAR_IMAGE, "args": [OLD_FLAG]}
    return create(kinds.POD, {"metadata": {"name": name, "labels": labels}, "spec": {field: [process]}})


@virtual_time
async def test_model_servers_whose_sidecar_reads_v1alpha2_are_restarted_where_that_is_asked_for() -> None:
    async with fleet(at_rest=SERVICES) as stage:
        await settled(stage)
        await disaggregated(stage)

        async def runs(flag: str) -> None:
            async def does() -> bool:
                return flag in await template_flags(stage)

            await stage.until(does)

        await runs(OLD_FLAG)
        await pod(
            "server",
            component=names.WORKLOAD_COMPONENT,
            container="llm-d-routing-sidecar",
            field="initContainers",
        )(stage)
        refused = await finish.picture(session(stage), OPTIONS)
        (said,) = against(refused)
        assert said.startswith("demo/one: Pod demo/server")
        assert "`aioctl finish --restart-sidecars -n demo`" in said

        allowed = Options(timedelta(0), 20.0, 60.0, LEASE, restart_sidecars=True)
        # Nobody replaces the pod: nothing is removed, and the next run goes on from there.
        found = await finish.picture(session(stage), allowed)
        assert found.allowed
        assert found.reading == {ObjectKey(NAMESPACE, "one")}
        (told,) = [one async for one in finish.remove(session(stage), found, allowed)]
        assert told.failed
        assert "Pod demo/server still reads the v1alpha2 pool after 60 s" in told.said
        assert await old_pools(stage) == set(SERVICES)
        await runs(NEW_FLAG)

        await stage.user.delete(kinds.POD, NAMESPACE, "server")
        done_now = await done(session(stage), allowed)
        assert not any(one.failed for one in done_now)
        assert await old_pools(stage) == set()
        assert NEW_FLAG in await template_flags(stage)


@virtual_time
async def test_a_picker_that_reads_v1alpha2_is_told_v1_before_the_pool_goes() -> None:
    async with fleet(at_rest=SERVICES) as stage:
        await settled(stage)
        await pod("picker", component=names.SCHEDULER_COMPONENT, container="main", field="containers")(stage)
        found = await finish.picture(session(stage), Options(timedelta(0), 20.0, 5.0, LEASE))
        assert found.allowed
        (told,) = [
            one async for one in finish.remove(session(stage), found, Options(timedelta(0), 20.0, 5.0, LEASE))
        ]
        assert told.failed
        assert await old_pools(stage) == set(SERVICES)
        assert [one async for one in finish.undo(session(stage))]
        service = await stage.find(kinds.SERVICE, "one")
        assert service is not None
        assert names.OLD_POOLS not in annotations_of(service)


@virtual_time
async def test_the_mark_of_the_cluster_is_not_undone_for_a_namespace() -> None:
    async with fleet(at_rest=SERVICES[:1]) as stage:
        await settled(stage)
        await done(session(stage))
        with pytest.raises(ToolError, match="undo it with -A") as refused:
            [told async for told in finish.undo(session(stage, namespace=NAMESPACE))]
        assert refused.value.code is Exit.USAGE


@virtual_time
async def test_what_would_be_done_is_what_is_left() -> None:
    async with fleet(at_rest=SERVICES[:1]) as stage:
        await settled(stage)

        async def said(*, everywhere: bool = True) -> str:
            return would(await finish.picture(session(stage), OPTIONS), OPTIONS, everywhere=everywhere)

        taken, mark = (
            "would take 1 service off v1alpha2, one after another",
            "mark ConfigMap inferenceservice-config",
        )
        end = "; nothing was done, --yes does it"
        rate = f" {OPTIONS.rate:g} a second at most" if OPTIONS.rate else ""
        assert await said() == f"{taken}{rate}, then {mark}{end}"
        assert await said(everywhere=False) == f"{taken}{rate}{end}"
        [
            told
            async for told in finish.remove(
                session(stage, namespace=NAMESPACE),
                await finish.picture(session(stage, namespace=NAMESPACE), OPTIONS),
                OPTIONS,
            )
        ]
        assert await said() == f"would {mark}{end}"
        await done(session(stage))
        assert await said() == "nothing is left to do"

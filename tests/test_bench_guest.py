"""A guest on a simulated cluster: it refuses what it would change, marks what it brings, and takes that and nothing else away.

`test_bench_guest_real.py` does the same on a kube-apiserver.
"""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.names import NAME
from aioctl.api.objects import labels_of, name_of, namespace_of
from aioctl.kube.client import Client
from aioctl.kube.wire import Request, Response
from aioctl.settings import Settings
from aioctl.sim import seed
from aioctl.sim.api import SimCluster
from aioctl.sim.facts import ABSENT_BY_DEFAULT
from aioctl.sim.memory import MemoryWire
from bench import guest
from bench.scenario import CannotRun
from testbed.virtual_time import virtual_time

Object = dict[str, Any]
SERVER = "https://somebody.example"
BROUGHT = [guest.marked(obj) for obj in seed.world()]
LEASE = Settings.model_fields["lease_name"].default
WATCHED = (
    kinds.NAMESPACE,
    kinds.CONFIG_MAP,
    kinds.GATEWAY_CLASS,
    kinds.GATEWAY,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.SERVICE_ACCOUNT,
    kinds.LEASE,
)
THEIRS: tuple[tuple[Kind, Object], ...] = (
    (kinds.NAMESPACE, {"metadata": {"name": "somebody"}}),
    (kinds.CONFIG_MAP, {"metadata": {"name": "theirs", "namespace": "somebody"}, "data": {"a": "b"}}),
    (kinds.GATEWAY_CLASS, {"metadata": {"name": "theirs"}, "spec": {"controllerName": "example.com/theirs"}}),
)


class Account(MemoryWire):
    """Asks for what it may do: the simulated cluster has no such question."""

    may_everything = True
    answers: dict[str, list[int]]
    """To deletions, by the end of their path, instead of the cluster's."""

    async def send(self, request: Request, *, timeout: float) -> Response:  # noqa: ASYNC109
        answers = self.answers.get(request.path.rpartition("/")[2])
        if request.method == "DELETE" and answers:
            return Response(answers.pop(0), {}, b"")
        if request.path.endswith("/selfsubjectaccessreviews"):
            return Response(201, {}, json.dumps({"status": {"allowed": self.may_everything}}).encode())
        return await super().send(request, timeout=timeout)


@asynccontextmanager
async def somebodys(
    *absent: str, may_everything: bool = True, answers: dict[str, list[int]] | None = None
) -> AsyncIterator[Client]:
    """A cluster with things on it that are not ours."""
    async with SimCluster(absent={*ABSENT_BY_DEFAULT, *absent}) as cluster:
        wire = Account(cluster)
        wire.may_everything, wire.answers = may_everything, answers or {}
        client = Client(wire)
        for kind, obj in THEIRS:
            await create(client, kind, obj)
        yield client


async def create(client: Client, kind: Kind, obj: Mapping[str, Any]) -> None:
    whole = {"apiVersion": kind.api_version, "kind": kind.kind, **obj}
    await client.create(kind, whole["metadata"].get("namespace", ""), whole)


async def bring(client: Client) -> None:
    for obj in BROUGHT:
        await create(client, guest.KINDS[obj["kind"]], obj)


async def everything(client: Client) -> dict[tuple[str, str, str], Object]:
    return {
        (kind.kind, namespace_of(obj), name_of(obj)): obj
        for kind in WATCHED
        async for page in client.list_pages(kind)
        for obj in map(json.loads, page.items)
    }


async def refusal(client: Client, *, clean: bool = False) -> str:
    """What it says. Nothing may be there afterwards that was not there before."""
    before = await everything(client)
    with pytest.raises(CannotRun) as raised:
        async with guest.visit(client, SERVER, BROUGHT, clean=clean):
            pytest.fail("it came in")
    assert await everything(client) == before
    return str(raised.value)


@virtual_time
async def test_all_that_was_brought_goes_and_nothing_else_is_touched() -> None:
    async with somebodys() as client:
        before = await everything(client)
        async with guest.visit(client, SERVER, BROUGHT, clean=False):
            await bring(client)
            made = await everything(client)
            new = [obj for key, obj in made.items() if key not in before and key[0] != "ServiceAccount"]
            assert {name_of(obj) for obj in new} >= {seed.SYSTEM_NAMESPACE, seed.DEMO_NAMESPACE}
        assert await everything(client) == before


@virtual_time
async def test_it_goes_as_well_when_the_run_breaks_or_is_cancelled() -> None:
    async with somebodys() as client:
        before = await everything(client)

        async def breaks() -> None:
            async with guest.visit(client, SERVER, BROUGHT, clean=False):
                await bring(client)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await breaks()
        assert await everything(client) == before
        with anyio.CancelScope() as scope:
            async with guest.visit(client, SERVER, BROUGHT, clean=False):
                await bring(client)
                scope.cancel()
                await anyio.lowlevel.checkpoint()
        assert scope.cancelled_caught
        assert await everything(client) == before


def test_every_object_of_a_run_is_marked_and_keeps_its_labels() -> None:
    assert all(labels_of(obj)[guest.MARK] == "true" for obj in BROUGHT)
    assert labels_of(guest.marked({"metadata": {"labels": {NAME: "one"}}})) == {
        NAME: "one",
        guest.MARK: "true",
    }


@virtual_time
async def test_an_account_that_may_not_do_everything_is_refused() -> None:
    async with somebodys(may_everything=False) as client:
        assert "may not do everything on https://somebody.example" in await refusal(client)


@virtual_time
async def test_a_cluster_without_the_kinds_of_others_is_refused_with_their_names() -> None:
    async with somebodys("inferencepools.inference.networking.k8s.io") as client:
        assert "does not serve inferencepools" in await refusal(client)


@pytest.mark.parametrize("clean", [False, True])
def test_what_is_somebodys_by_the_name_of_ours_is_never_taken(clean: bool) -> None:
    @virtual_time
    async def story() -> None:
        async with somebodys() as client:
            await create(client, kinds.NAMESPACE, {"metadata": {"name": seed.DEMO_NAMESPACE}})
            assert f"the cluster has Namespace {seed.DEMO_NAMESPACE}" in await refusal(client, clean=clean)

    story()


@virtual_time
async def test_what_an_earlier_run_left_is_removed_only_when_asked_for() -> None:
    async with somebodys() as client:
        before = await everything(client)
        await bring(client)
        assert "--clean removes it first" in await refusal(client)
        async with guest.visit(client, SERVER, BROUGHT, clean=True):
            assert await everything(client) == before
            await bring(client)
        assert await everything(client) == before


@virtual_time
async def test_a_busy_server_is_asked_again_until_all_is_gone() -> None:
    async with somebodys(answers={"demo": [504, 503], "istio": [429]}) as client:
        before = await everything(client)
        async with guest.visit(client, SERVER, BROUGHT, clean=False):
            await bring(client)
        assert await everything(client) == before


@virtual_time
async def test_what_may_not_be_removed_is_told_and_no_run_begins_on_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with somebodys(answers={"istio": [403, 403]}) as client:
        async with guest.visit(client, SERVER, BROUGHT, clean=False):
            await bring(client)
        assert "not all that the run brought could be removed" in capsys.readouterr().err
        assert "is still there" in await refusal(client, clean=True)


@pytest.mark.parametrize(("ago", "works"), [(5, True), (60, False)])
def test_a_controller_that_renews_its_lease_is_at_work(ago: int, works: bool) -> None:
    @virtual_time
    async def story() -> None:
        async with somebodys() as client:
            renewed = (datetime.now(UTC) - timedelta(seconds=ago)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            spec = {"holderIdentity": "another", "leaseDurationSeconds": 15, "renewTime": renewed}
            await create(
                client, kinds.LEASE, {"metadata": {"name": LEASE, "namespace": "somebody"}, "spec": spec}
            )
            if works:
                assert f"another holds the lease somebody/{LEASE}" in await refusal(client, clean=True)
            else:
                async with guest.visit(client, SERVER, BROUGHT, clean=False):
                    pass

    story()


@virtual_time
async def test_rights_that_services_were_given_go_with_their_namespaces_and_those_of_others_stay() -> None:
    async with somebodys() as client:
        before = await everything(client)
        async with guest.visit(client, SERVER, BROUGHT, clean=False):
            await bring(client)
            for name, namespaces in {
                "ours": [seed.DEMO_NAMESPACE],
                "shared": [seed.DEMO_NAMESPACE, "somebody"],
                "theirs": ["somebody"],
                "nobodys": [],
            }.items():
                await create(client, kinds.CLUSTER_ROLE_BINDING, binding(name, namespaces))
        left = {key[2] for key in await everything(client) if key not in before}
        assert left == {"shared", "theirs", "nobodys"}


def binding(name: str, namespaces: list[str]) -> Object:
    return {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "a", "namespace": each} for each in namespaces],
    }

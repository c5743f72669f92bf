"""A healthy installation of the shipped manifests for `aioctl check`, and its survey, made once for all tests."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import anyio

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.pki import pairs
from aioctl.sim.backup import Backup
from aioctl.tools.checks.finding import Finding
from aioctl.tools.checks.survey import Installed, Survey, survey
from aioctl.tools.installation import CRDS
from testbed.virtual_time import run_virtual
from testbed.world import LONG_AGO, SETTLED, World, beforehand
from tests.deploy.manifests import documents
from tests.tools.small_fleet import connection, fleet, ready

BASE = Path(__file__).parents[2] / "deploy" / "base"
SYSTEM = "kserve"
LEASE = ObjectKey(SYSTEM, "llminferenceservice-kserve-controller-manager")
WHERE = Installed(SYSTEM, LEASE, ObjectKey(SYSTEM, "aioctl-webhook-cert"))
NOW = datetime.now(UTC)
CA = pairs.create_ca("test", now=NOW - timedelta(days=20), lifetime=timedelta(days=400))


def authority(*, expired: bool = False) -> str:
    """Another caBundle."""
    lifetime = timedelta(days=10 if expired else 400)
    pair = pairs.create_ca("test", now=NOW - timedelta(days=20), lifetime=lifetime)
    return base64.b64encode(pair.crt).decode()


def leaf(name: str = WHERE.server_name, *, days: int = 90, ca: pairs.Pair = CA) -> bytes:
    """A certificate of the webhook server; it ends in so many days."""
    issued = NOW - timedelta(days=15)
    return pairs.issue_leaf(ca, [name], now=issued, lifetime=timedelta(days=15 + days)).crt


@asynccontextmanager
async def installed() -> AsyncIterator[World]:
    """The shipped manifests, with one service, which has long been ready and migrated when the controller starts."""
    async with fleet(backup=_installation()) as stage:
        await anyio.sleep(SETTLED)
        yield stage


@cache
def _installation() -> Backup:
    return beforehand(_install)


async def _install() -> Backup:
    async with fleet(start=LONG_AGO) as stage:
        bundle = base64.b64encode(CA.crt).decode()
        for file in ("services.yaml", "service-account.yaml", "cluster-role.yaml", "deployment.yaml"):
            for obj in documents(BASE / file):
                if obj["kind"] in ("Service", "ClusterRole", "ClusterRoleBinding", "Deployment"):
                    await stage.cluster.create(obj, client="user")
        for obj in documents(BASE / "webhooks.yaml"):
            for hook in obj["webhooks"]:
                hook["clientConfig"]["caBundle"] = bundle
            await stage.cluster.create(obj, client="user")
        for name in CRDS:
            config = {"service": {"name": "aioctl-webhook"}, "caBundle": bundle}
            await stage.user.patch(
                kinds.CRD, "", name, {"spec": {"conversion": {"webhook": {"clientConfig": config}}}}
            )
        await stage.user.create(kinds.LEASE, SYSTEM, lease(NOW))
        await stage.user.create(kinds.SECRET, SYSTEM, served())
        await ready(stage)
        return Backup.of(stage.cluster.core)


def lease(renewed: datetime, holder: str = "aioctl-1", namespace: str = SYSTEM) -> dict[str, Any]:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 15,
        "renewTime": (renewed + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE.name, "namespace": namespace},
        "spec": spec,
    }


def served() -> dict[str, Any]:
    assert WHERE.secret is not None
    data = {name: base64.b64encode(text).decode() for name, text in (("tls.crt", leaf()), ("tls.key", b"k"))}
    metadata = {"name": WHERE.secret.name, "namespace": SYSTEM}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


async def facts_of(stage: World, *, calls: bool = True) -> Survey:
    return await survey(connection(stage), WHERE, calls=calls)


@cache
def healthy() -> Survey:
    """The survey of such an installation."""
    found: list[Survey] = []

    async def look() -> None:
        async with installed() as stage:
            found.append(await facts_of(stage))

    run_virtual(look)
    return found[0]


Change = Callable[[dict[str, Any]], Any]


def changed(kind: Kind, name: str, change: Change) -> Survey:
    """The healthy survey with one object changed in place, or added when there is none of the name."""
    found = deepcopy([dict(obj) for obj in healthy().all(kind)])
    hit = [obj for obj in found if obj["metadata"]["name"] == name]
    if not hit:
        hit = [{"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}}]
        found += hit
    change(hit[0])
    return having(kind, found)


def having(kind: Kind, objects: list[dict[str, Any]]) -> Survey:
    """The healthy survey with these objects of a kind."""
    return replace(healthy(), objects={**healthy().objects, kind: objects})


def without(kind: Kind, *gone: str) -> Survey:
    return having(kind, [dict(obj) for obj in healthy().all(kind) if obj["metadata"]["name"] not in gone])


def codes(found: list[Finding]) -> list[str]:
    return [one.code.code for one in found if one.code]

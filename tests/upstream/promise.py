"""What may restart model servers, played on one real API server: takeovers, another default, another image, edits (FORM-1, FORM-2).

Services of our own are settled first. Then another process is said to lead while recorded objects of today's KServe come, and
what an earlier release would have left; then the program leads again, with another default and another image for downloads.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import msgspec

from aioctl.api import kinds
from aioctl.api.objects import annotations_of, dig, key_of
from aioctl.plan.policy import PodForm
from aioctl.plan.workload import initializer
from aioctl.plan.workload.pod_form import template_digest
from aioctl.sim.seed import SYSTEM_NAMESPACE
from testbed import real_world
from testbed.at_once import for_each
from testbed.real.cluster import RealCluster
from testbed.real_world import Webhooks
from tests.golden.cases import Object
from tests.upstream.cases import UpstreamCase
from tests.upstream.real import AT_ONCE, Scene, install_crds, writes
from tests.upstream.test_takeover import inherit
from tests.upstream.worlds import config_map

OURS: Final = "ours"
FORMER, KEPT, EDITED, BY_HAND = "former", "kept", "edited", "by-hand"
"""Left without our annotations; left alone; edited by its user; whose pods are edited by hand."""
ROLES: Final = (FORMER, KEPT, EDITED, BY_HAND)
NEXT_IMAGE, NEXT_DEFAULT = "kserve/storage-initializer:next", "HF_SOMETHING_NEW"
NEW, WRONG = "quay.io/example/vllm:2", "quay.io/example/by-hand:1"
MARK: Final = {"example.com/edited": "yes"}
_IMAGE = "quay.io/example/vllm:1"
_KINDS = (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)
_PICKERS = ("-router-scheduler", "-tokenizer")


@dataclass(frozen=True, slots=True)
class Pods:
    """A workload at one look."""

    digest: str
    generation: int
    text: str
    recorded: bool
    """Whether what made the pods is remembered beside them."""


Look = Mapping[str, Pods]
"""By `<namespace>/<name>`; model servers only."""


@dataclass
class Kept:
    """What was seen: before the program led, once it had, after the edits, and once the current form was asked for."""

    left: Look = field(default_factory=dict)
    taken: Look = field(default_factory=dict)
    changed: Look = field(default_factory=dict)
    current: Look = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    """Writes of the takeover, `<verb> <path>`."""


async def keep(cases: Sequence[UpstreamCase], cluster: RealCluster, folder: Path) -> Kept:
    webhooks = Webhooks.in_folder(folder)
    async with real_world.client_for(cluster.kubeconfig, agent="kubectl/test") as client:
        await install_crds(client, webhooks, "plain")
        return await _Ground("plain", tuple(cases), client, cluster, webhooks).keep()


class _Ground(Scene):
    async def keep(self) -> Kept:
        kept = Kept()
        async with self.answered(), self.staged():
            async with self.controlled():
                await self.prepare()
                await self._settle_ours()
            await real_world.let_another_lead(self.client)
            async with self.controlled(leader_election=True):
                await for_each(self.stages, inherit, most=AT_ONCE)
                await self._forget(FORMER)
                await self._new_image()
                await self.rest()
                kept.left = await self._look()
            seen = len(self.cluster.audited())
            with patch.object(initializer, "_HF_DEFAULTS", ((NEXT_DEFAULT, "1"),)):
                async with self.controlled():
                    await self.rest()
                    kept.sent = writes(self.cluster.audited()[seen:])
                    kept.taken = await self._look()
                    await self._edit(EDITED)
                    await self._edit_taken()
                    await self._edit_by_hand(BY_HAND)
                    await self.rest()
                    kept.changed = await self._look()
                async with self.controlled(pod_form=PodForm.CURRENT, roll_interval=0.0):
                    await self.rest()
                    kept.current = await self._look()
        return kept

    async def _settle_ours(self) -> None:
        """A service for each role, each with a Deployment and a LeaderWorkerSet."""
        await self.client.create(
            kinds.NAMESPACE, "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OURS}}
        )
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        await self.client.create(kinds.SERVICE_ACCOUNT, OURS, account)
        for role in ROLES:
            await self.client.create(kinds.SERVICE, OURS, _service(role))
        await self.rest()

    async def _forget(self, role: str) -> None:
        """As another controller, or an earlier release, leaves it: nothing stands beside the pods."""
        gone = {"metadata": {"annotations": {"aioctl.dev/inputs": None, "aioctl.dev/template": None}}}
        for kind in _KINDS:
            for obj in await self._listed(kind, OURS):
                if _is_of(role, obj):
                    await self.client.patch(kind, OURS, key_of(obj).name, gone)

    async def _new_image(self) -> None:
        """An administrator gives another image for downloads."""
        made = config_map("plain")
        storage = {**json.loads(made["data"]["storageInitializer"]), "image": NEXT_IMAGE}
        data = {"data": {"storageInitializer": json.dumps(storage)}}
        await self.client.patch(kinds.CONFIG_MAP, SYSTEM_NAMESPACE, made["metadata"]["name"], data)

    async def _edit(self, role: str) -> None:
        spec = {"worker": _pods(NEW), "prefill": {"template": _pods(NEW)}}
        await self.client.patch(kinds.SERVICE, OURS, role, {"spec": spec})

    async def _edit_taken(self) -> None:
        """The users of what another controller left change something that reaches the main side's pods."""
        for service in await self._listed(kinds.SERVICE, ""):
            key = key_of(service)
            if key.namespace != OURS:
                await self.client.patch(
                    kinds.SERVICE, key.namespace, key.name, {"spec": {"annotations": MARK}}
                )

    async def _edit_by_hand(self, role: str) -> None:
        for kind in _KINDS:
            for obj in await self._listed(kind, OURS):
                if _is_of(role, obj):
                    await self.client.update(kind, json.loads(json.dumps(obj).replace(_IMAGE, WRONG)))

    async def _look(self) -> Look:
        found = {}
        for kind in _KINDS:
            for obj in await self._listed(kind, ""):
                key = key_of(obj)
                if not key.name.endswith(_PICKERS):
                    found[f"{key.namespace}/{key.name}"] = Pods(
                        template_digest(obj),
                        obj["metadata"]["generation"],
                        json.dumps(obj["spec"]),
                        "aioctl.dev/template" in annotations_of(obj),
                    )
        return found

    async def _listed(self, kind: kinds.Kind, namespace: str) -> list[Object]:
        pages = self.client.list_pages(kind, namespace=namespace)
        return [msgspec.json.decode(raw) async for page in pages for raw in page.items]


def _pods(image: str) -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": image}]}


def _service(name: str) -> Object:
    spec = {
        "model": {"uri": "hf://facebook/opt-125m", "name": "facebook/opt-125m"},
        "parallelism": {"data": 2, "dataLocal": 1},
        "worker": _pods(_IMAGE),
        "prefill": {"template": _pods(_IMAGE)},
    }
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _is_of(role: str, workload: Object) -> bool:
    return any(owner["name"] == role for owner in dig(workload, "metadata", "ownerReferences") or ())

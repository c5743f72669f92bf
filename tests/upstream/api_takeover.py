"""The API changes hands on a real server: upstream's CRDs with the objects of every recorded case, then ours, then upstream's.

Objects are read in both versions, rewritten and storage-migrated on the way; whatever an object does not say any more, says
otherwise, or says in addition, is noted. The program serves its webhooks and nothing else: another process holds the lease.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.to_thread

from aioctl.api import kinds
from aioctl.api.kinds import ObjectRef
from aioctl.engine.limits import TokenBucket
from aioctl.kube.client import Client
from aioctl.kube.errors import ApiError
from aioctl.sim.hooks import conversion_patch
from aioctl.upkeep.storage_migration import migrate_storage
from testbed.at_once import for_each
from testbed.real.kubectl import Kubectl
from testbed.real_world import Webhooks
from testbed.shared_data import documents
from testbed.shipped_files import OURS, crd
from tests.golden.cases import Object
from tests.upstream.cases import UpstreamCase, address_of

OLD, NEW = kinds.SERVICE_V1ALPHA1.version, kinds.SERVICE.version
KINDS = (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG, kinds.CONFIG_V1ALPHA1)
_OTHER_VERSION = {
    kinds.SERVICE: kinds.SERVICE_V1ALPHA1,
    kinds.SERVICE_V1ALPHA1: kinds.SERVICE,
    kinds.CONFIG: kinds.CONFIG_V1ALPHA1,
    kinds.CONFIG_V1ALPHA1: kinds.CONFIG,
}
_OF_THE_SERVER = ("managedFields", "resourceVersion", "generation")
_TIME = "2026-01-01T00:00:00Z"
CALLS = 8
"""So many at the same time."""


@dataclass
class Takeover:
    """What stood there, and what was noted on the way: `<step>: <object> <path>: <was> -> <is>`."""

    client: Client
    kubectl: Kubectl
    webhooks: Webhooks
    stood: dict[ObjectRef, Object] = field(default_factory=dict)
    """As upstream's CRDs kept it, in the version it was stored in."""
    noted: list[str] = field(default_factory=list)

    async def apply_theirs(self, *, stored: str = NEW, convert: bool = False) -> None:
        """Upstream's CRDs, with one version or the other as the stored one; converted by the program or not at all."""
        names = ("llminferenceservices", "llminferenceserviceconfigs")
        files = [documents(f"upstream/crds/kserve/serving.kserve.io_{name}.yaml") for name in names]
        crds = [crd for found in files for file in found.values() for crd in file]
        await self._apply([_stored_in(stored, crd) for crd in crds], convert=convert)

    async def apply_ours(self) -> None:
        """Our CRDs as shipped, converted by the program."""
        await self._apply([crd(plural) for plural in OURS], convert=True)

    async def _apply(self, crds: Sequence[Object], *, convert: bool) -> None:
        conversion = conversion_patch(self.webhooks.url, self.webhooks.bundle)["spec"]["conversion"]
        del conversion["webhook"]["clientConfig"]["service"]
        if not convert:
            conversion = {"strategy": "None"}
        texts = [json.dumps({**crd, "spec": {**crd["spec"], "conversion": conversion}}) for crd in crds]

        async def applied(text: str) -> None:
            # The program converts in this loop while kubectl waits.
            await anyio.to_thread.run_sync(lambda: self.kubectl.install_crds(documents=text))

        # The API server compiles the rules of a CRD for seconds whenever it is written: both at the same time.
        await for_each(texts, applied, most=CALLS)

    async def leave(self, cases: Iterable[UpstreamCase], version: str) -> None:
        """Makes the recorded services and configs of the cases, in one version, and remembers how they are kept."""
        objects = []
        for case in cases:
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": case.namespace}}
            await self.client.create(kinds.NAMESPACE, "", namespace)
            objects += list(_recorded(case, version))
        await for_each(objects, self._leave, most=CALLS)

    async def _leave(self, item: tuple[ObjectRef, Object]) -> None:
        ref, obj = item
        await self.client.create(ref.kind, ref.namespace, obj)
        if "status" in obj:
            status = {"status": obj["status"]}
            await self.client.patch(ref.kind, ref.namespace, ref.name, status, subresource="status")
        self.stood[ref] = await self._read(ref)

    async def compare(self, step: str) -> None:
        """Notes what is not as it stood."""

        async def compared(ref: ObjectRef) -> None:
            now = await self._read(ref)
            self.noted += [f"{step}: {ref} {change}" for change in changes(self.stood[ref], now)]

        await for_each(list(self.stood), compared, most=CALLS)

    async def rewrite(self, step: str) -> None:
        """Reads every object in the version it was not stored in, and writes that back as it is, status too."""

        async def rewritten(ref: ObjectRef) -> None:
            kind = _OTHER_VERSION[ref.kind]
            try:
                read = await self.client.get(kind, ref.namespace, ref.name)
                written = await self.client.update(kind, read)
                await self.client.update(
                    kind, {**read, "metadata": written["metadata"]}, subresource="status"
                )
            except ApiError as error:
                self.noted.append(f"{step}: {ref} cannot be rewritten: {error.status}: {error.message}")

        await for_each(list(self.stood), rewritten, most=CALLS)

    async def migrate(self) -> list[list[str]]:
        """The storage migration; returns what the CRDs say is stored afterwards."""
        both = (kinds.SERVICE, kinds.CONFIG)
        await migrate_storage(self.client, both, pace=TokenBucket(None))
        crds = [await self.client.get(kinds.CRD, "", kind.resource) for kind in both]
        return [crd["status"]["storedVersions"] for crd in crds]

    async def _read(self, ref: ObjectRef) -> Object:
        return await self.client.get(ref.kind, ref.namespace, ref.name)


def _recorded(case: UpstreamCase, version: str) -> Iterator[tuple[ObjectRef, Object]]:
    for path, obj in case.objects.items():
        kind, name, _ = address_of(path)
        if kind in KINDS and kind.version == version:
            at = obj["metadata"]
            # A finalizer nobody takes away would keep nothing here: nothing is deleted.
            yield (
                ObjectRef(kind, case.namespace, name),
                {
                    **obj,
                    "apiVersion": kind.api_version,
                    "kind": kind.kind,
                    "metadata": {
                        key: value for key, value in at.items() if key != "deletionGracePeriodSeconds"
                    },
                    **({"status": _dated(obj["status"])} if "status" in obj else {}),
                },
            )


def _dated(status: Object) -> Object:
    """With the times that the recordings leave out."""
    conditions = [{"lastTransitionTime": _TIME, **each} for each in status.get("conditions") or ()]
    return {**status, "conditions": conditions} if conditions else status


def _stored_in(version: str, crd: Object) -> Object:
    versions = [{**each, "storage": each["name"] == version} for each in crd["spec"]["versions"]]
    return {**crd, "spec": {**crd["spec"], "versions": versions}}


def changes(was: Any, now: Any, at: str = "") -> Iterator[str]:
    """Every path that is not as it was; what the server counts does not count."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            if at == ".metadata" and key in _OF_THE_SERVER:
                continue
            if key not in now:
                yield f"{at}.{key}: {was[key]!r:.200} -> (nothing)"
            elif key not in was:
                yield f"{at}.{key}: (nothing) -> {now[key]!r:.200}"
            else:
                yield from changes(was[key], now[key], f"{at}.{key}")
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (left, right) in enumerate(zip(was, now, strict=True)):
            yield from changes(left, right, f"{at}.{index}")
    elif was != now or type(was) is not type(now):
        yield f"{at}: {was!r:.200} -> {now!r:.200}"

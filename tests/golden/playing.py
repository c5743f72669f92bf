"""Plays a recorded case on an API server, simulated or real: the same steps through the same client.

The controller and the players run beside it; here objects are made as a user would, and it is waited until nothing is
written any more.
"""

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import anyio
import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.kube.client import Client
from aioctl.kube.errors import AlreadyExists, ApiError, NotFound
from aioctl.kube.events import COMPONENT, CONFIG_COMPONENT, CORE_EVENT
from aioctl.plan.policy import Policy
from aioctl.sim import seed
from tests.golden.cases import LABELLED, OTHERS, RECORDED, Case, Object, kind_at, kind_of, presets
from tests.golden.compare import State

SIGNER = ObjectRef(kinds.SECRET, "openshift-service-ca", "signing-key")
POLICY = Policy(auth_disabled=False, signer=SIGNER)
"""As in the recordings: a signer, and authentication not switched off for all."""
MATCH_POLICY = "Equivalent"
"""Of the recordings' validating webhooks."""
QUIET_CHECKS = 3


class Stage:
    """One API server on which cases are played."""

    def __init__(self, client: Client, *, pause: float, patience: float) -> None:
        """`pause`: seconds between looks whether something was written; at rest after `QUIET_CHECKS` without."""
        self.client = client
        self._pause = pause
        self._patience = patience

    async def create(self, obj: Mapping[str, Any]) -> Object:
        """POSTs the object where it belongs."""
        kind = kind_of(obj)
        return await self.client.create(kind, obj["metadata"].get("namespace", ""), obj)

    async def prepare(self, signer: Mapping[str, bytes]) -> None:
        """What the recordings found in the cluster; `signer` holds tls.crt and tls.key of the signing secret."""
        for obj in seed.world(namespaces=(SIGNER.namespace,)):
            with contextlib.suppress(AlreadyExists):
                await self.create(config_map() if kind_of(obj) is kinds.CONFIG_MAP else obj)
        data = {name: base64.b64encode(pem).decode() for name, pem in signer.items()}
        metadata = {"name": SIGNER.name, "namespace": SIGNER.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls"}
        await self.create({**secret, "data": data})
        for preset in presets():
            await self.create(preset)

    async def open(self, case: Case) -> None:
        """The namespace of the case, and what stood there before."""
        metadata = {"name": case.namespace}
        await self.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        for obj in case.before():
            await self.create(obj)

    async def give(self, case: Case) -> dict[str, str]:
        """Creates the services; what was refused, by `<kind>/<name>`."""
        refused: dict[str, str] = {}
        for obj in case.services():
            try:
                await self.create(obj)
            except ApiError as error:
                refused[f"{obj['kind']}/{obj['metadata']['name']}"] = f"{error.status}: {error.message}"
        return refused

    async def follow(self, case: Case) -> dict[str, str]:
        """What is done after everything has settled; what was refused of it, by name."""
        await self.change(case)
        refused: dict[str, str] = {}
        for entry in case.given.get("then_merge_patch") or ():
            try:
                await self.client.patch(kinds.SERVICE, case.namespace, entry["service"], entry["patch"])
            except ApiError as error:
                refused[entry["service"]] = f"{error.status}: {error.message}"
        for name in case.given.get("then_delete") or ():
            await self.client.delete(kinds.SERVICE, case.namespace, name)
        return refused

    async def change(self, case: Case, only: Iterable[Kind] = (*RECORDED, *OTHERS)) -> None:
        """The changes of objects other than the services, or of some kinds of them."""
        wanted = tuple(only)
        for entry in case.given.get("then") or ():
            kind, name = kind_at(entry["object"])
            if kind not in wanted:
                continue
            where = case.namespace if kind.namespaced else ""
            if entry["verb"] == "DELETE":
                await self.client.delete(kind, where, name)
            else:
                await self.client.patch(kind, where, name, entry["body"])

    async def rest(self) -> None:
        """Until nothing was written for a while. Raises AssertionError when that never happens."""
        last, quiet = None, 0
        with anyio.move_on_after(self._patience):
            while quiet < QUIET_CHECKS:
                now = await self.mark()
                quiet = quiet + 1 if now == last else 0
                last = now
                await anyio.sleep(self._pause)
            return
        raise AssertionError(f"something still writes after {self._patience:g} s")

    async def mark(self) -> object:
        """Something that is the same as long as nothing is written."""
        return await self.versions(), await self._events()

    async def versions(self) -> dict[str, str]:
        """`<plural>[.<group>] <namespace>/<name>` -> uid and version of everything that matters here."""
        watched = [kind for kind in (*RECORDED, kinds.GATEWAY) if kind is not kinds.SERVICE_V1ALPHA1]
        return {
            f"{kind.resource} {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}": (
                f"{obj['metadata']['uid']}/{obj['metadata']['resourceVersion']}"
            )
            for kind in watched
            async for obj in self._listed(kind, metadata_only=True)
        }

    async def _events(self) -> set[str]:
        """Only whether they exist: the old ones are counted on and on."""
        return {obj["metadata"]["uid"] async for obj in self._listed(CORE_EVENT, metadata_only=True)}

    async def state(self, case: Case, refused: Mapping[str, str] | None = None) -> State:
        """What a recording holds of a case."""
        state = State(refused=dict(refused or {}))
        for kind in RECORDED:
            async for obj in self._listed(kind, case.namespace if kind.namespaced else ""):
                if _belongs(kind, obj, case):
                    state.objects[f"{kind.api_version}/{kind.plural}/{obj['metadata']['name']}"] = obj
        async for event in self._listed(CORE_EVENT, case.namespace):
            # The API server itself tells about cluster IPs.
            if event.get("reportingComponent") in (COMPONENT, CONFIG_COMPONENT):
                state.events.add(f"{event['type']} {event['reason']}: {event['message']}")
        return state

    async def find(self, kind: Kind, namespace: str, name: str) -> Object | None:
        try:
            return await self.client.get(kind, namespace if kind.namespaced else "", name)
        except NotFound:
            return None

    async def _listed(
        self, kind: Kind, namespace: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Object]:
        try:
            async for page in self.client.list_pages(kind, namespace=namespace, metadata_only=metadata_only):
                for raw in page.items:
                    yield msgspec.json.decode(raw)
        except NotFound:
            return


def config_map() -> Object:
    """The seed's, without the model car's user, which the recordings did not set, and with the TLS that was always on then."""
    made = seed.config_map()
    storage = json.loads(made["data"]["storageInitializer"])
    del storage["uidModelcar"]
    ingress = {**json.loads(made["data"]["ingress"]), "enableLLMInferenceServiceTLS": True}
    changed = {"storageInitializer": json.dumps(storage), "ingress": json.dumps(ingress)}
    return {**made, "data": {**made["data"], **changed}}


def _belongs(kind: Kind, obj: Mapping[str, Any], case: Case) -> bool:
    if kind.plural == kinds.SERVICE.plural:
        return True
    if LABELLED not in (obj["metadata"].get("labels") or {}):
        return False
    if kind is not kinds.CLUSTER_ROLE_BINDING:
        return True
    return any(subject.get("namespace") == case.namespace for subject in obj.get("subjects") or ())

"""The recorded objects as the live state of a cluster that the Go controller has settled and our controller takes over."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind
from aioctl.kube.client import Client
from aioctl.pki import pairs
from tests.golden.cases import Case, Object, recorded_refs
from tests.golden.compare import State
from tests.golden.playing import Stage

_CHILDREN_LAST = (kinds.SECRET,)
"""A certificate names the addresses of Services, so these have to be there first."""
_OF_THE_SERVER = ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields")
WORKLOADS = tuple(
    f"{kind.api_version}/{kind.plural}/" for kind in (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET)
)


async def inherit(stage: Stage, case: Case) -> None:
    """Creates the services and then everything else, with the owners' new uids and certificates that fit."""
    await stage.change(case, only=(kinds.CONFIG,))
    recorded = sorted(recorded_refs(case), key=lambda item: item[0].kind in _CHILDREN_LAST)
    uids = {
        ref.name: (await give_service(stage.client, obj))["metadata"]["uid"]
        for ref, obj in recorded
        if ref.kind is kinds.SERVICE
    }
    addresses: dict[str, list[str]] = {}
    for ref, obj in recorded:
        if ref.kind.plural == kinds.SERVICE.plural:
            continue
        child = adopted(ref.kind, obj, uids)
        if ref.kind is kinds.SECRET and obj["type"] == "kubernetes.io/tls":
            child = with_pair(child, addresses)
        made = await stage.create(child)
        if ref.kind is kinds.CORE_SERVICE:
            addresses[ref.name] = made["spec"]["clusterIPs"]


def restarted(before: State, after: State) -> list[str]:
    """The workloads whose pods are made anew because their template is another one or gone."""
    templates = _templates(after)
    return [path for path, template in _templates(before).items() if templates.get(path) != template]


def _templates(state: State) -> dict[str, Any]:
    return {
        path: [obj["spec"].get("template"), obj["spec"].get("leaderWorkerTemplate")]
        for path, obj in state.objects.items()
        if path.startswith(WORKLOADS)
    }


async def give_service(client: Client, obj: Object) -> Object:
    """The service, with its recorded status for the generation that it has."""
    made = await client.create(kinds.SERVICE, obj["metadata"]["namespace"], obj)
    at = made["metadata"]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    conditions = [
        {**condition, "lastTransitionTime": now}
        for condition in obj.get("status", {}).get("conditions") or ()
    ]
    status = {**obj.get("status", {}), "conditions": conditions, "observedGeneration": at["generation"]}
    await client.patch(kinds.SERVICE, at["namespace"], at["name"], {"status": status}, subresource="status")
    return made


def adopted(kind: Kind, obj: Object, uids: Mapping[str, str]) -> Object:
    """A recorded child with the uids of its owners, without what an API server adds."""
    kept = {name: value for name, value in obj.items() if name != "status"}
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _OF_THE_SERVER}
    if "ownerReferences" in metadata:
        metadata["ownerReferences"] = [
            {**owner, "uid": uids.get(owner["name"], "00000000-0000-4000-8000-000000000000")}
            for owner in metadata["ownerReferences"]
        ]
    return {"apiVersion": kind.api_version, "kind": kind.kind, **kept, "metadata": metadata}


def with_pair(secret: Object, addresses: Mapping[str, list[str]]) -> Object:
    """A pair for every Service of the namespace, good for years."""
    namespace = secret["metadata"]["namespace"]
    hosts = [f"{service}.{namespace}.svc" for service in (*addresses, *_pickers(secret))]
    now = datetime(2026, 1, 1, tzinfo=UTC)
    crt, key, _ = pairs.sign_service_pair(
        ["localhost", *hosts, *(f"{host}.cluster.local" for host in hosts)],
        ["127.0.0.1", *(address for found in addresses.values() for address in found)],
        signer_crt=None,
        signer_key=None,
        now=now,
    )
    expiry = (now + timedelta(days=365 * 8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata = secret["metadata"]
    annotations = {**metadata.get("annotations", {}), names.CERTIFICATE_EXPIRY: expiry}
    data = {"tls.crt": base64.b64encode(crt).decode(), "tls.key": base64.b64encode(key).decode()}
    return {**secret, "data": data, "metadata": {**metadata, "annotations": annotations}}


def _pickers(secret: Object) -> list[str]:
    """Pickers that are not of the namespace's making: of a referenced pool, or of one that was never made."""
    name = secret["metadata"]["labels"][names.NAME]
    return ["my-epp", names.child(name, "-epp-service")]

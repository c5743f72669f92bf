"""What of aioctl is installed: its Deployment and settings, the CRDs, who leads. Each part may be unreadable by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import anyio
import msgspec

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey
from aioctl.api.objects import Object, dig, key_of, name_of, namespace_of, sequence
from aioctl.kube.errors import KubeError, NotFound
from aioctl.tools.connect import Connection, explain
from aioctl.tools.look import age

DEPLOYMENT_LABEL: Final = "app.kubernetes.io/name=aioctl"
CRDS: Final = tuple(f"{kind.plural}.{kinds.GROUP}" for kind in (kinds.SERVICE, kinds.CONFIG))
_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True, slots=True)
class Installation:
    """As read. `crds`: by name, None where absent; `unread`: by part, sentences about what could not be read."""

    deployment: Object | None = None
    crds: Mapping[str, Object | None] = field(default_factory=dict)
    lease: Object | None = None
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def namespace(self) -> str:
        """Where the controller runs; empty when it was not found."""
        return namespace_of(self.deployment) if self.deployment is not None else ""

    @property
    def image(self) -> str:
        return str(_container(self.deployment).get("image", ""))

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of the Deployment that are given as text, with its namespace; empty when it was not found."""
        if self.deployment is None:
            return {}
        given = {
            str(entry.get("name")): str(entry["value"])
            for entry in sequence(_container(self.deployment), "env")
            if "value" in entry
        }
        return {"POD_NAMESPACE": self.namespace, **given}


def _container(deployment: Object | None) -> Mapping[str, Any]:
    found = sequence(deployment, "spec", "template", "spec", "containers") if deployment is not None else ()
    return next((one for one in found if one.get("name") == "aioctl"), found[0] if found else {})


async def deployment_of(connection: Connection) -> tuple[Object | None, str]:
    """The controller's Deployment wherever it is, and why it could not be looked for; empty when it could."""
    try:
        async for page in connection.client.list_pages(kinds.DEPLOYMENT, labels=DEPLOYMENT_LABEL):
            for raw in page.items:
                return _decoder.decode(raw), ""
    except KubeError as error:
        return None, explain(error, "list", kinds.DEPLOYMENT, "", connection.server)
    return None, ""


async def read_installation(connection: Connection, lease: ObjectKey) -> Installation:
    """Reads what there is. Raises nothing: what could not be read is told in `unread`."""
    deployment, why = await deployment_of(connection)
    unread = {"controller": why} if why else {}
    crds: dict[str, Object | None] = {}
    found: dict[str, Object | None] = {}

    async def get(into: dict[str, Object | None], kind: Kind, namespace: str, name: str) -> None:
        try:
            into[name] = await connection.client.get(kind, namespace, name)
        except NotFound:
            into[name] = None
        except KubeError as error:
            part = "leader" if kind is kinds.LEASE else name
            unread[part] = explain(error, "get", kind, namespace, connection.server)

    async with anyio.create_task_group() as group:
        for name in CRDS:
            group.start_soon(get, crds, kinds.CRD, "", name)
        group.start_soon(get, found, kinds.LEASE, lease.namespace, lease.name)
    return Installation(deployment, crds, found.get(lease.name), unread)


def versions(crd: Object) -> tuple[list[str], str]:
    """The versions that a CRD serves, and the one it stores."""
    found = sequence(crd, "spec", "versions")
    served = [str(dig(one, "name")) for one in found if dig(one, "served")]
    return served, next((str(dig(one, "name")) for one in found if dig(one, "storage")), "")


def report(client: str, found: Installation, server: str, now: datetime) -> dict[str, Any]:
    """`aioctl version` as the field names of `-o json` promise."""
    deployment = found.deployment
    controller: dict[str, Any] | None = None
    if deployment is not None:
        controller = {
            "deployment": str(key_of(deployment)),
            "image": found.image,
            "readyReplicas": dig(deployment, "status", "readyReplicas") or 0,
            "replicas": dig(deployment, "spec", "replicas"),
        }
    crds = []
    for name, crd in sorted(found.crds.items()):
        served, stored = versions(crd) if crd is not None else ([], "")
        crds.append({"name": name, "installed": crd is not None, "served": served, "stored": stored})
    lease: dict[str, Any] | None = None
    if found.lease is not None:
        renewed = str(dig(found.lease, "spec", "renewTime") or "")
        lease = {
            "lease": f"{namespace_of(found.lease)}/{name_of(found.lease)}",
            "holder": dig(found.lease, "spec", "holderIdentity") or "",
            "renewed": renewed,
            "age": age(renewed, now),
        }
    return {
        "client": client,
        "server": server,
        "controller": controller,
        "crds": crds,
        "leader": lease,
        "notKnown": sorted(set(found.unread.values())),
    }


def text(told: Mapping[str, Any], unread: Mapping[str, str]) -> str:
    """The same for people, a line each; what could not be read is not told as absent."""
    controller, leader = told["controller"], told["leader"]
    lines = [f"client       aioctl {told['client']}", f"cluster      {told['server']}"]
    if controller:
        lines.append(
            f"controller   {controller['image']}, Deployment {controller['deployment']}, "
            f"{controller['readyReplicas']}/{controller['replicas']} ready"
        )
    elif "controller" in unread:
        lines.append("controller   not known")
    else:
        lines.append(f"controller   no Deployment labelled {DEPLOYMENT_LABEL}")
    lines += [
        f"CRD          {crd['name']}: "
        + (
            f"serves {', '.join(crd['served'])}, stores {crd['stored']}"
            if crd["installed"]
            else "not installed"
        )
        for crd in told["crds"]
    ]
    if leader and leader["holder"]:
        lines.append(f"leader       {leader['holder']}, lease {leader['lease']} renewed {leader['age']} ago")
    elif "leader" in unread:
        lines.append("leader       not known")
    else:
        lines.append(
            "leader       none" + (f": lease {leader['lease']} is free" if leader else ": there is no lease")
        )
    lines += [f"not known    {said}" for said in told["notKnown"]]
    return "".join(f"{line}\n" for line in lines)

"""The certificate authority of the services' certificates is read when a write is sent: it may have changed since the plan."""

import base64
from dataclasses import replace
from typing import Any

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectRef
from aioctl.controller.apply import SigningError
from aioctl.controller.caches import Caches
from aioctl.controller.signing import ServiceSigner
from aioctl.engine.clock import SystemClock
from aioctl.plan.model import Sign
from aioctl.sim.faults import Match
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, condition, furnished, plain_service
from tests.golden.signer import rsa_authority

SIGNER = ObjectRef(kinds.SECRET, "kserve", "signing-key")
TLS_SECRET = names.tls_secret_name("one")
SLOW = 1.0
CURE = "give it a PEM certificate as tls.crt and its key as tls.key, or delete it for certificates that sign themselves"
BROKEN: dict[str, tuple[dict[str, str | None], str]] = {
    "no-pem": ({"tls.key": "not PEM"}, "failed to decode private key PEM from CA secret"),
    "no-certificate": ({"tls.crt": None}, "failed to decode certificate PEM from CA secret"),
}


def encoded(entries: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value if value is None else base64.b64encode(value).decode() for name, value in entries.items()
    }


async def warnings(stage: World) -> list[str]:
    pages = [page async for page in stage.user.list_pages(kinds.EVENT, namespace=NAMESPACE)]
    events = [msgspec.json.decode(raw) for page in pages for raw in page.items]
    return [event["note"] for event in events if event["type"] == "Warning"]


@pytest.mark.parametrize("what", BROKEN)
@virtual_time
async def test_an_authority_that_breaks_between_plan_and_write_is_a_failed_write(what: str) -> None:
    entries, problem = BROKEN[what]
    change = encoded({name: value and value.encode() for name, value in entries.items()})
    whole = encoded(rsa_authority())
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SIGNER.name}, "data": whole}
    async with furnished() as stage:
        await stage.user.create(kinds.SECRET, SIGNER.namespace, secret)
        with capture_logs() as logs:
            async with stage.running(stage.controller(policy=replace(POLICY, signer=SIGNER))):
                # The finalizer is patched right before the pair is signed, by the same plan.
                patch = Match(verb="patch", resource="llminferenceservices", client="aioctl/")
                held_up = stage.cluster.faults.slow(patch, SLOW, times=1)
                await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
                await anyio.sleep(SLOW / 2)
                assert held_up.hits == 1
                await stage.user.patch(kinds.SECRET, SIGNER.namespace, SIGNER.name, {"data": change})
                await anyio.sleep(SLOW)
                failure = (
                    "Reconciliation failed: failed to reconcile workload: failed to reconcile self-signed "
                    "certificates secret: failed to reconcile self-signed TLS certificate: "
                    f"failed to create v1.Secret {NAMESPACE}/{TLS_SECRET}: "
                    f"{SIGNER} cannot sign: {problem}; {CURE}"
                )
                assert failure in await warnings(stage)
                assert await stage.find(kinds.SECRET, TLS_SECRET) is None
                service = await stage.find(kinds.SERVICE, "one")
                assert condition(service, "WorkloadsReady")[0] == "False"
                await stage.user.patch(kinds.SECRET, SIGNER.namespace, SIGNER.name, {"data": whole})
                await anyio.sleep(SLOW)
                assert await stage.find(kinds.SECRET, TLS_SECRET) is not None
        assert not [entry for entry in logs if entry.get("exc_info")]


@pytest.mark.parametrize("name", ["*.fleet.svc", "a\x00.ns.svc", "a\nb", "", "a.ns.svc\n"])
def test_what_is_no_dns_name_is_never_signed(name: str) -> None:
    async def refused() -> None:
        signer = ServiceSigner(Caches([]), SystemClock(), key_type="ec")
        with pytest.raises(SigningError, match=r"refusing to sign .* it is no DNS name"):
            await signer(Sign(("localhost", name), (), None))

    anyio.run(refused)

"""The loop around the rotation: one Secret among all replicas, bundles written where they differ, calls never lost."""

from contextlib import suppress

import anyio
import pytest
from structlog.testing import capture_logs

from aioctl.api.kinds import CRD, SECRET, VALIDATING_WEBHOOK
from aioctl.kube.errors import Conflict
from aioctl.serving.certificates import LiveCertificate
from aioctl.upkeep.webhook_certificates import (
    TARGETS,
    SecretNotOurs,
    WebhookCertificates,
    bundle_patch,
    service_names,
)
from aioctl.upkeep.webhook_rotation import from_secret_data
from testbed.virtual_time import virtual_time
from tests.upkeep.webhook_api import (
    SECRET_PATH,
    SERVICE,
    FakeApi,
    HandClock,
    bundles,
    crd,
    installed,
    keeper,
    settled,
    webhooks,
)


async def overtaken_or_not(keeper: WebhookCertificates) -> None:
    with suppress(Conflict):
        await keeper.look()


async def test_the_first_replica_creates_the_secret_and_all_serve_it() -> None:
    api, lives, clock = installed(), [LiveCertificate(), LiveCertificate()], HandClock()
    keepers = [keeper(api, live, clock) for live in lives]
    async with anyio.create_task_group() as group:
        for each in keepers:
            group.start_soon(overtaken_or_not, each)
    await settled(*keepers)
    assert sum(write.startswith("create") for write in api.writes) == 1
    secret = api.objects[SECRET_PATH]
    assert secret["type"] == "kubernetes.io/tls"
    state = from_secret_data(secret["data"])
    assert not isinstance(state, str)
    for live in lives:
        assert live.pair is not None
        assert live.pair.dns_names == set(service_names("aioctl-webhook", "kserve", "cluster.local"))
    assert bundles(api) == {state.bundle}


async def test_nothing_is_written_or_read_in_full_while_nothing_changes() -> None:
    api = installed()
    one = keeper(api, LiveCertificate(), HandClock())
    await settled(one)
    await one.look()
    writes, reads = len(api.writes), api.full_reads
    for _ in range(5):
        assert not await one.look()
    assert (len(api.writes), api.full_reads) == (writes, reads)


async def test_a_bundle_that_somebody_changed_is_put_back() -> None:
    api = installed()
    one = keeper(api, LiveCertificate(), HandClock())
    await settled(one)
    before = bundles(api)
    api.put(CRD, crd(TARGETS[0].name))
    await settled(one)
    assert bundles(api) == before


async def test_what_is_not_installed_yet_is_no_obstacle_and_is_noticed_when_it_comes() -> None:
    api = FakeApi()
    one = keeper(api, LiveCertificate(), HandClock())
    await settled(one)
    api.objects.update(installed().objects)
    await settled(one)
    assert len(bundles(api)) == 1


async def test_a_secret_of_somebody_else_is_not_overwritten() -> None:
    api = installed()
    body = {"metadata": {"name": "aioctl-webhook-cert", "namespace": "kserve"}, "data": {"tls.crt": "eA=="}}
    api.put(SECRET, body)
    with pytest.raises(
        SecretNotOurs, match=r"was not made by aioctl \(signer.crt is missing\): set AIOCTL_CERT_MODE"
    ):
        await keeper(api, LiveCertificate(), HandClock()).look()
    assert api.writes == []


@pytest.mark.parametrize("labels", [{}, {"app.kubernetes.io/managed-by": "aioctl", "mine": "kept"}])
async def test_an_empty_secret_is_filled_and_our_own_broken_one_is_made_anew(labels: dict[str, str]) -> None:
    api, live = installed(), LiveCertificate()
    data = {"tls.crt": "eA=="} if labels else {}
    body = {
        "metadata": {"name": "aioctl-webhook-cert", "namespace": "kserve", "labels": labels},
        "data": data,
    }
    api.put(SECRET, body)
    await settled(keeper(api, live, HandClock()))
    assert live.pair is not None
    found = api.objects[SECRET_PATH]["metadata"]["labels"]
    assert found == {**labels, "app.kubernetes.io/managed-by": "aioctl"}


def test_entries_of_other_services_are_left_alone_and_urls_count_as_ours() -> None:
    other = {"name": "kserve-webhook-server-service", "namespace": "kserve"}
    assert bundle_patch(crd("a", other), b"ca", **_ours) == []
    assert bundle_patch(crd("a", None), b"ca", **_ours) == [
        {"op": "add", "path": "/spec/conversion/webhook/clientConfig/caBundle", "value": "Y2E="}
    ]
    assert bundle_patch(webhooks(VALIDATING_WEBHOOK, "w", other, SERVICE), b"ca", **_ours) == [
        {"op": "test", "path": "/webhooks/1/name", "value": "w1.test"},
        {"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": "Y2E="},
    ]
    assert (
        bundle_patch({"kind": CRD.kind, "spec": {"conversion": {"strategy": "None"}}}, b"ca", **_ours) == []
    )


_ours = {"service": "aioctl-webhook", "namespace": "kserve"}


@virtual_time
async def test_why_certificates_cannot_be_kept_is_told_once_for_each_cause() -> None:
    api = installed()
    one = keeper(api, LiveCertificate(), HandClock())
    with capture_logs() as lines:
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            for down in (True, False, True):
                api.down = down
                await anyio.sleep(600)
            group.cancel_scope.cancel()
    told = [line["log_level"] for line in lines if line["event"] == "webhook certificates cannot be kept"]
    assert told.count("warning") == 2
    assert told.count("debug") > 20

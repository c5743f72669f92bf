"""A fleet of today's KServe passes through our CRDs, webhooks and storage migration, and back, on a real API server: nothing is lost."""

import anyio
import pytest

from aioctl.api import kinds
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError
from aioctl.sim.seed import SYSTEM_NAMESPACE
from testbed import real_world
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster, running
from testbed.real.kubectl import Kubectl
from testbed.real_world import Webhooks
from tests.upstream import worlds
from tests.upstream.api_takeover import NEW, OLD, Takeover
from tests.upstream.cases import NAMES, WHY_ABSENT, UpstreamCase, all_cases

MIGRATED_WITHIN = 600.0
"""Seconds for some 240 objects; a few are enough on an idle machine, and what never ends takes longer on any."""
pytestmark = [pytest.mark.real, pytest.mark.skipif(not NAMES, reason=WHY_ABSENT)]


def test_no_path_is_lost_from_their_crds_to_ours_and_back(
    real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> None:
    webhooks = Webhooks.in_folder(tmp_path_factory.mktemp("webhook"))
    with running(real_assets, gogc=300) as cluster:
        taken = anyio.run(take_over, cluster, Kubectl.of(real_assets, cluster), webhooks)
    assert len(taken.stood) >= 200  # as many as were recorded
    assert taken.noted == []


async def take_over(cluster: RealCluster, kubectl: Kubectl, webhooks: Webhooks) -> Takeover:
    async with real_world.client_for(cluster.kubeconfig) as client:
        taken = Takeover(client, kubectl, webhooks)
        cases = list(all_cases())
        old = [case for case in cases if _is_old(case)]
        await real_world.let_another_lead(client)
        # Admission reads the settings. Model caches are on while their CRDs are absent: so their marks stay as they are.
        await client.create(kinds.CONFIG_MAP, SYSTEM_NAMESPACE, worlds.config_map("tls"))
        await taken.apply_theirs(stored=OLD)
        await taken.leave(old, OLD)
        await taken.apply_theirs()
        await taken.leave([case for case in cases if case not in old], NEW)
        settings = webhooks.settings(leader_election=True, storage_migration=False)
        async with real_world.running(settings, cluster.kubeconfig):
            await taken.apply_ours()
            await real_world.until(lambda: _converts(client))
            await real_world.install_admission(client, webhooks)
            await taken.compare("under our CRDs")
            await taken.rewrite("rewritten")
            await taken.compare("rewritten")
            with anyio.fail_after(MIGRATED_WITHIN):  # what admission refuses would be tried again for ever
                assert await taken.migrate() == [[NEW], [NEW]]
            await taken.compare("migrated")
            await taken.apply_theirs(convert=True)
            await taken.compare("back")
        return taken


def _is_old(case: UpstreamCase) -> bool:
    return any(obj["apiVersion"] == kinds.V1ALPHA1 for obj in (*case.before(), *case.services()))


async def _converts(client: Client) -> bool:
    service = {
        "apiVersion": kinds.V1ALPHA1,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {"model": {"uri": "hf://a/b"}},
    }
    try:
        await client.create(kinds.SERVICE_V1ALPHA1, "default", service, dry_run=True)
    except KubeError:
        return False
    return True

"""The demo world and its fleets are accepted by the server, half of them in the old version, and repeat."""

from collections import Counter

from aioctl.sim import fleet, seed
from aioctl.sim.api import SimCluster
from aioctl.sim.hooks import install_webhooks
from aioctl.sim.webhooks import LocalWebhooks
from testbed.virtual_time import virtual_time
from tests.sim.driver import relabel


@virtual_time
async def test_a_fleet_is_accepted_by_the_server() -> None:
    async with SimCluster(webhooks=LocalWebhooks({"/convert": relabel})) as sim:
        await install_webhooks(sim, "https://aioctl.invalid", admission=False)
        for obj in seed.world():
            await sim.create(obj)
        for obj in fleet.services(60):
            await sim.create(obj)
        assert len(sim.peek_all("llminferenceservices.serving.kserve.io", "demo")) == 60


def test_a_fleet_repeats_for_its_seed_only() -> None:
    assert fleet.services(20, seed=1) == fleet.services(20, seed=1)
    assert fleet.services(20, seed=1) != fleet.services(20, seed=2)


def test_half_of_a_fleet_is_of_the_old_version_and_all_shapes_occur() -> None:
    found = fleet.services(60)
    assert Counter(obj["apiVersion"] for obj in found) == {
        "serving.kserve.io/v1alpha1": 30,
        "serving.kserve.io/v1alpha2": 30,
    }
    for version in ("v1alpha1", "v1alpha2"):
        specs = [obj["spec"] for obj in found if obj["apiVersion"].endswith(version)]
        assert any("prefill" in spec for spec in specs)
        assert any("worker" in spec for spec in specs)
        assert any("lora" in spec["model"] for spec in specs)
        assert any("pool" in spec["router"]["scheduler"] for spec in specs)
    assert any("criticality" in obj["spec"]["model"] for obj in found)
    assert all("criticality" not in obj["spec"]["model"] for obj in found if obj["apiVersion"].endswith("2"))

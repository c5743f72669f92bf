"""All scenarios on one real API server at once, each in a namespace of its own, the whole program running in this process."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio
import pytest

from aioctl.api import kinds
from aioctl.sim import seed
from testbed import real_world
from testbed.at_rest import is_busy
from testbed.real.build import Assets
from testbed.real.kubectl import prepared
from testbed.real_world import Webhooks
from tests.scenarios.ground import BOTH, GATEWAY_STATUS, POLICY, ScenarioBody, plain_class
from tests.scenarios.scene import GLOBAL_GATEWAY, Scene

AT_ONCE = 14
"""Scenarios played together: two cores carry the API server, the program and the players of the scenarios."""
PATIENCE = 300.0
"""Seconds for a claim that comes true within one or two on a machine with nothing else to do."""


@pytest.fixture(scope="session")
def played_on_the_real_server(
    request: pytest.FixtureRequest, real_assets: Assets, tmp_path_factory: pytest.TempPathFactory
) -> Mapping[str, Exception | None]:
    """How each selected scenario ended: None, or what it raised."""
    wanted = {getattr(item, "originalname", "") for item in request.session.items}
    bodies = {name: body for name, body in BOTH.items() if name in wanted}
    with prepared(real_assets) as cluster, real_world.each_namespace_alone():
        return anyio.run(_play_all, bodies, cluster.kubeconfig, tmp_path_factory.mktemp("webhook"))


async def _play_all(
    bodies: Mapping[str, ScenarioBody], kubeconfig: Path, folder: Path
) -> Mapping[str, Exception | None]:
    webhooks = Webhooks.in_folder(folder)
    outcomes: dict[str, Exception | None] = {}
    limit = anyio.CapacityLimiter(AT_ONCE)
    async with real_world.client_for(kubeconfig) as client:
        await real_world.install_crds(client, webhooks)
        namespaces = {name: f"s{number:02d}" for number, name in enumerate(bodies)}
        await real_world.create(client, *seed.world(namespaces=[*namespaces.values()]), plain_class())
        gateway = {"status": GATEWAY_STATUS}
        await client.patch(kinds.GATEWAY, *GLOBAL_GATEWAY, gateway, subresource="status")
        settings = webhooks.settings(status_settle=0.05, workers=8, auth_disabled=POLICY.auth_disabled)
        async with real_world.running(settings, kubeconfig) as application:
            await real_world.install_presets(client)
            await real_world.install_admission(client, webhooks)
            async with anyio.create_task_group() as group:
                for name, body in bodies.items():
                    scene = Scene(client, namespaces[name], window=1.0, patience=PATIENCE)
                    scene.busy = partial(is_busy, application, namespace=namespaces[name])
                    group.start_soon(_play, name, body, scene, outcomes, limit)
    return outcomes


async def _play(
    name: str,
    body: ScenarioBody,
    scene: Scene,
    outcomes: dict[str, Exception | None],
    limit: anyio.CapacityLimiter,
) -> None:
    async with limit:
        try:
            await body(scene)
        except Exception as error:  # noqa: BLE001  the result of that scenario, raised in its test
            outcomes[name] = error
        else:
            outcomes[name] = None

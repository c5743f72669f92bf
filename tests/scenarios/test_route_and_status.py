"""Ownership, authentication, stop, URLs, conditions, rest."""

from typing import Any

from aioctl.api import kinds, names
from aioctl.api.kinds import POOL_V1, POOL_V1ALPHA2
from aioctl.api.objects import dig
from testbed.at_rest import At
from tests.scenarios.ground import Stage, on_both_servers, on_the_simulated_server
from tests.scenarios.scene import ACCEPTED, ROUTER, SVC, Scene, condition

MISSING_AUTH = (
    "failed to validate Gateway on OpenShift: "
    "AuthPolicy CRD is not available, please install Red Hat Connectivity Link"
)


@on_both_servers
async def test_scenario_25_a_route_that_lost_its_owner_is_adopted(scene: Scene) -> None:
    await scene.created()
    await scene.edit(
        kinds.HTTP_ROUTE, scene.route_name, lambda route: route["metadata"].update(ownerReferences=[])
    )

    async def adopted() -> bool:
        return bool((await scene.route())["metadata"].get("ownerReferences"))

    await scene.until(adopted)
    await scene.pool_status(POOL_V1)
    await scene.until_traffic(100, 0, "v1")


@on_both_servers
async def test_scenario_25_a_route_of_somebody_else_is_an_error_and_stays(scene: Scene) -> None:
    before = await scene.put(kinds.HTTP_ROUTE, scene.route_name, {"rules": []})
    await scene.create()
    await scene.until_condition("HTTPRoutesReady", "False", "HTTPRouteReconcileError")
    key = f"{scene.namespace}/{scene.route_name}"
    owner = f"v1alpha2.LLMInferenceService {scene.namespace}/{SVC}"
    assert (await scene.condition("HTTPRoutesReady"))[2] == (
        f"Failed to reconcile HTTPRoute: failed to reconcile HTTPRoute {key}: "
        f"failed to update v1.HTTPRoute {key}: it is not controlled by {owner}"
    )
    assert await scene.route() == before


@on_both_servers
async def test_scenario_37_without_authpolicy_there_is_no_managed_route(scene: Scene) -> None:
    await scene.created(annotations={})
    assert await scene.find(kinds.HTTP_ROUTE, scene.route_name) is None
    assert await scene.condition("HTTPRoutesReady") == ("False", "GatewayPreconditionNotMet", MISSING_AUTH)


@on_the_simulated_server
async def test_scenario_37_a_route_that_nobody_could_protect_is_made_when_somebody_can(stage: Stage) -> None:
    """It is no failure, so nothing is tried again for it: the kind's arrival wakes the service (AUTH-1)."""
    scene = stage.scene
    await scene.created(annotations={})
    assert "Error" not in [reason for _, reason, _ in await scene.events()]
    await stage.cluster.install(kinds.AUTH_POLICY.resource)

    async def made() -> bool:
        return await scene.find(kinds.HTTP_ROUTE, scene.route_name) is not None

    await scene.until(made)


@on_the_simulated_server
async def test_scenario_38_a_route_that_no_policy_protects_is_not_ready(stage: Stage) -> None:
    scene = stage.scene
    await stage.cluster.install(kinds.AUTH_POLICY.resource)
    await stage.restart()
    await scene.created(annotations={})
    await scene.route_status(ACCEPTED)
    await scene.rest()
    status, reason, message = await scene.condition("HTTPRoutesReady")
    assert (status, reason) == ("False", "HTTPRoutesNotReady")
    assert "Authentication is not enforced" in message
    affected = [condition("kuadrant.io/AuthPolicyAffected")]
    route = await scene.route()
    await scene.user.patch(
        kinds.HTTP_ROUTE,
        scene.namespace,
        scene.route_name,
        {
            "status": {
                "parents": [
                    *route["status"]["parents"],
                    {
                        "parentRef": route["spec"]["parentRefs"][0],
                        "controllerName": "kuadrant.io/policy-controller",
                        "conditions": affected,
                    },
                ]
            }
        },
        subresource="status",
    )
    await scene.until_condition("HTTPRoutesReady", "True")


@on_both_servers
async def test_scenario_39_the_annotation_switches_authentication_off_in_any_case(scene: Scene) -> None:
    await scene.created(annotations={names.ENABLE_AUTH: "FALSE"})
    await scene.route_status(ACCEPTED)
    await scene.until_condition("HTTPRoutesReady", "True")


@on_both_servers
async def test_scenario_41_a_stopped_service_resumes_migrated(scene: Scene) -> None:
    await scene.migrated()
    await scene.annotate(names.STOP, "true")

    async def taken_down() -> bool:
        found = [
            await scene.find(kinds.HTTP_ROUTE, scene.route_name),
            await scene.find(POOL_V1, scene.pool),
            await scene.find(POOL_V1ALPHA2, scene.pool),
            await scene.find(kinds.DEPLOYMENT, "svc-kserve"),
            await scene.find(kinds.DEPLOYMENT, "svc-kserve-router-scheduler"),
        ]
        return found == [None] * 5

    await scene.until(taken_down)
    await scene.until_condition("HTTPRoutesReady", "False", "Stopped")
    await scene.rest()
    for type_ in ("MainWorkloadReady", "SchedulerWorkloadReady", "InferencePoolReady", "GatewaysReady"):
        assert await scene.condition(type_) == ("False", "Stopped", "Service is stopped")
    status = (await scene.service())["status"]
    assert not {"url", "address"} & set(status)
    assert not status.get("addresses")
    await scene.annotate(names.STOP, None)
    await scene.until_traffic(100, 0, "v1")


def own_gateway(*names_: str) -> dict[str, Any]:
    return {**ROUTER, "gateway": {"refs": [{"name": name} for name in names_]}}


async def urls(scene: Scene) -> tuple[str | None, list[str]]:
    """(status.url, the URLs of status.addresses for the service's own path)."""
    status = (await scene.service()).get("status") or {}
    found = [entry["url"] for entry in status.get("addresses") or ()]
    return status.get("url"), [url for url in found if url.endswith(f"/{scene.namespace}/{SVC}")]


@on_both_servers
async def test_scenario_42_the_first_address_of_the_gateway_fills_url_and_addresses(scene: Scene) -> None:
    await scene.gateway("own", addresses=())
    await scene.created(own_gateway("own"))
    assert (await urls(scene))[0] is None
    await scene.gateway_status("own", addresses=["203.0.113.7"])
    wanted = f"http://203.0.113.7/{scene.namespace}/{SVC}"

    async def filled() -> bool:
        return await urls(scene) == (wanted, [wanted])

    await scene.until(filled)


@on_both_servers
async def test_scenario_43_the_url_is_the_first_external_address(scene: Scene) -> None:
    await scene.gateway("own", addresses=("203.0.113.1", "10.0.0.1"))
    await scene.created(own_gateway("own"))
    path = f"/{scene.namespace}/{SVC}"
    assert await urls(scene) == (
        f"http://203.0.113.1{path}",
        [f"http://10.0.0.1{path}", f"http://203.0.113.1{path}"],
    )


@on_both_servers
async def test_the_service_of_a_gateway_gives_an_address_as_soon_as_it_is_there_and_as_long(
    scene: Scene,
) -> None:
    await scene.gateway("own", addresses=())
    await scene.created(own_gateway("own"))
    spec = {"ports": [{"name": "http", "port": 80}]}
    labels = {names.GATEWAY_NAME: "own"}
    await scene.put(kinds.CORE_SERVICE, "own-envoy", spec, labels=labels)
    wanted = f"http://own-envoy.{scene.namespace}.svc.cluster.local/{scene.namespace}/{SVC}"

    async def found() -> bool:
        return await urls(scene) == (wanted, [wanted])

    async def none() -> bool:
        return await urls(scene) == (None, [])

    await scene.until(found)
    await scene.user.delete(kinds.CORE_SERVICE, scene.namespace, "own-envoy")
    await scene.until(none)


@on_both_servers
async def test_a_service_of_the_gateways_name_needs_no_label(scene: Scene) -> None:
    await scene.gateway("own", addresses=())
    await scene.put(
        kinds.CORE_SERVICE, "own", {"ports": [{"name": "http", "port": 8080}, {"name": "x", "port": 80}]}
    )
    await scene.created(own_gateway("own"))
    wanted = f"http://own.{scene.namespace}.svc.cluster.local/{scene.namespace}/{SVC}"

    async def found() -> bool:
        return await urls(scene) == (wanted, [wanted])

    await scene.until(found)


@on_the_simulated_server
async def test_a_listener_that_appears_is_noticed_and_its_absence_is_looked_at_once_a_minute(
    stage: Stage,
) -> None:
    scene = stage.scene
    await scene.gateway("own")
    router = own_gateway("own")
    router["gateway"]["refs"][0]["sectionName"] = "later"
    await scene.create(router)
    await scene.until_condition("HTTPRoutesReady", "False", "HTTPRouteReconcileError")
    assert (await scene.condition("HTTPRoutesReady"))[2].endswith(
        f'listener "later" not found in gateway {scene.namespace}/own'
    )
    listener = {"name": "later", "port": 8080, "protocol": "HTTP"}
    await scene.edit(kinds.GATEWAY, "own", lambda gateway: gateway["spec"]["listeners"].append(listener))

    async def found() -> bool:
        return (await urls(scene))[0] == f"http://203.0.113.9:8080/{scene.namespace}/{SVC}"

    await scene.until(found)


@on_both_servers
async def test_scenario_44_gateways_that_are_not_ready_are_listed_sorted_and_the_status_rests(
    scene: Scene,
) -> None:
    for name in ("b", "a"):
        await scene.gateway(name, programmed=False)
    await scene.created(own_gateway("b", "a"))
    of = 'Programmed="False" (reason "Programmed", message "") from its controller'
    a, b = (f"{scene.namespace}/{name}" for name in ("a", "b"))
    text = (
        f"The following Gateways are not ready: [{a} {b}]. "
        f'{a}: {of} that names no generation; awaited: Programmed="True"; '
        f'{b}: {of} that names no generation; awaited: Programmed="True"'
    )
    assert await scene.condition("GatewaysReady") == ("False", "GatewaysNotReady", text)
    for number in range(4):
        await scene.gateway_status(
            ("a", "b")[number % 2], programmed=False, addresses=[f"203.0.113.{number}"]
        )
        await scene.rest()
        assert await scene.condition("GatewaysReady") == ("False", "GatewaysNotReady", text)
    before = (await scene.service())["status"]
    touched = await scene.touch("again")
    await scene.rest()
    assert (await scene.service()) == {**touched, "status": before}


@on_both_servers
async def test_scenario_45_a_combination_that_fails_is_said_by_ready(
    scene: Scene,
) -> None:
    await scene.migrated()
    await scene.edit(
        kinds.SERVICE, SVC, lambda service: service["spec"].update(baseRefs=[{"name": "no-such-config"}])
    )
    await scene.until_condition("PresetsCombined", "False", "ConfigNotFound")
    await scene.rest()
    service = await scene.service()
    assert service["status"]["observedGeneration"] == service["metadata"]["generation"]
    assert await scene.condition("Ready") == await scene.condition("PresetsCombined")

    async def told() -> bool:
        return any(
            (kind, reason) == ("Warning", "Error") and "terminal error: LLMInferenceServiceConfig" in note
            for kind, reason, note in await scene.events()
        )

    await scene.until(told)


@on_both_servers
async def test_scenario_47_at_rest_nothing_is_written(scene: Scene) -> None:
    await scene.migrated()
    await scene.route_status(ACCEPTED)
    await scene.until_condition("HTTPRoutesReady", "True")
    await scene.rest()
    events, status = len(await scene.events()), (await scene.service())["status"]
    for number in range(10):
        touched = await scene.touch(str(number))
        versions = await scene.rest()
        assert (
            versions[At(kinds.SERVICE.resource, scene.namespace, SVC)]
            == touched["metadata"]["resourceVersion"]
        )
    assert (await scene.service())["status"] == status
    assert len(await scene.events()) == events
    assert dig(await scene.route(), "metadata", "generation") == 2

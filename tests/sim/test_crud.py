"""Create, read, update, delete: statuses and texts of the real server."""

from typing import Any

import anyio
import pytest

from testbed.virtual_time import virtual_time
from tests.sim.driver import SERVICES, Object, cluster, config_map, relabel, service

MAPS = "/api/v1/namespaces/demo/configmaps"
A2 = SERVICES.format(version="v1alpha2")
APPS = "/apis/apps/v1/namespaces/demo/deployments"
POOLS_V1 = "/apis/inference.networking.k8s.io/v1/namespaces/demo/inferencepools"
POOLS_OLD = "/apis/inference.networking.x-k8s.io/v1alpha2/namespaces/demo/inferencepools"
MODELS = "/apis/inference.networking.x-k8s.io/v1alpha2/namespaces/demo/inferencemodels"
ROUTES = "/apis/gateway.networking.k8s.io/v1/namespaces/demo/httproutes"


def pool_v1(**spec: Any) -> Object:
    full = {
        "selector": {"matchLabels": {"a": "b"}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"name": "epp", "port": {"number": 9002}},
        **spec,
    }
    kept = {key: value for key, value in full.items() if value is not None}
    return {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": "p"},
        "spec": kept,
    }


def pool_old(**spec: Any) -> Object:
    full = {"selector": {"a": "b"}, "targetPortNumber": 8000, "extensionRef": {"name": "epp"}, **spec}
    return {
        "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
        "kind": "InferencePool",
        "metadata": {"name": "p"},
        "spec": {key: value for key, value in full.items() if value is not None},
    }


def deployment() -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {
                    "serviceAccountName": "sa",
                    "containers": [
                        {
                            "name": "main",
                            "image": "ghcr.io/x/y:v1",
                            "ports": [{"containerPort": 80}],
                            "resources": {"limits": {"cpu": "1000m"}},
                            "livenessProbe": {"httpGet": {"port": 80}},
                            "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
                        }
                    ],
                    "volumes": [{"name": "tls", "secret": {"secretName": "s"}}, {"name": "home"}],
                },
            },
        },
    }


@virtual_time
async def test_a_created_object_gets_its_system_fields() -> None:
    async with cluster() as api:
        made = (await api("POST", A2, service())).body
        metadata = made["metadata"]
        assert metadata["generation"] == 1
        assert metadata["namespace"] == "demo"
        assert metadata["creationTimestamp"] == "1970-01-01T00:00:00Z"
        assert len(metadata["uid"]) == 36
        assert int(metadata["resourceVersion"]) > 0
        assert (await api.get(f"{A2}/svc")).body == made


@virtual_time
async def test_generate_name_makes_a_name() -> None:
    async with cluster() as api:
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
        name = (await api("POST", MAPS, made)).body["metadata"]["name"]
        assert name.startswith("x-")
        assert len(name) == 7


REFUSALS: list[tuple[str, str, str, Object | None, int, str, str]] = [
    ("read of an absent object", "GET", f"{MAPS}/x", None, 404, "NotFound", 'configmaps "x" not found'),
    (
        "read of an absent custom object",
        "GET",
        f"{A2}/x",
        None,
        404,
        "NotFound",
        'llminferenceservices.serving.kserve.io "x" not found',
    ),
    ("a path nobody serves", "GET", "/apis/x.io/v1/things", None, 404, "", "404 page not found\n"),
    (
        "a duplicate",
        "POST",
        MAPS,
        config_map("held"),
        409,
        "AlreadyExists",
        'configmaps "held" already exists',
    ),
    (
        "a namespace that is not there",
        "POST",
        "/api/v1/namespaces/none/configmaps",
        config_map("a"),
        404,
        "NotFound",
        'namespaces "none" not found',
    ),
    (
        "an object without a name",
        "POST",
        MAPS,
        {"apiVersion": "v1", "kind": "ConfigMap"},
        422,
        "Invalid",
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ),
    (
        "the wrong version in the body",
        "POST",
        MAPS,
        {**config_map("a"), "apiVersion": "v2"},
        400,
        "BadRequest",
        'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2"',
    ),
    (
        "another name than the URL's",
        "PUT",
        f"{MAPS}/held",
        config_map("b"),
        400,
        "BadRequest",
        "the name of the object (b) does not match the name on the URL (held)",
    ),
    (
        "an old resourceVersion",
        "PUT",
        f"{MAPS}/held",
        {**config_map("held"), "metadata": {"name": "held", "resourceVersion": "1"}},
        409,
        "Conflict",
        (
            'Operation cannot be fulfilled on configmaps "held": the object has been modified; please apply your changes to'
            " the latest version and try again"
        ),
    ),
    (
        "another uid",
        "PUT",
        f"{MAPS}/held",
        {**config_map("held"), "metadata": {"name": "held", "uid": "zz"}},
        409,
        "Conflict",
        "Precondition failed: UID in precondition: zz",
    ),
    (
        "an update of a custom object without resourceVersion",
        "PUT",
        f"{A2}/held",
        service("held"),
        422,
        "Invalid",
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    ),
    (
        "a resourceVersion on create",
        "POST",
        MAPS,
        {**config_map("b"), "metadata": {"name": "b", "resourceVersion": "3"}},
        500,
        "",
        "resourceVersion should not be set on objects to be created",
    ),
    (
        "a label that is too long",
        "POST",
        MAPS,
        {**config_map("b"), "metadata": {"name": "b", "labels": {"a": "x" * 64}}},
        422,
        "Invalid",
        "must be no more than 63 characters",
    ),
    (
        "a service with a name that is no DNS label",
        "POST",
        "/api/v1/namespaces/demo/services",
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "1a"},
            "spec": {"ports": [{"port": 1}]},
        },
        422,
        "Invalid",
        'Service "1a" is invalid: metadata.name: Invalid value: "1a": a DNS-1035 label must consist of',
    ),
    (
        "replicas below zero",
        "POST",
        A2,
        service("b", replicas=-1),
        422,
        "Invalid",
        (
            'LLMInferenceService.serving.kserve.io "b" is invalid: spec.replicas: Invalid value: -1: '
            "spec.replicas in body should be greater than or equal to 0"
        ),
    ),
    (
        "a model without uri",
        "POST",
        A2,
        service("b", model={}),
        422,
        "Invalid",
        "[spec.model.uri: Required value, <nil>: Invalid value: null: some validation rules were not checked because",
    ),
    (
        "a pool with two ports",
        "POST",
        POOLS_V1,
        pool_v1(targetPorts=[{"number": 1}, {"number": 2}]),
        422,
        "Invalid",
        "spec.targetPorts: Too many: 2: must have at most 1 item, <nil>: Invalid value: null",
    ),
    (
        "a pool whose picker service has no port",
        "POST",
        POOLS_V1,
        pool_v1(endpointPickerRef={"name": "epp"}),
        422,
        "Invalid",
        "port is required when kind is 'Service' or unspecified (defaults to 'Service')",
    ),
    (
        "an old pool without selector",
        "POST",
        POOLS_OLD,
        pool_old(selector=None),
        422,
        "Invalid",
        "spec.selector: Required value",
    ),
    (
        "a strange patch type",
        "PATCH",
        f"{MAPS}/held",
        {},
        415,
        "UnsupportedMediaType",
        "415: Unsupported Media Type",
    ),
]


@pytest.mark.parametrize("case", REFUSALS, ids=[case[0] for case in REFUSALS])
def test_refusals_read_as_the_real_servers(
    case: tuple[str, str, str, Object | None, int, str, str],
) -> None:
    _, method, path, body, status, reason, text = case

    @virtual_time
    async def run() -> None:
        async with cluster() as api:
            await api("POST", MAPS, config_map("held"))
            await api("POST", A2, service("held"))
            answer = await api(method, path, body)
            assert answer.status == status
            assert answer.body.get("reason", "") == reason
            assert text in answer.message

    run()


@virtual_time
async def test_generation_counts_spec_changes_only() -> None:
    async with cluster() as api:
        await api("POST", A2, service())

        async def generation(body: Object, sub: str = "") -> int:
            answer = await api.merge(f"{A2}/svc{sub}", body)
            assert answer.status == 200, answer.message
            return int(answer.body["metadata"]["generation"])

        assert await generation({"metadata": {"labels": {"a": "b"}}}) == 1
        assert await generation({"status": {"url": "http://x"}}, "/status") == 1
        assert await generation({"spec": {"replicas": 3}}) == 2
        assert await generation({"spec": {"replicas": 3}}) == 2


@virtual_time
async def test_status_and_the_rest_are_written_apart() -> None:
    async with cluster() as api:
        await api("POST", A2, {**service(), "status": {"url": "ignored"}})
        assert "status" not in (await api.get(f"{A2}/svc")).body
        await api.merge(f"{A2}/svc/status", {"status": {"url": "http://x"}, "spec": {"replicas": 9}})
        found = (await api.get(f"{A2}/svc")).body
        assert found["status"] == {"url": "http://x"}
        assert "replicas" not in found["spec"]
        await api.merge(f"{A2}/svc", {"status": {"url": "http://y"}, "spec": {"replicas": 2}})
        found = (await api.get(f"{A2}/svc")).body
        assert (found["status"], found["spec"]["replicas"]) == ({"url": "http://x"}, 2)


@virtual_time
async def test_a_write_that_changes_nothing_is_not_one() -> None:
    async with cluster() as api:
        made = (await api("POST", A2, service())).body
        async with api.watch(A2, resourceVersion=made["metadata"]["resourceVersion"]) as events:
            answer = await api("PUT", f"{A2}/svc", made)
            assert answer.body["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
            assert await events.silent()


@virtual_time
async def test_dry_run_answers_as_if_and_writes_nothing() -> None:
    async with cluster() as api:
        assert (await api("POST", A2, service(), dryRun="All")).status == 201
        assert (await api.get(f"{A2}/svc")).status == 404
        await api("POST", A2, service())
        patched = await api.merge(f"{A2}/svc", {"spec": {"replicas": 5}}, dryRun="All")
        assert patched.body["spec"]["replicas"] == 5
        assert (await api("DELETE", f"{A2}/svc", dryRun="All")).status == 200
        assert "replicas" not in (await api.get(f"{A2}/svc")).body["spec"]


@virtual_time
async def test_an_object_with_finalizers_stays_until_they_are_gone() -> None:
    async with cluster() as api:
        made = service()
        made["metadata"]["finalizers"] = ["a/b"]
        await api("POST", A2, made)
        answer = await api("DELETE", f"{A2}/svc")
        assert answer.body["metadata"]["deletionTimestamp"]
        assert answer.body["metadata"]["generation"] == 2
        again = await api("DELETE", f"{A2}/svc")
        assert again.body["metadata"]["resourceVersion"] == answer.body["metadata"]["resourceVersion"]
        refused = await api.merge(f"{A2}/svc", {"metadata": {"finalizers": ["a/b", "c/d"]}})
        assert 'found new finalizers []string{"c/d"}' in refused.message
        async with api.watch(A2, resourceVersion=again.body["metadata"]["resourceVersion"]) as events:
            released = await api.merge(f"{A2}/svc", {"metadata": {"finalizers": None}})
            assert released.status == 200
            assert (await events.next())["type"] == "DELETED"
        assert (await api.get(f"{A2}/svc")).status == 404


@virtual_time
async def test_delete_preconditions_are_checked() -> None:
    async with cluster() as api:
        made = (await api("POST", MAPS, config_map("a"))).body["metadata"]
        for wanted in ({"uid": "no"}, {"resourceVersion": "1"}):
            answer = await api("DELETE", f"{MAPS}/a", {"preconditions": wanted})
            assert answer.status == 409
            assert "in the precondition" in answer.message
        held = {"uid": made["uid"], "resourceVersion": made["resourceVersion"]}
        answer = await api("DELETE", f"{MAPS}/a", {"preconditions": held})
        assert answer.body["status"] == "Success"
        assert answer.body["details"]["uid"] == made["uid"]


@virtual_time
async def test_json_patch_tests_and_changes() -> None:
    async with cluster() as api:
        await api("POST", MAPS, config_map("a", x="1"))
        kind = "application/json-patch+json"
        failed = await api("PATCH", f"{MAPS}/a", [{"op": "test", "path": "/data/x", "value": "2"}], kind=kind)
        assert failed.status == 422
        change = [
            {"op": "test", "path": "/data/x", "value": "1"},
            {"op": "add", "path": "/data/a~1b", "value": "c"},
            {"op": "remove", "path": "/data/x"},
        ]
        assert (await api("PATCH", f"{MAPS}/a", change, kind=kind)).body["data"] == {"a/b": "c"}


@virtual_time
async def test_patches_without_resource_version_win_over_concurrent_writes() -> None:
    async def slow(body: bytes) -> bytes:
        await anyio.sleep(1)
        return await relabel(body)

    from aioctl.sim.webhooks import LocalWebhooks

    old = SERVICES.format(version="v1alpha1")
    async with cluster(webhooks=LocalWebhooks({"/convert": slow})) as api:
        await api("POST", A2, service())
        async with anyio.create_task_group() as group:
            for name in ("a", "b"):
                group.start_soon(api.merge, f"{old}/svc", {"metadata": {"labels": {name: "1"}}})
        assert (await api.get(f"{A2}/svc")).body["metadata"]["labels"] == {"a": "1", "b": "1"}


@virtual_time
async def test_apply_creates_what_is_missing_and_merges_what_is_there() -> None:
    async with cluster() as api:
        kind = "application/apply-patch+yaml"
        first = await api("PATCH", f"{MAPS}/a", config_map("a", x="1"), kind=kind, fieldManager="me")
        assert first.status == 201
        second = await api("PATCH", f"{MAPS}/a", config_map("a", y="2"), kind=kind, fieldManager="me")
        assert second.body["data"] == {"x": "1", "y": "2"}


@virtual_time
async def test_deployments_get_the_servers_defaults() -> None:
    async with cluster() as api:
        spec = (await api("POST", APPS, deployment())).body["spec"]
        assert (spec["replicas"], spec["revisionHistoryLimit"], spec["progressDeadlineSeconds"]) == (
            1,
            10,
            600,
        )
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}
        pod = spec["template"]["spec"]
        assert (pod["restartPolicy"], pod["dnsPolicy"], pod["securityContext"]) == (
            "Always",
            "ClusterFirst",
            {},
        )
        assert (pod["schedulerName"], pod["serviceAccount"]) == ("default-scheduler", "sa")
        assert pod["volumes"][0]["secret"]["defaultMode"] == 420
        assert pod["volumes"][1] == {"name": "home", "emptyDir": {}}
        container = pod["containers"][0]
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert container["resources"] == {"limits": {"cpu": "1"}}
        assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
        assert container["livenessProbe"] == {
            "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        }


@virtual_time
async def test_services_get_an_address_and_keep_it() -> None:
    async with cluster() as api:
        path = "/api/v1/namespaces/demo/services"
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "s"},
            "spec": {"ports": [{"port": 80}]},
        }
        made = (await api("POST", path, body)).body
        address = made["spec"]["clusterIP"]
        assert address.startswith("10.")
        assert made["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
        kept = await api("PUT", f"{path}/s", {**body, "spec": {"ports": [{"port": 81}]}})
        assert kept.body["spec"]["clusterIP"] == address
        moved = await api.merge(f"{path}/s", {"spec": {"clusterIP": "10.0.0.1"}})
        assert "may not change once set" in moved.message


@virtual_time
async def test_pools_routes_and_models_get_their_crds_defaults() -> None:
    async with cluster() as api:
        v1 = (await api("POST", POOLS_V1, pool_v1())).body
        assert v1["spec"]["endpointPickerRef"] == {
            "name": "epp",
            "port": {"number": 9002},
            "group": "",
            "kind": "Service",
            "failureMode": "FailClose",
        }
        assert "status" not in v1
        old = (await api("POST", POOLS_OLD, pool_old())).body
        [parent] = old["status"]["parent"]
        assert parent["parentRef"] == {
            "kind": "Status",
            "name": "default",
            "group": "gateway.networking.k8s.io",
        }
        assert parent["conditions"][0]["message"] == "Waiting for controller"
        route = {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": {"name": "r"},
            "spec": {"parentRefs": [{"name": "g"}], "rules": [{"backendRefs": [{"name": "s"}]}]},
        }
        spec = (await api("POST", ROUTES, route)).body["spec"]
        assert spec["parentRefs"] == [{"name": "g", "group": "gateway.networking.k8s.io", "kind": "Gateway"}]
        assert spec["rules"] == [
            {
                "backendRefs": [{"name": "s", "group": "", "kind": "Service", "weight": 1}],
                "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
            }
        ]


@virtual_time
async def test_the_model_name_of_an_inference_model_is_immutable() -> None:
    async with cluster() as api:
        model = {
            "apiVersion": "inference.networking.x-k8s.io/v1alpha2",
            "kind": "InferenceModel",
            "metadata": {"name": "m"},
            "spec": {"modelName": "a", "poolRef": {"name": "p"}},
        }
        await api("POST", MODELS, model)
        answer = await api.merge(f"{MODELS}/m", {"spec": {"modelName": "b"}})
        assert answer.status == 422
        assert "modelName is immutable" in answer.message


@virtual_time
async def test_a_crd_that_goes_takes_its_kind_along_and_can_come_back() -> None:
    async with cluster() as api:
        await api("POST", POOLS_OLD, pool_old())
        await api.cluster.uninstall("inferencepools.inference.networking.x-k8s.io")
        assert (await api.get(POOLS_OLD)).status == 404
        names = [
            entry["name"]
            for entry in (await api.get("/apis/inference.networking.x-k8s.io/v1alpha2")).body["resources"]
        ]
        assert "inferencepools" not in names
        await api.cluster.install("inferencepools.inference.networking.x-k8s.io")
        assert (await api.get(POOLS_OLD)).body["items"] == []


@virtual_time
async def test_a_posted_crd_is_served_with_its_own_schema() -> None:
    async with cluster() as api:
        schema = {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["size"],
                    "properties": {
                        "size": {"type": "integer"},
                        "colour": {"type": "string", "default": "blue"},
                    },
                }
            },
        }
        crd = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.example.com"},
            "spec": {
                "group": "example.com",
                "scope": "Namespaced",
                "names": {"plural": "things", "kind": "Thing"},
                "versions": [
                    {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
                ],
            },
        }
        assert (
            await api("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
        ).status == 201
        path = "/apis/example.com/v1/namespaces/demo/things"
        thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {}}
        assert "spec.size: Required value" in (await api("POST", path, thing)).message
        made = await api("POST", path, {**thing, "spec": {"size": 1}})
        assert made.body["spec"] == {"size": 1, "colour": "blue"}


@virtual_time
async def test_an_event_has_two_faces() -> None:
    async with cluster() as api:
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": "e"},
            "regarding": {"kind": "Pod", "name": "p"},
            "note": "hello",
            "reason": "Created",
            "type": "Normal",
        }
        assert (await api("POST", "/apis/events.k8s.io/v1/namespaces/demo/events", event)).body[
            "note"
        ] == "hello"
        found = await api.get("/api/v1/namespaces/demo/events", fieldSelector="involvedObject.name=p")
        assert found.body["items"][0]["message"] == "hello"

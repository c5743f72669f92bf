"""Creation, reading, change and deletion of single objects: what is answered, in which words, and what it does to them.

Rules: ARCH-10.
"""

from typing import Any

import pytest

from tests.contract.samples import MAPS, config_map, pool_old, pool_v1, pools, service, services
from tests.contract.servers import JSON_PATCH, Server, until

HELD = "held"
Body = dict[str, Any] | None


def maps(namespace: str, name: str = "") -> str:
    path = MAPS.format(namespace)
    return f"{path}/{name}" if name else path


def test_a_created_object_gets_its_system_fields(server: Server, namespace: str) -> None:
    made = server("POST", services(namespace), service())
    assert made.status == 201
    metadata = made.body["metadata"]
    assert (metadata["generation"], metadata["namespace"]) == (1, namespace)
    assert len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"].endswith("Z")
    assert int(metadata["resourceVersion"]) > 0
    found = server("GET", services(namespace, name="svc"))
    assert (found.status, found.body) == (200, made.body)


def test_generate_name_makes_a_name(server: Server, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
    metadata = server("POST", maps(namespace), body).body["metadata"]
    assert (metadata["name"][:2], len(metadata["name"]), metadata["generateName"]) == ("x-", 7, "x-")


REFUSALS: dict[str, tuple[str, str, Body, int, str, str]] = {
    "absent": ("GET", "{maps}/x", None, 404, "NotFound", 'configmaps "x" not found'),
    "absent custom object": (
        "GET", "{new}/x", None, 404, "NotFound", 'llminferenceservices.serving.kserve.io "x" not found',
    ),
    "absent update": ("PUT", "{new}/x", {**service("x"), "metadata": {"name": "x", "resourceVersion": "1"}}, 404,
        "NotFound", 'llminferenceservices.serving.kserve.io "x" not found',
    ),
    "absent patch": ("PATCH", "{new}/x", {"spec": {"replicas": 1}}, 404, "NotFound",
        'llminferenceservices.serving.kserve.io "x" not found',
    ),
    "absent deletion": ("DELETE", "{maps}/x", None, 404, "NotFound", 'configmaps "x" not found'),
    "path nobody serves": ("GET", "/apis/x.io/v1/things", None, 404, "", "404 page not found\n"),
    "version nobody serves": (
        "GET", "/apis/serving.kserve.io/v9/llminferenceservices", None, 404, "", "404 page not found\n",
    ),
    "duplicate": ("POST", "{maps}", config_map(HELD), 409, "AlreadyExists", 'configmaps "held" already exists'),
    "duplicate custom object": (
        "POST", "{new}", service(HELD), 409, "AlreadyExists",
        'llminferenceservices.serving.kserve.io "held" already exists',
    ),
    "namespace that is not there": (
        "POST", "/api/v1/namespaces/none/configmaps", config_map("a"), 404, "NotFound", 'namespaces "none" not found',
    ),
    "no name": (
        "POST", "{maps}", {"apiVersion": "v1", "kind": "ConfigMap"}, 422, "Invalid",
        'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
    ),
    "wrong version in the body": (
        "POST", "{maps}", {**config_map("a"), "apiVersion": "v2"}, 400, "BadRequest",
        'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2"',
    ),
    "another name than the URL's": (
        "PUT", "{maps}/held", config_map("b"), 400, "BadRequest",
        "the name of the object (b) does not match the name on the URL (held)",
    ),
    "old resourceVersion": (
        "PUT", "{maps}/held", {**config_map(HELD), "metadata": {"name": HELD, "resourceVersion": "1"}}, 409, "Conflict",
        ('Operation cannot be fulfilled on configmaps "held": the object has been modified; '
        "please apply your changes to the latest version and try again"),
    ),
    "old resourceVersion of a custom object": (
        "PUT", "{new}/held", {**service(HELD), "metadata": {"name": HELD, "resourceVersion": "1"}}, 409, "Conflict",
        ('Operation cannot be fulfilled on llminferenceservices.serving.kserve.io "held": the object has been modified; '
        "please apply your changes to the latest version and try again"),
    ),
    "old resourceVersion in a patch": (
        "PATCH", "{new}/held", {"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 7}}, 409, "Conflict",
        ('Operation cannot be fulfilled on llminferenceservices.serving.kserve.io "held": the object has been modified; '
        "please apply your changes to the latest version and try again"),
    ),
    "update of a custom object without resourceVersion": (
        "PUT", "{new}/held", service(HELD), 422, "Invalid",
        ('llminferenceservices.serving.kserve.io "held" is invalid: '
        "metadata.resourceVersion: Invalid value: 0: must be specified for an update"),
    ),
    "resourceVersion on create": (
        "POST", "{maps}", {**config_map("b"), "metadata": {"name": "b", "resourceVersion": "3"}}, 500, "",
        "resourceVersion should not be set on objects to be created",
    ),
    "label that is too long": (
        "POST", "{maps}", {**config_map("b"), "metadata": {"name": "b", "labels": {"a": "x" * 64}}}, 422, "Invalid",
        "must be no more than 63 characters",
    ),
    "service name that is no DNS label": (
        "POST", "/api/v1/namespaces/{ns}/services",
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "1a"}, "spec": {"ports": [{"port": 1}]}},
        422, "Invalid", 'Service "1a" is invalid: metadata.name: Invalid value: "1a": a DNS-1035 label must consist of',
    ),
    "replicas below zero": (
        "POST", "{new}", service("b", replicas=-1), 422, "Invalid",
        ('LLMInferenceService.serving.kserve.io "b" is invalid: spec.replicas: Invalid value: -1: '
        "spec.replicas in body should be greater than or equal to 0"),
    ),
    "model without uri": (
        "POST", "{new}", service("b", model={}), 422, "Invalid",
        'LLMInferenceService.serving.kserve.io "b" is invalid: [spec.model.uri: Required value, ',
    ),
    "wrong type": (
        "POST", "{new}", service("b", replicas="two"), 422, "Invalid",
        'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
    ),
    "pool without ports": (
        "POST", "{pools}", pool_v1(targetPorts=None), 422, "Invalid", "spec.targetPorts: Required value",
    ),
    "pool whose picker service has no port": (
        "POST", "{pools}", pool_v1(endpointPickerRef={"name": "epp"}), 422, "Invalid",
        "port is required when kind is 'Service' or unspecified (defaults to 'Service')",
    ),
    "old pool without selector": (
        "POST", "{oldpools}", pool_old(selector=None), 422, "Invalid", "spec.selector: Required value",
    ),
    "strange patch type": ("PATCH", "{maps}/held", {}, 415, "UnsupportedMediaType", "415: Unsupported Media Type"),
    "strange patch type for a custom object": (
        "PATCH", "{new}/held", {}, 415, "UnsupportedMediaType",
        ("the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"),
    ),
    "another kind in the body": (
        "POST", "{new}", {**service("b"), "kind": "Thing"}, 422, "Invalid",
        'Thing.serving.kserve.io "b" is invalid: kind: Invalid value: "Thing": must be LLMInferenceService',
    ),
    "another version in the body": (
        "POST", "{new}", service("b", old=True), 400, "BadRequest",
        ("the API version in the data (serving.kserve.io/v1alpha1) does not match the expected API version "
        "(serving.kserve.io/v1alpha2)"),
    ),
    "another namespace in the body": (
        "POST", "{new}", {**service("b"), "metadata": {"name": "b", "namespace": "zz"}}, 400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    "another name in a patch": (
        "PATCH", "{new}/held", {"metadata": {"name": "b"}}, 400, "BadRequest",
        "the name of the object (b) does not match the name on the URL (held)",
    ),
    "another namespace in a patch": (
        "PATCH", "{maps}/held", {"metadata": {"namespace": "b"}}, 400, "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
    ),
    "another uid in a patch": (
        "PATCH", "{maps}/held", {"metadata": {"uid": "zz"}}, 422, "Invalid",
        'ConfigMap "held" is invalid: metadata.uid: Invalid value: "zz": field is immutable',
    ),
    "annotation with a blank in its name": (
        "POST", "{maps}", {**config_map("b"), "metadata": {"name": "b", "annotations": {"a b": "c"}}}, 422, "Invalid",
        'ConfigMap "b" is invalid: metadata.annotations: Invalid value: "a b": name part must consist of alphanumeric',
    ),
    "deletion of another uid": (
        "DELETE", "{new}/held", {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "zz"}}, 409,
        "Conflict", ('Operation cannot be fulfilled on LLMInferenceService.serving.kserve.io "held": '
        "the UID in the precondition (zz) does not match the UID in record ("),
    ),
    "deletion of another version": (
        "DELETE", "{maps}/held", {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"resourceVersion": "1"}},
        409, "Conflict", ('Operation cannot be fulfilled on ConfigMap "held": the ResourceVersion in the precondition (1) '
        "does not match the ResourceVersion in record ("),
    ),
    "status of a kind without": (
        "PUT", "{maps}/held/status", config_map(HELD), 404, "NotFound",
        "the server could not find the requested resource",
    ),
    "dry run of a kind that is not known": (
        "POST", "{maps}?dryRun=Some", config_map("b"), 422, "Invalid",
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
    ),
    "page token that is none": (
        "GET", "{maps}?continue=abc", None, 400, "BadRequest", "invalid continue token: continue key is not valid",
    ),
    "limit that is no number": (
        "GET", "{maps}?limit=abc", None, 400, "BadRequest", 'strconv.ParseInt: parsing "abc": invalid syntax',
    ),
    "revision that is no number": (
        "GET", "{maps}?resourceVersion=abc", None, 400, "BadRequest",
        'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc"',
    ),
    "revision of the future": (
        "GET", "{maps}?resourceVersion=99999999&timeoutSeconds=1", None, 504, "Timeout",
        "Timeout: Too large resource version: 99999999, current: ",
    ),
    "field selector nobody knows": (
        "GET", "{new}?fieldSelector=spec.x%3D1", None, 400, "BadRequest", "field label not supported: spec.x",
    ),
    "label selector that is none": ("GET", "{maps}?labelSelector=a+in", None, 400, "BadRequest", "unable to parse requirement: "),
    "secret that is no base64": (
        "POST", "/api/v1/namespaces/{ns}/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "%%"}}, 400, "BadRequest",
        'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0',
    ),
    "tls secret without its entries": (
        "POST", "/api/v1/namespaces/{ns}/secrets",
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "type": "kubernetes.io/tls", "data": {}}, 422,
        "Invalid", 'Secret "x" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]',
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_refusals_read_alike(server: Server, namespace: str, what: str) -> None:
    method, path, body, status, reason, text = REFUSALS[what]
    server("POST", maps(namespace), config_map(HELD))
    server("POST", services(namespace), service(HELD))
    address = path.format(
        maps=maps(namespace),
        new=services(namespace),
        ns=namespace,
        pools=pools(namespace),
        oldpools=pools(namespace, "v1alpha2"),
    )
    kind = "application/merge-patch+json" if method == "PATCH" and body else "application/json"
    answer = server(method, address, body, kind=kind)
    assert (answer.status, answer.body.get("reason", "")) == (status, reason), answer.body
    assert text in answer.message
    details = answer.body.get("details") or {}
    assert "" not in details.values(), "what is empty is left out"


def test_a_uid_of_another_object_is_a_conflict(server: Server, namespace: str) -> None:
    server("POST", maps(namespace), config_map(HELD))
    answer = server(
        "PUT", maps(namespace, HELD), {**config_map(HELD), "metadata": {"name": HELD, "uid": "zz"}}
    )
    assert (answer.status, answer.body["reason"]) == (409, "Conflict")
    assert "Precondition failed: UID in precondition: zz, UID in object meta: " in answer.message


def test_a_conflict_carries_the_details_of_the_object(server: Server, namespace: str) -> None:
    server("POST", services(namespace), service(HELD))
    details = server("POST", services(namespace), service(HELD)).body["details"]
    assert details == {"name": HELD, "group": "serving.kserve.io", "kind": "llminferenceservices"}


def test_a_status_makes_no_new_generation_of_what_was_made_in_the_old_version(
    server: Server, namespace: str
) -> None:
    """The stored version has a default (`appProtocol`) where the version it was made in has no field."""
    reference = {"group": "", "kind": "Service", "name": "picker", "portNumber": 9002}
    pool = {"selector": {"a": "b"}, "targetPortNumber": 8000, "extensionRef": reference}
    router = {"route": {}, "gateway": {}, "scheduler": {"pool": {"spec": pool}}}
    made = server("POST", services(namespace, old=True), service(old=True, router=router))
    assert (made.status, made.body["metadata"]["generation"]) == (201, 1)
    path = services(namespace, name="svc")
    read = server("GET", path).body
    assert read["spec"]["router"]["scheduler"]["pool"]["spec"]["appProtocol"] == "http"
    written = server.merge(f"{path}/status", {"status": {"url": "http://a"}}).body
    assert (written["metadata"]["generation"], written["spec"]) == (1, read["spec"])
    labelled = server.merge(path, {"metadata": {"labels": {"a": "b"}}}).body
    assert (labelled["metadata"]["generation"], labelled["spec"]) == (1, read["spec"])
    old = server("GET", services(namespace, old=True, name="svc")).body
    assert old["spec"]["router"] == made.body["spec"]["router"]


def test_generation_counts_changes_of_the_spec_only(server: Server, namespace: str) -> None:
    path = services(namespace, name="svc")
    server("POST", services(namespace), service())

    def generation(body: dict[str, Any], sub: str = "") -> int:
        found: int = server.merge(path + sub, body).body["metadata"]["generation"]
        return found

    assert generation({"metadata": {"labels": {"a": "b"}}}) == 1
    assert generation({"status": {"url": "http://a"}}, "/status") == 1
    assert generation({"spec": {"replicas": 2}}) == 2
    assert generation({"spec": {"replicas": 2}}) == 2
    assert generation({"metadata": {"annotations": {"a": "b"}}, "spec": {"replicas": 3}}) == 3


def test_status_and_the_rest_are_written_apart(server: Server, namespace: str) -> None:
    path = services(namespace, name="svc")
    made = server("POST", services(namespace), {**service(), "status": {"url": "http://created"}}).body
    assert "url" not in made.get("status", {})
    live = server.merge(f"{path}/status", {"status": {"url": "http://a"}, "spec": {"replicas": 9}}).body
    assert (live["status"]["url"], live["spec"].get("replicas")) == ("http://a", None)
    live["spec"]["replicas"] = 2
    live["status"]["url"] = "http://b"
    after = server("PUT", path, live).body
    assert (after["status"]["url"], after["spec"]["replicas"]) == ("http://a", 2)
    after["spec"]["replicas"], after["status"]["url"] = 3, "http://c"
    after["metadata"]["annotations"] = {"by": "status"}
    last = server("PUT", f"{path}/status", after).body
    assert (last["status"]["url"], last["spec"]["replicas"]) == ("http://c", 2)
    assert "by" not in last["metadata"].get("annotations", {})


def test_a_write_that_changes_nothing_is_none(server: Server, namespace: str) -> None:
    for collection, name, body in (
        (services(namespace), "svc", service()),
        (maps(namespace), "a", config_map("a", x="y")),
    ):
        made = server("POST", collection, body).body
        assert (
            server("PUT", f"{collection}/{name}", made).body["metadata"]["resourceVersion"]
            == (made["metadata"]["resourceVersion"])
        )
        again = server.merge(f"{collection}/{name}", {"metadata": {"name": name}})
        assert again.version == made["metadata"]["resourceVersion"]


def test_a_dry_run_answers_as_if_and_writes_nothing(server: Server, namespace: str) -> None:
    path = services(namespace, name="svc")
    made = server("POST", services(namespace), service(), dryRun="All")
    assert (made.status, made.body["metadata"]["generation"]) == (201, 1)
    assert server("GET", path).status == 404
    live = server("POST", services(namespace), service()).body
    tried = server.merge(path, {"spec": {"replicas": 5}}, dryRun="All").body
    assert (tried["spec"]["replicas"], tried["metadata"]["generation"]) == (5, 2)
    assert server("DELETE", path, dryRun="All").status == 200
    assert server("GET", path).body == live


def test_an_object_with_finalizers_stays_until_they_are_gone(server: Server, namespace: str) -> None:
    path = services(namespace, name="svc")
    body = service()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    made = server("POST", services(namespace), body).body
    answer = server("DELETE", path)
    assert answer.status == 200
    deleting = server("GET", path).body
    assert deleting["metadata"]["deletionTimestamp"].endswith("Z")
    assert deleting["metadata"]["deletionGracePeriodSeconds"] == 0
    assert deleting["metadata"]["generation"] == made["metadata"]["generation"] + 1
    refused = server.merge(path, {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})
    assert refused.status == 422
    assert (
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted"
        in (refused.message)
    )
    released = server.merge(path, {"metadata": {"finalizers": None}})
    assert released.status == 200
    # The write is the deletion, and its answer has the version from before: no watch will ever show a newer one.
    assert released.body["metadata"]["resourceVersion"] == deleting["metadata"]["resourceVersion"]
    assert server("GET", path).status == 404


def test_preconditions_of_a_deletion_are_checked(server: Server, namespace: str) -> None:
    server("POST", maps(namespace), config_map("a"))
    path = maps(namespace, "a")

    def delete(**preconditions: str) -> int:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}
        return server("DELETE", path, options).status

    assert delete(uid="zz") == 409
    assert delete(resourceVersion="1") == 409
    live = server("GET", path).body["metadata"]
    assert delete(uid=live["uid"], resourceVersion=live["resourceVersion"]) == 200
    assert server("GET", path).status == 404


def test_a_deletion_answers_with_what_it_deleted(server: Server, namespace: str) -> None:
    for collection, name, body, kind, group in (
        (maps(namespace), "a", config_map("a"), "configmaps", None),
        (services(namespace), "svc", service(), "llminferenceservices", "serving.kserve.io"),
    ):
        made = server("POST", collection, body).body
        answer = server("DELETE", f"{collection}/{name}").body
        details = {
            "name": name,
            "kind": kind,
            "uid": made["metadata"]["uid"],
            **({"group": group} if group else {}),
        }
        assert (answer["kind"], answer["status"], answer["details"]) == ("Status", "Success", details)


def test_json_patches_test_and_change(server: Server, namespace: str) -> None:
    server("POST", maps(namespace), config_map("a", x="1"))
    path = maps(namespace, "a")
    change = [{"op": "test", "path": "/data/x", "value": "1"}, {"op": "add", "path": "/data/y", "value": "2"}]
    assert server("PATCH", path, change, kind=JSON_PATCH).body["data"] == {"x": "1", "y": "2"}
    change[0]["value"] = "0"
    assert server("PATCH", path, change, kind=JSON_PATCH).status == 422
    gone = [{"op": "remove", "path": "/data/zz"}]
    assert server("PATCH", path, gone, kind=JSON_PATCH).status == 422


def test_a_merge_patch_removes_with_null_and_replaces_lists(server: Server, namespace: str) -> None:
    path = services(namespace, name="svc")
    body = service(baseRefs=[{"name": "a"}, {"name": "b"}], replicas=2)
    server("POST", services(namespace), body)
    spec = server.merge(path, {"spec": {"replicas": None, "baseRefs": [{"name": "c"}]}}).body["spec"]
    assert "replicas" not in spec
    assert spec["baseRefs"] == [{"name": "c"}]


def test_a_namespace_that_is_deleted_takes_nothing_new(server: Server) -> None:
    namespace = server.namespace()
    server("POST", maps(namespace), config_map("a"))
    path = f"/api/v1/namespaces/{namespace}"
    assert server("DELETE", path).status in {200, 202}

    def refuses() -> bool:
        answer = server("POST", maps(namespace), config_map("b"))
        # Without a namespace controller it stays in termination for ever; the simulated one ends.
        return answer.status in {403, 404}

    until(refuses)


def test_kinds_that_nobody_serves_answer_in_plain_text(server: Server) -> None:
    answer = server("GET", "/apis/kuadrant.io/v1/authpolicies")
    assert (answer.status, answer.message) == (404, "404 page not found\n")

"""How the model gets into a pod: URIs, modelcars, storage initializer, credentials, CA bundle (ART-1).

Rules: ART-2, ART-3.
"""

import base64
import re
from dataclasses import replace
from typing import Any

import pytest

from aioctl.api import kinds, local_model
from aioctl.api.model_uri import FORMS
from aioctl.api.objects import Object
from aioctl.plan.global_config import S3Config
from aioctl.plan.model import PlanError
from aioctl.plan.workload.artifacts import attach_model
from testbed.plan_world import CONFIG, CREDENTIALS, STORAGE, World, service


def pod(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", "image": "vllm:v1"}], **more}


def attach(
    uri: str,
    *,
    world: World | None = None,
    config: Any = CONFIG,
    into: dict[str, Any] | None = None,
    account: Object | None = None,
    of: Object | None = None,
) -> dict[str, Any]:
    spec = into if into is not None else pod()
    ctx = (world or World()).context({"model": {"uri": uri}}, config=config, of=of)
    attach_model(ctx, spec, account)
    return spec


def initializer(spec: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = spec["initContainers"][-1]
    return found


def environment(spec: dict[str, Any]) -> dict[str, Any]:
    variables = initializer(spec)["env"]
    return {v["name"]: v.get("value", v.get("valueFrom", {}).get("secretKeyRef")) for v in variables}


def secret(world: World, name: str, annotations: dict[str, str] | None = None, **data: str) -> None:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    world.put(kinds.SECRET, name, metadata={"annotations": annotations or {}}, data=encoded)


def user(*secrets: str, **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "u", "namespace": "ns", "annotations": annotations},
        "secrets": [{"name": name} for name in secrets],
    }


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("model", "invalid model URI: model"),
        ("", "invalid model URI: "),
        ("ftp://host/m", "unsupported schema in model URI: ftp://host/m"),
        ("gs://bucket/m", "unsupported schema in model URI: gs://bucket/m"),
        ("https://host/m", "unsupported schema in model URI: https://host/m"),
    ],
)
def test_uris_that_cannot_be_served_say_so(uri: str, text: str) -> None:
    with pytest.raises(PlanError) as caught:
        attach(uri)
    assert str(caught.value) == text


def test_a_scheme_in_capitals_is_read_in_lower_case() -> None:
    assert initializer(attach("HF://a/b"))["args"] == ["hf://a/b", "/mnt/models"]


def test_a_claim_is_mounted_read_only_with_its_sub_path() -> None:
    spec = attach("pvc://facebook-models/opt-125m/x")
    assert spec["volumes"] == [
        {"name": "kserve-pvc-source", "persistentVolumeClaim": {"claimName": "facebook-models"}}
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": "kserve-pvc-source", "mountPath": "/mnt/models", "readOnly": True, "subPath": "opt-125m/x"}
    ]
    assert "initContainers" not in spec


def test_a_claim_without_a_main_container_changes_nothing() -> None:
    assert attach("pvc://c", into={"containers": [{"name": "x"}]}) == {"containers": [{"name": "x"}]}


def test_a_modelcar_shares_processes_and_mounts_the_parent_directory() -> None:
    spec = attach("oci://registry.io/user-id/repo-id:tag")
    main, car = spec["containers"]
    assert spec["shareProcessNamespace"] is True
    assert main["env"] == [{"name": "MODEL_INIT_MODE", "value": "async"}]
    assert main["volumeMounts"] == [{"name": "kserve-provision-location", "mountPath": "/mnt"}]
    assert "securityContext" not in main
    assert car["args"] == ["sh", "-c", "ln -sf /proc/$$$$/root/models /mnt/models && sleep infinity"]
    amount = {"cpu": "10m", "memory": "15Mi"}
    assert car["resources"] == initializer(spec)["resources"] == {"requests": amount, "limits": amount}
    assert initializer(spec)["args"][2] == (
        "echo 'Pre-fetching modelcar registry.io/user-id/repo-id:tag: ' && [ -d /models ] && "
        "[ \"$$(ls -A /models)\" ] && echo 'OK ... Prefetched and valid (/models exists)' || "
        "(echo 'NOK ... Prefetched but modelcar is invalid (/models does not exist or is empty)' && exit 1)"
    )


def test_a_modelcar_user_is_the_user_of_main_too_whose_hardening_stays() -> None:
    config = replace(CONFIG, storage=replace(STORAGE, uid_modelcar=1010))
    into = pod()
    into["containers"][0]["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1}
    into["containers"][0]["env"] = [{"name": "MODEL_INIT_MODE", "value": "x"}]
    spec = attach("oci://i:1", config=config, into=into)
    assert [c["securityContext"] for c in spec["containers"]] == [
        {"runAsNonRoot": True, "runAsUser": 1010},
        {"runAsUser": 1010},
    ]
    assert spec["containers"][0]["env"] == [{"name": "MODEL_INIT_MODE", "value": "async"}]
    assert "securityContext" not in initializer(spec)


@pytest.mark.parametrize(
    ("enabled", "into", "text"),
    [
        (False, pod(), "OCI modelcars is not enabled"),
        (True, {"containers": [{"name": "x"}]}, "no container found with name main"),
    ],
)
def test_modelcars_that_cannot_run_say_why(enabled: bool, into: dict[str, Any], text: str) -> None:
    config = replace(CONFIG, storage=replace(STORAGE, enable_modelcar=enabled))
    with pytest.raises(PlanError) as caught:
        attach("oci://i:1", config=config, into=into)
    assert str(caught.value) == text


def test_the_storage_initializer_comes_last_and_is_complete() -> None:
    into = pod(initContainers=[{"name": "llm-d-routing-sidecar"}])
    spec = attach("hf://facebook/opt-125m", into=into, account=user())
    assert [c["name"] for c in spec["initContainers"]] == ["llm-d-routing-sidecar", "storage-initializer"]
    assert initializer(spec) == {
        "name": "storage-initializer",
        "image": "kserve/storage-initializer:latest",
        "args": ["hf://facebook/opt-125m", "/mnt/models"],
        "env": [
            {"name": "HF_HUB_ENABLE_HF_TRANSFER", "value": "1"},
            {"name": "HF_XET_HIGH_PERFORMANCE", "value": "1"},
            {"name": "HF_XET_NUM_CONCURRENT_RANGE_GETS", "value": "8"},
        ],
        "resources": {
            "limits": {"cpu": "1", "memory": "1Gi"},
            "requests": {"cpu": "100m", "memory": "100Mi"},
        },
        "volumeMounts": [{"name": "kserve-provision-location", "mountPath": "/mnt/models"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    assert spec["containers"][0]["volumeMounts"] == [
        {"name": "kserve-provision-location", "mountPath": "/mnt/models", "readOnly": True}
    ]


def test_a_hugging_face_token_is_passed_by_reference() -> None:
    world = World()
    secret(world, "hf", HF_TOKEN="t")
    spec = attach("hf://a/b", world=world, account=user("hf"))
    assert environment(spec)["HF_TOKEN"] == {"name": "hf", "key": "HF_TOKEN"}


def test_without_an_account_the_default_account_counts_and_may_be_missing() -> None:
    world = World()
    assert "env" not in initializer(attach("hf://a/b", world=world))
    secret(world, "hf", HF_TOKEN="t")
    world.put(kinds.SERVICE_ACCOUNT, "default", secrets=[{"name": "hf"}])
    assert "HF_TOKEN" in environment(attach("hf://a/b", world=world))


def test_a_secret_that_is_missing_is_named_as_the_api_server_would() -> None:
    with pytest.raises(PlanError, match=r'^secrets "gone" not found$'):
        attach("hf://a/b", account=user("gone"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "resource name may not be empty"),
        ("..", """invalid resource name "..": [may not be '..']"""),
        (
            "../secrets/a%",
            """invalid resource name "../secrets/a%": [may not contain '/' may not contain '%']""",
        ),
    ],
)
def test_a_secret_whose_name_cannot_be_one_is_refused_in_the_words_of_gos_client(
    name: str, text: str
) -> None:
    of = service(annotations={"serving.kserve.io/storageSecretName": name})
    with pytest.raises(PlanError) as refused:
        attach("hf://a/b", account=user(), of=of)
    assert str(refused.value) == text


def test_the_annotation_of_the_service_chooses_the_only_secret() -> None:
    world = World()
    secret(world, "one", HF_TOKEN="1")
    secret(world, "two", HF_TOKEN="2")
    of = service(annotations={"serving.kserve.io/storageSecretName": "two"})
    spec = attach("hf://a/b", world=world, account=user("one"), of=of)
    assert environment(spec)["HF_TOKEN"] == {"name": "two", "key": "HF_TOKEN"}


def test_s3_settings_and_the_configured_ca_bundle_of_check_9() -> None:
    world = World()
    notes = {
        "serving.kserve.io/s3-endpoint": "s3-config-credentials-test.kserve:9000",
        "serving.kserve.io/s3-usehttps": "0",
        "serving.kserve.io/s3-region": "us-south",
        "serving.kserve.io/s3-useanoncredential": "false",
    }
    secret(world, "s3", notes, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b")
    s3 = replace(
        CREDENTIALS.s3, ca_bundle="/path/to/localcerts", ca_bundle_config_map="local-s3-custom-certs"
    )
    config = replace(CONFIG, credentials=replace(CREDENTIALS, s3=s3))
    spec = attach("s3://b/m", world=world, account=user("s3"), config=config)
    found = environment(spec)
    assert list(found) == [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "S3_USE_HTTPS",
        "S3_ENDPOINT",
        "AWS_ENDPOINT_URL",
        "awsAnonymousCredential",
        "AWS_DEFAULT_REGION",
        "AWS_CA_BUNDLE",
        "AWS_CA_BUNDLE_CONFIGMAP",
        "CA_BUNDLE_CONFIGMAP_NAME",
        "CA_BUNDLE_VOLUME_MOUNT_POINT",
    ]
    assert found["AWS_ENDPOINT_URL"] == "http://s3-config-credentials-test.kserve:9000"
    assert found["CA_BUNDLE_CONFIGMAP_NAME"] == "local-s3-custom-certs"
    assert found["CA_BUNDLE_VOLUME_MOUNT_POINT"] == "/path/to"
    mounted = initializer(spec)["volumeMounts"][-1]
    assert mounted == {"name": "cabundle-cert", "mountPath": "/path/to", "readOnly": True}
    assert spec["volumes"][-1] == {"name": "cabundle-cert", "configMap": {"name": "local-s3-custom-certs"}}


@pytest.mark.parametrize(
    ("namespace", "name"), [("ns", "global-ca-bundle"), ("kserve", "global-s3-custom-certs")]
)
def test_a_configured_ca_bundle_is_the_namespaces_copy(namespace: str, name: str) -> None:
    storage = replace(
        STORAGE,
        ca_bundle_config_map_name="global-s3-custom-certs",
        ca_bundle_volume_mount_path="/path/to/globalcerts",
    )
    spec = attach("s3://b/m", config=replace(CONFIG, storage=storage), of=service(namespace=namespace))
    assert spec["volumes"][-1]["configMap"] == {"name": name}
    assert environment(spec)["CA_BUNDLE_VOLUME_MOUNT_POINT"] == "/path/to/globalcerts"


def test_of_two_bundles_for_one_client_the_one_that_it_sees_is_mounted() -> None:
    mine = {"name": "storage-initializer", "env": [{"name": "AWS_CA_BUNDLE", "value": "/mine/ca.crt"}]}
    role = {
        "eks.amazonaws.com/role-arn": "arn",
        "serving.kserve.io/s3-cabundle": "/role/ca.crt",
        "serving.kserve.io/s3-cabundle-configmap": "roles",
    }
    spec = attach("s3://b/m", into={**pod(), "initContainers": [mine]}, account=user(**role))
    assert environment(spec)["CA_BUNDLE_VOLUME_MOUNT_POINT"] == "/role"
    assert spec["volumes"][-1] == {"name": "cabundle-cert", "configMap": {"name": "roles"}}


@pytest.mark.parametrize(
    ("endpoint", "config", "found"),
    [
        ("https://h:1", "0", ("1", "h:1", "https://h:1")),
        (" HTTP://h ", "1", ("0", "h", "HTTP://h")),
        ("h", "", (None, "h", "https://h")),
        ("h", "0", ("0", "h", "http://h")),
        ("h", "1", ("1", "h", "https://h")),
    ],
)
def test_the_s3_endpoint_yields_three_variables(
    endpoint: str, config: str, found: tuple[str | None, str, str]
) -> None:
    world = World()
    secret(world, "s3", S3_ENDPOINT=endpoint, S3_USE_HTTPS=config, AWS_SECRET_ACCESS_KEY="b")
    env = environment(attach("s3://b/m", world=world, account=user("s3")))
    assert (env.get("S3_USE_HTTPS"), env["S3_ENDPOINT"], env["AWS_ENDPOINT_URL"]) == found


def test_the_first_source_that_has_a_setting_decides_even_when_empty() -> None:
    world = World()
    secret(
        world,
        "s3",
        {"serving.kserve.io/s3-region": "", "serving.kserve.io/s3-endpoint": "lost"},
        AWS_DEFAULT_REGION="r",
        AWS_S3_ENDPOINT="odh",
        AWS_SECRET_ACCESS_KEY="b",
    )
    config = replace(
        CONFIG, credentials=replace(CREDENTIALS, s3=replace(CREDENTIALS.s3, region="c", verify_ssl="1"))
    )
    env = environment(attach("s3://b/m", world=world, account=user("s3"), config=config))
    assert "AWS_DEFAULT_REGION" not in env
    assert env["S3_ENDPOINT"] == "odh"
    assert env["S3_VERIFY_SSL"] == "1"


def test_two_s3_secrets_give_the_keys_of_the_first_and_the_settings_of_the_last() -> None:
    world = World()
    secret(world, "one", {"serving.kserve.io/s3-region": "r1"}, AWS_SECRET_ACCESS_KEY="b")
    secret(world, "two", {"serving.kserve.io/s3-region": "r2"}, AWS_SECRET_ACCESS_KEY="b")
    env = environment(attach("s3://b/m", world=world, account=user("one", "two")))
    assert env["AWS_SECRET_ACCESS_KEY"] == {"name": "one", "key": "AWS_SECRET_ACCESS_KEY"}
    assert env["AWS_DEFAULT_REGION"] == "r2"


def test_a_role_of_the_account_gives_plain_settings_without_a_secret() -> None:
    account = user(**{"eks.amazonaws.com/role-arn": "arn", "serving.kserve.io/s3-region": "eu"})
    env = environment(attach("s3://b/m", account=account))
    assert env["AWS_DEFAULT_REGION"] == "eu"
    assert "AWS_ACCESS_KEY_ID" not in env


@pytest.mark.parametrize(
    ("data", "variables", "volume"),
    [
        (
            {"gcloud-application-credentials.json": "{}"},
            {"GOOGLE_APPLICATION_CREDENTIALS": "/var/secrets/gcloud-application-credentials.json"},
            ("user-gcp-sa", "/var/secrets/"),
        ),
        (
            {"AZ_CLIENT_ID": "c", "AZURE_TENANT_ID": "t", "AZURE_STORAGE_ACCESS_KEY": "k"},
            {
                "AZURE_TENANT_ID": {"name": "s", "key": "AZURE_TENANT_ID"},
                "AZURE_CLIENT_ID": {"name": "s", "key": "AZ_CLIENT_ID"},
                "AZURE_STORAGE_ACCESS_KEY": {"name": "s", "key": "AZURE_STORAGE_ACCESS_KEY"},
            },
            None,
        ),
        (
            {"AZURE_SERVICE_URL": "u", "AZURE_ACCESS_TOKEN": "t", "AZ_SUBSCRIPTION_ID": "s"},
            {
                "AZURE_SUBSCRIPTION_ID": {"name": "s", "key": "AZ_SUBSCRIPTION_ID"},
                # Always: without it the client would not know which one is missing.
                "AZURE_TENANT_ID": {"name": "s", "key": "AZURE_TENANT_ID"},
                "AZURE_ACCESS_TOKEN": {"name": "s", "key": "AZURE_ACCESS_TOKEN"},
                "AZURE_SERVICE_URL": {"name": "s", "key": "AZURE_SERVICE_URL"},
            },
            None,
        ),
        (
            # Only the four that Azure once called so have short names.
            {
                "AZ_CLIENT_ID": "c",
                "AZ_ACCESS_TOKEN": "t",
                "AZ_STORAGE_ACCESS_KEY": "k",
                "AZURE_ACCESS_TOKEN": "t",
            },
            {
                "AZURE_TENANT_ID": {"name": "s", "key": "AZURE_TENANT_ID"},
                "AZURE_CLIENT_ID": {"name": "s", "key": "AZ_CLIENT_ID"},
                "AZURE_ACCESS_TOKEN": {"name": "s", "key": "AZURE_ACCESS_TOKEN"},
            },
            None,
        ),
        (
            {"AZURE_STORAGE_ACCESS_KEY": "k"},
            {"AZURE_STORAGE_ACCESS_KEY": {"name": "s", "key": "AZURE_STORAGE_ACCESS_KEY"}},
            None,
        ),
        ({"https-host": "h", "headers": "a: b"}, {"h-headers": "a: b"}, None),
        ({"https-host": "h"}, {}, None),
        ({"HDFS_NAMENODE": "n"}, {}, ("hdfs-secrets", "/var/secrets/kserve-hdfscreds")),
        (
            {"MODELSCOPE_API_TOKEN": "t"},
            {"MODELSCOPE_API_TOKEN": {"name": "s", "key": "MODELSCOPE_API_TOKEN"}},
            None,
        ),
        (
            {"MODELSCOPE_API_TOKEN": "t", "HF_TOKEN": "h"},
            {"HF_TOKEN": {"name": "s", "key": "HF_TOKEN"}},
            None,
        ),
        ({"other": "x"}, {}, None),
    ],
)
def test_each_kind_of_secret_has_its_rule(
    data: dict[str, str], variables: dict[str, Any], volume: tuple[str, str] | None
) -> None:
    world = World()
    secret(world, "s", None, **data)
    spec = attach("hf://a/b", world=world, account=user("s"))
    assert list(environment(spec).items())[:-3] == list(variables.items())
    mounts = initializer(spec)["volumeMounts"][1:]
    if volume is None:
        assert mounts == []
    else:
        assert mounts == [{"name": volume[0], "mountPath": volume[1], "readOnly": True}]
        assert spec["volumes"][-1] == {"name": volume[0], "secret": {"secretName": "s"}}


def test_default_key_names_apply_when_none_are_configured() -> None:
    world = World()
    secret(world, "s", awsSecretAccessKey="b")
    config = replace(CONFIG, credentials=replace(CREDENTIALS, s3=S3Config()))
    env = environment(attach("s3://b/m", world=world, account=user("s"), config=config))
    assert env["AWS_ACCESS_KEY_ID"] == {"name": "s", "key": "awsAccessKeyID"}


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("pvc://claim_1/a", '"claim_1" is no name of an object'),
        ("pvc:///a", "it names no claim"),
        ("pvc://claim//etc", "it has an empty part (`//`) in its path"),
        ("pvc://claim/a/../../b", '"a/../../b" is no path inside a volume'),
        ("oci://quay.io/a'$(id)'", "is no image reference"),
        ("oci+native://a$b", "is no image reference"),
        ("hf://org//model", "it has an empty part (`//`) in its path"),
        ("s3:///key", "it names no bucket"),
    ],
)
def test_a_uri_whose_parts_are_no_names_is_refused(uri: str, message: str) -> None:
    with pytest.raises(PlanError, match=re.escape(message)) as refused:
        attach(uri)
    assert str(refused.value).startswith(f"invalid model URI: {uri} (spec.model.uri: ")
    assert str(refused.value).endswith(f"; {FORMS})")


def test_a_mount_of_the_users_keeps_the_claim_away() -> None:
    mine = {"name": "kserve-pvc-source", "mountPath": "/x"}
    into = {"containers": [{"name": "main", "volumeMounts": [mine]}]}
    assert attach("pvc://c", into=into) == {"containers": [{"name": "main", "volumeMounts": [mine]}]}


@pytest.mark.parametrize(
    "uri", ["hf://a/b", "s3://b/m", "pvc://c", "oci://i:1", "oci+native://i:1", "gs://b/m"]
)
def test_with_the_storage_initializer_off_nothing_is_attached(uri: str) -> None:
    own = {"name": "storage-initializer", "image": "mine"}
    ctx = World().context({"model": {"uri": uri}, "storageInitializer": {"enabled": False}})
    spec = pod(initContainers=[own])
    attach_model(ctx, spec, None)
    assert spec == pod(initContainers=[own])


def test_with_the_storage_initializer_off_a_uri_still_needs_a_scheme() -> None:
    ctx = World().context({"model": {"uri": "m"}, "storageInitializer": {"enabled": False}})
    with pytest.raises(PlanError, match=r"^invalid model URI: m$"):
        attach_model(ctx, pod(), None)


@pytest.mark.parametrize("uri", ["pvc://c", "oci://i:1", "oci+native://i:1"])
def test_a_users_storage_initializer_goes_where_nothing_is_downloaded(uri: str) -> None:
    spec = attach(uri, into=pod(initContainers=[{"name": "storage-initializer", "image": "mine"}]))
    assert "storage-initializer" not in [c["name"] for c in spec.get("initContainers", [])]


def test_a_marked_service_mounts_its_cache_and_downloads_nothing() -> None:
    of = service(
        labels={local_model.CACHE: "opt"},
        annotations={local_model.SOURCE: "hf://facebook/opt-125m", local_model.CLAIM: "opt-gpu"},
    )
    spec = attach("hf://facebook/opt-125m", of=of)
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "opt-gpu"}
    assert spec["containers"][0]["volumeMounts"][0]["subPath"] == "models/c9397f57a4416f7c/"
    assert "initContainers" not in spec


def test_a_mark_that_lacks_an_annotation_says_which() -> None:
    of = service(labels={local_model.CACHE: "opt"}, annotations={local_model.SOURCE: "hf://a/b"})
    with pytest.raises(PlanError) as caught:
        attach("hf://a/b", of=of)
    assert str(caught.value) == f"LLMInferenceService ns/svc: annotation {local_model.CLAIM} not found"

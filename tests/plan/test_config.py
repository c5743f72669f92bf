"""The global configuration: what is read, and every refusal of CFG-1.

Rules: CFG-2, CFG-3, CFG-4.
"""

import json
from typing import Any

import pytest

from aioctl.plan.config import caches_models, parse_config
from aioctl.plan.global_config import GlobalConfig, PrometheusConfig, RoutingConfig
from aioctl.plan.model import PlanError

STORAGE = {"memoryRequest": "100Mi", "memoryLimit": "1Gi", "cpuRequest": "100m", "cpuLimit": "1"}
INGRESS = {"ingressGateway": "knative-serving/gateway"}


def config_map(**values: Any) -> dict[str, Any]:
    values.setdefault("storageInitializer", STORAGE)
    data = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return {"metadata": {"name": "inferenceservice-config"}, "data": data}


def parsed(**values: Any) -> GlobalConfig:
    return parse_config(config_map(**values), "kserve")


def refusal(found: dict[str, Any] | None) -> str:
    with pytest.raises(PlanError) as caught:
        parse_config(found, "kserve")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "namespace", "name"),
    [
        ("kserve/kserve-ingress-gateway", "kserve", "kserve-ingress-gateway"),
        ("openshift-ingress/openshift-ai-inference", "openshift-ingress", "openshift-ai-inference"),
        ("gateway", "kserve", "gateway"),
        ("a/b/c", "kserve", "a/b/c"),
        ("", "kserve", ""),
    ],
)
def test_the_ingress_gateway_is_split_at_its_one_slash(written: str, namespace: str, name: str) -> None:
    config = parsed(ingress={**INGRESS, "kserveIngressGateway": written})
    assert (config.ingress_gateway_namespace, config.ingress_gateway_name) == (namespace, name)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, RoutingConfig()),
        ({"urlScheme": "", "modelBasedRoutingHeaderName": "", "modelBasedRoutingMode": ""}, RoutingConfig()),
        (
            {
                "urlScheme": "https",
                "modelBasedRoutingHeaderName": "X-Other",
                "modelBasedRoutingMode": "Forced",
                "enableLLMInferenceServiceTLS": True,
            },
            RoutingConfig("https", "X-Other", "forced", enable_tls=True),
        ),
        ({"modelBasedRoutingMode": "DISABLED"}, RoutingConfig(model_routing="disabled")),
        ({"modelBasedRoutingMode": "sometimes"}, RoutingConfig()),
        ({"enableLLMInferenceServiceTLS": False}, RoutingConfig(enable_tls=False)),
        ({"enableLLMInferenceServiceTLS": None}, RoutingConfig(enable_tls=None)),
    ],
)
def test_routing_by_model_and_the_scheme_are_read_with_their_defaults(
    written: dict[str, Any], expected: RoutingConfig
) -> None:
    assert parsed(ingress={**INGRESS, **written}).routing == expected


def test_without_an_ingress_key_the_defaults_of_routing_hold() -> None:
    assert parsed().routing == RoutingConfig("http", "X-Gateway-Model-Name", "enabled", enable_tls=None)


def test_settings_are_kept_as_written() -> None:
    config = parsed(
        storageInitializer={
            **STORAGE,
            "image": "i",
            "cpuModelcar": "",
            "uidModelcar": 1010,
            "enableModelcar": True,
        },
        credentials={
            "storageSpecSecretName": "storage-config",
            "gcs": {"gcsCredentialFileName": "gcs.json"},
            "s3": {"s3AccessKeyIDName": "ID", "s3CABundle": "/certs"},
        },
    )
    assert config.system_namespace == "kserve"
    assert (config.storage.memory_limit, config.storage.cpu_modelcar) == ("1Gi", "")
    assert (config.storage.uid_modelcar, config.storage.enable_modelcar) == (1010, True)
    assert config.credentials.gcs_credential_file_name == "gcs.json"
    assert (config.credentials.s3.access_key_id_name, config.credentials.s3.ca_bundle) == ("ID", "/certs")
    assert config.credentials.s3.endpoint == ""


def test_a_missing_config_map_is_told_as_the_api_server_does() -> None:
    assert refusal(None) == (
        'failed to load InferenceServiceConfigMap: configmaps "inferenceservice-config" not found'
    )


INGRESS_PREFIX = "failed to convert InferenceServiceConfigMap to IngressConfig: "
GATEWAY_PREFIX = f"{INGRESS_PREFIX}invalid ingress config - kserveIngressGateway "


@pytest.mark.parametrize(
    ("ingress", "text"),
    [
        ("{", f"{INGRESS_PREFIX}unable to parse ingress config json: "),
        ("[]", f"{INGRESS_PREFIX}unable to parse ingress config json: "),
        ('{"a": NaN}', f"{INGRESS_PREFIX}unable to parse ingress config json: NaN is no JSON"),
        (
            {"enableGatewayApi": "yes"},
            f"{INGRESS_PREFIX}unable to parse ingress config json: ingress.enableGatewayApi: ",
        ),
        ({"enableGatewayApi": True}, f"{GATEWAY_PREFIX}is required"),
        (
            {"enableGatewayApi": True, "kserveIngressGateway": "a"},
            f"{GATEWAY_PREFIX}should be in the format <namespace>/<name>",
        ),
        (
            {"enableGatewayApi": True, "kserveIngressGateway": "a/b/c"},
            f"{GATEWAY_PREFIX}should be in the format <namespace>/<name>",
        ),
        (
            {"enableGatewayApi": True, "kserveIngressGateway": "A/b"},
            f"{GATEWAY_PREFIX}gateway namespace is invalid",
        ),
        (
            {"enableGatewayApi": True, "kserveIngressGateway": "a/"},
            f"{GATEWAY_PREFIX}gateway name is invalid",
        ),
        ({}, f"{INGRESS_PREFIX}invalid ingress config - ingressGateway is required"),
        (
            {**INGRESS, "pathTemplate": "/{{ .Name"},
            f"{INGRESS_PREFIX}invalid ingress config, unable to parse pathTemplate: ",
        ),
        (
            {**INGRESS, "pathTemplate": "/{{ if .Name }}", "ingressDomain": "d"},
            f"{INGRESS_PREFIX}invalid ingress config, unable to parse pathTemplate: ",
        ),
        *(
            (
                {**INGRESS, "pathTemplate": template, "ingressDomain": "d"},
                f"{INGRESS_PREFIX}invalid ingress config, unable to parse pathTemplate: template: path-template:1: "
                + reason,
            )
            for template, reason in (
                ("/{{ lower .Name }}", 'function "lower" not defined'),
                ("/{{-.Name }}", 'bad number syntax: "-.N"'),
                ("/{{ .Name) }}", "unexpected right paren"),
                ("/{{ `x }}", "unterminated raw quoted string"),
                ("/{{{ .Name }}", 'unexpected "{" in command'),
                ("/{{/* x */ }}", "comment ends before closing delimiter"),
                ("/{{ 1 | 2 }}", "non executable command in pipeline stage 2"),
                ("/{{ `a`.B }}", "unexpected . after term"),
            )
        ),
        (
            {**INGRESS, "pathTemplate": "/{{ .Name }}"},
            f"{INGRESS_PREFIX}invalid ingress config - ingressDomain is required if pathTemplate is given",
        ),
    ],
)
def test_refused_ingress_settings(ingress: Any, text: str) -> None:
    assert refusal(config_map(ingress=ingress)).startswith(text)


@pytest.mark.parametrize(
    "template",
    [
        '/{{ printf "%s)" .Name }}',
        "/{{ index .Labels `a` | len }}",
        "/{{ (index .A 1).B }}",
        "/{{ range .A }}{{ . }}{{ end }}",
        "/{{ $x := .Name }}{{ $x }}",
    ],
)
def test_a_path_template_beyond_our_subset_is_accepted(template: str) -> None:
    parsed(ingress={**INGRESS, "pathTemplate": template, "ingressDomain": "d"})


STORAGE_PREFIX = "failed to convert InferenceServiceConfigMap to StorageInitializerConfig: "


@pytest.mark.parametrize(
    ("storage", "text"),
    [
        ("nope", "Unable to unmarshall storageInitializer json string due to "),
        (
            {},
            'failed to parse resource configuration for "storageInitializer"."memoryRequest": quantities must match',
        ),
        (
            {**STORAGE, "cpuLimit": "much", "cpuModelcar": "x"},
            'failed to parse resource configuration for "storageInitializer"."cpuLimit": ',
        ),
        (
            {**STORAGE, "memoryModelcar": "x"},
            'failed to parse resource configuration for "storageInitializer"."memoryModelcar": ',
        ),
    ],
)
def test_refused_storage_settings(storage: Any, text: str) -> None:
    assert refusal(config_map(storageInitializer=storage)).startswith(STORAGE_PREFIX + text)


def test_names_of_fields_count_in_any_case_as_in_go() -> None:
    config = parsed(
        ingress={**INGRESS, "enableLLMInferenceServiceTls": True, "URLSCHEME": "http", "urlScheme": "https"},
        storageInitializer={
            **{name.upper(): value for name, value in STORAGE.items()},
            "Image": "i:1",
            "enableModelCar": True,
        },
        credentials={"S3": {"S3Endpoint": "e"}, "GCS": {"gcsCredentialFilename": "f"}},
    )
    assert (config.routing.enable_tls, config.routing.url_scheme) == (True, "https")
    assert (config.storage.enable_modelcar, config.storage.image) == (True, "i:1")
    assert (config.credentials.s3.endpoint, config.credentials.gcs_credential_file_name) == ("e", "f")


def test_what_the_other_keys_say() -> None:
    config = parsed(
        storageInitializer={
            **STORAGE,
            "enableOciModelSupport": True,
            "ociModelMode": "native",
            "ociInsecureRegistry": True,
        },
        scheduler={"expirationAnnotations": ["new", "old"]},
        **{
            "autoscaling-wva-controller-config": {
                "prometheus": {
                    "url": "https://p:9091",
                    "tlsInsecureSkipVerify": True,
                    "authModes": "bearer",
                    "triggerAuthName": "a",
                    "triggerAuthKind": "ClusterTriggerAuthentication",
                }
            }
        },
    )
    assert (config.storage.oci_model_mode, config.storage.enable_oci_model_support) == ("native", True)
    assert config.storage.oci_insecure_registry
    assert config.expiration_annotations == ("new", "old")
    assert config.prometheus == PrometheusConfig(
        "https://p:9091", True, "bearer", "a", "ClusterTriggerAuthentication"
    )


def test_the_defaults_of_the_other_keys_are_kserves() -> None:
    for config in (
        parsed(),
        parsed(ingress=INGRESS),
        parsed(scheduler={"expirationAnnotations": []}),
        parsed(**{"autoscaling-wva-controller-config": {}, "scheduler": "null"}),
    ):
        assert config.expiration_annotations == ("certificates.kserve.io/expiration",)
        assert config.prometheus == PrometheusConfig()


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (
            "ingress",
            {**INGRESS, "enableLLMInferenceServiceTLS": "true"},
            (
                f"{INGRESS_PREFIX}unable to parse ingress config json: "
                "ingress.enableLLMInferenceServiceTLS: expected a boolean, got string"
            ),
        ),
        (
            "ingress",
            {**INGRESS, "modelBasedRoutingMode": True},
            (
                f"{INGRESS_PREFIX}unable to parse ingress config json: "
                "ingress.modelBasedRoutingMode: expected a string, got boolean"
            ),
        ),
        (
            "ingress",
            {**INGRESS, "URLScheme": {}},
            f"{INGRESS_PREFIX}unable to parse ingress config json: ingress.urlScheme: expected a string, got object",
        ),
        (
            "storageInitializer",
            {**STORAGE, "ociModelMode": "Native"},
            (
                f'{STORAGE_PREFIX}invalid "storageInitializer".ociModelMode "Native": '
                'must be one of "modelcar", "native", "fetch"'
            ),
        ),
        (
            "storageInitializer",
            {**STORAGE, "uidModelcar": "1010"},
            (
                f"{STORAGE_PREFIX}Unable to unmarshall storageInitializer json string due to "
                "storageInitializer.uidModelcar: expected an integer, got string "
            ),
        ),
        (
            "credentials",
            {"s3": {"s3UseHttps": 1}},
            (
                "failed to convert InferenceServiceConfigMap to CredentialConfig: unable to parse credential config json: "
                "credentials.s3.s3UseHttps: expected a string, got integer"
            ),
        ),
        (
            "scheduler",
            {"expirationAnnotations": "x"},
            (
                "failed to parse scheduler config: unable to parse scheduler config json: "
                "scheduler.expirationAnnotations: expected a list, got string"
            ),
        ),
        (
            "scheduler",
            {"expirationAnnotations": ["x", 1]},
            (
                "failed to parse scheduler config: unable to parse scheduler config json: "
                "scheduler.expirationAnnotations[1]: expected a string"
            ),
        ),
        (
            "scheduler",
            "{",
            "failed to parse scheduler config: unable to parse scheduler config json: ",
        ),
        (
            "autoscaling-wva-controller-config",
            {"prometheus": {"tlsInsecureSkipVerify": "no"}},
            (
                "failed to parse autoscaling-wva-controller-config config json: "
                "autoscaling-wva-controller-config.prometheus.tlsInsecureSkipVerify: expected a boolean, got string"
            ),
        ),
    ],
)
def test_a_wrong_type_names_key_and_field(key: str, value: Any, text: str) -> None:
    assert refusal(config_map(**{key: value})).startswith(text)


def test_storage_settings_are_mandatory() -> None:
    assert refusal({"data": {}}).startswith(
        f'{STORAGE_PREFIX}failed to parse resource configuration for "storage'
    )


def test_refused_credentials() -> None:
    assert refusal(config_map(credentials="{")).startswith(
        "failed to convert InferenceServiceConfigMap to CredentialConfig: unable to parse credential config json: "
    )


@pytest.mark.parametrize(
    ("data", "active"),
    [
        ({}, False),
        ({"localModel": "null"}, False),
        ({"localModel": "{}"}, False),
        ({"localModel": '{"enabled": false}'}, False),
        ({"localModel": '{"Enabled": true, "jobNamespace": "kserve-localmodel-jobs"}'}, True),
        ({"localModel": '{"enabled": true}', "ingress": "{", "storageInitializer": "{"}, True),
    ],
)
def test_whether_models_are_cached_stands_in_a_key_of_its_own(data: dict[str, str], active: bool) -> None:
    assert caches_models({"data": data}) is active


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('{"enabled": "yes"}', "localModel.enabled: expected a boolean, got string"),
        ("[]", "expected an object"),
        ("{", ""),
        ("", ""),
        (True, "localModel: expected a string, got boolean"),
    ],
)
def test_a_wrong_word_of_cached_models_is_told_to_who_asks_and_stops_nobody_else(
    written: Any, problem: str
) -> None:
    found = config_map()
    assert parse_config({**found, "data": {**found["data"], "localModel": written}}, "kserve") == parsed()
    with pytest.raises(PlanError) as caught:
        caches_models({"data": {"localModel": written}})
    assert str(caught.value).startswith(f"unable to parse localModel config json: {problem}")

"""What a controller expects of a cluster: namespaces, configuration and gateway of a KServe installation.

Pure data: the simulated cluster, the demo and the bench on a real API server create what these functions return.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from aioctl.api.names import CONFIG_MAP_NAME

Object = dict[str, Any]

SYSTEM_NAMESPACE: Final = "kserve"
DEMO_NAMESPACE: Final = "demo"


def config_map() -> Object:
    """ConfigMap `inferenceservice-config` with KServe's shipped values (CFG-1)."""
    sections = {
        "ingress": {
            "enableGatewayApi": True,
            "kserveIngressGateway": f"{SYSTEM_NAMESPACE}/kserve-ingress-gateway",
            "ingressGateway": "knative-serving/knative-ingress-gateway",
            "ingressDomain": "example.com",
            "domainTemplate": "{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}",
            "urlScheme": "http",
        },
        "storageInitializer": {
            "image": "kserve/storage-initializer:latest",
            "memoryRequest": "100Mi",
            "memoryLimit": "1Gi",
            "cpuRequest": "100m",
            "cpuLimit": "1",
            "cpuModelcar": "10m",
            "memoryModelcar": "15Mi",
            "uidModelcar": 1010,
            "enableModelcar": True,
            "caBundleConfigMapName": "",
            "caBundleVolumeMountPath": "/etc/ssl/custom-certs",
        },
        "credentials": {
            "storageSpecSecretName": "storage-config",
            "storageSecretNameAnnotation": "serving.kserve.io/storageSecretName",
            "gcs": {"gcsCredentialFileName": "gcloud-application-credentials.json"},
            "s3": {
                "s3AccessKeyIDName": "AWS_ACCESS_KEY_ID",
                "s3SecretAccessKeyName": "AWS_SECRET_ACCESS_KEY",
                "s3Endpoint": "",
                "s3UseHttps": "",
                "s3Region": "",
                "s3VerifySSL": "",
                "s3UseVirtualBucket": "",
                "s3UseAccelerate": "",
                "s3UseAnonymousCredential": "",
                "s3CABundleConfigMap": "",
                "s3CABundle": "",
            },
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP_NAME, "namespace": SYSTEM_NAMESPACE},
        "data": {name: json.dumps(section, indent=2) for name, section in sections.items()},
    }


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def gateway(namespace: str = SYSTEM_NAMESPACE, name: str = "kserve-ingress-gateway") -> Object:
    """A Gateway of class `istio` with one HTTP listener for routes of all namespaces."""
    listener = {
        "name": "http",
        "port": 80,
        "protocol": "HTTP",
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"gatewayClassName": "istio", "listeners": [listener]},
    }


ISTIO: Final = "istio.io/gateway-controller"


def world(*, namespaces: Sequence[str] = (DEMO_NAMESPACE,), controller: str = ISTIO) -> list[Object]:
    """Everything a controller expects of a cluster, in the order of creation; not the CRDs. `controller`: that of the GatewayClass."""
    gateway_class = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "istio"},
        "spec": {"controllerName": controller},
    }
    return [
        _namespace(SYSTEM_NAMESPACE),
        *(_namespace(name) for name in namespaces),
        config_map(),
        gateway_class,
        gateway(),
    ]

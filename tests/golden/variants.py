"""Cases of our own beside the recorded ones: what else services say, what else stands in their way, what else is changed later.

No recording says how they end. They are played on both servers, which must agree on every field (ARCH-10), and
where everything rests a second controller has nothing to do.
"""

from collections.abc import Mapping
from typing import Any

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.names import ENABLE_AUTH
from tests.golden.cases import Case, Object

_ROUTER: Mapping[str, Any] = {"gateway": {}, "route": {}, "scheduler": {}}
_MODEL = {"uri": "hf://facebook/opt-125m", "name": "facebook/opt-125m"}
_ANOTHER_MODEL = {"uri": "hf://facebook/opt-350m", "name": "facebook/opt-350m"}
_STOP = {"metadata": {"annotations": {"serving.kserve.io/stop": "true"}}}
_RULES = [
    {
        "matches": [{"path": {"type": "PathPrefix", "value": "/mine"}}],
        "backendRefs": [
            {"group": "inference.networking.x-k8s.io", "kind": "InferencePool", "name": "svc-inference-pool", "port": 8000}
        ],
        "timeouts": {"request": "30s"},
    }
]  # fmt: skip


def _service(*, version: str = "v1alpha2", metadata: Mapping[str, Any] | None = None, **spec: Any) -> Object:
    given = dict(metadata or {})
    annotations = {ENABLE_AUTH: "false", **given.pop("annotations", {})}
    return {
        "apiVersion": f"{kinds.GROUP}/{version}",
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": "svc", "annotations": annotations, **given},
        "spec": {"model": _MODEL, **spec},
    }


def _object(kind: Kind, name: str, *, metadata: Mapping[str, Any] | None = None, **fields: Any) -> Object:
    return {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": name, **(metadata or {})},
        **fields,
    }


def _secret(name: str, annotations: Mapping[str, str] | None = None, **texts: str) -> Object:
    return _object(kinds.SECRET, name, metadata={"annotations": dict(annotations or {})}, stringData=texts)


def _account(name: str, *secrets: str) -> Object:
    return _object(kinds.SERVICE_ACCOUNT, name, secrets=[{"name": secret} for secret in secrets])


def _gateway(name: str, protocol: str = "HTTP", port: int = 80) -> Object:
    listener = {
        "name": "a",
        "port": port,
        "protocol": protocol,
        "allowedRoutes": {"namespaces": {"from": "All"}},
    }
    if protocol == "HTTPS":
        listener["tls"] = {"certificateRefs": [{"name": "cert"}]}
    return _object(kinds.GATEWAY, name, spec={"gatewayClassName": "istio", "listeners": [listener]})


def _config(name: str, **spec: Any) -> Object:
    return _object(kinds.CONFIG, name, spec=spec)


def _pool_v1(name: str) -> Object:
    spec = {
        "selector": {"matchLabels": {"app": "x"}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"name": "my-epp", "port": {"number": 9002}},
    }
    return _object(kinds.POOL_V1, name, spec=spec)


def _pool_old(name: str) -> Object:
    spec = {"selector": {"app": "x"}, "targetPortNumber": 8000, "extensionRef": {"name": "my-epp"}}
    return _object(kinds.POOL_V1ALPHA2, name, spec=spec)


def _main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **fields}]}


def _inline_pool(**picker: Any) -> dict[str, Any]:
    spec = {
        "selector": {"matchLabels": {"app.kubernetes.io/name": "svc"}},
        "targetPorts": [{"number": 8000}],
        "endpointPickerRef": {"port": {"number": 9002}, **picker},
    }
    return {"spec": spec}


def _made() -> dict[str, dict[str, Any]]:
    workers: dict[str, Any] = {"parallelism": {"data": 2, "dataLocal": 1}, "worker": {}}
    return {
        # -- what a service says
        "stopped": {"services": [_service(metadata=_STOP["metadata"], router=_ROUTER)]},
        "no-model-name": {"services": [_service(model={"uri": "hf://facebook/opt-125m"}, router=_ROUTER)]},
        "empty-uri": {"services": [_service(model={"uri": "", "name": "m"}, router=_ROUTER)]},
        "no-replicas": {"services": [_service(replicas=0, router=_ROUTER)]},
        "gs": {"services": [_service(model={"uri": "gs://bucket/model", "name": "m"})]},
        "https": {"services": [_service(model={"uri": "https://host/model.tar", "name": "m"})]},
        "pvc-path": {"services": [_service(model={"uri": "pvc://claim/a/b", "name": "m"}, **workers)]},
        "oci-workers": {"services": [_service(model={"uri": "oci://reg/model:1", "name": "m"}, **workers)]},
        "quotes": {"services": [_service(model={**_MODEL, "name": 'the "model"'}, router=_ROUTER)]},
        "percent": {"services": [_service(model={**_MODEL, "name": "100% model"}, router=_ROUTER)]},
        "pipeline": {
            "services": [_service(parallelism={"pipeline": 2, "tensor": 2}, worker={}, router=_ROUTER)]
        },
        "prefill-workers": {
            "services": [
                _service(router=_ROUTER, prefill={"replicas": 2, **workers, "template": {}}, template={})
            ]
        },
        "scheduler-only": {"services": [_service(router={"scheduler": {}})]},
        "gateway-only": {"services": [_service(router={"gateway": {}})]},
        "hostnames-only": {
            "services": [_service(router={**_ROUTER, "route": {"http": {"spec": {"hostnames": ["a.example"]}}}})]
        },
        "inline-v1alpha2": {
            "services": [_service(router={**_ROUTER, "route": {"http": {"spec": {"rules": _RULES}}}})]
        },
        "inline-no-pool": {
            "services": [_service(router={"gateway": {}, "route": {"http": {"spec": {"rules": _RULES}}}})]
        },
        "picker-fail-open": {
            "services": [
                _service(
                    router={
                        **_ROUTER,
                        "scheduler": {"pool": _inline_pool(name="my-picker", failureMode="FailOpen")},
                    }
                )
            ]
        },
        "picker-args": {
            "services": [
                _service(
                    router={**_ROUTER, "scheduler": {"template": _main(args=["--config-text=x", "--v=4"])}}
                )
            ]
        },
        "lora": {
            "services": [
                _service(
                    model={**_MODEL, "lora": {"adapters": [{"name": "a", "uri": "hf://a/lora"}]}},
                    router=_ROUTER,
                )
            ]
        },
        "labels-copied": {
            "services": [
                _service(
                    metadata={
                        "labels": {"kueue.x-k8s.io/queue-name": "q", "team": "a"},
                        "annotations": {"k8s.v1.cni.cncf.io/networks": "n", "mine": "x"},
                    },
                    router=_ROUTER,
                    **workers,
                )
            ]
        },
        "old-everything": {
            "services": [
                _service(
                    version="v1alpha1",
                    model={**_MODEL, "criticality": "Sheddable"},
                    router={
                        **_ROUTER,
                        "scheduler": {
                            "pool": {
                                "spec": {
                                    "selector": {"app": "x"},
                                    "targetPortNumber": 8000,
                                    "extensionRef": {"name": "my-picker", "portNumber": 9002},
                                }
                            }
                        },
                    },
                )
            ]
        },
        # -- what it refers to
        "two-gateways": {
            "before": [_gateway("one"), _gateway("two", "HTTPS", 443)],
            "services": [_service(router={**_ROUTER, "gateway": {"refs": [{"name": "one"}, {"name": "two"}]}})],
        },
        "gateway-missing": {
            "services": [
                _service(router={**_ROUTER, "gateway": {"refs": [{"name": "absent", "namespace": "kserve"}]}})
            ]
        },
        "route-missing": {
            "services": [_service(router={**_ROUTER, "route": {"http": {"refs": [{"name": "absent"}]}}})]
        },
        "route-gateway-missing": {
            "services": [
                _service(
                    router={
                        **_ROUTER,
                        "route": {"http": {"spec": {"parentRefs": [{"name": "absent"}], "rules": _RULES}}},
                    }
                )
            ]
        },
        "external-old-pool": {
            "before": [_pool_old("ext")],
            "services": [_service(router={**_ROUTER, "scheduler": {"pool": {"ref": {"name": "ext"}}}})],
        },
        "external-both-pools": {
            "before": [_pool_old("ext"), _pool_v1("ext")],
            "services": [_service(router={**_ROUTER, "scheduler": {"pool": {"ref": {"name": "ext"}}}})],
        },
        "external-missing-pool": {
            "services": [_service(router={**_ROUTER, "scheduler": {"pool": {"ref": {"name": "absent"}}}})]
        },
        "base-router": {
            "before": [
                _config("base", router={**_ROUTER, "gateway": {"refs": [{"name": "one"}]}}, replicas=2),
                _gateway("one"),
            ],
            "services": [_service(baseRefs=[{"name": "base"}])],
        },
        "base-model": {
            "before": [_config("base", model={"uri": "s3://b/m", "name": "base"}, template=_main(image="i:1"))],
            "services": [_service(baseRefs=[{"name": "base"}], router=_ROUTER)],
        },
        "hf-default-account": {
            "before": [_secret("hf", HF_TOKEN="t"), _account("default", "hf")],
            "services": [_service(router=_ROUTER)],
        },
        "gs-account": {
            "before": [
                _secret("g", None, **{"gcloud-application-credentials.json": "{}"}),
                _account("mine", "g"),
            ],
            "services": [
                _service(
                    model={"uri": "gs://bucket/model", "name": "m"},
                    template={"serviceAccountName": "mine", **_main()},
                )
            ],
        },
        "s3-annotated": {
            "before": [
                _secret(
                    "s3",
                    {
                        "serving.kserve.io/s3-endpoint": "minio:9000",
                        "serving.kserve.io/s3-usehttps": "0",
                        "serving.kserve.io/s3-region": "us-south",
                        "serving.kserve.io/s3-cabundle": "/path/to/ca",
                        "serving.kserve.io/s3-useanoncredential": "false",
                    },
                    AWS_ACCESS_KEY_ID="a",
                    AWS_SECRET_ACCESS_KEY="b",
                ),
                _account("mine", "s3"),
            ],
            "services": [
                _service(
                    model={"uri": "s3://bucket/model", "name": "m"},
                    template={"serviceAccountName": "mine", **_main()},
                    prefill={"template": {"serviceAccountName": "mine", **_main()}},
                    router=_ROUTER,
                )
            ],
        },
        "secret-missing": {
            "before": [_account("mine", "absent")],
            "services": [
                _service(
                    model={"uri": "s3://bucket/model", "name": "m"},
                    template={"serviceAccountName": "mine", **_main()},
                )
            ],
        },
        # -- what stands in its way
        "service-taken": {
            "before": [
                _object(kinds.CORE_SERVICE, "svc-kserve-workload-svc", spec={"ports": [{"port": 80}]})
            ],
            "services": [_service(router=_ROUTER)],
        },
        "deployment-taken": {
            "before": [
                _object(
                    kinds.DEPLOYMENT,
                    "svc-kserve",
                    spec={
                        "selector": {"matchLabels": {"a": "b"}},
                        "template": {
                            "metadata": {"labels": {"a": "b"}},
                            "spec": {"containers": [{"name": "c", "image": "i"}]},
                        },
                    },
                )
            ],
            "services": [_service(router=_ROUTER)],
        },
        "route-taken": {
            "before": [_object(kinds.HTTP_ROUTE, "svc-kserve-route", spec={"rules": _RULES})],
            "services": [_service(router=_ROUTER)],
        },
        "account-taken": {
            "before": [_account("svc-epp-sa"), _account("svc-kserve")],
            "services": [_service(router=_ROUTER)],
        },
        # -- what is changed later
        "upd-stop": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [{"service": "svc", "patch": _STOP}],
        },
        "upd-model": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"model": {"name": "other"}}}}],
        },
        "upd-uri": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [
                {"service": "svc", "patch": {"spec": {"model": {"uri": "pvc://claim/model"}}}}
            ],
        },
        "upd-add-scheduler": {
            "services": [_service(router={"gateway": {}, "route": {}})],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"router": {"scheduler": {}}}}}],
        },
        "upd-add-prefill": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"prefill": {"replicas": 2}}}}],
        },
        "upd-to-external-pool": {
            "before": [_pool_v1("ext")],
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [
                {
                    "service": "svc",
                    "patch": {"spec": {"router": {"scheduler": {"pool": {"ref": {"name": "ext"}}}}}},
                }
            ],
        },
        "upd-drop-router": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"router": None}}}],
        },
        "upd-drop-route": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"router": {"route": None}}}}],
        },
        "upd-workers": {
            "services": [_service(router=_ROUTER, replicas=1, **workers)],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"replicas": 3}}}],
        },
        "upd-worker-image": {
            "services": [_service(router=_ROUTER, template=_main(), **workers)],
            "then_merge_patch": [
                {"service": "svc", "patch": {"spec": {"template": _main(image="other:1")}}}
            ],
        },
        "two-then-one": {
            "services": [
                _service(router=_ROUTER),
                _service(metadata={"name": "other"}, model=_ANOTHER_MODEL, router=_ROUTER),
            ],
            "then_delete": ["other"],
        },
        "two-then-none": {
            "services": [
                _service(router=_ROUTER),
                _service(metadata={"name": "other"}, model=_ANOTHER_MODEL, **workers),
            ],
            "then_delete": ["svc", "other"],
        },
        # Told by the one that runs, however late it looks: of a stopped one the names of its spec count for as long as it is stopped.
        "same-model": {
            "services": [
                _service(metadata={"name": "other", **_STOP["metadata"]}, router=_ROUTER),
                _service(router=_ROUTER),
            ],
        },
        "upd-bad-scheme": {
            "services": [_service(router=_ROUTER)],
            "then_merge_patch": [{"service": "svc", "patch": {"spec": {"model": {"uri": "ftp://h/m"}}}}],
        },
        "upd-delete-pools": {
            "services": [_service(router=_ROUTER)],
            "then": [
                {"verb": "DELETE", "object": f"{kinds.POOL_V1.api_version}/inferencepools/svc-inference-pool"},
                {
                    "verb": "DELETE",
                    "object": f"{kinds.POOL_V1ALPHA2.api_version}/inferencepools/svc-inference-pool",
                },
            ],
        },
        "upd-edit-service": {
            "services": [_service(router=_ROUTER)],
            "then": [
                {
                    "verb": "PATCH",
                    "object": "v1/services/svc-epp-service",
                    "body": {"spec": {"selector": {"mine": "x"}}, "metadata": {"labels": {"mine": "x"}}},
                },
                {
                    "verb": "PATCH",
                    "object": "rbac.authorization.k8s.io/v1/roles/svc-epp-role",
                    "body": {"rules": []},
                },
            ],
        },
    }  # fmt: skip


def variants() -> dict[str, Case]:
    """All by name."""
    return {name: Case(name, given, {}, (), {}) for name, given in _made().items()}

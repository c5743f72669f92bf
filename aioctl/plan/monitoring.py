"""The monitoring objects all services of a namespace share: reader account, token, binding, two monitors (MON-1).

Nobody owns them, nobody gets an event for them, and when two reconciles race for one it counts as there. The monitors
need the Prometheus operator's CRDs and are skipped without them. Their removal with the last service is the finalizer's.
"""

from collections.abc import Iterator
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import Kind, Served
from aioctl.api.objects import mapping
from aioctl.plan.children import build, ensure, under
from aioctl.plan.model import Context, Write
from aioctl.plan.observation import need
from aioctl.plan.rbac import account_subject, binding, ensure_binding

ACCOUNT: Final = "kserve-metrics-reader-sa"
TOKEN: Final = "kserve-metrics-reader-sa-secret"  # noqa: S105 - the name of the secret
POD_MONITOR: Final = "kserve-llm-isvc-vllm-engine"
SERVICE_MONITOR: Final = "kserve-llm-isvc-scheduler"
LABELS: Final = {names.COMPONENT: "llm-monitoring", names.PART_OF: names.PART_OF_VALUE}
_SCRAPED: Final = {**LABELS, "monitoring.opendatahub.io/scrape": "true"}
_READER_ROLE: Final = "kserve-metrics-reader-cluster-role"
_MODEL_SERVERS: Final = ("", "-prefill", "-worker", "-leader", "-leader-prefill", "-worker-prefill")
_POD_LABEL: Final = "__meta_kubernetes_pod_label_"


def binding_name(namespace: str) -> str:
    return names.child("kserve-metrics-reader-role-binding-", namespace)


def monitoring(ctx: Context) -> Iterator[Write]:
    """Account, secret, binding, PodMonitor, ServiceMonitor; nothing for a stopped service or when switched off.

    Nothing either where neither kind of monitor is served: nobody would read with that account.
    """
    if ctx.policy.monitoring_disabled or ctx.stopped:
        return
    if all(ctx.obs.served(kind) is Served.NO for kind in (kinds.POD_MONITOR, kinds.SERVICE_MONITOR)):
        return
    yield from under("failed to reconcile metrics reader RBAC: ", _access(ctx))
    at = f"{ctx.namespace}/"
    yield from _monitor(
        ctx,
        kinds.POD_MONITOR,
        POD_MONITOR,
        _pod_monitor(),
        "failed to reconcile VLLM engine monitor: "
        f"failed to reconcile vLLM engine monitor {at}{POD_MONITOR}: ",
    )
    yield from _monitor(
        ctx,
        kinds.SERVICE_MONITOR,
        SERVICE_MONITOR,
        _service_monitor(),
        "failed to reconcile scheduler monitor: "
        f"failed to reconcile scheduler monitor {at}{SERVICE_MONITOR}: ",
    )


def _access(ctx: Context) -> Iterator[Write]:
    at = f"{ctx.namespace}/"
    reader = build(
        ctx,
        kinds.SERVICE_ACCOUNT,
        ACCOUNT,
        labels=LABELS,
        owned=False,
        automountServiceAccountToken=False,
    )
    yield from under(
        f"failed to reconcile metrics reader service account {at}{ACCOUNT}: ",
        _ensure_shared(ctx, kinds.SERVICE_ACCOUNT, reader),
    )
    yield from under(f"failed to reconcile metrics reader secret {at}{TOKEN}: ", _token(ctx))
    name = binding_name(ctx.namespace)
    bound = binding(
        ctx,
        kinds.CLUSTER_ROLE_BINDING,
        name,
        LABELS,
        role_kind="ClusterRole",
        role=_READER_ROLE,
        subjects=[account_subject(ACCOUNT, ctx.namespace)],
    )
    yield from under(
        f"failed to reconcile metrics reader cluster role binding {name}: ",
        ensure_binding(ctx, kinds.CLUSTER_ROLE_BINDING, bound, shared=True),
    )


def _token(ctx: Context) -> Iterator[Write]:
    live = need(ctx.obs.get(kinds.SECRET, ctx.namespace, TOKEN))
    # The token controller fills in the data; an update of ours must not take the token away.
    data = {"data": mapping(live, "data")} if live is not None and mapping(live, "data") else {}
    wanted = build(
        ctx,
        kinds.SECRET,
        TOKEN,
        labels=LABELS,
        annotations={"kubernetes.io/service-account.name": ACCOUNT},
        owned=False,
        type="kubernetes.io/service-account-token",
        **data,
    )
    yield from _ensure_shared(ctx, kinds.SECRET, wanted)


def _monitor(ctx: Context, kind: Kind, name: str, spec: dict[str, Any], prefix: str) -> Iterator[Write]:
    if ctx.obs.served(kind) is Served.NO:
        return
    wanted = build(ctx, kind, name, labels=_SCRAPED, owned=False, spec=spec)
    yield from under(prefix, _ensure_shared(ctx, kind, wanted))


def _ensure_shared(ctx: Context, kind: Kind, wanted: dict[str, Any]) -> Iterator[Write]:
    yield from ensure(ctx, kind, wanted, owned=False, exists_is_fine=True, quiet=True)


def _pod_monitor() -> dict[str, Any]:
    components = [f"{names.WORKLOAD_COMPONENT}{suffix}" for suffix in _MODEL_SERVERS]
    return {
        "selector": {
            "matchLabels": {names.PART_OF: names.PART_OF_VALUE},
            "matchExpressions": [{"key": names.COMPONENT, "operator": "In", "values": components}],
        },
        "podMetricsEndpoints": [
            {
                "targetPort": 8000,
                "scheme": "https",
                "tlsConfig": {"insecureSkipVerify": True},
                "metricRelabelings": _prefixed(),
                "relabelings": [
                    _label("app_kubernetes_io_name", "llm_isvc_name"),
                    _label("llm_d_ai_role", "llm_isvc_role"),
                    _component(),
                ],
            }
        ],
    }


def _service_monitor() -> dict[str, Any]:
    return {
        "selector": {
            "matchLabels": {
                names.COMPONENT: names.SCHEDULER_COMPONENT,
                names.PART_OF: names.PART_OF_VALUE,
            }
        },
        "endpoints": [
            {
                "port": "metrics",
                "authorization": {"credentials": {"name": TOKEN, "key": "token"}},
                "metricRelabelings": _prefixed(),
                "relabelings": [_label("app_kubernetes_io_name", "llm_isvc_name"), _component()],
            }
        ],
    }


def _prefixed() -> list[dict[str, Any]]:
    return [
        {
            "action": "replace",
            "sourceLabels": ["__name__"],
            "targetLabel": "__name__",
            "replacement": "kserve_$1",
        }
    ]


def _label(source: str, target: str) -> dict[str, Any]:
    return {"action": "replace", "sourceLabels": [_POD_LABEL + source], "targetLabel": target}


def _component() -> dict[str, Any]:
    return {
        **_label("app_kubernetes_io_component", "llm_isvc_component"),
        "regex": "llminferenceservice-(.*)",
        "replacement": "$1",
    }

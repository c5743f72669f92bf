"""What all model server pods share: the two sides of a service, their labels, copied metadata, the routing sidecar.

Facts: WORK-3, WORK-4, WORK-5. A side is the main part of a service or its prefill part; each runs either as a
Deployment or, when it has a `worker`, as a LeaderWorkerSet.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.defaulting import effective_pool_name
from aioctl.api.objects import Object, annotations_of, labels_of, mapping, present, sequence, text
from aioctl.plan.memo import count
from aioctl.plan.model import Context, PlanError, of_context
from aioctl.plan.observation import need
from aioctl.plan.pod_defaults import canonical
from aioctl.plan.rbac import rule

SIDECAR: Final = "llm-d-routing-sidecar"
SIDECAR_RULES: Final = (
    rule("", "pods"),
    rule((kinds.POOL_GROUP_V1ALPHA2, kinds.POOL_GROUP_V1), "inferencepools"),
)
LOCAL_MODEL: Final = "internal.serving.kserve.io/localmodel"
"""Prefix of what the admission webhook says of the cached copy of a model."""
EXCLUSIVE: Final = ("k8s.v1.cni.cncf.io", "kueue.x-k8s.io", LOCAL_MODEL)
"""Prefixes of keys that only the service's own metadata may give its workloads: what it no longer says has to go (WORK-4)."""
POD_ANNOTATIONS: Final = (*EXCLUSIVE, "prometheus.io")
GROUP_ANNOTATIONS: Final = ("leaderworkerset.sigs.k8s.io", *POD_ANNOTATIONS)
COPIED_LABELS: Final = ("kueue.x-k8s.io", LOCAL_MODEL)
RESERVED_LABEL: Final = "ReservedLabel"
"""Reason of the Warning event about one of them in `labels` of a spec."""

Pod = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One side of the combined spec: the main part or the prefill part. Has a `__dict__`, for what is asked for in every step."""

    root: Mapping[str, Any]
    """The combined spec below key `spec`, so that errors name fields as users write them."""
    prefill: bool

    @property
    def path(self) -> tuple[str, ...]:
        return ("spec", "prefill") if self.prefill else ("spec",)

    @cached_property
    def exists(self) -> bool:
        return present(self.root, *self.path)

    @cached_property
    def multi_node(self) -> bool:
        return self.exists and present(self.root, *self.path, "worker")

    @property
    def has_template(self) -> bool:
        return self.exists and present(self.root, *self.path, "template")

    @property
    def parallelism(self) -> Mapping[str, Any]:
        return mapping(self.root, *self.path, "parallelism")

    @property
    def labels(self) -> dict[str, str]:
        """What `labels` adds to the pods (and to the workload Service), without those that are ours."""
        given = mapping(self.root, *self.path, "labels")
        return {key: value for key, value in given.items() if key not in names.RESERVED_LABELS}

    @property
    def annotations(self) -> dict[str, str]:
        """What `annotations` adds to the pods (and to the workload Service)."""
        given = mapping(self.root, *self.path, "annotations")
        return {key: value for key, value in given.items() if key != names.MODEL_BASED_ROUTING}

    @property
    def reserved(self) -> tuple[tuple[str, str], ...]:
        """(reason, message) of the Warning event about labels that are ours and not the spec's to set."""
        field = ".".join((*self.path, "labels"))
        given = mapping(self.root, *self.path, "labels")
        taken = [key for key in names.RESERVED_LABELS if key in given]
        if not taken:
            return ()
        return (
            (
                RESERVED_LABEL,
                f"{field}: {', '.join(taken)} left out: pods are selected by it, use another key",
            ),
        )

    @property
    def rolling_update(self) -> dict[str, Any]:
        """The fields of `rolloutStrategy` that are set, an integer or a percentage each (WORK-7)."""
        given = mapping(self.root, *self.path, "rolloutStrategy")
        return {
            field: given[field] for field in ("maxUnavailable", "maxSurge") if given.get(field) is not None
        }

    @property
    def role(self) -> str:
        """Value of label `llm-d.ai/role`."""
        if self.prefill:
            return "prefill"
        return "decode" if present(self.root, "spec", "prefill") else "both"

    def template(self, field: str = "template") -> Mapping[str, Any]:
        """The pod spec `template` or `worker`, empty when absent."""
        return mapping(self.root, *self.path, field)

    def pod(self, field: str = "template") -> Pod:
        """A copy of that pod spec, free to be changed."""
        pod: Pod = canonical(self.template(field))
        return pod

    def account_name(self, *fields: str) -> str:
        """The first service account name that the given pod specs ask for, empty when none does."""
        asked = (text(self.root, *self.path, field, "serviceAccountName") for field in fields)
        return next((name for name in asked if name), "")


def replicas(ctx: Context, side: Side) -> int | None:
    """The number that the spec asks for on this side. Raises FieldError."""
    return count(ctx, *side.path[1:], "replicas")


@of_context
def main_side(ctx: Context) -> Side:
    return Side({"spec": ctx.spec}, prefill=False)


@of_context
def prefill_side(ctx: Context) -> Side:
    return Side({"spec": ctx.spec}, prefill=True)


def base_labels(ctx: Context) -> dict[str, str]:
    """The two labels of everything owned."""
    return {names.NAME: ctx.name, names.PART_OF: names.PART_OF_VALUE}


def pod_labels(ctx: Context, component: str, role: str) -> dict[str, str]:
    """The five labels of pods that take requests."""
    return {
        **names.labels(ctx.name, component),
        names.KSERVE_COMPONENT: "workload",
        names.ROLE: role,
    }


def copied(found: Mapping[str, str], prefixes: tuple[str, ...]) -> dict[str, str]:
    """Entries of the service's own metadata whose key starts with one of the prefixes (plain test, no slash)."""
    return {key: value for key, value in found.items() if key.startswith(prefixes)}


def copied_labels(ctx: Context) -> dict[str, str]:
    return copied(labels_of(ctx.service), COPIED_LABELS)


def copied_annotations(ctx: Context, prefixes: tuple[str, ...]) -> dict[str, str]:
    return copied(annotations_of(ctx.service), prefixes)


def shared_keys(annotations: Mapping[str, str]) -> frozenset[str]:
    """The keys that others may set as well."""
    return frozenset(key for key in annotations if not key.startswith(EXCLUSIVE))


def has_sidecar(pod: Mapping[str, Any]) -> bool:
    """Whether the pod has the init container that routes between prefill and decode."""
    return any(text(container, "name") == SIDECAR for container in sequence(pod, "initContainers"))


def told_pool(ctx: Context, pod: Mapping[str, Any]) -> str:
    """The name of the pool that the pod's sidecar has to know; empty without a sidecar or a router."""
    if not (has_sidecar(pod) and present({"spec": ctx.spec}, "spec", "router")):
        return ""
    return effective_pool_name(ctx.name, ctx.spec)


def tell_pool(ctx: Context, pod: Pod) -> None:
    """Give the sidecar the name of the pool, where the service has a router."""
    told = told_pool(ctx, pod)
    if not told:
        return
    for container in sequence(pod, "initContainers"):
        if text(container, "name") == SIDECAR:
            container["env"] = [*sequence(container, "env"), {"name": "INFERENCE_POOL_NAME", "value": told}]


def need_containers(side: Side, field: str, pod: Pod) -> None:
    """Raises PlanError for a pod that runs nothing: an API server says so only when the other side has its pods."""
    if not pod.get("containers"):
        at = ".".join((*side.path, field, "containers"))
        raise PlanError(f"{at}: no container, and no config gives one; add a container with an image")


def existing_account(ctx: Context, name: str, whose: str) -> Object | None:
    """The account of that name, None for no name. Raises PlanError when it does not exist.

    `whose` completes the text, such as `single node main`.
    """
    if not name:
        return None
    found = need(ctx.obs.get(kinds.SERVICE_ACCOUNT, ctx.namespace, name, named_by_user=True))
    if found is None:
        raise PlanError(
            f"failed to fetch existing {whose} service account {ctx.namespace}/{name}: "
            f"{kinds.SERVICE_ACCOUNT.not_found(name)}"
        )
    return found

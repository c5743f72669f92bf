"""The pod forms of one service while it is planned: what goes into the digests, and which workloads keep their form.

See `pod_form.py` for the decision.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from aioctl.api import model_uri
from aioctl.api.kinds import Kind
from aioctl.api.objects import Object, sequence, text
from aioctl.plan.memo import told
from aioctl.plan.model import Context, Held, PlanError
from aioctl.plan.workload import credentials, initializer, oci, pods
from aioctl.plan.workload.pod_form import SETTLED, Keeper, inputs_digest, settled_by_another, wants_current


class Forms:
    """Makes the keepers, and tells afterwards what they kept."""

    def __init__(self) -> None:
        self._keepers: list[tuple[Kind, str, Keeper]] = []

    def keeper(
        self,
        ctx: Context,
        side: pods.Side,
        kind: Kind,
        name: str,
        built: Sequence[pods.Pod],
        account: Object | None,
    ) -> Keeper:
        """For a workload of the side whose pods are like one of `built` and whose credentials are those of `account`."""
        return self.keeper_at(
            ctx,
            side.path,
            kind,
            name,
            built,
            account,
            role=side.role,
            copied=(pods.copied_labels(ctx), pods.copied_annotations(ctx, pods.GROUP_ANNOTATIONS)),
            pool=next((told for pod in built if (told := pods.told_pool(ctx, pod))), ""),
        )

    def keeper_at(
        self,
        ctx: Context,
        path: tuple[str, ...],
        kind: Kind,
        name: str,
        built: Sequence[pods.Pod],
        account: Object | None,
        *,
        role: str,
        copied: Iterable[Mapping[str, str]] = (),
        pool: str = "",
    ) -> Keeper:
        """The same for a workload whose pods are described at `path` of the spec; see `inputs_digest`."""
        inputs = inputs_digest(
            ctx,
            path,
            role=role,
            copied=copied,
            pool=pool,
            oci_mode=_oci_mode(ctx),
            credentials=credentials.found(ctx, account) if any(map(_downloads, built)) else None,
        )
        made = Keeper(inputs, partial(_settled, ctx), current=wants_current(ctx))
        self._keepers.append((kind, name, made))
        return made

    def take(self) -> tuple[Held, ...]:
        """The workloads since the last call whose pods keep another form than today's, or would if they were not rolled."""
        made, self._keepers = self._keepers, []
        return tuple(
            Held(kind.kind, name, rolls=keeper.rolls)
            for kind, name, keeper in made
            if keeper.held or keeper.rolls
        )


def _settled(ctx: Context) -> bool:
    return bool(told(ctx, SETTLED, lambda: settled_by_another(ctx.service)))


def _downloads(pod: Mapping[str, Any]) -> bool:
    return any(text(container, "name") == initializer.NAME for container in sequence(pod, "initContainers"))


def _oci_mode(ctx: Context) -> str:
    """How images get into the pods; empty where the model is none, or where the administrator allows no way."""
    uri = text({"spec": ctx.spec}, "spec", "model", "uri")
    if not uri.startswith(f"{model_uri.OCI}{model_uri.SEPARATOR}"):
        return ""
    try:
        return oci.mode(ctx)
    except PlanError:
        return ""

"""Services that can be asked for the same model though they do not share it as a traffic group (MODEL-3).

Publisher paths and the model header name the model and not the service, so the gateway leads all such requests to one of them.
"""

from collections.abc import Iterator

from aioctl.api.objects import text
from aioctl.plan.addresses import Models
from aioctl.plan.groups import group_name
from aioctl.plan.model import Context
from aioctl.plan.observation import Unknown
from aioctl.plan.routing import Mode, mode


def notices(ctx: Context) -> Iterator[tuple[str, str]]:
    """(reason, message) of the Warning event; nothing while it is not known who else is there."""
    if mode(ctx) is not Mode.MANAGED:
        return
    models = frozenset(Models.of(ctx).qualified)
    found = ctx.obs.namesakes(ctx.namespace, ctx.name, group_name(ctx), models)
    if found and not isinstance(found, Unknown):
        model = text({"spec": ctx.spec}, "spec", "model", "name")
        yield (
            "ModelNameCollision",
            (
                f'model name "{model}" overlaps with {", ".join(found)} in namespace {ctx.namespace}; shared publisher '
                "paths and model-routing headers cause the gateway to shadow one service. Reachable at its own address "
                f"{ctx.namespace}/{ctx.name}; safe to ignore if traffic splitting is planned"
            ),
        )

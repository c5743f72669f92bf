"""Deletes the VariantAutoscalings that KServe made before it wrote HPAs and ScaledObjects itself (SCALE-3).

Once per start of a leader, in all namespaces, those with our label only. Nothing depends on it: a failure is logged, and
the next leader tries again.
"""

from typing import Final

import anyio
import structlog

from aioctl.api import names
from aioctl.api.kinds import Kind
from aioctl.kube.cached import Cached
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError, NotFound

VARIANT_AUTOSCALING: Final = Kind(
    "llmd.ai", "v1alpha1", "VariantAutoscaling", "variantautoscalings", optional=True
)
ATTEMPTS: Final = 3
FIRST_WAIT: Final = 1.0
"""Seconds before the second attempt; it doubles."""
_OURS: Final = f"{names.PART_OF}={names.PART_OF_VALUE}"

log = structlog.get_logger(__name__)


async def delete_former_autoscalers(client: Client) -> None:
    """Returns when they are gone, none was ever there, or after ATTEMPTS. Raises nothing of the API server's."""
    for attempt in range(ATTEMPTS):
        if attempt:
            await anyio.sleep(FIRST_WAIT * 2 ** (attempt - 1))
        try:
            await _delete_all(client)
        except NotFound:
            return  # The CRD was never installed here.
        except KubeError as error:
            log.warning("former VariantAutoscalings cannot be listed", attempt=attempt + 1, error=str(error))
        else:
            return


async def _delete_all(client: Client) -> None:
    async for page in client.list_pages(VARIANT_AUTOSCALING, labels=_OURS, metadata_only=True):
        for raw in page.items:
            item = Cached.from_raw(raw, VARIANT_AUTOSCALING)
            try:
                await client.delete(VARIANT_AUTOSCALING, item.key.namespace, item.key.name, uid=item.uid)
            except NotFound:
                continue
            except KubeError as error:
                log.warning("former VariantAutoscaling not deleted", object=str(item.key), error=str(error))
            else:
                log.info("deleted", kind=VARIANT_AUTOSCALING.kind, object=str(item.key))

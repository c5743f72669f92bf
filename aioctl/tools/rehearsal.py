"""One `aioctl diff`: read, play the plans, and fetch what they asked for until they ask no more."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from aioctl.api.objects import Object
from aioctl.plan.observation import Observation
from aioctl.tools.diff import Report, edited, report
from aioctl.tools.session import Session

_ROUNDS: Final = 24
"""How often what plans ask for is fetched: each of the writes that a plan is played through may ask for more."""


async def rehearse(opened: Session, name: str, given: Sequence[Object]) -> list[Report]:
    """What every chosen service would get; `given`: objects that count as applied. Raises ToolError.

    With objects of other kinds than services among them every service is looked at, else those of the file.
    """
    reader, found = await opened.read()
    services = [] if given and not name else list(await opened.wanted(reader, found, name))
    reports: list[Report] = []
    for _ in range(_ROUNDS):
        now = datetime.now(UTC)
        obs: Observation = found
        chosen = services
        if given:
            obs, edits, others = edited(found, given, opened.policy, opened.connection.namespace)
            everyone = list(await opened.wanted(reader, found, "")) if others and not name else services
            keys = {_key(service) for service in edits}
            if name:
                edits = [service for service in edits if _key(service)[1] == name]
            chosen = [*edits, *(service for service in everyone if _key(service) not in keys)]
        reports = [report(obs, service, opened.policy, now) for service in chosen]
        if not await reader.answer(found):
            break
    return reports


def _key(service: Object) -> tuple[str, str]:
    metadata = service["metadata"]
    return metadata["namespace"], metadata["name"]

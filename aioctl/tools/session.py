"""One command's look at a cluster: connect, read, plan, and fetch what the plans asked for until they ask no more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, key_of
from aioctl.plan.policy import Policy
from aioctl.plan.waves import Pace
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.connect import Connection
from aioctl.tools.explain import Chain, chains
from aioctl.tools.look import Look, look
from aioctl.tools.snapshot import ROUNDS, Reader, Snapshot
from aioctl.tools.tree import tree
from aioctl.tools.waiting import in_turn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """An open connection, and the words of the command line that narrow what is looked at."""

    connection: Connection
    access: Access
    policy: Policy
    pace: Pace = field(default_factory=Pace)
    """How many services may move at once, and when."""

    async def looks(self, name: str = "") -> tuple[Snapshot, list[Look]]:
        """Every service asked for, planned, or the named one. Raises ToolError."""
        found, seen, _ = await self._look(name, tree)
        return found, seen

    async def explained(self, name: str = "") -> tuple[list[Look], list[tuple[Look, list[Chain]]]]:
        """Every service asked for, and the chains of those that have any. Raises ToolError."""
        _, seen, made = await self._look(name, chains)
        return seen, [(one, several) for one, several in zip(seen, made, strict=True) if several]

    async def _look(
        self, name: str, judge: Callable[[Look, Snapshot], T]
    ) -> tuple[Snapshot, list[Look], list[T]]:
        """Looks and judges until nothing more is asked for: a judgement, too, may ask for objects."""
        reader, found = await self.read()
        services = await self.wanted(reader, found, name)
        fleet = await reader.fleet() if self.pace != Pace() and self.connection.namespace else []
        seen: list[Look] = []
        judged: list[T] = []
        for _ in range(ROUNDS):
            now = datetime.now(UTC)
            seen = [look(found, service, self.policy, now) for service in services]
            seen = in_turn(seen, found, self.policy, self.pace, fleet or found.services(), now)
            judged = [judge(one, found) for one in seen]
            if not await reader.answer(found):
                break
        return found, seen, judged

    async def read(self) -> tuple[Reader, Snapshot]:
        """Everything that is listed, and who fetches what plans ask for beyond it. Raises ToolError."""
        reader = Reader(
            self.connection,
            system_namespace=self.policy.system_namespace,
            signer=self.policy.signer,
        )
        return reader, await reader.read()

    async def wanted(self, reader: Reader, found: Snapshot, name: str) -> Sequence[Object]:
        """The services that name and selector choose. Raises ToolError for a name that nobody has."""
        services = found.services()
        if self.access.selector:
            keys = await reader.matching(self.access.selector)
            services = [service for service in services if key_of(service) in keys]
        if not name:
            return services
        services = [service for service in services if key_of(service).name == name]
        if not services:
            raise ToolError(self._unknown(name, found), Exit.USAGE)
        if len(services) > 1:
            namespaces = ", ".join(key_of(service).namespace for service in services)
            raise ToolError(f"{name} is in several namespaces ({namespaces}): choose one with -n", Exit.USAGE)
        return services

    def _unknown(self, name: str, found: Snapshot) -> str:
        where = f"namespace {self.connection.namespace}" if self.connection.namespace else "any namespace"
        known = [key_of(service) for service in found.services()]
        near = _near(name, known)
        hint = f"; there is {near}" if near else f"; {len(known)} others are there" if known else ""
        return f'no {kinds.SERVICE.kind} "{name}" in {where}{hint}'


def _near(name: str, known: Sequence[ObjectKey]) -> str:
    found = next((key for key in known if name in key.name or key.name in name), None)
    return str(found) if found else ""

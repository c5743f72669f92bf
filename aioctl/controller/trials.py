"""Dry runs of combined specs, and what came of them (PRESET-8).

One verdict is kept for each service. It holds for exactly what was asked and for the CRD of that moment: the same spec is not
asked about again, whatever else wakes the service. What was accepted holds with other numbers of replicas, too. A refusal is asked about again after an hour, too, and what could not be asked in the
service's next run.
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.encoding import to_json
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import Object, mapping, text
from aioctl.controller.caches import Caches
from aioctl.controller.service_state import ServiceStates, Tried
from aioctl.engine.clock import Clock
from aioctl.kube.client import Client
from aioctl.kube.errors import ApiError, Forbidden, KubeError, asked_to_wait
from aioctl.plan import lasting, trial
from aioctl.plan.dry_run import GENERATED, RECHECK
from aioctl.plan.trial import Accepted, DryRunResult, Rejected, Unavailable

CRD: Final = ObjectRef(kinds.CRD, "", kinds.SERVICE.resource)
"""Its schema is part of every verdict."""
_MADE_UP: Final = re.compile(rf"[a-z0-9]{{{len(GENERATED)}}}(?![a-z0-9])")
"""What the API server adds to a `generateName`."""
_MAY_NOT_ASK: Final = f'cannot create resource "{kinds.SERVICE.plural}"'
"""What the API server's authorizer says, unlike quotas and webhooks, which are 403 as well."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A question: the service that would be created, and the digest under which the answer is kept."""

    candidate: Object
    digest: bytes
    schema: str

    @property
    def uncounted(self) -> bytes:
        """The digest whatever the numbers of replicas are, as long as any schema takes them."""
        spec = self.candidate["spec"]
        numbers = [_in_bounds(number) for number in lasting.counts(spec).values()]
        return _digest([{**self.candidate, "spec": lasting.without_counts(spec)}, numbers], self.schema)


class Trials:
    """Asks, and keeps the answers in the records of the services."""

    def __init__(self, client: Client, caches: Caches, clock: Clock, states: ServiceStates) -> None:
        self._client = client
        self._caches = caches
        self._clock = clock
        self._states = states

    def begin(self, service: ObjectKey) -> None:
        """A new run: what could not be asked in the last one is forgotten."""
        state = self._states.of(service)
        if state.tried is not None and isinstance(state.tried.verdict, Unavailable):
            state.tried = None

    def trial(self, candidate: Object) -> Trial:
        """The question, with the CRD as it is now."""
        schema = self._schema()
        return Trial(candidate, _digest(candidate, schema), schema)

    def last(self, service: ObjectKey) -> tuple[bytes, str] | None:
        """What the verdict that still holds was about, and the CRD of now; None where there is none."""
        tried = self._states.of(service).tried
        if tried is None or tried.until <= self._clock.monotonic():
            return None
        return tried.digest, self._schema()

    def _schema(self) -> str:
        crd = self._caches.get(CRD.kind, CRD.key)
        return f"{crd.uid}/{crd.generation}" if crd is not None else ""

    def known(self, service: ObjectKey, asked: Trial) -> DryRunResult | None:
        """What is kept and still holds."""
        tried = self._states.of(service).tried
        if tried is None or tried.until <= self._clock.monotonic():
            return None
        if tried.digest == asked.digest or (tried.accepted and tried.accepted == asked.uncounted):
            return tried.verdict
        return None

    async def ask(self, service: ObjectKey, asked: Trial) -> None:
        """Asks the API server; what comes of it is known from then on."""
        verdict = await self._ask(asked.candidate)
        state = self._states.of(service)
        until = self._clock.monotonic() + RECHECK if isinstance(verdict, Rejected) else float("inf")
        accepted = asked.uncounted if isinstance(verdict, Accepted) else b""
        state.tried = Tried(asked.digest, verdict, until, accepted)

    async def _ask(self, candidate: Object) -> DryRunResult:
        namespace = candidate["metadata"]["namespace"]
        try:
            await self._client.create(kinds.SERVICE, namespace, candidate, dry_run=True)
        except ApiError as error:
            if isinstance(error, Forbidden) and _MAY_NOT_ASK in error.message:
                return trial.in_process(candidate)
            message = _settled(error.message, candidate)
            detail = _settled(trial.detail(error.message, error.details), candidate)
            if error.reason == "Invalid" or (error.status == 422 and not error.reason):
                return Rejected(message, detail)
            return Unavailable(message, detail, asked_to_wait(error) or 0.0)
        except KubeError as error:
            return Unavailable(str(error), str(error))
        return Accepted()


def _digest(asked: Any, schema: str) -> bytes:
    return blake2b(to_json(asked) + schema.encode(), digest_size=16).digest()


def _in_bounds(number: Any) -> Any:
    """True for every number of replicas that a schema takes; absent and impossible ones are asked about as they are."""
    return True if type(number) is int and 0 <= number < 2**31 else number


def _settled(said: str, candidate: Object) -> str:
    """What was said, under one name: the generated one would be news to the status every hour and in every new process."""
    prefix = text(mapping(candidate, "metadata"), "generateName")
    if not prefix:
        return said
    before, *names = said.split(prefix)
    return prefix.join(
        [before, *(GENERATED + name[len(GENERATED) :] if _MADE_UP.match(name) else name for name in names)]
    )

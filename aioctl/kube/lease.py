"""One leader among the replicas, by a Lease.

`run` waits for the lease, runs the given work while it holds it, renews it beside the work, and gives it back after the work
has really ended. All deadlines are on the monotonic clock: the times inside the Lease are for people, a candidate only asks
how long it has itself seen the record unchanged. A holder counts its time from before the request that renewed, and cancels
its work `lease_duration - renew_deadline` before anybody else may start: work that asks `leads` from its cancellation on
knows whether it may still finish what it has begun. A lost lease ends in `LeadershipLost`: the process
shall exit, its caches and queues belong to a past.

The client should have no rate limit: renewals must not stand in line behind the work.
"""

import socket
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from zlib import crc32

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl.api.kinds import LEASE
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.kube.client import Client
from aioctl.kube.errors import AlreadyExists, Conflict, KubeError, NotFound

RELEASE: Final = 3.0
"""Seconds that giving the lease back may take; then it simply runs out."""

log = structlog.get_logger(__name__)


class LeadershipLost(Exception):
    """Somebody else holds the lease, or it could not be renewed in time. The work has ended already."""


class LeaseObserver:
    """Hook for `leader_election_master_status`."""

    def leading(self, name: str, leads: bool) -> None: ...  # noqa: FBT001  one fact, no switch


def new_identity() -> str:
    """Host name, underscore, random UUID (LEASE-1): a restarted pod is another candidate."""
    return f"{socket.gethostname()}_{uuid.uuid4()}"


@dataclass(frozen=True, slots=True)
class _Observed:
    """The record as last seen, and since when it has looked like that."""

    lease: Mapping[str, Any]
    since: float

    @property
    def spec(self) -> Mapping[str, Any]:
        return self.lease.get("spec") or {}

    @property
    def holder(self) -> str:
        return self.spec.get("holderIdentity") or ""

    def runs_out_at(self, own_duration: float) -> float:
        """A record with a longer duration than ours keeps its right to it."""
        return self.since + max(own_duration, float(self.spec.get("leaseDurationSeconds") or 0))


class LeaderElection:
    """One candidate for one lease."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        lease_duration: float = 15.0,
        renew_deadline: float = 10.0,
        retry_period: float = 2.0,
        clock: Clock = SYSTEM_CLOCK,
        observer: LeaseObserver | None = None,
    ) -> None:
        """Seconds: a lease lasts `lease_duration`; a holder that could not renew for `renew_deadline` gives up;
        holders renew every `retry_period`, candidates look twice as often. Raises ValueError unless each is longer than
        the next.
        """
        if not lease_duration > renew_deadline > retry_period * 1.2 > 0:
            raise ValueError(
                "leader election needs lease duration > renew deadline > 1.2 x retry period > 0;"
                f" got {lease_duration:g}, {renew_deadline:g}, {retry_period:g} s"
            )
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._lease_duration = lease_duration
        self._renew_deadline = renew_deadline
        # Candidates differ by their identity, so they do not all knock at the same moment.
        self._pace = retry_period * (1.0 + 0.2 * (crc32(identity.encode()) % 1000) / 1000)
        self._clock = clock
        self._observer: LeaseObserver = observer or LeaseObserver()
        # A lease that was given back shall be taken within 2 s at the defaults; a look is one small GET.
        self._candidate_pace = self._pace / 2
        self._observed: _Observed | None = None
        self._leads = False
        self._renewed_at = 0.0
        self._told = ""
        """Why we do not hold the lease, as last logged: every look finds the same."""

    @property
    def leads(self) -> bool:
        """True while the work may run. By the clock, too: a process that was stopped is asked before its renewal wakes."""
        return self._leads and self._clock.monotonic() < self._renewed_at + self._renew_deadline

    @property
    def holder(self) -> str:
        """Identity of the present holder as last seen; empty when there is none."""
        return self._observed.holder if self._observed is not None else ""

    async def run(
        self,
        lead: Callable[[], Awaitable[None]],
        *,
        task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
    ) -> None:
        """Waits for the lease, then runs `lead` while holding it. Reports started at once, as a candidate.

        Returns when `lead` returns. Raises what `lead` raises, and LeadershipLost; in every case, cancellation included,
        `lead` has ended before the lease is given back.
        """
        task_status.started()
        self._observer.leading(self._name, False)
        await self._acquire()
        log.info("leading", lease=self._name, identity=self.identity)
        try:
            await self._lead(lead)
        finally:
            if self._leads:
                self._set_leads(leads=False)
                with anyio.CancelScope(shield=True), anyio.move_on_after(RELEASE):
                    await self._release()

    async def _lead(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Runs the work with the renewal beside it. The renewal goes on while a cancelled `lead` is still ending."""
        failure: Exception | None = None
        renewal = anyio.CancelScope(shield=True)
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as leading:
                tasks.start_soon(self._renew_until_lost, renewal, leading)
                try:
                    await lead()
                except Exception as error:  # noqa: BLE001
                    # Raised below: out of the task group it would come wrapped.
                    failure = error
                finally:
                    renewal.cancel()
        if failure is not None:
            raise failure
        if not self._leads:
            raise LeadershipLost(f"lease {self._namespace}/{self._name} {self._why_lost()}")

    async def _acquire(self) -> None:
        while not await self._try():  # noqa: ASYNC110  the server tells nobody
            await anyio.sleep(self._candidate_pace)
        self._set_leads(leads=True)

    async def _renew_until_lost(self, renewal: anyio.CancelScope, leading: anyio.CancelScope) -> None:
        with renewal:
            while (left := self._renewed_at + self._renew_deadline - self._clock.monotonic()) > 0:
                with anyio.move_on_after(left):
                    await anyio.sleep(self._pace)
                    await self._try()
                if self.holder not in ("", self.identity):
                    break
            log.error("leadership lost", lease=self._name, holder=self.holder, cause=self._why_lost())
            self._set_leads(leads=False)
            leading.cancel()

    def _why_lost(self) -> str:
        if self.holder in ("", self.identity):
            return f"could not be renewed for {self._renew_deadline:g} s"
        return f"is lost to {self.holder}"

    async def _try(self) -> bool:
        """Takes or renews the lease if that is our right; False if not, or if it did not work."""
        try:
            if not (self._leads and await self._renewed()):
                await self._look()
                if self._somebody_elses():
                    if not self._leads and self._is_news(self.holder):
                        log.info("another holds the lease", lease=self._name, holder=self.holder)
                    return False
                await self._write()
        except (Conflict, AlreadyExists):
            return False  # somebody was first: the next look tells who
        except KubeError as error:
            if self._is_news(str(error)):
                log.warning(
                    "lease cannot be had", lease=self._name, namespace=self._namespace, error=str(error)
                )
            return False
        self._told = ""
        return True

    def _is_news(self, why: str) -> bool:
        was, self._told = self._told, why
        return why != was

    async def _renewed(self) -> bool:
        """Writes without looking first, which is enough as long as nobody else writes."""
        try:
            await self._write()
        except (Conflict, NotFound):
            return False
        return True

    def _somebody_elses(self) -> bool:
        observed = self._observed
        if observed is None or observed.holder in ("", self.identity):
            return False
        # One who led and finds another holder has lost, even if that one's time is over by now.
        return self._leads or self._clock.monotonic() < observed.runs_out_at(self._lease_duration)

    async def _look(self) -> None:
        try:
            lease = await self._client.get(LEASE, self._namespace, self._name)
        except NotFound:
            # Deleted by hand: whoever held it may still be at work, and has the first right to make it again.
            if not self._somebody_elses():
                self._observed = None
            return
        if self._observed is None or self._observed.spec != (lease.get("spec") or {}):
            self._observed = _Observed(lease, self._clock.monotonic())
        else:
            self._observed = _Observed(lease, self._observed.since)

    async def _write(self) -> None:
        """Writes ourselves into the record last seen; its resourceVersion lets only one of two candidates win."""
        asked_at = self._clock.monotonic()
        observed = self._observed
        if observed is None:
            lease = await self._client.create(LEASE, self._namespace, self._body(self._record(None)))
        else:
            spec = {**observed.spec, **self._record(observed)}
            lease = await self._client.update(LEASE, {**observed.lease, "spec": spec})
        self._observed = _Observed(lease, asked_at)
        self._renewed_at = asked_at

    def _record(self, observed: _Observed | None) -> dict[str, Any]:
        now = _micro_time(self._clock.now())
        spec: dict[str, Any] = {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._lease_duration)),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        }
        if observed is not None:
            transitions = int(observed.spec.get("leaseTransitions") or 0)
            mine = observed.holder == self.identity
            spec["leaseTransitions"] = transitions if mine else transitions + 1
            if mine:
                spec["acquireTime"] = observed.spec.get("acquireTime") or now
        return spec

    def _body(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": spec,
        }

    async def _release(self) -> None:
        """Says that nobody holds it, so that the next one need not wait for it to run out."""
        try:
            await self._look()
            observed = self._observed
            if observed is None or observed.holder != self.identity:
                return
            now = _micro_time(self._clock.now())
            spec = {**observed.spec, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": now}
            await self._client.update(LEASE, {**observed.lease, "spec": spec})
            log.info("lease released", lease=self._name)
        except KubeError as error:
            log.warning("lease not released, it will run out", lease=self._name, error=str(error))

    def _set_leads(self, *, leads: bool) -> None:
        self._leads = leads
        self._observer.leading(self._name, leads)


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

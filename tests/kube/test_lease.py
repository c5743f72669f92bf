"""Leader election: never two at once, never work without the lease, quick hand-over on a clean stop.

Rules: LEASE-1.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs

from aioctl.kube.client import Client
from aioctl.kube.errors import TransportError
from aioctl.kube.lease import LeaderElection, LeadershipLost, LeaseObserver, new_identity
from aioctl.kube.wire import Request, Response
from testbed.scripted_wire import ScriptedWire, encode, status_body
from testbed.virtual_time import VirtualClock, virtual_time

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/kserve/leases"
PATH = f"{COLLECTION}/lock"


class LeaseServer:
    """One Lease with optimistic locking, and a wire per candidate that can be cut."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes = 0

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec

    def forget(self) -> None:
        self.lease = None

    def wire(self) -> "CandidateWire":
        wire = CandidateWire()
        for method, path in (("GET", PATH), ("POST", COLLECTION), ("PUT", PATH)):
            wire.answer(method, path, wire.unless_cut(getattr(self, method.lower())))
        return wire

    def get(self, request: Request) -> Response:
        if self.lease is None:
            return refused(404, "NotFound")
        return Response(200, {}, encode(self.lease))

    def post(self, request: Request) -> Response:
        return refused(409, "AlreadyExists") if self.lease else self.store(request, 201)

    def put(self, request: Request) -> Response:
        if self.lease is None:
            return refused(404, "NotFound")
        version = msgspec.json.decode(request.body or b"")["metadata"].get("resourceVersion")
        return self.store(request, 200) if version == str(self.version) else refused(409, "Conflict")

    def store(self, request: Request, status: int) -> Response:
        self.version += 1
        self.writes += 1
        self.lease = msgspec.json.decode(request.body or b"", type=dict[str, Any])
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return Response(status, {}, encode(self.lease))


class CandidateWire(ScriptedWire):
    cut = False

    def unless_cut(self, answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
        def answered(request: Request) -> Response:
            if self.cut:
                raise TransportError("unreachable", maybe_sent=True)
            return answer(request)

        return answered


def refused(code: int, reason: str) -> Response:
    return Response(code, {}, encode(status_body(code, reason, reason, {"name": "lock"})))


class Candidate:
    """A replica whose work notes when it starts and when it has really ended."""

    def __init__(self, server: LeaseServer, identity: str, *, ending: float = 0.0) -> None:
        self.wire = server.wire()
        self.election = LeaderElection(Client(self.wire), "kserve", "lock", identity, clock=VirtualClock())
        self.ending = ending
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.led_when_cancelled: bool | None = None
        self.lost = ""
        self.stop = anyio.CancelScope()

    async def work(self) -> None:
        self.started_at = anyio.current_time()
        try:
            await anyio.sleep_forever()
        finally:
            self.led_when_cancelled = self.election.leads
            with anyio.CancelScope(shield=True):
                await anyio.sleep(self.ending)
            self.ended_at = anyio.current_time()

    def runs(self) -> bool:
        return self.started_at is not None and self.ended_at is None

    async def run(self) -> None:
        with self.stop:
            try:
                await self.election.run(self.work)
            except LeadershipLost as error:
                self.lost = str(error)


def scenario(
    body: Callable[[LeaseServer, Candidate, Candidate], Awaitable[None]], *, ending: float = 0.0
) -> None:
    """Runs two candidates; `a` leads when the body starts, at 5 s."""

    @virtual_time
    async def run() -> None:
        server = LeaseServer()
        a, b = Candidate(server, "a", ending=ending), Candidate(server, "b")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(a.run)
            await anyio.sleep(1)
            tasks.start_soon(b.run)
            await anyio.sleep(4)
            assert a.started_at == 0
            assert b.started_at is None
            await body(server, a, b)
            tasks.cancel_scope.cancel()

    run()


def test_one_of_two_leads_and_keeps_leading() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        await anyio.sleep(3600)
        assert b.started_at is None
        assert a.election.leads
        assert not b.election.leads
        assert b.election.holder == "a"
        assert server.spec["leaseTransitions"] == 0
        assert server.spec["acquireTime"] == "2026-01-01T00:00:00.000000Z"
        assert server.spec["renewTime"] > "2026-01-01T01:00:0"
        assert server.spec["leaseDurationSeconds"] == 15

    scenario(body)


def test_who_waits_says_once_for_whom() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        with capture_logs() as lines:
            await anyio.sleep(60)
        assert lines == [], "b has said it before, and nothing has changed"
        with capture_logs() as lines:
            a.stop.cancel()
            server.lease = {**(server.lease or {}), "spec": {**server.spec, "holderIdentity": "c"}}
            await anyio.sleep(5)
        (line,) = [line for line in lines if line["event"] == "another holds the lease"]
        assert (line["log_level"], line["lease"], line["holder"]) == ("info", "lock", "c")

    scenario(body)


@virtual_time
async def test_a_lease_that_cannot_be_had_is_a_warning_and_one_line_for_each_cause() -> None:
    wire = ScriptedWire()
    wire.answer("GET", PATH, refused(404, "NotFound"))
    causes = iter([*["Forbidden"] * 5, *["Denied"] * 500])
    wire.answer("POST", COLLECTION, lambda _: refused(403, next(causes)))
    election = LeaderElection(Client(wire), "kserve", "lock", "a", clock=VirtualClock())
    with capture_logs() as lines, anyio.move_on_after(60):
        await election.run(anyio.sleep_forever)
    told = [(line["log_level"], line["error"]) for line in lines if line["event"] == "lease cannot be had"]
    assert told == [("warning", "Forbidden"), ("warning", "Denied")]


def test_a_holder_renews_with_one_call() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        before = len(a.wire.asked("GET"))
        await anyio.sleep(600)
        assert len(a.wire.asked("GET")) == before
        assert 600 / 2.4 - 1 <= len(a.wire.asked("PUT")) <= 606 / 2

    scenario(body)


def test_a_clean_stop_hands_over_within_1_2_s_after_the_work_has_ended() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        a.stop.cancel()
        await anyio.sleep(10)
        assert a.ended_at is not None
        assert b.started_at is not None
        assert a.ended_at == 8
        assert a.led_when_cancelled is True
        assert a.ended_at <= b.started_at <= a.ended_at + 1.2
        assert server.spec["holderIdentity"] == "b"
        assert server.spec["leaseTransitions"] == 1

    scenario(body, ending=3.0)


def test_the_lease_is_renewed_while_a_stopping_leader_is_still_ending() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        a.stop.cancel()
        await anyio.sleep(55)
        assert not b.runs()
        await anyio.sleep(10)
        assert a.ended_at == 65
        assert b.started_at is not None
        assert b.started_at >= 65

    scenario(body, ending=60.0)


def test_a_dead_leader_is_followed_within_lease_plus_5_s_but_not_before_its_lease_ran_out() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        a.wire.cut = True
        died_at = anyio.current_time()
        await anyio.sleep(25)
        assert b.started_at is not None
        assert died_at + 15 - 2.4 <= b.started_at <= died_at + 20

    scenario(body)


def test_a_leader_that_cannot_renew_has_ended_its_work_before_anybody_else_starts() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        a.wire.cut = True
        await anyio.sleep(30)
        assert a.lost == "lease kserve/lock could not be renewed for 10 s"
        assert not a.election.leads
        assert a.ended_at is not None
        assert b.started_at is not None
        assert a.ended_at < b.started_at
        assert a.led_when_cancelled is False
        # It renewed last between 3 and 5 s; ten seconds later it gives up, three later the work is over.
        assert a.ended_at <= 5 + 10 + 3
        # What is lost is not given back: it is somebody else's.
        assert server.spec["holderIdentity"] == "b"

    scenario(body, ending=3.0)


def test_a_leader_that_is_answered_by_nobody_gives_up_at_the_deadline() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        a.wire.delay = 1e9
        await anyio.sleep(30)
        assert a.lost
        assert a.ended_at is not None
        assert a.ended_at <= 15

    scenario(body)


def test_a_leader_that_finds_another_holder_stops_at_once() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        server.spec["holderIdentity"] = "intruder"
        server.version += 1
        assert server.lease is not None
        server.lease["metadata"]["resourceVersion"] = str(server.version)
        await anyio.sleep(3)
        assert a.lost == "lease kserve/lock is lost to intruder"
        assert a.ended_at is not None
        assert a.ended_at <= 8
        assert server.spec["holderIdentity"] == "intruder"

    scenario(body)


def test_a_short_outage_costs_nothing() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        a.wire.cut = b.wire.cut = True
        await anyio.sleep(6)
        a.wire.cut = b.wire.cut = False
        await anyio.sleep(60)
        assert a.election.leads
        assert b.started_at is None

    scenario(body)


def test_a_renewal_whose_answer_got_lost_is_recognised_as_ones_own() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        server.version += 1
        assert server.lease is not None
        server.lease["metadata"]["resourceVersion"] = str(server.version)
        await anyio.sleep(60)
        assert a.election.leads
        assert server.spec["leaseTransitions"] == 0

    scenario(body)


def test_a_deleted_lease_is_made_again_by_its_holder_while_that_one_lives() -> None:
    async def body(server: LeaseServer, a: Candidate, b: Candidate) -> None:
        for _ in range(20):
            server.forget()
            await anyio.sleep(3)
        assert a.runs()
        assert not b.runs()
        assert server.spec["holderIdentity"] == "a"
        a.wire.cut = True
        server.forget()
        await anyio.sleep(20)
        assert a.lost
        assert b.runs()

    scenario(body)


@virtual_time
async def test_a_longer_lease_of_another_kind_of_manager_is_respected() -> None:
    server = LeaseServer()
    server.lease = {
        "metadata": {"name": "lock", "namespace": "kserve", "resourceVersion": "0", "labels": {"keep": "me"}},
        "spec": {"holderIdentity": "go", "leaseDurationSeconds": 60, "leaseTransitions": 4},
    }
    candidate = Candidate(server, "a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(candidate.run)
        await anyio.sleep(120)
        tasks.cancel_scope.cancel()
    assert candidate.started_at is not None
    assert 60 <= candidate.started_at <= 63
    assert server.spec["leaseTransitions"] == 5
    assert server.lease["metadata"]["labels"] == {"keep": "me"}


@virtual_time
async def test_work_that_returns_or_fails_gives_the_lease_back_and_says_so_plainly() -> None:
    class Broken(Exception):
        pass

    async def fail() -> None:
        raise Broken

    async def finish() -> None:
        await anyio.sleep(1)

    server = LeaseServer()
    await Candidate(server, "a").election.run(finish)
    assert server.spec["holderIdentity"] == ""
    with pytest.raises(Broken):
        await Candidate(server, "b").election.run(fail)
    assert server.spec["holderIdentity"] == ""


@virtual_time
async def test_leadership_is_observed() -> None:
    class Seen(LeaseObserver):
        values: list[tuple[str, bool]] = []  # noqa: RUF012

        def leading(self, name: str, leads: bool) -> None:
            self.values.append((name, leads))

    async def work() -> None:
        assert seen.values == [("lock", False), ("lock", True)]

    seen = Seen()
    wire = LeaseServer().wire()
    election = LeaderElection(Client(wire), "kserve", "lock", "a", clock=VirtualClock(), observer=seen)
    await election.run(work)
    assert seen.values == [("lock", False), ("lock", True), ("lock", False)]


@pytest.mark.parametrize("times", [(10, 10, 2), (15, 2, 2), (15, 10, 0), (15, 10, 9)])
def test_times_that_could_make_two_leaders_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="leader election needs"):
        LeaderElection(
            Client(ScriptedWire()),
            "n",
            "l",
            "i",
            lease_duration=times[0],
            renew_deadline=times[1],
            retry_period=times[2],
        )


def test_every_process_is_another_candidate() -> None:
    assert new_identity() != new_identity()
    assert "_" in new_identity()

"""The rotation of the webhook's certificates: no moment at which a served leaf is not trusted."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioctl.pki.pairs import ParsedPair, parse_pair
from aioctl.upkeep.webhook_rotation import (
    RotationPolicy,
    RotationState,
    RotationStep,
    advance,
    decide,
    from_secret_data,
    new_generation,
    to_secret_data,
)

START = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POLICY = RotationPolicy(("w.ns.svc", "w.ns.svc.cluster.local"), overlap=HOUR)


@pytest.fixture(scope="module")
def fresh() -> RotationState:
    return RotationState(new_generation(START, POLICY))


def names_of(state: RotationState) -> frozenset[str]:
    parsed = parse_pair(state.current.leaf.crt, state.current.leaf.key)
    assert isinstance(parsed, ParsedPair)
    return parsed.dns_names


def test_a_rotation_takes_its_four_steps_and_ends_steady(fresh: RotationState) -> None:
    now = START + 220 * DAY
    assert decide(fresh, START + 200 * DAY, POLICY, trusted=True) is RotationStep.KEEP
    assert decide(fresh, now, POLICY, trusted=True) is RotationStep.BEGIN
    spreading = advance(fresh, RotationStep.BEGIN, now, POLICY)
    assert spreading.bundle == fresh.current.ca.crt + (spreading.next or fresh.current).ca.crt
    assert decide(spreading, now + 9 * HOUR, POLICY, trusted=False) is RotationStep.KEEP
    assert decide(spreading, now, POLICY, trusted=True) is RotationStep.TRUSTED
    overlapping = advance(spreading, RotationStep.TRUSTED, now, POLICY)
    assert decide(overlapping, now + 0.9 * HOUR, POLICY, trusted=True) is RotationStep.KEEP
    assert decide(overlapping, now + HOUR, POLICY, trusted=True) is RotationStep.SWITCH
    settling = advance(overlapping, RotationStep.SWITCH, now + HOUR, POLICY)
    assert settling.current == spreading.next
    assert settling.bundle == settling.current.ca.crt + fresh.current.ca.crt
    assert decide(settling, now + 1.9 * HOUR, POLICY, trusted=True) is RotationStep.KEEP
    assert decide(settling, now + 2 * HOUR, POLICY, trusted=True) is RotationStep.SETTLE
    steady = advance(settling, RotationStep.SETTLE, now + 2 * HOUR, POLICY)
    assert steady.bundle == steady.current.ca.crt
    assert decide(steady, now + 3 * HOUR, POLICY, trusted=True) is RotationStep.KEEP


@given(st.floats(1, 604800), st.integers(30, 3650))
@settings(max_examples=30)
def test_the_new_leaf_is_served_before_two_thirds_of_the_life_are_over(overlap: float, days: int) -> None:
    policy = replace(POLICY, overlap=timedelta(seconds=overlap), lifetime=days * DAY)
    state = RotationState(new_generation(START, policy))
    due = next(
        START + days * DAY * share / 100
        for share in range(101)
        if decide(state, START + days * DAY * share / 100, policy, trusted=True) is RotationStep.BEGIN
    )
    assert START + days * DAY / 4 < due
    assert due + min(2 * policy.overlap, days * DAY / 3.5) < START + days * DAY * 2 / 3


def test_a_ca_that_somebody_took_out_of_a_bundle_starts_the_overlap_anew(fresh: RotationState) -> None:
    now = START + 220 * DAY
    overlapping = advance(advance(fresh, RotationStep.BEGIN, now, POLICY), RotationStep.TRUSTED, now, POLICY)
    assert decide(overlapping, now + HOUR, POLICY, trusted=False) is RotationStep.RESTART
    restarted = advance(overlapping, RotationStep.RESTART, now + HOUR, POLICY)
    assert decide(restarted, now + HOUR, POLICY, trusted=False) is RotationStep.KEEP
    assert decide(restarted, now + HOUR, POLICY, trusted=True) is RotationStep.TRUSTED


def test_new_names_are_reissued_at_once_by_the_ca_that_is_trusted_already(fresh: RotationState) -> None:
    other = replace(POLICY, dns_names=("x.ns.svc",))
    assert decide(fresh, START, other, trusted=True) is RotationStep.REISSUE
    reissued = advance(fresh, RotationStep.REISSUE, START, other)
    assert reissued.bundle == fresh.bundle
    assert names_of(reissued) == {"x.ns.svc", *POLICY.dns_names}
    assert decide(reissued, START, other, trusted=True) is RotationStep.KEEP
    assert decide(reissued, START, POLICY, trusted=True) is RotationStep.KEEP, (
        "replicas of two minds do not fight"
    )


def test_what_has_expired_is_renewed_at_once(fresh: RotationState) -> None:
    late = START + 366 * DAY
    assert decide(fresh, late, POLICY, trusted=True) is RotationStep.RENEW
    renewed = advance(fresh, RotationStep.RENEW, late, POLICY)
    assert decide(renewed, late, POLICY, trusted=True) is RotationStep.KEEP


def test_every_state_survives_the_secret(fresh: RotationState) -> None:
    state = fresh
    for step in (RotationStep.BEGIN, RotationStep.TRUSTED, RotationStep.SWITCH, RotationStep.SETTLE):
        assert from_secret_data(to_secret_data(state)) == state
        state = advance(state, step, START + 220 * DAY, POLICY)
    assert from_secret_data(to_secret_data(state)) == state


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tls.key": None}, "tls.key is missing"),
        ({"tls.crt": "%%"}, "tls.crt is not base64"),
        ({"signer.crt": "aGVsbG8="}, "signer.crt and its key: tls.crt is not PEM"),
        ({"since": "bm93"}, "since is not a time"),
        ({"since": "MjAyNi0xMS0yNA=="}, "since has no time zone"),
        ({"next-signer.crt": "aGVsbG8="}, "next-signer.key is missing"),
    ],
)
def test_a_broken_secret_is_told_by_entry(
    fresh: RotationState, change: dict[str, str | None], problem: str
) -> None:
    data = {**to_secret_data(fresh), **change}
    assert from_secret_data({name: value for name, value in data.items() if value is not None}) == problem


@dataclass
class Cluster:
    """Replicas that look now and then, and API servers that hold bundles; writes may fail, and API servers lag behind."""

    secret: RotationState
    served: list[RotationState]
    bundles: list[bytes]
    switches: int = 0
    now: datetime = START
    looked: list[datetime] = field(default_factory=list)
    used: list[bytes] = field(default_factory=list)
    """What each API server verifies with: its bundle as it was up to half an overlap ago."""
    written: list[datetime] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.looked = [self.now] * len(self.served)
        self.used, self.written = list(self.bundles), [self.now] * len(self.bundles)

    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        for index, written in enumerate(self.written):
            if self.now - written >= LAG:
                self.used[index] = self.bundles[index]

    def look(self, replica: int, failing: frozenset[int]) -> None:
        state = self.secret
        self.served[replica] = state
        self.looked[replica] = self.now
        untouched = True
        for index, bundle in enumerate(self.bundles):
            if bundle == state.bundle:
                continue
            if index in failing:
                return  # the look ends with an error
            self.bundles[index], self.written[index] = state.bundle, self.now
            untouched = False
        step = decide(state, self.now, SHORT, trusted=untouched)
        self.switches += step is RotationStep.SWITCH
        self.secret = advance(state, step, self.now, SHORT)

    def check(self) -> None:
        for state in self.served:
            for bundle in self.used:
                assert state.current.ca.crt in bundle


SHORT = replace(POLICY, lifetime=100 * HOUR)
GENERATION = new_generation(START, SHORT)
LOOK_EVERY = timedelta(minutes=30)
LAG = timedelta(minutes=25)

moves = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 25), st.frozensets(st.integers(0, 2), max_size=1)),
    min_size=30,
    max_size=200,
)


@given(st.integers(30, 60), moves)
@settings(max_examples=40)
def test_every_served_leaf_is_trusted_by_every_bundle_at_every_moment(
    hours: int, sequence: list[tuple[int, int, frozenset[int]]]
) -> None:
    start = RotationState(GENERATION)
    cluster = Cluster(start, [start] * 3, [start.bundle] * 3, now=START + hours * HOUR)
    for replica, minutes, failing in sequence:
        cluster.wait(minutes)
        cluster.look(replica, failing)
        cluster.check()
        for other in range(3):  # nobody is away for longer than half an overlap
            if cluster.now - cluster.looked[other] >= LOOK_EVERY:
                cluster.look(other, failing)
                cluster.check()


def test_the_simulated_cluster_does_rotate() -> None:
    start = RotationState(GENERATION)
    cluster = Cluster(start, [start] * 2, [start.bundle] * 3, now=START + 55 * HOUR)
    for turn in range(60):
        cluster.wait(10)
        cluster.look(turn % 2, frozenset())
        cluster.check()
    assert cluster.switches == 1
    assert cluster.bundles == [cluster.secret.current.ca.crt] * 3

"""The explorations of the command and of the test run, by name."""

from collections.abc import Mapping
from dataclasses import replace

from aioctl.plan.policy import Strategy
from tests.model.moves import Rules
from tests.model.state import HALF, ON_ALPHA, ON_V1, Crd, Failing

SMALL = Rules(
    failing=(Failing.NONE, Failing.POOLS, Failing.ROUTE),
    crds=(Crd.THERE, Crd.GONE),
    edits=((ON_ALPHA, ON_ALPHA), (ON_V1, ON_V1), (HALF, ON_ALPHA)),
    hostnames=False,
)
"""One thing of each sort; small enough for a fixed point."""

_NARROW = replace(SMALL, failing=(Failing.NONE, Failing.POOLS), edits=((ON_ALPHA, ON_ALPHA), (HALF, ON_V1)))

PROFILES: Mapping[str, Rules] = {
    "weighted": replace(SMALL, strategies=(Strategy.WEIGHTED,)),
    "swap": replace(SMALL, strategies=(Strategy.SWAP,)),
    "hold": replace(SMALL, strategies=(Strategy.HOLD,)),
    "switching": replace(_NARROW, strategies=tuple(Strategy), pausing=False),
    "two-gateways": replace(_NARROW, gateways=2),
    "two-gateways-swap": replace(_NARROW, gateways=2, strategies=(Strategy.SWAP,)),
    "everything": Rules(strategies=tuple(Strategy)),
    "everything-two-gateways": Rules(gateways=2, strategies=tuple(Strategy)),
}
"""`everything` has no fixed point within minutes; it is for `--states` and `--seconds`."""

"""Equal facts end in an equal status, byte for byte but for times, in whatever order they arrived."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from testbed.virtual_time import run_virtual
from tests.model.orders import ILL, MIXED, WELL, Fact, told
from tests.model.retelling import Teller

FACTS = pytest.mark.parametrize("facts", [WELL, ILL, MIXED], ids=["well", "ill", "mixed"])
ORDERS = pytest.mark.parametrize("orders", [30, pytest.param(1_000, marks=pytest.mark.thorough)])
FLEETS = pytest.mark.parametrize("fleet", [5, pytest.param(15, marks=pytest.mark.thorough)])
"""Orders told to real controllers; `python -m tests.model --orders 1000` tells more."""


@ORDERS
@FACTS
def test_all_orders_of_the_same_facts_end_in_one_status(facts: Sequence[Fact], orders: int) -> None:
    teller = Teller(facts)
    # Determinism, not secrecy.
    generator = random.Random(6)  # noqa: S311
    ends = Counter(teller.tell(generator) for _ in range(orders))
    assert len(ends) == 1, ends


@FLEETS
@FACTS
def test_a_real_controller_ends_in_one_status_for_every_order(facts: Sequence[Fact], fleet: int) -> None:
    ends = Counter(run_virtual(told, facts, fleet).values())
    assert len(ends) == 1, ends

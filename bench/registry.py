"""All scenarios of the bench, in the order in which `python -m bench list` shows them."""

from collections.abc import Mapping
from typing import Final

from bench import (
    churn,
    convert,
    crash,
    crds,
    faults,
    growth,
    memory,
    plan,
    reading,
    restart,
    rotation,
    scale,
    soak,
    storm,
    strangers,
    takeover,
    update,
    wave,
    worst,
)
from bench.scenario import Scenario

_PROCESSES: Final = "it lives in this process on the embedded cluster, in virtual time"

_ALL: Final = (
    storm.SCENARIO,
    wave.SCENARIO,
    update.SCENARIO,
    restart.SCENARIO,
    churn.STEADY,
    churn.FLAP,
    churn.FIGHT,
    reading.LISTS,
    reading.BURST,
    rotation.SCENARIO,
    takeover.SCENARIO,
    scale.SCENARIO,
    Scenario(
        name="crash",
        what="a controller is killed at every write it makes, in a catalogue of scenarios",
        measures="plans whose end differs from that of the life in which nobody died.",
        judged_by="every scenario is lived through once without a death, and ten virtual minutes at rest bring no write.",
        command=crash.main,
        said=["plans that ended otherwise ≤ 0"],
        not_elsewhere=_PROCESSES,
    ),
    Scenario(
        name="faults",
        what="fleets are created while misfortunes happen for a minute, alone and in pairs",
        measures="services lost or moved back, requests lost for nothing, writes by those of a good day, virtual seconds to rest.",
        judged_by="a good day comes first, and everything is counted against it.",
        command=faults.main,
        seed=0,
        said=[
            "services lost, moved back, requests lost for nothing ≤ 0",
            f"writes tried ≤ {faults.MOST_TRIED:g} x, taken ≤ {faults.MOST_TAKEN:g} x those of a good day",
        ],
        not_elsewhere=_PROCESSES,
    ),
    Scenario(
        name="soak",
        what="everything at once: users, a gateway that learns, processes that die, up to three misfortunes; by a seed",
        measures="broken laws: of every version of every route, and of the whole fleet when all works again.",
        judged_by="what happened is counted and printed; tests/test_soak.py breaks a law and it is found.",
        command=soak.main,
        seed=0,
        said=["broken laws ≤ 0"],
        not_elsewhere=_PROCESSES,
    ),
    Scenario(
        name="growth",
        what="two virtual days of services that come and go: does the process grow?",
        measures="entries of every container that can be reached from the controller, and memory allocated by its lines.",
        judged_by="the second half is compared with the first; tests/test_soak.py plants a leak and it is found.",
        command=growth.main,
        said=[
            "containers that grow by half an entry a round ≤ 0",
            "memory at the end ≤ 1.05 x that in the middle",
        ],
        not_elsewhere=_PROCESSES,
    ),
    memory.SCENARIO,
    plan.SCENARIO,
    convert.SCENARIO,
    strangers.SCENARIO,
    Scenario(
        name="worst",
        what="the heaviest objects, one for each kind of work of the CRDs' schemas: how long do they hold the event loop?",
        measures="CPU time of the longest stretch between two awaits, by field and kind of work.",
        judged_by="CPU time only, and the least of three where it is long.",
        command=worst.main,
        said=["nothing: it prints (tests/test_worst_cases.py judges a part, by the reference load)"],
        not_elsewhere=_PROCESSES,
    ),
    crds.SCENARIO,
)

SCENARIOS: Final[Mapping[str, Scenario]] = {scenario.name: scenario for scenario in _ALL}

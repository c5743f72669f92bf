"""`python -m bench wave`: services come at a steady rate, as from a pipeline. Does the controller keep up to the end?"""

import argparse
from time import monotonic
from typing import Any, Final

import anyio

from aioctl.api.objects import key_of, namespace_of
from aioctl.kube.client import Client
from aioctl.sim import fleet
from bench import ending
from bench.machine import quantile
from bench.scenario import Expectation, Parameter, Result, Scenario, Unit, at
from bench.stage import parameters, stage, until_still
from bench.storm import FLEET, storm
from bench.witness import Witness

_QUARTER: Final = 4


def run(options: argparse.Namespace) -> Result:
    return ending.run(_run, options)


async def _run(options: argparse.Namespace) -> Result:
    pace = Pace(options.per_second)
    async with stage(options) as place, place.controller() as pid:
        await place.presets()
        await until_still(place.counting)
        result, witness = await storm(
            place, pid, lambda client, seen: pace.create(client, seen, options.services, options.seed)
        )
    quarters = _quarters(witness, fleet.services(options.services, seed=options.seed))
    figures = result.figures | {"per_second": options.per_second, "quarters": quarters}
    rows = [
        ("services per second", f"{options.per_second:g}, {pace.late} creations began late"),
        (
            "from creation to migrated, p50",
            f"first quarter {quarters['first_p50_s']} s, last {quarters['last_p50_s']} s: {quarters['last_by_first']} times",
        ),
        *result.rows,
    ]
    return Result(figures, rows, result.plots, result.measuring | {"creations_late": pace.late})


class Pace:
    """Creations on a schedule that does not wait for answers. `late`: those that began more than their own interval late."""

    def __init__(self, per_second: float) -> None:
        self.interval = 1 / per_second
        self.late = 0

    async def create(self, client: Client, witness: Witness, count: int, seed: int) -> None:
        """Raises KubeError in a group."""
        began = monotonic()
        async with anyio.create_task_group() as group:
            for number, service in enumerate(fleet.services(count, seed=seed)):
                await anyio.sleep(max(0.0, began + number * self.interval - monotonic()))
                self.late += monotonic() > began + (number + 1) * self.interval
                group.start_soon(self._one, client, witness, service)

    async def _one(self, client: Client, witness: Witness, service: dict[str, Any]) -> None:
        witness.starts(service)
        await client.create(fleet.kind_of(service), namespace_of(service), service)


def _quarters(witness: Witness, services: list[dict[str, Any]]) -> dict[str, Any]:
    """A queue that grows makes the last ones wait longer than the first."""
    keys = [key_of(service) for service in services]
    size = max(1, len(keys) // _QUARTER)

    def median(some: list[Any]) -> float:
        took = [witness.migrated[key] - witness.created[key] for key in some if key in witness.migrated]
        return quantile(took, 0.5)

    first, last = median(keys[:size]), median(keys[-size:])
    return {
        "first_p50_s": round(first, 3),
        "last_p50_s": round(last, 3),
        "last_by_first": round(last / first, 2) if first else None,
    }


SCENARIO: Final = Scenario(
    name="wave",
    what="services come at a steady rate, until all are migrated: does the controller keep up?",
    measures="seconds from creation to migrated, of the first and of the last quarter; the costs of a storm.",
    judged_by="creations that began late, the client's own load, services that the witness did not see.",
    run=run,
    parameters=[*parameters(services=120), Parameter("per-second", 4.0, "services that come in a second", least=0.01)],
    seed=0,
    expectations=[
        *FLEET,
        Expectation("wait of the last quarter by that of the first", at("quarters", "last_by_first"), 3, Unit.TIMES),
    ],
    has_versus=True,
)  # fmt: skip

"""A timeline since the process started, in bounded memory: when it is full, two neighbours become one.

So a process that has run for a week shows its week, and one that has run for a minute its minute, each in at most as many
points as a screen has room for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CAPACITY: Final = 720


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment. `at`: seconds since the epoch; `states`: services by state; `figures`: name -> value, None for no sample."""

    at: float
    states: Mapping[str, int]
    figures: Mapping[str, float | None]

    def as_data(self) -> dict[str, Any]:
        return {"t": self.at, "states": self.states, "figures": self.figures}


class Timeline:
    """The samples, the oldest first, and how many of what came each of them stands for (`span`)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        if capacity < 2:
            raise ValueError(f"capacity is {capacity}; two neighbours cannot become one")
        self._capacity = capacity
        self._pending: list[Sample] = []
        self.samples: list[Sample] = []
        self.span = 1

    def add(self, sample: Sample) -> None:
        self._pending.append(sample)
        if len(self._pending) < self.span:
            return
        self.samples.append(_merged(self._pending))
        self._pending = []
        if len(self.samples) >= self._capacity:
            pairs = zip(self.samples[::2], self.samples[1::2], strict=False)
            rest = self.samples[len(self.samples) // 2 * 2 :]
            self.samples = [*(_merged(pair) for pair in pairs), *rest]
            self.span *= 2

    def as_data(self) -> dict[str, Any]:
        """By columns, as a chart wants it; what a sample lacks is null."""
        samples = [*self.samples, *self._pending[-1:]]
        states = dict.fromkeys(name for sample in samples for name in sample.states)
        figures = dict.fromkeys(name for sample in samples for name in sample.figures)
        return {
            "t": [sample.at for sample in samples],
            "states": {name: [sample.states.get(name) for sample in samples] for name in states},
            "figures": {name: [sample.figures.get(name) for sample in samples] for name in figures},
        }


def _merged(samples: "list[Sample] | tuple[Sample, ...]") -> Sample:
    """The last moment, with the highest figure of each kind: a spike must not be averaged away."""
    last = samples[-1]
    names = dict.fromkeys(name for sample in samples for name in sample.figures)
    return Sample(last.at, last.states, {name: _highest(name, samples) for name in names})


def _highest(name: str, samples: "list[Sample] | tuple[Sample, ...]") -> float | None:
    values = [value for sample in samples if (value := sample.figures.get(name)) is not None]
    return max(values, default=None)

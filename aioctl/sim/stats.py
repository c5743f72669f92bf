"""What the simulated server counted: API calls by verb, resource and client; conversions and admission calls.

Plain counters that the bench and the tests read, in process or as JSON at `/sim/stats`.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class HookStats:
    """Calls of one kind of webhook. Durations are seconds, one entry per call."""

    calls: int = 0
    objects: int = 0
    failures: int = 0
    in_flight: int = 0
    max_in_flight: int = 0
    durations: list[float] = field(default_factory=list)
    by_cause: Counter[str] = field(default_factory=Counter)
    """Why a call was made: `read`, `write`, `cache`, `list`, `admission`."""

    def begin(self, objects: int, cause: str) -> None:
        self.calls += 1
        self.objects += objects
        self.by_cause[cause] += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def end(self, duration: float, *, failed: bool) -> None:
        self.in_flight -= 1
        self.durations.append(duration)
        self.failures += failed

    def as_json(self) -> dict[str, Any]:
        ordered = sorted(self.durations)
        return {
            "calls": self.calls,
            "objects": self.objects,
            "failures": self.failures,
            "in_flight": self.in_flight,
            "max_in_flight": self.max_in_flight,
            "by_cause": dict(self.by_cause),
            "seconds": {
                "p50": _quantile(ordered, 0.5),
                "p99": _quantile(ordered, 0.99),
                "max": ordered[-1] if ordered else 0.0,
            },
        }


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


@dataclass
class Stats:
    """All counters of one cluster. `calls` is keyed by (verb, resource[/subresource], client, status class)."""

    calls: Counter[tuple[str, str, str, int]] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    """Calls that changed something, by client: dry runs and what changed nothing are not among them."""
    conversion: HookStats = field(default_factory=HookStats)
    admission: HookStats = field(default_factory=HookStats)
    watches: int = 0
    """Watch streams open now."""

    dry_runs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Those of the calls that only ask what would be, by verb, resource and client."""

    def count(self, verb: str, resource: str, client: str, status: int, *, is_dry_run: bool = False) -> None:
        self.calls[verb, resource, client, status] += 1
        if is_dry_run:
            self.dry_runs[verb, resource, client] += 1

    def verbs(self, *, client: str = "", resource: str = "") -> Counter[str]:
        """Calls by verb, of clients whose user agent starts with `client` and of one resource (empty: all)."""
        found: Counter[str] = Counter()
        for (verb, name, agent, _), count in self.calls.items():
            if agent.startswith(client) and resource in {"", name}:
                found[verb] += count
        return found

    def writes(self, *, client: str = "") -> int:
        """Calls that changed something, of clients whose user agent starts with `client`."""
        return sum(count for agent, count in self.effects.items() if agent.startswith(client))

    def reset(self) -> None:
        """Starts counting anew; what is in flight stays counted as such."""
        self.calls.clear()
        self.effects.clear()
        self.dry_runs.clear()
        for name in ("conversion", "admission"):
            fresh = HookStats()
            fresh.in_flight = fresh.max_in_flight = getattr(self, name).in_flight
            # The object stays the same: calls in flight hold it.
            getattr(self, name).__dict__.update(fresh.__dict__)

    def as_json(self) -> dict[str, Any]:
        calls = [
            {"verb": verb, "resource": resource, "client": client, "status": status, "count": count}
            for (verb, resource, client, status), count in sorted(self.calls.items())
        ]
        dry_runs = [
            {"verb": verb, "resource": resource, "client": client, "count": count}
            for (verb, resource, client), count in sorted(self.dry_runs.items())
        ]
        return {
            "calls": calls,
            "dry_runs": dry_runs,
            "conversion": self.conversion.as_json(),
            "admission": self.admission.as_json(),
            "watches": self.watches,
        }

"""The numbers that a controller is run with. Their defaults are here; `settings.py` lets the environment replace them."""

from dataclasses import dataclass, field

from aioctl.plan.waves import Budget, Window


@dataclass(frozen=True, slots=True)
class ChildLimits:
    """CPU in seconds for one run, memory in bytes of address space."""

    cpu: int = 5
    memory: int = 512 << 20


@dataclass(frozen=True)
class Knobs:
    """The numbers the controller is run with; durations in seconds."""

    workers: int = 4
    reconcile_deadline: float = 60.0
    pool_create_rate: float = 20.0
    pool_stagger: float = 0.1
    roll_interval: float = 10.0
    status_settle: float = 0.5
    discovery_interval: float = 30.0
    grace: float = 5.0
    resync: float = 36_000.0
    budget: Budget = field(default_factory=Budget)
    window: Window | None = None
    child_limits: ChildLimits = field(default_factory=ChildLimits)

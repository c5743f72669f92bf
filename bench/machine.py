"""What the numbers were taken on, and what a process used: read from /proc, without its help."""

import os
import platform
import resource
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, Any]:
    """The machine, the versions, how busy it was when asked, and the day."""
    words = [line.partition(":") for line in (_PROC / "cpuinfo").read_text().splitlines()]
    models = {value.strip() for name, _, value in words if name.strip() == "model name"}
    memory = (_PROC / "meminfo").read_text().split()[1]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cpu": ", ".join(sorted(models)) or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 1e6, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
    }


def available_mb() -> float:
    """Memory that a process could still take."""
    lines = dict(line.split(":", 1) for line in (_PROC / "meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) / 1000


def words(about: Mapping[str, Any]) -> str:
    """A description for people."""
    return (
        f"{about['cores']} cores of {about['cpu']}, {about['memory_gb']} GB, kernel {about['kernel']}, "
        f"Python {about['python']}, {about['date']}"
    )


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process: seconds of CPU since its start, megabytes resident now and at most."""

    cpu: float
    rss: float
    peak_rss: float


def usage(pid: int) -> Usage:
    """Raises FileNotFoundError when the process is gone."""
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    status = dict(
        line.split(":", 1) for line in (_PROC / str(pid) / "status").read_text().splitlines() if ":" in line
    )
    kilobytes = {name: int(status[name].split()[0]) for name in ("VmRSS", "VmHWM")}
    cpu = (int(fields[11]) + int(fields[12])) / _TICKS
    return Usage(cpu, kilobytes["VmRSS"] / 1024, kilobytes["VmHWM"] / 1024)


def children() -> list[int]:
    """Processes that this one started, whichever of its threads it was, and that still run."""
    found: list[int] = []
    for thread in (_PROC / "self" / "task").iterdir():
        with suppress(OSError):  # threads end
            found += map(int, (thread / "children").read_text().split())
    return found


def children_cpu() -> float:
    """Seconds of CPU of all processes that this one started and that have ended: what a run costs on however busy a machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def put_first(pid: int, priority: int = 1) -> None:
    """Lets a process (0: this one, and what it starts) go before everything else on its processors, on a machine that is
    busy with other things. Needs root. Not for the record: the kernel takes 5 % of each second back."""
    os.sched_setscheduler(pid, os.SCHED_FIFO, os.sched_param(priority))


def reset_peak(pid: int) -> Usage:
    """Sets the peak back to what is resident now. Raises FileNotFoundError, PermissionError."""
    (_PROC / str(pid) / "clear_refs").write_text("5")
    return usage(pid)


def quantile(samples: list[float], share: float) -> float:
    """The smallest sample that at least this share of them does not exceed; 0 without samples."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

"""What the program has of its host: the DNS domain in resolv.conf, the signals that end it, its heap."""

import gc
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import structlog
from anyio.abc import TaskStatus

from aioctl.api.user_names import SUBDOMAIN

RESOLV_CONF: Final = Path("/etc/resolv.conf")
_GC_THRESHOLDS: Final = (5_000, 10, 20)
"""Objects, young collections and middle ones after which the next older generation is collected. With Python's (700, 10, 10) a storm
makes a full collection for every 70,000 objects that stay, each of which walks all that came before: of a process that was
making 500 services they took 6 % of the CPU, and all collections 10 %; of one that has made 100, 2 and 5.5 %."""

log = structlog.get_logger(__name__)


def cluster_domain(fallback: str, resolv_conf: Path = RESOLV_CONF) -> str:
    """The cluster's DNS domain: first `svc.` entry of the search line, else the fallback (CERT-1). What is no DNS domain counts for nothing:
    it would go into addresses and certificates."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return fallback
    for line in lines:
        words = line.split()
        if words and words[0] == "search":
            for word in words[1:]:
                domain = word.removeprefix("svc.").rstrip(".")
                if word.startswith("svc.") and SUBDOMAIN.fullmatch(domain):
                    return domain
    return fallback


async def stop_on_signal(ended: anyio.Event, leave: Callable[[int], object] = os._exit) -> None:
    """Sets the event at SIGTERM or SIGINT. A second one waits for no drain: `leave` ends the process, as Go controllers do."""
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for signum in signals:
            name = signal.Signals(signum).name
            if ended.is_set():
                log.warning("asked again to stop, leaving what still runs", signal=name)
                leave(1)
            log.info("stopping", signal=name)
            ended.set()


async def freeze_heap(*, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Modules and the filled caches stay: full collections need not walk them, and come seldom (WEB-5)."""
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.collect()
    gc.freeze()
    task_status.started()
    await anyio.sleep_forever()

"""What the program has of its host: the DNS domain in resolv.conf and the signals that end it."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import structlog

from aioctl.api.user_names import SUBDOMAIN

RESOLV_CONF: Final = Path("/etc/resolv.conf")
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

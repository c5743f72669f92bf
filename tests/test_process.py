"""What the process has of its host: the cluster's DNS domain, the signals that end it."""

import os
import signal
from pathlib import Path

import anyio
import pytest
from structlog.testing import capture_logs

from aioctl.process import cluster_domain, stop_on_signal


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("search ns.svc.k8s.example svc.k8s.example k8s.example\n", "k8s.example"),
        ("nameserver 10.0.0.10\nsearch a.example svc.cluster.test.\n", "cluster.test"),
        ("search example.org\n", "fallback.local"),
        ("# search svc.a\n", "fallback.local"),
        # None of these can be in an address or a certificate.
        ("search svc.\n", "fallback.local"),
        ("search svc.*.example svc.UPPER svc.a_b svc.k8s.example\n", "k8s.example"),
    ],
)
def test_the_clusters_domain_is_what_pods_search(tmp_path: Path, text: str, domain: str) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(text)
    assert cluster_domain("fallback.local", file) == domain
    assert cluster_domain("fallback.local", tmp_path / "none") == "fallback.local"


async def test_a_second_signal_waits_for_no_drain() -> None:
    ended, left = anyio.Event(), anyio.Event()
    codes: list[int] = []

    def leave(code: int) -> None:
        codes.append(code)
        left.set()

    with capture_logs() as lines, anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(stop_on_signal, ended, leave)
            await anyio.wait_all_tasks_blocked()
            os.kill(os.getpid(), signal.SIGTERM)
            await ended.wait()
            assert not codes
            os.kill(os.getpid(), signal.SIGINT)
            await left.wait()
            group.cancel_scope.cancel()
    assert codes == [1]
    assert [line["log_level"] for line in lines][:2] == ["info", "warning"]

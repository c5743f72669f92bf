"""A real kube-apiserver and etcd for tests and the bench: started on loopback, thrown away afterwards.

No controller manager runs: nothing is garbage collected and no pods exist. Players stand in for what tests need, or
`controllers.py` adds the real ones.
The flags are the smallest set that serves RBAC, webhooks and CRDs.
"""

import contextlib
import os
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from aioctl import piped
from aioctl.demo.ports import free_port
from testbed.real.build import Assets
from testbed.real.build import assets as find_assets

TOKEN: Final = "loopback-test-token"
READY_DEADLINE: Final = 180.0


@dataclass(frozen=True, slots=True)
class RealCluster:
    """Address and credentials of a running API server (system:masters)."""

    server: str
    ca_file: Path
    token: str
    kubeconfig: Path
    audit_log: Path
    folder: Path
    etcd: str
    """Address of its store, for what the API server shows to nobody: how an object is stored."""

    def audited(self) -> list[str]:
        """The lines of the audit log. The last one may be half written: it is left out."""
        return self.audit_log.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()


@contextlib.contextmanager
def running(
    assets: Assets, *, audit: bool = False, options: Sequence[str] = (), gogc: int = 100
) -> Iterator[RealCluster]:
    """Starts etcd and kube-apiserver, waits for /readyz, stops both at the end.

    `options` are the API server's, and `gogc` is Go's GOGC for it: 200 takes twice the memory and less CPU.
    """
    folder = Path(tempfile.mkdtemp(prefix="aioctl-real-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        etcd_port, peer_port, api_port = free_port(), free_port(), free_port()
        processes.append(start_process(folder, "etcd", _etcd(assets, folder, etcd_port, peer_port)))
        _accounts(folder)
        command = [*_api_server(assets, folder, etcd_port, api_port, audit=audit), *options]
        processes.append(start_process(folder, "kube-apiserver", command, GOGC=str(gogc)))
        server = f"https://127.0.0.1:{api_port}"
        ca_file = folder / "certs" / "apiserver.crt"
        _wait_ready(server, ca_file, processes, folder)
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(_kubeconfig(server, ca_file))
        etcd = f"http://127.0.0.1:{etcd_port}"
        yield RealCluster(server, ca_file, TOKEN, kubeconfig, folder / "audit.log", folder, etcd)
    finally:
        # Asked to end, an API server waits for its etcd for ten seconds and more; nothing of either is kept.
        for process in processes:
            process.kill()
        for process in processes:
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def start_process(folder: Path, name: str, command: list[str], **environment: str) -> subprocess.Popen[bytes]:
    """A process that adds its log to `<name>.log` in the folder; whoever starts it ends it."""
    with (folder / f"{name}.log").open("ab") as log:
        env = {**os.environ, **environment}
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env)


def _etcd(assets: Assets, folder: Path, port: int, peer_port: int) -> list[str]:
    return [
        str(assets.etcd),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{port}",
        f"--advertise-client-urls=http://127.0.0.1:{port}",
        f"--listen-peer-urls=http://127.0.0.1:{peer_port}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]


def _api_server(assets: Assets, folder: Path, etcd_port: int, port: int, *, audit: bool) -> list[str]:
    command = [
        str(assets.kube_apiserver),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        f"--cert-dir={folder / 'certs'}",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--service-cluster-ip-range=10.0.0.0/16",
        "--service-account-issuer=https://localhost",
        f"--service-account-key-file={folder / 'account.pub'}",
        f"--service-account-signing-key-file={folder / 'account.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--allow-privileged=true",
        "--disable-admission-plugins=ServiceAccount",
    ]
    if audit:
        policy = folder / "audit-policy.yaml"
        policy.write_text(
            "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n"
        )
        command += [f"--audit-policy-file={policy}", f"--audit-log-path={folder / 'audit.log'}"]
    return command


def _accounts(folder: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "account.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    (folder / "account.pub").write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')


def _wait_ready(server: str, ca_file: Path, processes: list[subprocess.Popen[bytes]], folder: Path) -> None:
    deadline = time.monotonic() + READY_DEADLINE
    while time.monotonic() < deadline:
        for process in processes:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args!r} ended at start:\n{_tail(folder)}")
        request = urllib.request.Request(  # noqa: S310  an address of ours
            f"{server}/readyz", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        # The file may not be there yet, or not whole.
        with contextlib.suppress(urllib.error.URLError, OSError, ValueError):
            context = ssl.create_default_context(cafile=str(ca_file))
            with urllib.request.urlopen(request, context=context, timeout=30) as answer:  # noqa: S310
                if answer.read() == b"ok":
                    return
        time.sleep(0.1)  # another process starts; there is nothing to await
    raise RuntimeError(f"kube-apiserver was not ready within {READY_DEADLINE:g} s:\n{_tail(folder)}")


def _tail(folder: Path) -> str:
    return "\n".join(
        (folder / name).read_text(errors="replace")[-2000:]
        for name in ("etcd.log", "kube-apiserver.log")
        if (folder / name).exists()
    )


def _kubeconfig(server: str, ca_file: Path) -> str:
    return f"""apiVersion: v1
kind: Config
current-context: real
clusters: [{{name: real, cluster: {{server: "{server}", certificate-authority: "{ca_file}"}}}}]
users: [{{name: admin, user: {{token: "{TOKEN}"}}}}]
contexts: [{{name: real, context: {{cluster: real, user: admin}}}}]
"""


def main() -> None:
    """`python -m testbed.real.cluster`: runs one until interrupted and prints its kubeconfig, for looking around."""
    with running(find_assets(build=True)) as cluster:
        print(cluster.kubeconfig, flush=True)  # noqa: T201
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                time.sleep(3600)


if __name__ == "__main__":
    os.umask(0o077)
    piped.command(main)

"""kubectl against a real API server in tests: apply, read, act as a ServiceAccount. Blocking, for fixtures and plain tests."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from testbed.real.build import Assets
from testbed.real.cluster import RealCluster, running

SERVED_DEADLINE: Final = 300.0


class Applied(NamedTuple):
    """What an apply did."""

    objects: tuple[str, ...]
    """`<kind>[.<group>]/<name>` of every object."""
    warnings: str
    """What kubectl wrote beside that, warnings of the API server for one; empty when there was nothing to say."""


class KubectlError(AssertionError):
    """kubectl ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One program, one cluster, one user."""

    program: Path
    kubeconfig: Path

    @classmethod
    def of(cls, assets: Assets, cluster: RealCluster) -> Self:
        """As administrator of the cluster."""
        assert assets.kubectl is not None
        return cls(assets.kubectl, cluster.kubeconfig)

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """The ended process, whatever its result."""
        command = [str(self.program), f"--kubeconfig={self.kubeconfig}", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=300)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What it prints. Raises KubectlError."""
        done = self.run(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def read(self, *arguments: str) -> Any:
        """`get ... -o json`, decoded. Raises KubectlError."""
        return json.loads(self("get", *arguments, "-o", "json"))

    def apply(self, *sources: Path, documents: str = "", kustomize: Path | None = None) -> Applied:
        """Server-side apply of files or folders, of YAML or JSON text, or of a kustomization. Raises KubectlError.

        Unknown fields are errors.
        """
        given = [f"--filename={source}" for source in sources]
        given += [f"--kustomize={kustomize}"] if kustomize else []
        done = self.run(
            "apply", "--server-side", "--validate=strict", *(given or ["--filename=-"]), stdin=documents
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl apply: {done.stderr.strip()}")
        return Applied(tuple(line.split()[0] for line in done.stdout.splitlines()), done.stderr)

    def install_crds(self, *sources: Path, documents: str = "") -> Applied:
        """Applies CRDs and returns once their kinds are served. Raises KubectlError."""
        applied = self.apply(*sources, documents=documents)
        self.wait_until_served(applied)
        return applied

    def wait_until_served(self, applied: Applied) -> None:
        """Until the kinds of all applied CRDs are served, a second or two later. Raises KubectlError."""
        wanted = {
            name.partition("/")[2] for name in applied.objects if name.startswith("customresourcedefinition.")
        }
        deadline = time.monotonic() + SERVED_DEADLINE
        while missing := wanted - set(self("api-resources", "--output=name", "--cached=false").split()):
            if time.monotonic() > deadline:
                raise KubectlError(f"not served after {SERVED_DEADLINE:g} s: {', '.join(sorted(missing))}")
            time.sleep(0.1)  # another process works; there is nothing to await

    def token(self, namespace: str, account: str) -> str:
        """A token of the ServiceAccount (TokenRequest), good for a day. Raises KubectlError."""
        return self("create", "token", account, f"--namespace={namespace}", "--duration=24h").strip()

    def as_account(self, cluster: RealCluster, namespace: str, account: str) -> "Kubectl":
        """The same as that ServiceAccount; `.kubeconfig` of the result serves any other client. Raises KubectlError."""
        path = cluster.folder / f"{namespace}.{account}.kubeconfig"
        path.write_text(json.dumps(kubeconfig(cluster, self.token(namespace, account))))
        return replace(self, kubeconfig=path)


def kubeconfig(cluster: RealCluster, token: str) -> Mapping[str, Any]:
    """A kubeconfig for the holder of the token."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "real",
        "clusters": [
            {
                "name": "real",
                "cluster": {"server": cluster.server, "certificate-authority": str(cluster.ca_file)},
            }
        ],
        "users": [{"name": "account", "user": {"token": token}}],
        "contexts": [{"name": "real", "context": {"cluster": "real", "user": "account"}}],
    }


@contextlib.contextmanager
def prepared(assets: Assets) -> Iterator[RealCluster]:
    """A running cluster that serves other people's CRDs."""
    with running(assets) as cluster:
        kubectl = Kubectl.of(assets, cluster)
        kubectl.install_crds(*assets.crds)
        yield cluster

"""Helm and kustomize, and what they render, in a form that can be compared."""

import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.manifests import DEPLOY

CHARTS = DEPLOY / "charts"
CONTROLLER, CRDS = CHARTS / "aioctl", CHARTS / "aioctl-crds"
VALUES = sorted((CONTROLLER / "ci").glob("*-values.yaml"))
HELM_LABELS = {
    "helm.sh/chart",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/part-of",
    "app.kubernetes.io/version",
}
Name = tuple[str, str, str]
"""Kind, namespace, name."""


class HelmError(AssertionError):
    """Helm ended with an error; the text is what it said."""


class Helm:
    """The program; as administrator of a cluster where there is a kubeconfig. Writes nothing outside `home`."""

    def __init__(self, program: Path, home: Path, kubeconfig: Path | None = None) -> None:
        self._program = program
        self._environment = {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "KUBECONFIG": str(kubeconfig or home / "no-cluster"),
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The ended process, whatever its result."""
        return subprocess.run(
            [str(self._program), *arguments], env=self._environment, capture_output=True, text=True, check=False, timeout=300
        )  # fmt: skip

    def __call__(self, *arguments: str) -> str:
        """What it prints. Raises HelmError."""
        done = self.run(*arguments)
        if done.returncode != 0:
            raise HelmError(f"helm {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def template(self, chart: Path, *arguments: str, namespace: str = "kserve") -> list[Any]:
        """The objects, hooks included. Raises HelmError."""
        return loaded(self("template", "aioctl", str(chart), f"--namespace={namespace}", *arguments))


def loaded(text: str) -> list[Any]:
    return [item for item in yaml.load_all(text, yaml.CSafeLoader) if item]


def by_name(objects: Iterable[Any]) -> dict[Name, Any]:
    """Each object by its name, without what only Helm adds, and lists of named items in order of their names."""
    found = {}
    for item in objects:
        metadata = item["metadata"]
        name = (item["kind"], metadata.get("namespace", ""), metadata["name"])
        assert name not in found, f"{name} twice"
        found[name] = _without_helm(item)
    return found


def _without_helm(item: Any) -> Any:
    metadata = dict(item["metadata"])
    for key, ours in (("labels", HELM_LABELS), ("annotations", {"helm.sh/resource-policy"})):
        left = {name: value for name, value in (metadata.get(key) or {}).items() if name not in ours}
        metadata.pop(key, None)
        if left:
            metadata[key] = left
    return _ordered({**item, "metadata": metadata})


def _ordered(node: Any) -> Any:
    """Lists whose items have names are sets to Kubernetes: of variables, volumes, mounts."""
    if isinstance(node, Mapping):
        return {key: _ordered(value) for key, value in node.items()}
    if isinstance(node, list):
        items = [_ordered(item) for item in node]
        if items and all(isinstance(item, Mapping) and "name" in item for item in items):
            return sorted(items, key=lambda item: str(item["name"]))
        return items
    return node

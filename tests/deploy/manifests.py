"""The files of deploy/base, read as they stand: what kustomize does to them is tested on a real API server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from testbed.recorded_yaml import load_all

DEPLOY = Path(__file__).parents[2] / "deploy"
BASE = DEPLOY / "base"
NAMESPACE = "kserve"
ACCOUNT = "aioctl"


class Permission(NamedTuple):
    """One verb on one resource. `name` is empty for all objects; `namespace` is empty for all namespaces."""

    verb: str
    group: str
    resource: str
    name: str = ""
    namespace: str = ""

    def __str__(self) -> str:
        at = f" {self.name}" if self.name else ""
        return (
            f"{self.verb} {self.resource}.{self.group}{at}{' in ' + self.namespace if self.namespace else ''}"
        )


def documents(path: Path) -> list[Any]:
    return [item for item in load_all(path.read_text()) if item]


def find(path: Path, kind: str, name: str = "") -> Any:
    """The only document of that kind, or the one of that name."""
    found = [
        item
        for item in documents(path)
        if item["kind"] == kind and (not name or item["metadata"]["name"] == name)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name} in {path.name}"
    return found[0]


def deployment() -> Any:
    return find(BASE / "deployment.yaml", "Deployment")


def container() -> Any:
    """The only container of the Deployment."""
    (found,) = deployment()["spec"]["template"]["spec"]["containers"]
    return found


def permissions(role: Any) -> Iterator[Permission]:
    """Every single permission of a Role or ClusterRole on resources."""
    namespace = role["metadata"].get("namespace", "")
    for rule in role["rules"]:
        for group in rule.get("apiGroups", ()):
            for resource in rule.get("resources", ()):
                for name in rule.get("resourceNames", ("",)):
                    for verb in rule["verbs"]:
                        yield Permission(verb, group, resource, name, namespace)


def urls(role: Any) -> set[tuple[str, str]]:
    """Verb and path of everything that is no resource."""
    return {
        (verb, path)
        for rule in role["rules"]
        for path in rule.get("nonResourceURLs", ())
        for verb in rule["verbs"]
    }

"""Every manifest we ship is stored as it is written: GitOps tools, which compare the two, see no drift (PRESET-5).

They compare the fields that a manifest sets. Of custom resources they know no defaults either: nothing may be added to those.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from aioctl.api import kinds
from testbed.real.kubectl import Kubectl
from tests.deploy.manifests import BASE, DEPLOY, NAMESPACE, documents

pytestmark = pytest.mark.real
OVERLAYS = tuple(sorted(path.parent.name for path in (DEPLOY / "overlays").glob("*/kustomization.yaml")))
CUSTOM = (kinds.SERVICE.kind, kinds.CONFIG.kind)
ELSEWHERE = ("Issuer", "Certificate")
"""Kinds of cert-manager, whose CRDs are not ours to install."""


def differences(written: Any, stored: Any, *, additions: bool, path: str = "") -> Iterator[str]:
    """The fields of a manifest that came back otherwise, and those that were added if `additions` count."""
    if isinstance(written, dict) and isinstance(stored, dict):
        for key, value in written.items():
            at = f"{path}.{key}"
            if key in stored:
                yield from differences(value, stored[key], additions=additions, path=at)
            else:
                yield f"{at}: not stored"
        if additions:
            yield from (f"{path}.{key}: added" for key in stored.keys() - written.keys())
    elif isinstance(written, list) and isinstance(stored, list) and len(written) == len(stored):
        for index, pair in enumerate(zip(written, stored, strict=True)):
            yield from differences(*pair, additions=additions, path=f"{path}[{index}]")
    # A number that was written as text is another one to those who compare, and True is 1 to Python.
    elif json.dumps(written) != json.dumps(stored):
        yield f"{path}: {written!r} is stored as {stored!r}"


def drift(written: dict[str, Any], stored: dict[str, Any]) -> list[str]:
    """What a GitOps tool would complain of, under the object's kind and name."""
    title = f"{written['kind']} {written['metadata']['name']}"
    found = [*differences(written, stored, additions=False, path=title)]
    if written["kind"] in CUSTOM:
        found += differences(written["spec"], stored["spec"], additions=True, path=f"{title}.spec")
    return found


def rendered(kubectl: Kubectl, folder: str) -> list[dict[str, Any]]:
    return list(yaml.load_all(kubectl("kustomize", str(DEPLOY / folder)), yaml.CSafeLoader))


def applied(kubectl: Kubectl, objects: list[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
    """The objects as the API server returns them after an apply, in their order."""
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    text = kubectl(
        "apply", "--server-side", "--validate=strict", "--output=json", "--filename=-", *options, stdin=given
    )
    decoded = json.loads(text)
    found = decoded["items"] if decoded["kind"] == "List" else [decoded]
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [
        (item["kind"], item["metadata"]["name"]) for item in objects
    ]
    return list(found)


def all_drift(written: list[dict[str, Any]], stored: list[dict[str, Any]]) -> list[str]:
    return [line for pair in zip(written, stored, strict=True) for line in drift(*pair)]


@pytest.fixture(scope="module")
def kubectl(own_kubectl: Kubectl) -> Kubectl:
    """On a cluster that serves our kinds and calls no webhook for what is applied."""
    own_kubectl.wait_until_served(own_kubectl.apply(kustomize=DEPLOY / "crds"))
    own_kubectl("create", "namespace", NAMESPACE)
    return own_kubectl


@pytest.mark.parametrize("path", ["crds", "base", "presets"])
def test_what_is_written_is_what_is_stored(kubectl: Kubectl, path: str) -> None:
    written = rendered(kubectl, path)
    # Webhooks would be called for what is applied later; what they are stored as shows without that they are.
    hooks = [item for item in written if item["kind"].endswith("WebhookConfiguration")]
    others = [item for item in written if item not in hooks]
    assert all_drift(others, applied(kubectl, others, "--force-conflicts")) == []
    assert bool(hooks) == (path == "base")
    if hooks:
        assert all_drift(hooks, applied(kubectl, hooks, "--dry-run=server")) == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_stored_as_it_is_written(kubectl: Kubectl, overlay: str) -> None:
    known = [item for item in rendered(kubectl, f"overlays/{overlay}") if item["kind"] not in ELSEWHERE]
    namespace = {item["metadata"].get("namespace", NAMESPACE) for item in known} - {NAMESPACE}
    for name in namespace:
        kubectl("create", "namespace", name)
    # The CRDs are the base's but for an annotation, and four megabytes.
    objects = [item for item in known if item["kind"] != kinds.CRD.kind]
    assert all_drift(objects, applied(kubectl, objects, "--dry-run=server", "--force-conflicts")) == []


def test_what_is_stored_is_read_again_without_a_change(kubectl: Kubectl) -> None:
    """A second apply of everything that lives in the cluster finds nothing to do."""
    for folder in ("crds", "presets"):
        done = kubectl.run("diff", "--server-side", f"--kustomize={DEPLOY / folder}")
        assert (done.returncode, done.stdout) == (0, ""), folder


def test_every_file_is_part_of_what_was_applied(kubectl: Kubectl) -> None:
    """No manifest of the three folders escapes the comparison because its kustomization forgot it."""
    for folder in (BASE, DEPLOY / "crds", DEPLOY / "presets"):
        found = {
            (item["kind"], item["metadata"]["name"])
            for path in folder.glob("*.yaml")
            if path.name != "kustomization.yaml"
            for item in documents(path)
        }
        assert found <= {(item["kind"], item["metadata"]["name"]) for item in rendered(kubectl, folder.name)}


@pytest.mark.parametrize(
    ("written", "stored", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, [".a.c: added"]),
        ({"a": [1, 2]}, {"a": [1]}, [".a: [1, 2] is stored as [1]"]),
        ({"a": True}, {"a": 1}, [".a: True is stored as 1"]),
        ({"a": [{"b": "1Gi"}]}, {"a": [{"b": "1024Mi"}]}, [".a[0].b: '1Gi' is stored as '1024Mi'"]),
        ({"a": None}, {}, [".a: not stored"]),
    ],
)
def test_the_comparison_sees(written: Any, stored: Any, expected: list[str]) -> None:
    assert list(differences(written, stored, additions=True)) == expected

"""The two ways out in docs/operations.md, run as they stand there: from an installed state with objects to none of ours.

Each on a cluster of its own. There is no controller manager: what its garbage collector would take along (children whose
owner is gone) and what is in a namespace in deletion may be left, nothing else.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.api.names import CONFIG_FINALIZER, FINALIZER
from testbed.real.build import Assets
from tests.deploy.manifests import DEPLOY, NAMESPACE
from tests.real_install import services
from tests.real_install.installation import TEAM, Installation, host_address, installed
from tests.real_install.replica import until

pytestmark = pytest.mark.real
ROOT = DEPLOY.parent
SHAPES = ("single", "disaggregated")
CHILDREN = (
    kinds.DEPLOYMENT,
    kinds.CORE_SERVICE,
    kinds.SERVICE_ACCOUNT,
    kinds.SECRET,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
)
CLUSTER_WIDE = (
    kinds.CRD,
    kinds.VALIDATING_WEBHOOK,
    kinds.MUTATING_WEBHOOK,
    kinds.CLUSTER_ROLE,
    kinds.CLUSTER_ROLE_BINDING,
)


def ways_out() -> list[str]:
    """The shell blocks of the section, in order."""
    page = (ROOT / "docs" / "operations.md").read_text()
    section = page.split("## Uninstalling", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def used(real_assets: Assets) -> Iterator[Installation]:
    """One replica, the presets, a config that is used, and services that the controller has looked after."""
    host = host_address()
    if not host:
        pytest.skip("this host has no address beside loopback, and EndpointSlices must not hold that")
    with installed(real_assets, host) as made:
        made.run(1)
        made.kubectl.apply(kustomize=DEPLOY / "presets")
        config = {"apiVersion": kinds.V1ALPHA2, "kind": kinds.CONFIG.kind, "metadata": {"name": "mine"}}
        made.create(kinds.CONFIG, TEAM, {**config, "spec": {"replicas": 1}})
        for shape in SHAPES:
            spec = {**services.SHAPES[shape], "baseRefs": [{"name": "mine"}]}
            made.create(kinds.SERVICE, TEAM, services.service(shape, spec))
        until(
            lambda: all(_has_status(made, shape) for shape in SHAPES), "services have children and a status"
        )
        until(lambda: _is_held(made, "mine"), "the config that they use is held")
        yield made


def _has_status(installation: Installation, name: str) -> bool:
    found = installation.get(kinds.SERVICE, TEAM, name)
    held = FINALIZER in found["metadata"].get("finalizers", ())
    return held and bool(found.get("status", {}).get("conditions"))


def _is_held(installation: Installation, config: str) -> bool:
    found = installation.get(kinds.CONFIG, TEAM, config)
    return CONFIG_FINALIZER in found["metadata"].get("finalizers", ())


def run(installation: Installation, commands: str) -> None:
    """As an administrator in a shell; the first command that fails ends it."""
    program = installation.kubectl.program
    environment = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "KUBECONFIG": str(installation.kubectl.kubeconfig),
    }
    command = ["bash", "-euo", "pipefail", "-c", commands]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


def items(installation: Installation, kind: Kind) -> list[dict[str, Any]]:
    answer = installation.admin("GET", kind.path())
    found: list[dict[str, Any]] = answer.body["items"] if answer.status == 200 else []
    return found


def is_ours(obj: dict[str, Any]) -> bool:
    """By name or label; the CRDs of others, and what Kubernetes makes itself, are not."""
    metadata = obj["metadata"]
    name, labels = str(metadata["name"]), metadata.get("labels", {})
    return bool(
        name.endswith("serving.kserve.io")
        or name.startswith(("aioctl", "kserve", f"{TEAM}-"))
        or labels.get("app.kubernetes.io/part-of") == "llminferenceservice"
    )


def left(installation: Installation) -> list[str]:
    """What is ours and nobody will take away."""
    owners = {
        obj["metadata"]["uid"] for kind in (kinds.SERVICE, kinds.CONFIG) for obj in items(installation, kind)
    }
    found = [f"{kind.plural} in etcd" for kind in (kinds.SERVICE, kinds.CONFIG) if installation.stored(kind)]
    for kind in CLUSTER_WIDE:
        found += [
            f"{kind.plural} {obj['metadata']['name']}" for obj in items(installation, kind) if is_ours(obj)
        ]
    for kind in CHILDREN:
        for obj in items(installation, kind):
            metadata = obj["metadata"]
            collected = any(owner["uid"] not in owners for owner in metadata.get("ownerReferences", ()))
            if metadata.get("namespace") == TEAM and is_ours(obj) and not collected:
                found.append(f"{kind.plural} {metadata['name']}")
    return found


def test_in_order_nothing_is_left_and_nothing_hangs(used: Installation) -> None:
    in_order, _ = ways_out()
    assert left(used), "nothing was installed"
    run(used, in_order)
    until(lambda: not left(used), f"all is gone but {left(used)}")
    namespace = used.admin("GET", kinds.NAMESPACE.path("", NAMESPACE))
    assert namespace.status == 404 or namespace.body["metadata"]["deletionTimestamp"]


def test_without_the_controller_what_it_held_is_let_go(used: Installation) -> None:
    _, rescue = ways_out()
    for replica in list(used.replicas):
        used.kill(replica)
    held = {FINALIZER, CONFIG_FINALIZER}
    assert held == {
        name
        for kind in (kinds.SERVICE, kinds.CONFIG)
        for obj in used.stored(kind).values()
        for name in obj["metadata"].get("finalizers", ())
    }
    run(used, rescue)
    until(lambda: not left(used), f"all is gone but {left(used)}")


def test_the_page_is_read() -> None:
    in_order, rescue = ways_out()
    assert "delete llminferenceservices" in in_order
    assert "finalizers" in rescue
    assert Path(ROOT / "deploy" / "base").is_dir()

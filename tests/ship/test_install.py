"""The charts on a real API server, with the controller running as it was installed: install, upgrade, roll back, uninstall.

No kubelet runs, so a replica is a process with the shipped account (tests/real_install); the tests follow one another.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from aioctl import shipped
from aioctl.api import kinds
from aioctl.api.kinds import Kind
from testbed.real.build import Assets
from testbed.real.cluster import RealCluster, running
from testbed.real.kubectl import Applied
from tests.deploy.manifests import DEPLOY, NAMESPACE
from tests.real_install import services
from tests.real_install.installation import (
    MONITOR_CRDS,
    OPTIONS,
    TEAM,
    Installation,
    host_address,
    monitor_crd,
)
from tests.real_install.replica import until
from tests.ship.charts import CONTROLLER, CRDS, VALUES, Helm
from tests.ship.conftest import program

pytestmark = pytest.mark.ship
OTHERS = (
    Kind("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
    Kind("cert-manager.io", "v1", "Certificate", "certificates"),
    Kind("cert-manager.io", "v1", "Issuer", "issuers"),
)
"""Kinds of others that value sets ask for, without their schemas."""
SECRET_LIMIT, ROOM = 1 << 20, 0.8
TEMPLATE, SCHEDULER = "kserve-config-llm-template", "kserve-config-llm-scheduler"


class ByHelm(Installation):
    """What the charts install instead of kustomize."""

    def __init__(self, assets: Assets, cluster: RealCluster, host: str, helm: Helm) -> None:
        self.helm = helm
        super().__init__(assets, cluster, host)

    def _install(self, assets: Assets) -> Applied:
        self.kubectl.install_crds(*assets.crds)
        self.kubectl.install_crds(documents=json.dumps(MONITOR_CRDS))
        others = {"apiVersion": "v1", "kind": "List", "items": [monitor_crd(kind) for kind in OTHERS]}
        self.kubectl.install_crds(documents=json.dumps(others))
        self.helm("install", "aioctl-crds", str(CRDS), "--namespace", NAMESPACE, "--create-namespace")
        names = tuple(
            f"customresourcedefinition.apiextensions.k8s.io/{kind.resource}"
            for kind in (kinds.SERVICE, kinds.CONFIG)
        )
        applied = Applied(names, "")
        self.kubectl.wait_until_served(applied)
        self.kubectl("create", "namespace", TEAM)
        self.helm("install", "aioctl", str(CONTROLLER), "--namespace", NAMESPACE)
        return applied

    def upgrade(self, *arguments: str) -> None:
        self.helm("upgrade", "aioctl", str(CONTROLLER), "--namespace", NAMESPACE, *arguments)

    def deployment(self) -> Any:
        return self.get(kinds.DEPLOYMENT, NAMESPACE, "aioctl")

    def container(self) -> Any:
        return self.deployment()["spec"]["template"]["spec"]["containers"][0]

    def bundles(self) -> set[str]:
        """The CA bundles of both CRDs and of every webhook; one, when all is well."""
        found = {
            self.admin("GET", kinds.CRD.path("", kind.resource)).body["spec"]["conversion"]["webhook"]["clientConfig"].get("caBundle", "")
            for kind in (kinds.SERVICE, kinds.CONFIG)
        }  # fmt: skip
        for kind, names in (
            (kinds.VALIDATING_WEBHOOK, (kinds.SERVICE, kinds.CONFIG)),
            (kinds.MUTATING_WEBHOOK, (kinds.SERVICE,)),
        ):
            for name in names:
                path = kind.path("", f"{name.kind.lower()}.serving.kserve.io")
                found |= {
                    hook["clientConfig"].get("caBundle", "")
                    for hook in self.admin("GET", path).body["webhooks"]
                }
        return found

    def preset(self, name: str) -> Any:
        return self.get(kinds.CONFIG, NAMESPACE, name)

    def works(self, name: str) -> None:
        """A service in the old version goes through mutation, validation and conversion, and is reconciled."""
        old = services.service(name, {})
        old["apiVersion"] = kinds.V1ALPHA1
        self.create(kinds.SERVICE_V1ALPHA1, TEAM, old)
        until(lambda: self.get(kinds.SERVICE, TEAM, name).get("status"), f"{name} is reconciled")


@pytest.fixture(scope="module")
def installation(real_assets: Assets, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ByHelm]:
    host = host_address()
    if not host:
        pytest.skip("this host has no address beside loopback, and EndpointSlices must not hold that")
    helm = program("helm")
    with running(real_assets, options=OPTIONS, gogc=300) as cluster:
        installed = ByHelm(
            real_assets, cluster, host, Helm(helm, tmp_path_factory.mktemp("helm"), cluster.kubeconfig)
        )
        try:
            yield installed
        finally:
            for replica in installed.all_replicas:
                if replica.process.poll() is None:
                    replica.kill()


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.name.removesuffix("-values.yaml"))
def test_the_api_server_takes_every_value_set_as_rendered(installation: ByHelm, values: Path) -> None:
    """As dry runs, unknown fields being errors. Nothing runs yet, so presets meet no webhook: it comes with the release."""
    objects = [
        item
        for item in installation.helm.template(CONTROLLER, f"--values={values}")
        # Its webhooks are those that are installed, and nobody answers them.
        if item["kind"] != kinds.CONFIG.kind
    ]
    done = installation.kubectl.run(
        "apply", "--server-side", "--force-conflicts", "--validate=strict", "--dry-run=server", "--filename=-",
        stdin=yaml.safe_dump_all(objects),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(objects)


def test_a_release_fits_into_its_secret_with_room_to_grow(installation: ByHelm) -> None:
    """Helm keeps a release - chart and manifest, gzip in base64 - in one Secret, and a Secret has 1 MiB at most.

    The CRDs have 0.7 of it, rendered as JSON; as YAML they had 0.87.
    """
    found = installation.kubectl.read("secrets", "-n", NAMESPACE, "--field-selector=type=helm.sh/release.v1")
    sizes = {
        secret["metadata"]["name"]: sum(len(base64.b64decode(value)) for value in secret["data"].values())
        for secret in found["items"]
    }
    assert {"sh.helm.release.v1.aioctl.v1", "sh.helm.release.v1.aioctl-crds.v1"} <= sizes.keys()
    assert max(sizes.values()) < ROOM * SECRET_LIMIT, sizes


def test_what_is_installed_works(installation: ByHelm) -> None:
    installation.run(1)
    until(
        lambda: len(installation.bundles()) == 1 and "" not in installation.bundles(),
        "CA bundles are in place",
    )
    installation.works("first")


def test_an_upgrade_changes_what_its_values_say_and_nothing_else(installation: ByHelm) -> None:
    bundles = installation.bundles()
    installation.upgrade(
        f"--values={CONTROLLER}/ci/production-values.yaml", "--set=monitoring.serviceMonitor.enabled=true"
    )
    assert installation.deployment()["spec"]["replicas"] == 3
    assert {"name": "AIOCTL_WORKERS", "value": "16"} in installation.container()["env"]
    assert installation.get(kinds.SERVICE_MONITOR, NAMESPACE, "aioctl")
    # The certificate's owner has put the bundles in, and Helm leaves them there.
    assert installation.bundles() == bundles
    installation.helm("upgrade", "aioctl-crds", str(CRDS), "--namespace", NAMESPACE)
    assert installation.bundles() == bundles
    installation.works("second")


def written(preset: Any) -> Any:
    """What whoever installs presets writes; finalizers and status are the controller's."""
    metadata = preset["metadata"]
    kept = {key: metadata.get(key) for key in ("uid", "generation", "labels", "annotations")}
    return {**kept, "spec": preset["spec"]}


def test_presets_that_are_installed_are_not_touched_unless_asked(installation: ByHelm) -> None:
    """One is there already, by somebody else and with another image; the others come with the upgrade."""
    theirs = next(
        preset for preset in shipped.objects(DEPLOY / "presets") if preset["metadata"]["name"] == TEMPLATE
    )
    changed = json.loads(json.dumps(theirs))
    changed["spec"]["template"]["containers"][0]["image"] = "registry.example.com/vllm:theirs"
    installation.create(kinds.CONFIG, NAMESPACE, changed)
    before = installation.preset(TEMPLATE)

    installation.upgrade("--reuse-values", "--set=presets.enabled=true")
    assert written(installation.preset(TEMPLATE)) == written(before)
    assert "helm" not in json.dumps(installation.preset(TEMPLATE))
    made = installation.preset(SCHEDULER)

    installation.upgrade("--reuse-values")
    assert written(installation.preset(SCHEDULER)) == written(made)

    installation.upgrade(
        "--reuse-values", "--set=presets.update=true", "--take-ownership", "--force-conflicts"
    )
    updated = installation.preset(TEMPLATE)
    assert updated["metadata"]["uid"] == before["metadata"]["uid"], "changed in place"
    assert updated["spec"] == theirs["spec"]

    installation.upgrade("--reuse-values", "--set=presets.update=false")
    assert installation.preset(TEMPLATE)["metadata"]["uid"] == before["metadata"]["uid"], (
        "kept when it leaves the release"
    )


def test_a_rollback_brings_the_old_values_back(installation: ByHelm) -> None:
    bundles = installation.bundles()
    installation.helm("rollback", "aioctl", "1", "--namespace", NAMESPACE)
    assert installation.deployment()["spec"]["replicas"] == 2
    assert "AIOCTL_WORKERS" not in {entry["name"] for entry in installation.container()["env"]}
    assert installation.admin("GET", kinds.SERVICE_MONITOR.path(NAMESPACE, "aioctl")).status == 404
    assert installation.bundles() == bundles
    assert installation.preset(TEMPLATE)
    installation.works("third")


def test_uninstalled_everything_goes_but_crds_services_and_presets(installation: ByHelm) -> None:
    installation.run(0)
    installation.helm("uninstall", "aioctl", "--namespace", NAMESPACE)
    installation.helm("uninstall", "aioctl-crds", "--namespace", NAMESPACE)
    for kind, name in (
        (kinds.DEPLOYMENT, "aioctl"),
        (kinds.SERVICE_ACCOUNT, "aioctl"),
        (kinds.CLUSTER_ROLE, "aioctl"),
        (kinds.VALIDATING_WEBHOOK, "llminferenceservice.serving.kserve.io"),
        (kinds.MUTATING_WEBHOOK, "llminferenceservice.serving.kserve.io"),
    ):
        namespace = NAMESPACE if kind.namespaced else ""
        assert installation.admin("GET", kind.path(namespace, name)).status == 404, name
    stored = installation.stored(kinds.SERVICE, TEAM)
    assert {"first", "second", "third"} <= stored.keys()
    presets = {preset["metadata"]["name"] for preset in shipped.objects(DEPLOY / "presets")}
    assert presets <= installation.stored(kinds.CONFIG, NAMESPACE).keys()

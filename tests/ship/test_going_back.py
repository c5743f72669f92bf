"""Going back, as docs/upgrade.md says it, on a real API server: each release's own CRDs over ours, with services stored.

No controller of KServe can run here, so what is played is what its controller would find: objects, fields and the lock.
"""

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from aioctl.api import kinds, names
from testbed import tools
from testbed.real.api import Api
from testbed.real.build import Assets, NotAvailable
from testbed.real.cluster import running
from testbed.real.kubectl import Kubectl
from tests.deploy.manifests import DEPLOY
from tests.real_install import services
from tests.real_install.installation import Administrator
from tests.real_install.replica import until

pytestmark = pytest.mark.ship
TEAM = "team"
OURS = [
    DEPLOY / "crds" / f"serving.kserve.io_{plural}.yaml"
    for plural in (kinds.SERVICE.plural, kinds.CONFIG.plural)
]
OLDEST, *LATER = tools.KSERVE
STATUS = {"annotations": {names.MIGRATED: "v1"}}


class Stage:
    """Our CRDs, and a service of each shape that has migrated."""

    def __init__(self, kubectl: Kubectl, api: Api) -> None:
        self.kubectl = kubectl
        self.api = api
        self.written = {}
        self.kubectl.install_crds(*OURS)
        self.kubectl("create", "namespace", TEAM)
        for name, spec in services.SHAPES.items():
            answer = api("POST", kinds.SERVICE.path(TEAM), services.service(name, spec))
            assert answer.status == 201, answer.body
            path = kinds.SERVICE.path(TEAM, name, "status")
            assert api("PATCH", path, {"status": STATUS}).status == 200
            self.written[name] = deepcopy(self.read(name))

    def read(self, name: str) -> Any:
        answer = self.api("GET", kinds.SERVICE.path(TEAM, name))
        assert answer.status == 200, answer.body
        return answer.body

    def apply(self, release: str) -> Any:
        """That release's CRDs as the page says; the ended process."""
        try:
            files = tools.kserve_crds(release)
        except NotAvailable as error:
            pytest.skip(str(error))
        return self.kubectl.run(
            "apply", "--server-side", "--force-conflicts", *(f"--filename={path}" for path in files)
        )

    def touch(self, word: str) -> None:
        """Writes every service; a changed schema may take a moment to be in force."""
        patch = {"metadata": {"labels": {"example.com/under": word}}}
        for name in self.written:
            path = kinds.SERVICE.path(TEAM, name)
            until(partial(self._is_written, path, patch), f"{name} can be written")

    def _is_written(self, path: str, patch: Any) -> bool:
        return self.api("PATCH", path, patch).status == 200


@pytest.fixture(scope="module")
def stage(real_assets: Assets) -> Iterator[Stage]:
    with running(real_assets, gogc=300) as cluster:
        yield Stage(Kubectl.of(real_assets, cluster), Administrator(cluster))


@pytest.mark.parametrize("release", LATER)
def test_services_are_there_under_the_crds_of_the_release_and_again_under_ours(
    stage: Stage, release: str
) -> None:
    done = stage.apply(release)
    assert done.returncode == 0, done.stderr
    # Written under that schema, so that what it does not know would be gone.
    stage.touch(release)
    for name, before in stage.written.items():
        found = stage.read(name)
        assert found["spec"] == before["spec"]
        assert found["status"]["annotations"] == STATUS["annotations"], (
            "its controller knows that traffic has moved"
        )
    stage.kubectl("apply", "--server-side", "--force-conflicts", *(f"--filename={path}" for path in OURS))
    stage.touch("ours")
    assert {name: stage.read(name)["spec"] for name in stage.written} == {
        name: before["spec"] for name, before in stage.written.items()
    }


def test_the_conversion_clause_goes_with_who_applied_it(stage: Stage) -> None:
    """KServe's files have none; its kustomization and its chart add it. Server-side apply takes away what its manager no longer
    says, and leaves what another one said."""

    def clause() -> Any:
        return stage.api("GET", kinds.CRD.path("", kinds.SERVICE.resource)).body["spec"]["conversion"]

    release = LATER[-1]
    assert stage.apply(release).returncode == 0
    assert clause() == {"strategy": "None"}
    files = [f"--filename={path}" for path in OURS]
    stage.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager=helm", *files)
    assert stage.apply(release).returncode == 0
    assert clause()["webhook"]["clientConfig"]["service"]["name"] == "aioctl-webhook"
    page = (DEPLOY.parent / "docs" / "upgrade.md").read_text()
    assert "have no conversion clause" in page


def test_the_oldest_release_is_refused_once_v1alpha2_is_stored(stage: Stage) -> None:
    done = stage.apply(OLDEST)
    assert done.returncode != 0
    assert (
        "must have the storage version v1alpha1" in done.stderr or "status.storedVersions" in done.stderr
    ), done.stderr
    page = (DEPLOY.parent / "docs" / "upgrade.md").read_text()
    assert "the API server refuses CRDs without" in page

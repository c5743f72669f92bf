"""Objects stored in v1alpha1 are rewritten in v1alpha2, whatever happens in between (STORE-1)."""

import time
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from tests.real_install import services
from tests.real_install.installation import TEAM, Installation
from tests.real_install.replica import PATIENCE, Replica, until

pytestmark = pytest.mark.real
COUNT = 40
RATE = 2
"""Objects per second, so that there is a middle in which to be killed: of 20 seconds, on a machine that is busy too."""
BAD_SERVICE, BAD_CONFIG = "bad-service", "bad-config"
BOTH = (kinds.SERVICE, kinds.CONFIG)
ADMISSION = (
    (kinds.MUTATING_WEBHOOK, "llminferenceservice.serving.kserve.io"),
    (kinds.VALIDATING_WEBHOOK, "llminferenceservice.serving.kserve.io"),
    (kinds.VALIDATING_WEBHOOK, "llminferenceserviceconfig.serving.kserve.io"),
)
"""What no object passes while no replica runs."""


def set_storage(installation: Installation, version: str) -> None:
    """As an old or a new release of the CRDs would."""
    for kind in BOTH:
        versions = [
            item["name"] for item in installation.get(kinds.CRD, "", kind.resource)["spec"]["versions"]
        ]
        patch = [
            {"op": "replace", "path": f"/spec/versions/{index}/storage", "value": name == version}
            for index, name in enumerate(versions)
        ]
        answer = installation.patch(kinds.CRD, "", kind.resource, patch)
        assert answer.status == 200, answer.body


def stored_versions(installation: Installation, kind: Kind) -> list[str]:
    found: list[str] = installation.get(kinds.CRD, "", kind.resource)["status"]["storedVersions"]
    return found


def left(installation: Installation, kind: Kind) -> set[str]:
    """Names of the objects that etcd holds in the old version."""
    return {name for name, obj in installation.stored(kind).items() if obj["apiVersion"] == kinds.V1ALPHA1}


def config(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": kinds.V1ALPHA1,
        "kind": kinds.CONFIG.kind,
        "metadata": {"name": name, "namespace": TEAM},
        "spec": spec,
    }


@pytest.fixture(scope="module")
def old_objects(installation: Installation) -> Installation:
    """Many services and a config stored in v1alpha1 before there were webhooks, one of each kind as none accepts today."""
    installation.run(0)
    hooks = [(kind, installation.get(kind, "", name)) for kind, name in ADMISSION]
    for kind, hook in hooks:
        installation.admin("DELETE", kind.path("", hook["metadata"]["name"]))
    set_storage(installation, "v1alpha1")
    bad = services.service(BAD_SERVICE, {"model": {"uri": "oci://image:tag"}}, version=kinds.V1ALPHA1)
    objects = [
        (kinds.SERVICE_V1ALPHA1, bad),
        *(
            (kinds.SERVICE_V1ALPHA1, services.service(f"s-{number:02d}", {}, version=kinds.V1ALPHA1))
            for number in range(COUNT)
        ),
        (kinds.CONFIG_V1ALPHA1, config("c", {})),
        (kinds.CONFIG_V1ALPHA1, config(BAD_CONFIG, {"baseRefs": [{"name": "other"}]})),
    ]
    for kind, obj in objects:
        _store(installation, kind, obj)
    assert len(left(installation, kinds.SERVICE)) == COUNT + 1
    assert left(installation, kinds.CONFIG) >= {"c", BAD_CONFIG}
    for kind, hook in hooks:
        installation.create(kind, "", {**hook, "metadata": {"name": hook["metadata"]["name"]}})
    set_storage(installation, "v1alpha2")
    return installation


def until_named(replica: Replica, name: str) -> list[dict[str, Any]]:
    """The log lines that say that admission refuses this object."""
    return until(
        lambda: replica.said("object refused by admission", object=f"{TEAM}/{name}"),
        f"{name} is named in the log",
    )


def _refused(replica: Replica) -> float:
    found = replica.metrics("aioctl_storage_migration_objects_total", result="refused")
    return sum(series.value for series in found)


def _store(installation: Installation, kind: Kind, obj: dict[str, Any]) -> None:
    """Creates it; while a CRD's storage is set up, the API server asks to come again, or still stores the version before."""
    name = obj["metadata"]["name"]
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = installation.admin("POST", kind.path(TEAM), obj)
        if answer.status == 201 and name in left(installation, kind):
            return
        assert time.monotonic() < deadline, answer.body
        if answer.status == 201:
            installation.admin("DELETE", kind.path(TEAM, name))
        time.sleep(0.1)  # another process works; there is nothing to await


def test_a_migration_survives_the_death_of_its_leader(old_objects: Installation) -> None:
    replica = old_objects.start(AIOCTL_STORAGE_MIGRATION_RATE=str(RATE))
    old_objects.connect(replica)
    until(lambda: 0 < len(left(old_objects, kinds.SERVICE)) < COUNT - 5, "the migration is in its middle")
    old_objects.kill(replica)
    assert 1 < len(left(old_objects, kinds.SERVICE)) < COUNT
    assert "v1alpha1" in stored_versions(old_objects, kinds.SERVICE)


def test_what_admission_refuses_is_named_and_stops_nothing_else(old_objects: Installation) -> None:
    (replica,) = old_objects.run(1)
    until(lambda: left(old_objects, kinds.SERVICE) == {BAD_SERVICE}, "all services but one are rewritten")
    until(lambda: left(old_objects, kinds.CONFIG) == {BAD_CONFIG}, "all configs but one are rewritten")
    for kind, name, reason in (
        (kinds.SERVICE, BAD_SERVICE, "invalid port"),
        (kinds.CONFIG, BAD_CONFIG, "spec.baseRefs: Forbidden: baseRefs is not a permitted field"),
    ):
        (line, *_) = until_named(replica, name)
        assert line["crd"] == kind.resource
        assert reason in line["error"]
        assert "v1alpha1" in stored_versions(old_objects, kind)
    until(lambda: _refused(replica) >= 2, "both are counted")


def test_once_it_is_corrected_the_old_version_is_no_longer_stored(old_objects: Installation) -> None:
    correct = {"spec": {"model": {"uri": "oci://registry/image:tag"}}}
    assert old_objects.patch(kinds.SERVICE, TEAM, BAD_SERVICE, correct).status == 200
    assert old_objects.patch(kinds.CONFIG, TEAM, BAD_CONFIG, {"spec": {"baseRefs": None}}).status == 200
    until(
        lambda: all(stored_versions(old_objects, kind) == ["v1alpha2"] for kind in BOTH),
        "both CRDs say that only v1alpha2 is stored",
    )
    for kind in BOTH:
        assert left(old_objects, kind) == set()
    found = old_objects.get(kinds.SERVICE_V1ALPHA1, TEAM, BAD_SERVICE)
    assert found["spec"]["model"]["uri"] == "oci://registry/image:tag"

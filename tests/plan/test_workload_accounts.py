"""Under which account pods run: the one that is named, as it is, or one of ours (MULTI-1, SINGLE-1, WORK-2)."""

from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.objects import labels_of
from aioctl.plan.model import Verb
from testbed.plan_world import HF, MAIN, World, errors_of
from tests.plan.workload_world import DECODE, SIDECAR, WORKER, run

NAMED_MAIN = {**MAIN, "serviceAccountName": "theirs"}
NAMED_SIDECAR = {**SIDECAR, "serviceAccountName": "theirs"}
TRACKED = {
    "kubectl.kubernetes.io/last-applied-configuration": "{}",
    "argocd.argoproj.io/tracking-id": "app:/ServiceAccount:ns/src",
}
"""What tools say of the account that they applied."""
BASE = {"app.kubernetes.io/name": "svc", "app.kubernetes.io/part-of": "llminferenceservice"}


def world(*accounts: str) -> World:
    made = World()
    made.put(kinds.SECRET, "s", data={})
    for name in accounts:
        made.put(
            kinds.SERVICE_ACCOUNT,
            name,
            metadata={"labels": {"a": "b"}, "annotations": {"c": "d", **TRACKED}},
            imagePullSecrets=[{"name": "pull"}],
            secrets=[{"name": "s"}],
            automountServiceAccountToken=False,
        )
    return made


def subjects(made: World, name: str) -> list[str]:
    return [subject["name"] for subject in made.get(kinds.ROLE_BINDING, name)["subjects"]]


@pytest.mark.parametrize(
    ("spec", "inner", "whose"),
    [
        (
            {**WORKER, "worker": NAMED_MAIN},
            "failed to reconcile multi-node service account: failed to create expected multi node service account: ",
            "multi node main",
        ),
        (
            {**HF, "prefill": {"template": NAMED_MAIN, "worker": MAIN}},
            "failed to reconcile multi-node service account: failed to create expected multi node service account: ",
            "multi node prefill",
        ),
        (
            {**HF, "template": NAMED_SIDECAR},
            (
                "failed to reconcile main workload: failed to get expected main deployment: "
                "failed to created expected single node service account: "
            ),
            "single node main",
        ),
        (
            {**HF, "template": NAMED_MAIN},
            "failed to reconcile main workload: failed to get expected main deployment: ",
            "single node main",
        ),
    ],
)
def test_an_account_that_is_named_has_to_exist(spec: dict[str, Any], inner: str, whose: str) -> None:
    _, shown = errors_of(run(World(), spec))
    assert shown == (
        f'{inner}failed to fetch existing {whose} service account ns/theirs: ServiceAccount "theirs" not found'
    )


@pytest.mark.parametrize(
    ("template", "worker", "name"),
    [
        (MAIN, MAIN, "svc-kserve-mn"),
        (NAMED_MAIN, MAIN, "theirs"),
        (MAIN, NAMED_MAIN, "theirs"),
        ({**MAIN, "serviceAccountName": "first"}, NAMED_MAIN, "first"),
        ({**MAIN, "serviceAccountName": "svc-kserve-mn"}, NAMED_MAIN, "svc-kserve-mn"),
    ],
)
@pytest.mark.parametrize("prefill", [False, True])
def test_both_templates_of_a_set_run_under_the_account_in_use(
    template: Any, worker: Any, name: str, prefill: bool
) -> None:
    side = {"template": template, "worker": worker}
    suffix = "-prefill" if prefill else ""
    name += suffix if name == "svc-kserve-mn" else ""
    if prefill and template.get("serviceAccountName") == "svc-kserve-mn":
        side["template"] = {**template, "serviceAccountName": name}
    made = world("theirs", "first")
    before = {one: made.get(kinds.SERVICE_ACCOUNT, one) for one in ("theirs", "first")}
    assert run(made, {**HF, "prefill": side} if prefill else {**HF, **side}) is None
    groups = made.get(kinds.LEADER_WORKER_SET, f"svc-kserve-mn{suffix}")["spec"]["leaderWorkerTemplate"]
    for field in ("leaderTemplate", "workerTemplate"):
        assert groups[field]["spec"]["serviceAccountName"] == name
    generated = made.get(kinds.SERVICE_ACCOUNT, f"svc-kserve-mn{suffix}")
    assert (generated is not None) is (name == f"svc-kserve-mn{suffix}")
    assert {one: made.get(kinds.SERVICE_ACCOUNT, one) for one in before} == before


def test_the_sidecars_rights_are_those_of_the_account_in_use() -> None:
    for spec, binding in (
        ({**DECODE, "template": NAMED_SIDECAR}, "svc-kserve-rb"),
        ({**DECODE, "template": NAMED_SIDECAR, "worker": MAIN}, "svc-kserve-mn-rb"),
    ):
        made = world("theirs")
        assert run(made, spec) is None
        assert subjects(made, binding) == ["theirs"]
        assert [name for name in made.names(kinds.SERVICE_ACCOUNT) if name != "theirs"] == []
        # The single node objects follow the template also where there are workers, the others need workers.
        assert ("svc-kserve-mn-rb" in made.names(kinds.ROLE_BINDING)) is ("worker" in spec)


def test_a_generated_account_has_the_secrets_of_the_default_one_and_nothing_else_of_it() -> None:
    for spec, name, labels in (
        (WORKER, "svc-kserve-mn", BASE),
        (DECODE, "svc-kserve", {**BASE, "app.kubernetes.io/component": "llminferenceservice-workload"}),
    ):
        made = world("default")
        for _ in range(2):
            assert run(made, spec) is None
        found = made.get(kinds.SERVICE_ACCOUNT, name)
        assert found["imagePullSecrets"] == [{"name": "pull"}]
        assert found["secrets"] == [{"name": "s"}]
        assert labels_of(found) == labels
        assert "annotations" not in found["metadata"]
        assert "automountServiceAccountToken" not in found
        # What tools wrote into it goes, what the platform added stays.
        found["metadata"]["annotations"] = dict(TRACKED)
        found["imagePullSecrets"].append({"name": "of-the-platform"})
        assert run(made, spec) is None
        found = made.get(kinds.SERVICE_ACCOUNT, name)
        assert not found["metadata"].get("annotations")
        assert found["imagePullSecrets"] == [{"name": "pull"}, {"name": "of-the-platform"}]
        # An emptied default account does not empty the copy.
        made.put(kinds.SERVICE_ACCOUNT, "default")
        made.writes.clear()
        assert run(made, spec) is None
        assert [write.name for write in made.writes if write.kind is kinds.SERVICE_ACCOUNT] == []


@pytest.mark.parametrize(
    ("spec", "kind", "ending"),
    [
        (DECODE, kinds.DEPLOYMENT, "-kserve"),
        ({**DECODE, "worker": MAIN}, kinds.LEADER_WORKER_SET, "-kserve-mn"),
    ],
)
def test_pods_that_are_being_replaced_keep_account_and_rights(
    spec: dict[str, Any], kind: Any, ending: str
) -> None:
    made = world("theirs")
    for _ in range(2):
        assert run(made, spec) is None
    named = {**spec, "template": NAMED_SIDECAR}
    generated = f"svc{ending}"
    assert run(made, named) is None
    assert subjects(made, f"svc{ending}-rb") == ["theirs", generated]
    live = made.get(kind, generated)
    live["metadata"]["generation"] = 2
    live["status"] = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1}
    assert run(made, named) is None
    live["status"] = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}
    assert run(made, named) is None
    assert generated in made.names(kinds.SERVICE_ACCOUNT)
    live["status"] = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}
    made.writes.clear()
    assert run(made, named) is None
    if kind is kinds.DEPLOYMENT:
        assert [(write.verb, write.kind.kind, write.name) for write in made.writes] == [
            (Verb.UPDATE, "RoleBinding", "svc-kserve-rb"),
            (Verb.DELETE, "ServiceAccount", "svc-kserve"),
        ]
    assert subjects(made, f"svc{ending}-rb") == ["theirs"]
    assert generated not in made.names(kinds.SERVICE_ACCOUNT)
    made.writes.clear()
    assert run(made, named) is None
    assert made.writes == []


def test_a_strangers_account_of_that_name_is_never_deleted() -> None:
    made = world("svc-kserve", "svc-kserve-mn", "theirs")
    assert run(made, {**HF, "template": NAMED_MAIN}) is None
    assert made.names(kinds.SERVICE_ACCOUNT) == ["svc-kserve", "svc-kserve-mn", "theirs"]

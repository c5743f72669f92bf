"""The account of the endpoint picker, and what binds it.

Rules: EPP-9.
"""

import hashlib
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.objects import annotations_of, labels_of
from aioctl.plan import scheduler
from aioctl.plan.model import PlanError
from testbed.plan_world import HF, World, service
from tests.plan.picker_world import LABELS, SPEC, TEMPLATE, run, spec_with
from tests.plan.workload_world import without_record


def test_an_account_of_somebody_else_is_used_as_it_is() -> None:
    world = World()
    run(world, SPEC)
    world.put(kinds.SERVICE_ACCOUNT, "mine", secrets=[])
    before = world.get(kinds.SERVICE_ACCOUNT, "mine")
    named = spec_with({**TEMPLATE, "serviceAccountName": "mine"})
    run(world, named)
    assert world.get(kinds.SERVICE_ACCOUNT, "mine") is before
    assert world.names(kinds.SERVICE_ACCOUNT) == ["mine"], "the generated account goes"
    for kind, name in (
        (kinds.CLUSTER_ROLE_BINDING, "ns-svc-epp-auth-rb"),
        (kinds.ROLE_BINDING, "svc-epp-rb"),
    ):
        assert world.get(kind, name)["subjects"][0]["name"] == "mine"
    pod = world.get(kinds.DEPLOYMENT, "svc-kserve-router-scheduler")["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == "mine"
    assert run(world, named) == []
    run(world, HF)
    assert world.names(kinds.SERVICE_ACCOUNT) == ["mine"]


def test_a_named_account_that_does_not_exist_stops_nothing_but_is_told() -> None:
    world = World()
    named = spec_with({**TEMPLATE, "serviceAccountName": "new"})
    run(world, named)
    assert world.names(kinds.SERVICE_ACCOUNT) == []
    assert world.names(kinds.DEPLOYMENT) == ["svc-kserve-router-scheduler"]
    assert scheduler.account_problem(world.context(named)) == (
        "failed to create expected scheduler service account: failed to fetch existing scheduler service account "
        'ns/new: ServiceAccount "new" not found'
    )
    world.put(kinds.SERVICE_ACCOUNT, "new")
    assert scheduler.account_problem(world.context(named)) == ""
    assert scheduler.account_problem(world.context(SPEC)) == ""
    assert scheduler.account_problem(world.context(HF)) == ""


@pytest.mark.parametrize(
    ("of_server", "wanted"),
    [
        ("", {"imagePullSecrets": [{"name": "pull"}]}),
        ("mine", {"secrets": [{"name": "s3"}], "annotations": {"a": "b"}}),
        ("nobody", {}),
    ],
)
def test_the_generated_account_has_the_model_servers_credentials(
    of_server: str, wanted: dict[str, Any]
) -> None:
    world = World()
    world.put(kinds.SERVICE_ACCOUNT, "default", imagePullSecrets=[{"name": "pull"}])
    theirs = {"annotations": {"a": "b", "meta.helm.sh/release-name": "r"}, "labels": {"l": "m"}}
    world.put(kinds.SERVICE_ACCOUNT, "mine", secrets=[{"name": "s3"}], metadata=theirs)
    spec = {**SPEC, "template": {"serviceAccountName": of_server}} if of_server else SPEC
    run(world, spec)
    made = world.get(kinds.SERVICE_ACCOUNT, "svc-epp-sa")
    assert labels_of(made) == LABELS
    found = {field: made[field] for field in ("secrets", "imagePullSecrets") if field in made}
    annotations = without_record(annotations_of(made))
    assert {**found, **({"annotations": annotations} if annotations else {})} == wanted
    assert run(world, spec) == []


def test_a_strangers_generated_account_or_service_is_an_error() -> None:
    world = World()
    world.put(kinds.SERVICE_ACCOUNT, "svc-epp-sa")
    with pytest.raises(PlanError) as caught:
        run(world, SPEC)
    assert str(caught.value) == (
        "failed to reconcile scheduler service account ns/svc-epp-sa: failed to update v1.ServiceAccount "
        "ns/svc-epp-sa: it is not controlled by v1alpha2.LLMInferenceService ns/svc"
    )
    world = World()
    world.put(kinds.CORE_SERVICE, "theirs", spec={"ports": []})
    with pytest.raises(PlanError) as caught:
        run(world, spec_with(pool={"spec": {"endpointPickerRef": {"name": "theirs"}}}))
    assert str(caught.value) == (
        "failed to update v1.Service ns/theirs: it is not controlled by v1alpha2.LLMInferenceService ns/svc"
    )


def test_services_with_clashing_binding_names_do_not_touch_each_other() -> None:
    world = World()
    first, second = service("b-c", "a"), service("c", "a-b")
    run(world, SPEC, of=first)
    run(world, SPEC, of=second)
    digest = hashlib.sha256(b"a-b/c").hexdigest()[:8]
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == ["a-b-c-epp-auth-rb", f"a-b-c-epp-auth-rb-{digest}"]
    for of in (first, second):
        assert run(world, SPEC, of=of) == []
    run(world, HF, of=first)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == [f"a-b-c-epp-auth-rb-{digest}"]
    run(world, SPEC, of=second)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == ["a-b-c-epp-auth-rb"], "the first name is free again"
    run(world, HF, of=second)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == []


def test_a_binding_whose_subjects_somebody_removed_is_mended_and_not_left_behind() -> None:
    world = World()
    run(world, SPEC)
    (name,) = world.names(kinds.CLUSTER_ROLE_BINDING)
    before = world.get(kinds.CLUSTER_ROLE_BINDING, name)
    world.put(
        kinds.CLUSTER_ROLE_BINDING,
        name,
        metadata={"labels": before["metadata"]["labels"]},
        roleRef=before["roleRef"],
    )
    run(world, SPEC)
    assert world.names(kinds.CLUSTER_ROLE_BINDING) == [name]
    assert world.get(kinds.CLUSTER_ROLE_BINDING, name)["subjects"] == before["subjects"]

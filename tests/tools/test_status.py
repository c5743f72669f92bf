"""`aioctl status`: what the fleet's list and one service's tree say, and what is said when something cannot be read."""

import json

import pytest

from aioctl.api import kinds
from aioctl.sim.errors import forbidden
from aioctl.sim.faults import Match
from aioctl.tools import fleet as fleets
from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.output import Output, listing
from aioctl.tools.tree import lines, tree
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, plain_service, world
from tests.tools.small_fleet import fleet, looks, until_condition

PROMISED = {
    "namespace", "name", "resource", "ready", "notReady", "state", "reason", "since", "traffic", "readyReplicas",
    "wantedReplicas", "gateways", "strategy", "lock", "problem",
}  # fmt: skip
"""Fields of `-o json`, as docs/reference.md lists them."""


@virtual_time
async def test_a_migrated_service_in_the_list() -> None:
    async with fleet(at_rest=("one",)) as stage:
        _, (seen,) = await looks(stage)
        item = fleets.public(fleets.item(seen))
        assert set(item) == PROMISED
        assert item["since"].endswith("Z")
        assert {
            key: item[key] for key in ("name", "ready", "state", "reason", "traffic", "lock", "problem")
        } == {
            "name": "one",
            "ready": "True",
            "state": "Migrated",
            "reason": "Locked",
            "traffic": {"v1": 100, "v1alpha2": 0},
            "lock": "route+status",
            "problem": "",
        }
        assert (item["readyReplicas"], item["wantedReplicas"]) == (1, 1)
        assert item["gateways"] == ["kserve/kserve-ingress-gateway"]
        assert fleets.summary([seen]) == "1 service: 1 Migrated; 1 ready"


@virtual_time
async def test_the_tree_names_every_object_and_each_gateways_answer() -> None:
    async with fleet(at_rest=("one",)) as stage:
        found, (seen,) = await looks(stage, "one")
        shown = lines(tree(seen, found))
        text = "\n".join(shown)
        for object_ in (
            "LLMInferenceService demo/one",
            "Deployment demo/one-kserve ",
            "Deployment demo/one-kserve-router-scheduler",
            "InferencePool v1 demo/one-inference-pool",
            "InferencePool v1alpha2 demo/one-inference-pool",
            "HTTPRoute demo/one-kserve-route  100 % to v1, 0 % to v1alpha2",
        ):
            assert object_ in text
        assert text.count("kserve/kserve-ingress-gateway  Accepted True") == 3, "two pools and the route"
        assert "on the route and in the status" in text
        assert not [line for line in shown if "x   " in line], "nothing is wrong with it"
        assert "not known" not in text


@virtual_time
async def test_a_gateway_that_refuses_is_marked_and_somebody_has_to_act() -> None:
    async with fleet(behaviour="accepts-both-routes-v1alpha2") as stage:
        await stage.user.create(
            kinds.SERVICE, NAMESPACE, plain_service(router={"gateway": {}, "route": {}, "scheduler": {}})
        )
        await until_condition(stage, "InferencePoolMigration", lambda said: said[0] == "False")
        found, (seen,) = await looks(stage, "one")
        assert seen.problem
        text = "\n".join(lines(tree(seen, found)))
        assert "InvalidKind" in text
        assert "what to do: every parent of the HTTPRoute refuses" in text
        assert fleets.summary([seen]).endswith("1 waits for somebody")


@virtual_time
async def test_a_pod_that_cannot_start_is_told_with_its_own_words() -> None:
    async with fleet(workloads=False) as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service())
        await until_condition(stage, "PresetsCombined", lambda said: said[0] == "True")
        deployment = None

        async def made() -> bool:
            nonlocal deployment
            deployment = await stage.find(kinds.DEPLOYMENT, "one-kserve")
            return deployment is not None

        await stage.until(made)
        assert deployment is not None
        template = deployment["spec"]["template"]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "one-kserve-x",
                "namespace": NAMESPACE,
                "labels": template["metadata"]["labels"],
            },
            "spec": {"containers": [{"name": "main", "image": "i"}]},
            "status": {
                "containerStatuses": [
                    {
                        "name": "main",
                        "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
                    }
                ]
            },
        }
        await stage.cluster.create(pod, client="user")
        stored = await stage.user.get(kinds.POD, NAMESPACE, "one-kserve-x")
        await stage.user.update(kinds.POD, {**stored, "status": pod["status"]}, subresource="status")
        found, (seen,) = await looks(stage, "one")
        text = "\n".join(lines(tree(seen, found)))
        assert "Pod demo/one-kserve-x  container main: ImagePullBackOff: no such image" in text


@virtual_time
async def test_labels_and_namespaces_choose() -> None:
    async with fleet() as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("a"))
        labelled = plain_service("b")
        labelled["metadata"]["labels"] = {"team": "x"}
        await stage.user.create(kinds.SERVICE, NAMESPACE, labelled)
        assert [one.key.name for one in (await looks(stage))[1]] == ["a", "b"]
        assert [one.key.name for one in (await looks(stage, selector="team=x"))[1]] == ["b"]
        assert (await looks(stage, namespace="kserve"))[1] == []
        assert [one.key.name for one in (await looks(stage, namespace=""))[1]] == ["a", "b"]


@virtual_time
async def test_what_is_not_there_is_said_in_a_sentence() -> None:
    async with fleet() as stage:
        await stage.user.create(kinds.SERVICE, NAMESPACE, plain_service("chat-large"))
        with pytest.raises(
            ToolError, match='no LLMInferenceService "chat" in namespace demo; there is demo/chat-large'
        ) as said:
            await looks(stage, "chat")
        assert said.value.code is Exit.USAGE
        with pytest.raises(ToolError, match=r"-l a=\(: ") as said:
            await looks(stage, selector="a=(")
        assert said.value.code is Exit.USAGE
        with pytest.raises(ToolError, match="exclude each other"):
            Access(namespace="a", everywhere=True)


@virtual_time
async def test_no_access_names_verb_resource_and_namespace() -> None:
    async with fleet(at_rest=("one",)) as stage:
        refused = forbidden(kinds.GATEWAY_CLASS.resource, kinds.GATEWAY_CLASS.group, "", "no")
        stage.cluster.faults.fail(Match(verb="list", resource="gatewayclasses"), refused, times=0)
        found, (seen,) = await looks(stage)
        assert seen.state == "Migrated", "what depends on it is not known, the rest is"
        assert found.unread[kinds.GATEWAY_CLASS].startswith(
            "no access: you may not list gatewayclasses.gateway."
        )
        refused = forbidden(kinds.SERVICE.resource, kinds.SERVICE.group, "", "no")
        stage.cluster.faults.fail(Match(verb="list", resource="llminferenceservices"), refused, times=0)
        with pytest.raises(ToolError) as said:
            await looks(stage)
        assert str(said.value).startswith(
            "no access: you may not list llminferenceservices.serving.kserve.io in namespace demo;"
        )
        assert said.value.code is Exit.UNREADABLE


@virtual_time
async def test_a_cluster_without_our_crds_is_told_so() -> None:
    async with world(absent=("llminferenceservices.serving.kserve.io",)) as stage:
        with pytest.raises(
            ToolError, match=r"does not serve llminferenceservices.* CRDs are not installed"
        ) as said:
            await looks(stage)
        assert said.value.code is Exit.UNREADABLE


def test_a_list_in_every_form() -> None:
    item = {
        "namespace": "n", "name": "s", "resource": "llminferenceservice.serving.kserve.io/s", "state": "Held",
        "problem": "line one\nline two", "gateways": ["a/b", "c/d"], "traffic": None,
    }  # fmt: skip
    shown = {
        form: listing([item], fleets.COLUMNS, form, name="resource", kind="ServiceStatusList")
        for form in Output
    }
    assert shown[Output.NAME] == "llminferenceservice.serving.kserve.io/s\n"
    assert json.loads(shown[Output.JSON]) == {"kind": "ServiceStatusList", "items": [item]}
    header, row = shown[Output.TABLE].splitlines()
    assert header.split()[:2] == ["NAMESPACE", "NAME"]
    assert row.endswith("line one line two"), "an item is a line, whatever it holds"
    assert "a/b,c/d" in row
    assert "LOCK" in shown[Output.WIDE]
    assert "LOCK" not in header


def test_that_nothing_was_found_says_where() -> None:
    assert Access().nothing("a") == "no services in namespace a; -A means all"
    assert Access(selector="x=y").nothing("a") == "no services with labels x=y in namespace a; -A means all"
    assert Access(everywhere=True).nothing("") == "no services in any namespace"

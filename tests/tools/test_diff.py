"""`aioctl diff`: nothing for a settled fleet; each difference with whose it is and which pods it restarts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from aioctl.api import kinds, names
from aioctl.api.objects import dig
from aioctl.tools.access import Access, ToolError
from aioctl.tools.diff import Difference, Report, report, summary, text
from aioctl.tools.rehearsal import rehearse
from aioctl.tools.session import Session
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World, furnished, plain_service
from tests.tools.small_fleet import ROUTED, connection, fleet


async def reports(stage: World, name: str = "", *given: dict[str, Any], **access: Any) -> list[Report]:
    namespace = "" if access.get("everywhere") else NAMESPACE
    return await rehearse(Session(connection(stage, namespace), Access(**access), POLICY), name, given)


def by_kind(found: list[Report]) -> dict[tuple[str, str], Difference]:
    return {
        (one.planned.ref.kind.kind, one.planned.ref.name): one for each in found for one in each.differences
    }


def service_file(**spec: Any) -> dict[str, Any]:
    return plain_service("one", **ROUTED, **spec)


@virtual_time
async def test_a_settled_service_has_no_difference_and_a_strangers_edit_is_one() -> None:
    async with fleet(at_rest=("one",)) as stage:
        assert summary(await reports(stage)) == "1 service: nothing would be written"
        # As another hand left it, before the controller has put it right.
        session = Session(connection(stage), Access(), POLICY)
        reader, found = await session.read()
        pool = await stage.find(kinds.POOL_V1, names.default_pool_name("one"))
        assert pool is not None
        theirs = {**pool["spec"], "endpointPickerRef": {"name": "theirs", "port": {"number": 1}}}
        found.add(kinds.POOL_V1, {**pool, "spec": theirs})
        (service,) = await session.wanted(reader, found, "one")
        made = report(found, service, POLICY, datetime.now(UTC))
        while await reader.answer(found):
            made = report(found, service, POLICY, datetime.now(UTC))
        (one,) = made.differences
        origins = {field.path: field.origin for field in one.fields}
        preset = "LLMInferenceServiceConfig kserve/kserve-config-llm-scheduler"
        assert origins["spec.endpointPickerRef.name"] == preset


@virtual_time
async def test_an_edit_in_a_file_shows_the_field_its_origin_and_the_restart() -> None:
    async with fleet(at_rest=("one",)) as stage:
        container = {"name": "main", "image": "registry.example/vllm:2"}
        found = await reports(stage, "", service_file(template={"containers": [container]}))
        differences = by_kind(found)
        assert set(differences) == {("Deployment", "one-kserve")}
        one = differences["Deployment", "one-kserve"]
        assert one.planned.verb == "update"
        assert one.planned.restarts == "restarts the model server"
        image = next(field for field in one.fields if field.path.endswith(".image"))
        assert image.path == "spec.template.spec.containers[main].image"
        assert image.origin == "LLMInferenceService demo/one"
        assert image.after == "registry.example/vllm:2"
        shown = "".join(text(found))
        assert "+        image: registry.example/vllm:2\n" in shown
        assert shown.startswith(
            "# update Deployment demo/one-kserve of service demo/one; restarts the model server\n"
        )
        # Nothing was written.
        live = await stage.find(kinds.DEPLOYMENT, "one-kserve")
        assert dig(live, "spec", "template", "spec", "containers")[0]["image"] != "registry.example/vllm:2"


@virtual_time
async def test_replicas_restart_nobody() -> None:
    async with fleet(at_rest=("one",)) as stage:
        found = await reports(stage, "", service_file(replicas=3))
        (one,) = by_kind(found).values()
        assert [(field.path, field.after, field.origin) for field in one.fields] == [
            ("spec.replicas", 3, "LLMInferenceService demo/one")
        ]
        assert one.planned.restarts == ""


@virtual_time
async def test_an_edited_preset_shows_on_every_service_with_its_name() -> None:
    async with fleet(at_rest=("one", "two")) as stage:
        preset = await stage.find(kinds.CONFIG, "kserve-config-llm-template", "kserve")
        assert preset is not None
        preset["spec"]["template"]["containers"][0]["image"] = "registry.example/vllm:3"
        found = await reports(stage, "", preset)
        assert set(by_kind(found)) == {("Deployment", "one-kserve"), ("Deployment", "two-kserve")}
        origins = {
            field.origin
            for one in by_kind(found).values()
            for field in one.fields
            if field.path.endswith("image")
        }
        assert origins == {"LLMInferenceServiceConfig kserve/kserve-config-llm-template"}


@virtual_time
async def test_a_new_service_is_made_of_everything_and_secrets_are_not_shown() -> None:
    async with furnished() as stage:
        found = await reports(stage, "", service_file())
        kinds_made = {kind for kind, _ in by_kind(found)}
        assert {"Deployment", "InferencePool", "HTTPRoute", "Secret", "Service"} <= kinds_made
        assert "LLMInferenceService" not in kinds_made
        assert all(one.planned.verb == "create" for one in by_kind(found).values())
        assert "tls.key: '***" in "".join(text(found))


@virtual_time
async def test_beside_another_controller_the_rehearsal_tells_what_would_be_changed() -> None:
    async with furnished() as stage:
        # Nobody reconciles here: what is live is what another controller left.
        await stage.user.create(kinds.SERVICE, NAMESPACE, service_file())
        found = await reports(stage)
        owned = by_kind(found)["LLMInferenceService", "one"]
        assert [field.path for field in owned.fields] == ["metadata.finalizers[0]"]
        assert found[0].problems == ()
        assert "starts pods of the model server" in summary(found)


@virtual_time
async def test_what_is_no_object_of_ours_is_refused_by_name() -> None:
    async with furnished() as stage:
        with pytest.raises(ToolError, match="the file holds v1 Ghost boo, which no plan"):
            await reports(stage, "", {"apiVersion": "v1", "kind": "Ghost", "metadata": {"name": "boo"}})
        nameless = {**service_file(), "metadata": {}}
        with pytest.raises(ToolError, match=r"LLMInferenceService without a metadata\.name"):
            await reports(stage, "", nameless)
        with pytest.raises(
            ToolError, match=r"one, whose apiVersion is none of ours: use serving\.kserve\.io/v1alpha2 or"
        ):
            await reports(stage, "", {**service_file(), "apiVersion": "serving.kserve.io/v1"})
        with pytest.raises(ToolError, match='no LLMInferenceService "nobody"'):
            await reports(stage, "nobody")

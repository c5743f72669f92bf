"""`aioctl check --takeover`: what would be lost or changed beside a running KServe, each by its code (SVC-2 among it)."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.kinds import Kind
from aioctl.tools.access import Access
from aioctl.tools.checks.codes import CHECK
from aioctl.tools.checks.finding import Finding
from aioctl.tools.checks.survey import Survey
from aioctl.tools.checks.takeover import check_takeover
from aioctl.tools.diff import Report, report
from aioctl.tools.rehearsal import rehearse
from aioctl.tools.session import Session
from testbed.virtual_time import virtual_time
from testbed.world import NAMESPACE, POLICY, World
from tests.tools.healthy import Change, changed, codes, healthy
from tests.tools.small_fleet import connection, fleet
from tests.tools.test_check import OWNER, combined


def of_survey(facts: Survey) -> list[Finding]:
    return check_takeover(facts, [])


def test_beside_a_kserve_whose_services_are_as_ours_nothing_is_found() -> None:
    found = of_survey(healthy())
    assert codes(found) == []
    assert list(dict.fromkeys(one.group for one in found)) == ["CLU", "EXT", "GW", "FIN", "TAKE"]
    assert found[-1].found.endswith("no controller of KServe for them was seen")
    assert "Deployment kserve/kserve-controller-manager runs" in of_survey(combined())[-1].found


def unknown(obj: dict[str, Any]) -> None:
    obj["spec"]["teleport"] = True


def foreign(obj: dict[str, Any]) -> None:
    obj["spec"]["template"]["containers"][0]["image"] = '{{ lookup "v1" }}'


def disallowed(obj: dict[str, Any]) -> None:
    obj["spec"]["scaling"] = {"minReplicas": 1, "maxReplicas": 2, "wva": {"hpa": {}}}
    obj["spec"]["replicas"] = 1


def secure(service: dict[str, Any]) -> None:
    service["spec"]["ports"][0] |= {"name": "https", "appProtocol": "https"}


SECURE = (kinds.CORE_SERVICE, "one-kserve-workload-svc", secure)

SEEN: dict[str, Callable[[], Survey]] = {
    "AIO-TAKE-001": lambda: changed(kinds.SERVICE, "one", unknown),
    "AIO-TAKE-002": lambda: changed(kinds.CONFIG, "kserve-config-llm-template", foreign),
    "AIO-TAKE-006": lambda: changed(kinds.SERVICE, "one", disallowed),
    "AIO-TAKE-007": lambda: changed(*SECURE),
}


@pytest.mark.parametrize("code", SEEN)
def test_what_would_be_lost_is_found_by_its_code(code: str) -> None:
    assert codes(of_survey(SEEN[code]())) == [code]


def test_a_field_that_was_asked_for_and_pruned_is_lost_too() -> None:
    entry = {**OWNER, "fieldsV1": {"f:spec": {"f:teleport": {}}}}
    facts = changed(kinds.SERVICE, "one", lambda obj: obj["metadata"].update(managedFields=[deepcopy(entry)]))
    (found,) = [one for one in of_survey(facts) if one.code]
    assert found.found == "LLMInferenceService demo/one: spec.teleport"


def saying(settings: dict[str, Any], **ingress: Any) -> dict[str, Any]:
    """The ConfigMap with more in its key `ingress`."""
    said = json.dumps({**json.loads(settings["data"]["ingress"]), **ingress})
    return {**settings, "data": {**settings["data"], "ingress": said}}


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (saying, True),
        (lambda settings: saying(settings, enableLLMInferenceServiceTLS=None), True),
        (lambda _: None, True),
        (lambda settings: saying(settings, enableLLMInferenceServiceTLS=True), False),
        (lambda settings: saying(settings, enableLLMInferenceServiceTLS=False), False),
        (lambda settings: saying(settings, enableLLMInferenceServiceTLS="true"), False),
    ],
    ids=["absent", "null", "no ConfigMap", "true", "false", "unusable"],
)
def test_tls_is_lost_only_where_nobody_says_whether_it_is_wanted(
    edit: Callable[[dict[str, Any]], dict[str, Any] | None], told: bool
) -> None:
    settings = healthy().settings_map
    assert settings is not None
    facts = replace(changed(*SECURE), settings_map=edit(dict(settings)))
    assert ("AIO-TAKE-007" in codes(of_survey(facts))) is told


def test_nothing_is_said_of_tls_where_the_configmap_could_not_be_read() -> None:
    unread = {kinds.CONFIG_MAP.resource: "may not get configmaps"}
    found = of_survey(replace(changed(*SECURE), settings_map=None, unread=unread))
    assert "AIO-TAKE-007" not in codes(found)


def stranger(service: dict[str, Any]) -> None:
    secure(service)
    service["metadata"]["ownerReferences"][0]["uid"] = "another"


def test_a_service_of_somebody_else_has_no_tls_that_we_could_take() -> None:
    assert codes(of_survey(changed(SECURE[0], SECURE[1], stranger))) == []


@pytest.mark.parametrize(
    "more",
    [{"annotations": {"serving.kserve.io/stop": "true"}}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}],
)
def test_a_service_that_goes_has_no_tls_to_lose(more: dict[str, Any]) -> None:
    going = [{**obj, "metadata": {**obj["metadata"], **more}} for obj in healthy().all(kinds.SERVICE)]
    objects = {**changed(*SECURE).objects, kinds.SERVICE: going}
    assert "AIO-TAKE-007" not in codes(of_survey(replace(healthy(), objects=objects)))


def test_a_fleet_that_loses_tls_is_one_finding() -> None:
    (service,) = healthy().all(kinds.SERVICE)
    (front,) = (
        one for one in changed(*SECURE).all(kinds.CORE_SERVICE) if one["metadata"]["name"] == SECURE[1]
    )
    fleet_of: dict[Kind, list[dict[str, Any]]] = {kinds.SERVICE: [], kinds.CORE_SERVICE: []}
    for name in ("one", "two", "three"):
        fleet_of[kinds.SERVICE].append({**service, "metadata": {**service["metadata"], "name": name}})
        named = {**front["metadata"], "name": f"{name}-kserve-workload-svc"}
        fleet_of[kinds.CORE_SERVICE].append({**front, "metadata": named})
    found = of_survey(replace(healthy(), objects={**healthy().objects, **fleet_of}))
    (told,) = (one.found for one in found if one.code)
    assert told == (
        "enableLLMInferenceServiceTLS is absent from key ingress of ConfigMap kserve/inferenceservice-config, "
        "and https: Service demo/one-kserve-workload-svc and 2 more"
    )


# What plans say of a cluster as another hand left it.


def image(service: dict[str, Any]) -> None:
    service["spec"]["template"] = {"containers": [{"name": "main", "image": "another"}]}


def route_label(route: dict[str, Any]) -> None:
    route["metadata"]["labels"]["app.kubernetes.io/component"] = "theirs"


def lost_config(service: dict[str, Any]) -> None:
    service["spec"]["baseRefs"] = [{"name": "nobody"}]


PLANTED: dict[str, tuple[Kind, str, Change]] = {
    "AIO-TAKE-003": (kinds.SERVICE, "one", image),
    "AIO-TAKE-004": (kinds.HTTP_ROUTE, "one-kserve-route", route_label),
    "AIO-TAKE-005": (kinds.SERVICE, "one", lost_config),
}


@virtual_time
async def test_what_would_change_is_found_by_its_code() -> None:
    async with fleet(at_rest=("one",)) as stage:
        assert codes(check_takeover(empty(), await rehearse(session(stage), "", []))) == []
        for code, (kind, name, change) in PLANTED.items():
            found = check_takeover(empty(), [await edited(stage, kind, name, change)])
            assert codes(found) == [code], [one.found for one in found]


async def edited(stage: World, kind: Kind, name: str, change: Change) -> Report:
    """What the controller would do about an edit that it has not seen."""
    opened = session(stage)
    reader, found = await opened.read()
    stored = deepcopy(await stage.user.get(kind, NAMESPACE, name))
    change(stored)
    found.add(kind, stored)
    while True:
        (service,) = await opened.wanted(reader, found, "one")
        made = report(found, service, POLICY, datetime.now(UTC))
        if not await reader.answer(found):
            return made


def session(stage: World) -> Session:
    return Session(connection(stage, ""), Access(everywhere=True), POLICY)


def empty() -> Survey:
    return replace(healthy(), objects={})


def test_every_code_of_a_takeover_has_its_defect() -> None:
    assert set(SEEN) | set(PLANTED) == {code for code in CHECK if code.startswith("AIO-TAKE")}

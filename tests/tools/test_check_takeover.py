"""`aioctl check --takeover`: what would be lost or changed beside a running KServe, each by its code."""

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


SEEN: dict[str, Callable[[], Survey]] = {
    "AIO-TAKE-001": lambda: changed(kinds.SERVICE, "one", unknown),
    "AIO-TAKE-002": lambda: changed(kinds.CONFIG, "kserve-config-llm-template", foreign),
    "AIO-TAKE-006": lambda: changed(kinds.SERVICE, "one", disallowed),
}


@pytest.mark.parametrize("code", SEEN)
def test_what_would_be_lost_is_found_by_its_code(code: str) -> None:
    assert codes(of_survey(SEEN[code]())) == [code]


def test_a_field_that_was_asked_for_and_pruned_is_lost_too() -> None:
    entry = {**OWNER, "fieldsV1": {"f:spec": {"f:teleport": {}}}}
    facts = changed(kinds.SERVICE, "one", lambda obj: obj["metadata"].update(managedFields=[deepcopy(entry)]))
    (found,) = [one for one in of_survey(facts) if one.code]
    assert found.found == "LLMInferenceService demo/one: spec.teleport"


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

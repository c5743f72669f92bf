"""After everything else: what the shipped account did, against what the shipped roles grant (RBAC-1)."""

from collections.abc import Iterator

import pytest

from aioctl.api import kinds
from aioctl.upkeep.former_autoscalers import VARIANT_AUTOSCALING
from tests.deploy.manifests import BASE, Permission, find, permissions
from tests.deploy.needed import HANDED_OUT, needed, on, rules
from tests.real_install.installation import Installation
from tests.real_install.test_storage_migration import BAD_CONFIG

pytestmark = pytest.mark.real
OTHERS = {"test_certificates", "test_leader", "test_shipped_account", "test_storage_migration"}
HELD = "the event loop is held"

NOT_PROVOKED = {
    **dict.fromkeys(on(kinds.SERVICE, "get"), "a status write meets somebody else's write"),
    **dict.fromkeys(
        [
            permission
            for kind in (kinds.HTTP_ROUTE, kinds.POOL_V1, kinds.POOL_V1ALPHA2)
            for permission in on(kind, "get")
        ],
        "what is created exists already, and the watch has not shown it yet",
    ),
    **{
        permission: why
        for why, verbs, found in (
            (
                "no service here scales: tests/real_scaling",
                ("create", "update", "delete", "get"),
                (kinds.AUTOSCALER,),
            ),
            (
                "its CRD is not installed here: tests/real_scaling",
                ("create", "update", "delete", "get", "watch"),
                (kinds.SCALED_OBJECT,),
            ),
            (
                "no service here asks for claims: tests/plan",
                ("create", "update", "delete", "get"),
                (kinds.RESOURCE_CLAIM_TEMPLATE,),
            ),
            ("only one that KServe left is taken away: tests/upkeep", ("delete",), (VARIANT_AUTOSCALING,)),
            ("nobody changes one here: tests/golden", ("update", "delete"), (kinds.MODEL,)),
            (
                "their CRDs are not installed here: tests/upstream",
                ("watch",),
                (kinds.LOCAL_MODEL_CACHE, kinds.LOCAL_MODEL_NAMESPACE_CACHE),
            ),
        )
        for kind in found
        for verb in verbs
        for permission in on(kind, verb)
    },
    **dict.fromkeys(
        on(kinds.SERVICE, "update", part="finalizers"),
        "asked for by the admission of owner references, which is switched on here and writes no audit",
    ),
}
"""Granted, and in the audit log by chance only, with the reason; played in tests/controller and tests/golden but for the last."""


@pytest.fixture(scope="module")
def whole(installation: Installation) -> Installation:
    if missing := OTHERS - installation.played:
        pytest.skip(f"judges what the whole folder did; not played: {', '.join(sorted(missing))}")
    return installation


def granted() -> set[Permission]:
    return {
        *permissions(find(BASE / "cluster-role.yaml", "ClusterRole")),
        *permissions(find(BASE / "role.yaml", "Role")),
    }


def used(installation: Installation) -> Iterator[Permission]:
    """Every granted permission that some request used."""
    by_call: dict[tuple[str, str, str], list[Permission]] = {}
    for permission in granted():
        key = (permission.verb, permission.group, permission.resource)
        by_call.setdefault(key, []).append(permission)
    for event in installation.audit():
        ref = event.get("objectRef", {})
        resource = "/".join(filter(None, (ref.get("resource", ""), ref.get("subresource", ""))))
        for permission in by_call.get((event["verb"], ref.get("apiGroup", ""), resource), ()):
            # Lists of one object by field selector carry its name, too.
            if permission.name in ("", ref.get("name", "")) and permission.namespace in (
                "",
                ref.get("namespace"),
            ):
                yield permission


def test_nothing_was_forbidden(whole: Installation) -> None:
    """Neither by RBAC, its escalation rule included, nor by the admission of owner references."""
    refused = [event for event in whole.audit() if event["responseStatus"]["code"] in (401, 403)]
    # Our own webhook refuses a config with 403; that one is the storage migration's business.
    by_webhook = [event for event in refused if event["objectRef"].get("name") == BAD_CONFIG]
    assert [event["requestURI"] for event in refused if event not in by_webhook] == []
    for event in by_webhook:
        assert event["annotations"]["authorization.k8s.io/decision"] == "allow"
        assert event["responseStatus"]["message"].startswith("admission webhook ")
    for replica in whole.all_replicas:
        refusals = [line for line in replica.lines() if str(line.get("status")) in ("401", "403")]
        assert [line for line in refusals if BAD_CONFIG not in str(line)] == []


def test_every_permission_is_used_or_handed_out(whole: Installation) -> None:
    handed_out = {permission for given in HANDED_OUT.values() for permission in rules(given)}
    unused = granted() - set(used(whole)) - handed_out - NOT_PROVOKED.keys()
    assert sorted(map(str, unused)) == []


def test_only_what_is_needed_was_granted_and_excused() -> None:
    assert granted() == needed()
    assert sorted(map(str, NOT_PROVOKED.keys() - granted())) == []


def test_the_api_server_never_warned(whole: Installation) -> None:
    """Unknown fields are pruned with a warning, deprecated ones kept with one; nothing of ours is either."""
    warnings = [line for replica in whole.all_replicas for line in replica.said("the API server warns")]
    assert warnings == []


def test_nothing_went_wrong_inside(whole: Installation) -> None:
    """A loop that is held for seconds is told at level error, too; here that is the machine's doing, which runs all of this at once."""
    for replica in whole.all_replicas:
        said = [line for line in replica.lines() if line["level"] in ("error", "critical")]
        assert [line for line in said if line["event"] != HELD and not replica.stopped] == []

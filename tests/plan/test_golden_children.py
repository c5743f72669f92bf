"""Workload, picker and monitoring objects of every recorded case: what we send is what the Go controller's cluster held.

Two readings of each case. Planned on an empty cluster (presets and `before` objects aside) until nothing changes: which
objects exist, and whether everything we send is in the recorded object. Planned on the recorded cluster, as after a
takeover: nothing is written. Where a Decision makes us differ, the case stands in a table below with the reason; an entry
that no longer differs fails the test.
"""

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
import yaml

from aioctl.api import kinds
from aioctl.api.defaulting import apply_defaults
from aioctl.api.equality import derivative
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.names import tls_secret_name
from aioctl.api.objects import name_of
from aioctl.plan import monitoring, scheduler, workload
from aioctl.plan.combine import combine
from aioctl.plan.model import Certificate, Context, Facts, Part, PlanError, Policy, Step, step
from aioctl.plan.workload.certificate import expected_addresses, expected_names
from tests.support.plan_world import CONFIG, NOW, World
from tests.support.shared_data import ROOT, documents

PLANNED = (
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.SECRET,
    kinds.CORE_SERVICE,
    kinds.POD_MONITOR,
    kinds.SERVICE_MONITOR,
)
GIVEN = (
    *PLANNED,
    kinds.CONFIG,
    kinds.CONFIG_MAP,
    kinds.HTTP_ROUTE,
    kinds.GATEWAY,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
)
SETTINGS = replace(CONFIG, ingress_gateway_name="kserve-ingress-gateway", ingress_gateway_namespace="kserve")
CASES = sorted(path.stem for path in ROOT.glob("golden/*.yaml"))
SCHEDULER = "failed to reconcile networking: failed to reconcile scheduler: "

EVERYWHERE = {
    "-epp-role rules": "40 section 6: all three resources in both groups",
    "-kserve-mn-scc theirs": "30 section 7.3: no SCC binding without security.openshift.io",
}
ROUTER_FAILS = "the router part, which is not planned here, fails in the recording"
MONITORING = (
    "kserve-metrics-reader-sa ours",
    "kserve-metrics-reader-sa-secret ours",
    "kserve-metrics-reader-role-binding-c-{case} ours",
    "kserve-llm-isvc-vllm-engine ours",
    "kserve-llm-isvc-scheduler ours",
)
PICKER = (
    "c-{case}-svc-epp-auth-rb ours",
    "svc-epp-role ours",
    "svc-epp-rb ours",
    "svc-kserve-router-scheduler ours",
    "svc-epp-service ours",
)
DIFFERENT: dict[str, tuple[str, tuple[str, ...]]] = {
    "auth-on": (ROUTER_FAILS, (*MONITORING, *PICKER, "svc-epp-sa ours")),
    "bad-scheme": ("30 section 1: build only what is wanted", ("error",)),
    "gateway-refs": (ROUTER_FAILS, MONITORING),
    "pool-foreign": (ROUTER_FAILS, MONITORING),
    "pool-two-ports": (ROUTER_FAILS, MONITORING),
    "sa-missing": ("30 section 1: build only what is wanted", ("error",)),
    "scheduler-template": ("40 section 5: an account named by the user is used", (*MONITORING, *PICKER)),
    "upd-drop-prefill": (
        "30 section 4: a selector that no longer fits replaces the Deployment",
        (
            "svc-kserve spec",
            "svc-kserve labels",
            "svc-kserve-router-scheduler spec",
            "svc-kserve-prefill theirs",
            "svc-kserve-role theirs",
            "svc-kserve-rb theirs",
        ),
    ),
    "upd-drop-scheduler": (
        "40 section 5: nothing of the picker is left behind",
        ("c-{case}-svc-epp-auth-rb theirs", "svc-epp-role theirs", "svc-epp-rb theirs"),
    ),
}
TAKEOVER = {
    "upd-drop-prefill": (
        "delete svc-kserve-rb",
        "delete svc-kserve-role",
        "delete svc-kserve",
        "delete svc-kserve-prefill",
        "update svc-kserve-router-scheduler",
    ),
    "upd-drop-scheduler": (
        "delete c-upd-drop-scheduler-svc-epp-auth-rb",
        "delete svc-epp-rb",
        "delete svc-epp-role",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_case_gets_the_objects_it_had(name: str) -> None:
    case = recorded(name)
    reason, expected = DIFFERENT.get(name, ("", ()))
    found = {entry for entry in differences(case) if not any(entry.endswith(suffix) for suffix in EVERYWHERE)}
    assert found == {entry.format(case=name) for entry in expected}, reason


@pytest.mark.parametrize("name", [name for name in CASES if name not in DIFFERENT or name in TAKEOVER])
def test_taking_over_a_recorded_case_writes_nothing(name: str) -> None:
    case = recorded(name)
    world = world_of(case)
    add_recorded(world, case)
    writes = [
        f"{write.verb.value} {write.name}"
        for service in services(case)
        for part in parts(world, service)
        for write in part.writes
        if not (write.kind is kinds.ROLE and write.verb.value == "update")
    ]
    assert writes == list(TAKEOVER.get(name, ()))


@cache
def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "golden" / f"{name}.yaml").read_text())
    return found


@cache
def presets() -> dict[ObjectRef, Any]:
    found = [preset for file in documents("presets/*.yaml").values() for preset in file]
    return {
        ObjectRef(kinds.CONFIG, "kserve", name_of(preset)): {
            **preset,
            "metadata": {**preset["metadata"], "namespace": "kserve"},
        }
        for preset in found
    }


def namespace_of_case(case: dict[str, Any]) -> str:
    return f"c-{case['case']}"


def world_of(case: dict[str, Any]) -> World:
    world = World(dict(presets()), unserved=frozenset({kinds.SCC, kinds.AUTH_POLICY}))
    patches = {
        entry["object"].rpartition("/")[2]: entry["body"]
        for entry in case["given"].get("then") or ()
        if "llminferenceserviceconfigs" in entry["object"]
    }
    for obj in case["given"].get("before") or ():
        fields = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind", "stringData")}
        for key, value in obj.get("stringData", {}).items():
            fields.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
        for field, value in patches.get(name_of(obj), {}).items():
            fields[field] = {**fields[field], **value}
        where = obj["metadata"].get("namespace", namespace_of_case(case))
        world.put(kind_of(obj), name_of(obj), where, **fields)
    return world


def kind_of(obj: dict[str, Any]) -> Kind:
    return next(kind for kind in GIVEN if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"]))


def planned_objects(case: dict[str, Any]) -> dict[ObjectRef, dict[str, Any]]:
    """The recorded objects of the kinds that are planned here."""
    found = {}
    for path, obj in (case.get("objects") or {}).items():
        for kind in PLANNED:
            if path.startswith(f"{kind.api_version}/{kind.plural}/"):
                where = namespace_of_case(case) if kind.namespaced else ""
                found[ObjectRef(kind, where, name_of(obj))] = obj
    return found


def services(case: dict[str, Any]) -> list[dict[str, Any]]:
    """The services as they stood in the end, none for a case in which they were deleted."""
    if case["given"].get("then_delete"):
        return []
    return [
        apply_defaults({**obj, "metadata": {**obj["metadata"], "uid": f"uid-{name_of(obj)}"}})
        for path, obj in (case.get("objects") or {}).items()
        if path.startswith("serving.kserve.io/v1alpha2/llminferenceservices/")
    ]


def context(world: World, service: dict[str, Any]) -> Context:
    facts = Facts(world.objects, unserved=world.unserved, certificates=world.certificates)
    combined = combine(facts, service, SETTINGS, Policy())
    return Context(facts, service, combined.spec, SETTINGS, Policy(), NOW)


def parts(world: World, service: dict[str, Any]) -> Iterator[Step]:
    """The steps up to and with the first that cannot be planned."""
    try:
        ctx = context(world, service)
    except PlanError as error:
        yield Step(Part.COMBINE, "failed to combine base-configurations: ", error=str(error))
        return
    for part in all_parts(ctx):
        yield part
        if part.error:
            return


def all_parts(ctx: Context) -> Iterator[Step]:
    yield from workload.steps(ctx)
    yield step(Part.SCHEDULER, lambda: scheduler.access(ctx), outer=SCHEDULER)
    yield step(Part.SCHEDULER, lambda: scheduler.deployment(ctx), outer=SCHEDULER)
    yield step(Part.SCHEDULER, lambda: scheduler.service(ctx), outer=SCHEDULER)
    yield step(
        Part.MONITORING,
        lambda: monitoring.monitoring(ctx),
        outer="failed to reconcile monitoring resources: ",
    )


def differences(case: dict[str, Any]) -> Iterator[str]:
    """`<name> ours`, `<name> theirs` for objects that only one side has, `<name> <field>`, and `error`."""
    world = world_of(case)
    given = set(world.objects)
    stored = services(case)
    for service in stored * 3:
        failed = world.run(parts(world, service))
        if failed is not None:
            text = f"Warning Error: Reconciliation failed: {failed.outer}{failed.inner}{failed.error}"
            if text not in (case.get("events") or ()):
                yield "error"
    theirs = planned_objects(case) if stored else {}
    ours = {ref: obj for ref, obj in world.objects.items() if ref.kind in PLANNED and ref not in given}
    for ref in ours.keys() - theirs.keys():
        yield f"{ref.name} ours"
    for ref in theirs.keys() - ours.keys() - given:
        yield f"{ref.name} theirs"
    for ref in ours.keys() & theirs.keys():
        yield from (f"{ref.name} {field}" for field in fields_that_differ(ours[ref], theirs[ref]))


def fields_that_differ(ours: Any, theirs: Any) -> Iterator[str]:
    for field in ours.keys() - {"apiVersion", "kind", "data", "metadata"}:
        wanted = ours[field]
        if field == "spec":
            wanted = {key: value for key, value in wanted.items() if key != "clusterIP"}
        if not derivative(wanted, theirs.get(field)):
            yield field
    for field in ("labels", "annotations"):
        wanted = {
            key: value
            for key, value in (ours["metadata"].get(field) or {}).items()
            if not key.startswith("certificates.kserve.io/")  # a time
        }
        if not derivative(wanted, theirs["metadata"].get(field)):
            yield field


def add_recorded(world: World, case: dict[str, Any]) -> None:
    """The recorded objects as live state, with what the recordings leave out: uids, versions, addresses, certificates."""
    for ref, obj in planned_objects(case).items():
        owners = [
            {**owner, "uid": f"uid-{owner['name']}"} for owner in obj["metadata"].get("ownerReferences", ())
        ]
        metadata = {**obj["metadata"], "uid": ref.name, "resourceVersion": "9", "ownerReferences": owners}
        live = {**obj, "metadata": metadata}
        if ref.kind is kinds.CORE_SERVICE:
            live["spec"] = {**obj["spec"], "clusterIP": "10.0.0.1"}
        world.objects[ref] = live
    for service in services(case):
        try:
            ctx = context(world, service)
        except PlanError:
            continue
        pair = Certificate(
            frozenset(expected_names(ctx)), frozenset(expected_addresses(ctx)), NOW + timedelta(days=1)
        )
        world.certificates[f"{ctx.namespace}/{tls_secret_name(ctx.name)}"] = pair

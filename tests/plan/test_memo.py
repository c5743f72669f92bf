"""A plan from a memo is the plan (ARCH-11): over random histories of a service, deciding only what changed comes to the same."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aioctl import shipped
from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.api.objects import Object, name_of
from aioctl.controller.planner import conclude
from aioctl.controller.service_state import MOST_WARM, WarmMemos
from aioctl.plan import lasting, order
from aioctl.plan.facts import Facts, Overlay
from aioctl.plan.memo import Remembering
from aioctl.plan.model import Outcome, Plan, Verb, Write
from aioctl.plan.observation import Certificate
from aioctl.plan.offline import facts
from aioctl.plan.policy import Policy
from aioctl.plan.remembered import Entry, Memo
from aioctl.sim import seed

NOW = datetime(2026, 1, 1, tzinfo=UTC)
POLICY = Policy(system_namespace=seed.SYSTEM_NAMESPACE)
AT = "demo"
OTHER = ObjectRef(kinds.SERVICE, AT, "other")
SHAPES: dict[str, dict[str, Any]] = {
    "one pod": {"router": {"route": {}, "gateway": {}, "scheduler": {}}},
    "prefill": {
        "router": {"route": {}, "gateway": {}, "scheduler": {}},
        "prefill": {"replicas": 1},
        "scaling": {"minReplicas": 1, "maxReplicas": 3, "wva": {"hpa": {}}},
    },
    "group": {
        "parallelism": {"data": 2, "dataLocal": 1},
        "worker": {"containers": []},
        "router": {"route": {}},
    },
    "numbered": {"replicas": 1, "router": {"route": {}}, "baseRefs": [{"name": "numbered"}]},
}
NUMBERED = {
    "apiVersion": kinds.V1ALPHA2,
    "kind": kinds.CONFIG.kind,
    "metadata": {"name": "numbered", "namespace": AT},
    "spec": {
        "template": {
            "containers": [{"name": "main", "env": [{"name": "N", "value": "{{ .Spec.Replicas }}"}]}]
        }
    },
}
CONDITIONS = [
    {"type": kind, "status": said, "reason": reason, "observedGeneration": 1}
    for kind in ("Accepted", "ResolvedRefs", "Ready", "Available")
    for said, reason in (("True", "Accepted"), ("False", "InvalidKind"), ("False", "NotSupportedByParent"))
]


@cache
def installed() -> dict[ObjectRef, Object]:
    """Presets, settings and a gateway; changed by nobody."""
    presets = [
        {**preset, "metadata": {**preset["metadata"], "namespace": seed.SYSTEM_NAMESPACE}}
        for preset in shipped.objects(shipped.presets_folder())
    ]
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": AT}}
    return dict(facts([*seed.world(), *presets, account, NUMBERED], POLICY).objects)


def service(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": AT, "uid": f"uid-{name}", "generation": 1}
    return {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {**metadata, "finalizers": [names.FINALIZER]},
        "spec": {"model": {"uri": "hf://org/model", "name": "m"}, **spec},
    }


@dataclass
class Story:
    """A service and the cluster around it, which changes by chance; everything is a copy before it is changed."""

    chance: random.Random
    service: dict[str, Any]
    objects: dict[ObjectRef, Object] = field(default_factory=lambda: dict(installed()))
    unknown: dict[ObjectRef, str] = field(default_factory=dict)
    unserved: frozenset[kinds.Kind] = frozenset({kinds.SCALED_OBJECT})
    now: datetime = NOW
    memo: Memo = field(default_factory=Memo)
    kept: int = 0

    def seen(self) -> Facts:
        secret = f"{AT}/{names.tls_secret_name(name_of(self.service))}"
        certificate = Certificate(frozenset(), frozenset(), NOW + timedelta(days=2))
        objects = {**self.objects, ObjectRef(kinds.SERVICE, AT, name_of(self.service)): self.service}
        return Facts(objects, dict(self.unknown), self.unserved, certificates={secret: certificate})

    def look(self) -> Plan:
        """Plans with the memo and without; both must come to the same."""
        view = Remembering(Overlay(self.seen(), {}), self.memo, self.now)
        before = dict(self.memo.parts)
        partly = order.plan(view, self.service, POLICY, self.now)
        wholly = order.plan(self.seen(), self.service, POLICY, self.now)
        assert partly.steps == wholly.steps
        assert partly.applied == wholly.applied
        assert _seen(partly) == _seen(wholly)
        again = Remembering(Overlay(self.seen(), {}), self.memo, self.now, keeps=view.keeps)
        concluded = conclude(partly, Outcome(), again, POLICY, self.now)
        assert concluded == conclude(wholly, Outcome(), self.seen(), POLICY, self.now)
        self.kept += sum(self.memo.parts.get(name) is entry for name, entry in before.items())
        return wholly

    def reconcile(self) -> None:
        """Writes what the plan asks for."""
        for step in self.look().steps:
            for write in step.writes:
                self.apply(write)

    def apply(self, write: Write) -> None:
        if write.verb is Verb.DELETE:
            self.objects.pop(write.ref, None)
        elif write.verb in (Verb.CREATE, Verb.UPDATE) and write.body is not None:
            live = self.objects.get(write.ref, {})
            metadata = {"uid": f"uid-{write.name}", "generation": 1, **write.body["metadata"]}
            metadata["creationTimestamp"] = NOW.isoformat()
            status = {"status": live["status"]} if "status" in live else {}
            self.objects[write.ref] = {**write.body, **status, "metadata": metadata}

    def move(self) -> None:
        moves: list[Callable[[], None]] = [
            self.reconcile, self.reconcile, self.reconcile, self.say, self.say, self.bend, self.lose, self.wait, self.edit, self.hide, self.meet,
            self.forget_forms,
        ]  # fmt: skip
        self.chance.choice(moves)()

    def any_object(self) -> ObjectRef:
        ours = [ref for ref in self.objects if ref not in installed()]
        return self.chance.choice(ours if ours and self.chance.random() < 0.8 else list(self.objects))

    def say(self) -> None:
        """A status of somebody else's."""
        ref = self.any_object()
        said = self.chance.sample(CONDITIONS, 2)
        gateway = {"name": "kserve-ingress-gateway", "namespace": seed.SYSTEM_NAMESPACE}
        parents = [{"parentRef": gateway, "controllerName": "c", "conditions": said}]
        status = {
            "conditions": said,
            "parents": parents,
            "parent": parents,
            "readyReplicas": 1,
            "replicas": 1,
        }
        self.objects[ref] = {**self.objects[ref], "status": status}

    def bend(self) -> None:
        """Somebody changes a field of an object."""
        ref = self.any_object()
        changed = msgspec.json.decode(msgspec.json.encode(self.objects[ref]))
        place = changed
        while isinstance(place, dict) and place:
            key = self.chance.choice(sorted(place))
            inner = place[key][0] if isinstance(place[key], list) and place[key] else place[key]
            if not isinstance(inner, dict) or not inner:
                place[key] = {str: "other", int: 7, bool: False}.get(type(place[key]))
                break
            place = inner
        changed["metadata"] = {**self.objects[ref]["metadata"], **(changed.get("metadata") or {})}
        self.objects[ref] = {**changed, "kind": ref.kind.kind, "apiVersion": ref.kind.api_version}

    def lose(self) -> None:
        self.objects.pop(self.any_object())

    def wait(self) -> None:
        self.now += timedelta(hours=self.chance.choice((1, 30)))

    def forget_forms(self) -> None:
        """The workloads become another controller's, in another form."""
        for ref, obj in self.objects.items():
            if ref.kind in (kinds.DEPLOYMENT, kinds.LEADER_WORKER_SET):
                changed = msgspec.json.decode(msgspec.json.encode(obj))
                for name in (names.FORM_INPUTS, names.FORM_TEMPLATE, names.FORM_SENT):
                    changed["metadata"].get("annotations", {}).pop(name, None)
                if ref.kind == kinds.DEPLOYMENT:
                    changed["spec"]["template"]["spec"]["priorityClassName"] = "other"
                self.objects[ref] = changed

    def hide(self) -> None:
        """A read that fails, or works again; a kind that goes, or comes back."""
        if self.unknown:
            self.unknown.clear()
        else:
            self.unknown[self.any_object()] = "connection refused"
        self.unserved ^= frozenset({self.chance.choice((kinds.DESTINATION_RULE, kinds.MODEL))})

    def edit(self) -> None:
        """The user changes the service, or stops it."""
        metadata, spec = self.service["metadata"], self.service["spec"]
        stopped = names.STOP in metadata.get("annotations", {})
        edited: dict[str, Any] = self.chance.choice(
            (
                {"spec": {**spec, "replicas": self.chance.randrange(4)}},
                {
                    "spec": {
                        **spec,
                        "prefill": {**spec.get("prefill", {}), "replicas": self.chance.randrange(3)},
                    }
                },
                {"spec": {**spec, "replicas": "many"}},
                {"spec": {**spec, "labels": {"tier": self.chance.choice("ab")}}},
                {"metadata": {**metadata, "annotations": {} if stopped else {names.STOP: "true"}}},
                {"metadata": {**metadata, "labels": {names.ROUTING_GROUP: self.chance.choice("ab")}}},
                {"status": {"annotations": {names.MIGRATED: "v1"}}},
                {"status": {"observedGeneration": metadata["generation"]}},
            )
        )
        self.service = {**self.service, **edited}
        generation = metadata["generation"] + ("spec" in edited)
        self.service["metadata"] = {**self.service["metadata"], "generation": generation}

    def meet(self) -> None:
        """Another service of the namespace comes, changes its group, or goes."""
        if OTHER in self.objects and self.chance.random() < 0.3:
            del self.objects[OTHER]
            return
        other = service("other", SHAPES["one pod"])
        other["metadata"]["labels"] = {names.ROUTING_GROUP: self.chance.choice("ab")}
        self.objects[OTHER] = other


def _seen(plan: Plan) -> Any:
    """The combined spec but for the numbers that parts ask for."""
    return plan.context and lasting.without_counts(plan.context.spec)


@settings(max_examples=4)
@given(st.sampled_from(sorted(SHAPES)), st.integers(0, 2**32))
def test_a_plan_from_a_memo_is_the_whole_plan(shape: str, seed_: int) -> None:
    story = Story(random.Random(seed_), service("svc", SHAPES[shape]))  # noqa: S311
    story.reconcile()
    story.reconcile()
    for _ in range(10):
        story.move()
        story.look()


@pytest.fixture
def settled() -> Story:
    """A service with nothing left to write but Deployments, of which nobody here says what the API server would make of them."""
    story = Story(random.Random(1), service("svc", SHAPES["one pod"]))  # noqa: S311
    for _ in range(4):
        story.reconcile()
    assert all(write.confirm for step in story.look().steps for write in step.writes)
    return story


def made_again(story: Story) -> set[str]:
    before = dict(story.memo.parts)
    story.look()
    return {name for name, entry in story.memo.parts.items() if entry is not before.get(name)}


def test_nothing_is_decided_anew_while_nothing_changes(settled: Story) -> None:
    assert len(settled.memo.parts) > 10
    assert made_again(settled) == set()


def test_only_what_read_an_object_is_decided_anew(settled: Story) -> None:
    (ref,) = (ref for ref in settled.objects if ref.kind == kinds.POOL_V1)
    settled.objects[ref] = {**settled.objects[ref], "status": {"parents": []}}
    again = made_again(settled)
    assert "routes" in again
    assert not again & {"certificate", "service", "access", "can be built", "monitoring"}


def test_a_child_is_compared_anew_when_more_than_its_status_changes(settled: Story) -> None:
    (ref,) = (ref for ref in settled.objects if ref.kind == kinds.POOL_V1)
    made = settled.objects[ref]
    for parents in ([], [{"conditions": CONDITIONS[:1]}]):
        settled.objects[ref] = {**made, "status": {"parents": parents}}
        assert "scheduler" not in made_again(settled)
    settled.objects[ref] = {**made, "metadata": {**made["metadata"], "labels": {}}}
    assert ref in {write.ref for step in settled.look().steps for write in step.writes}
    assert "scheduler" not in settled.memo.parts


def test_time_alone_decides_anew_what_asked_for_it(settled: Story) -> None:
    settled.now = NOW + timedelta(days=1)
    assert "certificate" not in made_again(settled)
    settled.now = NOW + timedelta(days=3)
    view = Remembering(settled.seen(), settled.memo, settled.now)
    steps = order.plan(view, settled.service, POLICY, settled.now).steps
    assert kinds.SECRET in {write.kind for step in steps for write in step.writes}


def test_what_is_large_goes_when_the_service_comes_to_rest_and_the_parts_stay(settled: Story) -> None:
    settled.memo.rest()
    assert settled.memo.first is not None
    assert settled.memo.first.value is None
    assert len(settled.memo.parts) > 10
    again = made_again(settled)
    assert again
    assert all(name.startswith("status: ") for name in again)


def test_the_memos_of_the_services_that_were_planned_last_stay_whole() -> None:
    warm = WarmMemos()
    memos = [Memo(first=Entry((), 0, "large")) for _ in range(MOST_WARM + 1)]
    for number, memo in enumerate(memos):
        warm.add(ObjectKey(AT, str(number)), memo)
        warm.add(ObjectKey(AT, "0"), memos[0])
    assert [memo.first.value for memo in memos[:3] if memo.first] == ["large", None, "large"]
    assert memos[-1].first == Entry((), 0, "large")


def test_a_status_that_changes_decides_nothing_anew_but_by_what_a_plan_sees_of_it(settled: Story) -> None:
    metadata = settled.service["metadata"]
    written = conclude(settled.look(), Outcome(), settled.seen(), POLICY, NOW).status
    assert {"PresetsCombined", "RouterReady"} < {entry["type"] for entry in written["conditions"]}
    settled.service = {**settled.service, "status": written}
    settled.look()
    others = [
        entry if entry["type"] == "PresetsCombined" else {**entry, "status": "Unknown"}
        for entry in written["conditions"]
    ]
    passing = {"resourceVersion": "6", "managedFields": [{"manager": "other"}]}
    settled.service["metadata"] = {**metadata, **passing}
    settled.service["status"] = {**written, "conditions": others}
    assert made_again(settled) == set()
    settled.service["metadata"] = {**metadata, "resourceVersion": "7"}
    settled.service["status"] = {**written, "observedGeneration": 7}
    assert made_again(settled) == set()
    settled.service["metadata"] = {**metadata, "resourceVersion": "8"}
    settled.service["status"] = {**written, "addresses": [{"url": "http://elsewhere"}]}
    assert made_again(settled) >= {"certificate", "routes"}


def edited(settled: Story, **spec: Any) -> None:
    generation = settled.service["metadata"]["generation"] + 1
    metadata = {
        **settled.service["metadata"],
        "generation": generation,
        "resourceVersion": f"edit {generation}",
    }
    settled.service = {
        **settled.service,
        "metadata": metadata,
        "spec": {**settled.service["spec"], **spec},
    }


def test_an_edit_of_the_service_decides_everything_anew(settled: Story) -> None:
    edited(settled, labels={"tier": "a"})
    assert made_again(settled) >= {"certificate", "access", "routes"}


def test_an_edit_of_replicas_decides_only_the_workload_anew(settled: Story) -> None:
    edited(settled, replicas=1)
    settled.reconcile()
    before, first = set(settled.memo.parts), settled.memo.first
    edited(settled, replicas=2)
    plan = settled.look()
    written = {write.name: write.kind for step in plan.steps for write in step.writes}
    assert written["svc-kserve"] == kinds.DEPLOYMENT
    assert before - set(settled.memo.parts) <= {"deployment"}
    assert settled.memo.first is first
    edited(settled, replicas=3)
    assert made_again(settled) <= {"deployment"}


def test_a_template_that_reads_the_replicas_decides_everything_anew() -> None:
    story = Story(random.Random(1), service("svc", SHAPES["numbered"]))  # noqa: S311
    for _ in range(4):
        story.reconcile()
    edited(story, replicas=2)
    assert made_again(story) >= {"certificate", "access", "routes"}


def test_a_config_that_changes_in_nothing_that_counts_decides_nothing_anew(settled: Story) -> None:
    presets = [ref for ref in settled.objects if ref.kind == kinds.CONFIG]
    for ref in presets:
        preset = settled.objects[ref]
        metadata = {**preset["metadata"], "resourceVersion": "99", "labels": {"seen": "by somebody"}}
        settled.objects[ref] = {**preset, "metadata": metadata}
    assert made_again(settled) == set()

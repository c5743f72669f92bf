"""A plan without a memo asks for each object once, and works out once what follows from its context alone."""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aioctl.api import kinds
from aioctl.api.encoding import to_json
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import FieldError, Object
from aioctl.plan import config_lookup, order
from aioctl.plan.facts import Facts, Overlay
from aioctl.plan.model import Context, of_context
from aioctl.plan.observation import Read
from aioctl.plan.routing import Mode, mode
from tests.plan.test_memo import NOW, POLICY, SHAPES, installed, service


@dataclass(frozen=True, slots=True)
class Counting(Overlay):
    """Counts the objects that are asked for."""

    answers: dict[ObjectRef, Object | None] = field(default_factory=dict)
    asked: Counter[tuple[Kind, str, str, bool]] = field(default_factory=Counter)

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        self.asked[kind, namespace, name, named_by_user] += 1
        return self.below.get(kind, namespace, name, named_by_user=named_by_user)


def context(spec: dict[str, Any]) -> Context:
    made = order.plan(Facts(installed()), service("llm", SHAPES["one pod"]), POLICY, NOW).context
    assert made is not None
    return replace(made, spec=spec)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_object_is_asked_for_once(shape: str) -> None:
    counting = Counting(Facts(installed()))
    assert order.plan(counting, service("llm", SHAPES[shape]), POLICY, NOW).steps
    assert (kinds.HTTP_ROUTE, "demo", "llm-kserve-route", False) in counting.asked
    assert counting.asked.total() == len(counting.asked)


def test_another_context_is_worked_out_anew() -> None:
    managed = context({"router": {"route": {}}})
    assert (mode(managed), mode(managed)) == (Mode.MANAGED, Mode.MANAGED)
    assert mode(replace(managed, spec={"router": {}})) is Mode.NONE


def test_what_is_raised_is_raised_each_time() -> None:
    calls = 0

    @of_context
    def failing(ctx: Context) -> str:
        nonlocal calls
        calls += 1
        raise FieldError("spec.router", f"is wrong in {ctx.name}")

    ctx = context({})
    for _ in range(2):
        with pytest.raises(FieldError, match=r"spec\.router.*wrong in llm"):
            failing(ctx)
    assert calls == 2


def test_the_text_of_a_config_is_made_once_for_each_object(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[Any] = []

    def counted(tree: Any) -> bytes:
        encoded.append(tree)
        return to_json(tree)

    monkeypatch.setattr(config_lookup, "to_json", counted)
    config_lookup._READ.clear()
    objects = installed()
    order.plan(Facts(objects), service("one", SHAPES["one pod"]), POLICY, NOW)
    first = len(encoded)
    assert first
    order.plan(Facts(objects), service("two", SHAPES["one pod"]), POLICY, NOW)
    assert len(encoded) == first
    copies = {ref: dict(obj) for ref, obj in objects.items()}
    order.plan(Facts(copies), service("two", SHAPES["one pod"]), POLICY, NOW)
    assert len(encoded) == 2 * first

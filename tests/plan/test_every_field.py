"""Every field of the schema does something, or whoever sets it is told: nothing is accepted without a word (COND-9).

Each is set on a service in which it has a meaning and that lacks nothing else. What is made of it, what admission says or an
event must then differ from what it is without the field.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final

import pytest

from aioctl import shipped
from aioctl.api import admission_warnings, kinds, without_effect
from aioctl.plan import trial
from aioctl.plan.offline import SETTINGS, Surroundings, render, surroundings
from aioctl.plan.policy import Policy
from aioctl.plan.trial import Accepted
from aioctl.tools.checks.declared import stored
from testbed.worst_cases import Schema, least, schema

pytestmark = pytest.mark.thorough

SPEC: Final = schema("LLMInferenceService", "v1alpha2")["properties"]["spec"]
ROUTER: Final[Mapping[str, Any]] = {"gateway": {}, "route": {}, "scheduler": {}}
TRIGGER: Final = {"type": "cpu", "metadata": {"value": "50"}}

AROUND: Final[Mapping[str, Mapping[str, Any]]] = {
    "worker": {"parallelism": {"pipeline": 2}},
    "parallelism.data": {"parallelism": {"data": 4, "dataLocal": 1}},
    "parallelism.dataLocal": {"parallelism": {"data": 4}},
    "prefill": {"prefill": {}, "router": ROUTER},
    "router": {"router": ROUTER},
    "router.gateway.refs": {
        "router": {**ROUTER, "gateway": {"refs": [{"name": "g", "namespace": "kserve"}]}}
    },
    "router.route.group": {"router": {**ROUTER, "route": {"weight": 1}}},
    "router.route.weight": {"router": {**ROUTER, "route": {"group": "g"}}},
    "router.route.http.refs": {"router": {"scheduler": {}, "route": {}}},
    "router.scheduler.config.ref": {"router": {"scheduler": {"config": {"ref": {"name": "a", "key": "a"}}}}},
    "scaling": {"scaling": {"maxReplicas": 4, "wva": {"hpa": {}}}},
    "scaling.wva.keda": {"scaling": {"maxReplicas": 4, "minReplicas": 2, "wva": {"keda": {}}}},
    "scaling.keda": {"scaling": {"maxReplicas": 4, "minReplicas": 2, "keda": {"triggers": [TRIGGER]}}},
}
"""By prefix what a field needs around it; the longest prefix counts. Below `prefill` also those without it."""
VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "model.lora.adapters": ([{"name": "l", "uri": "hf://q/l"}],),
    "parallelism.data": (6,),
}
REFUSED: Final = (
    "keda.advanced.horizontalPodAutoscalerConfig.name",
    "wva.keda.advanced.scalingModifiers",
)
"""What no service may set."""
TEXTS: Final = ("x1", "a", "1", "hf://a/b", "10Gi", "0.5", "https://h/x", "x1.example.com", "/x1")


def leaves(at: tuple[str, ...], found: Schema) -> Iterator[tuple[tuple[str, ...], Schema]]:
    """Path and schema of whatever has no fields of its own; of pods as a whole, which are copied."""
    properties = found.get("properties", {})
    items = found.get("items", {})
    if properties and "containers" not in properties:
        for name, field in properties.items():
            yield from leaves((*at, name), field)
    elif items.get("properties"):
        for name, field in items["properties"].items():
            yield from leaves((*at, "[]", name), field)
    else:
        yield at, found


FIELDS: Final = dict(leaves((), SPEC))


def values(found: Schema) -> tuple[Any, ...]:
    """Some that the schema may take, of which one at least is not the default."""
    if "enum" in found:
        return tuple(sorted(found["enum"], key=lambda value: value == found.get("default")))
    match found.get("type"):
        case "boolean":
            return (True, False)
        case "integer" | "number":
            low = int(found.get("minimum", 0))
            return tuple(value for value in (low + 2, low + 1, low) if value <= found.get("maximum", value))
        case "string":
            return TEXTS
        case "array":
            return tuple([value] for value in values(found["items"]))
        case "object" if "containers" in found.get("properties", {}):
            return ({"containers": [{"name": "main", "image": "own:2"}]},)
        case "object" if isinstance(found.get("additionalProperties"), Mapping):
            return tuple({"x1": value} for value in values(found["additionalProperties"]))
        case _:
            return (
                (3, "50%") if found.get("x-kubernetes-int-or-string") else ({"kind": "K", "plugins": []}, {})
            )


def laid_over(low: Any, high: Any) -> Any:
    """Mappings by key, lists by their first item."""
    if isinstance(low, Mapping) and isinstance(high, Mapping):
        return {**low, **{key: laid_over(low.get(key), value) for key, value in high.items()}}
    if isinstance(low, list) and isinstance(high, list) and low and high:
        return [laid_over(low[0], high[0])]
    return deepcopy(high)


def holding(path: tuple[str, ...], value: Any, found: Schema = SPEC) -> Any:
    """The value at the path, in lists of one item, with what the schema requires beside it."""
    if not path:
        return value
    if path[0] == "[]":
        return [holding(path[1:], value, found["items"])]
    inner = holding(path[1:], value, found["properties"][path[0]])
    return laid_over({} if found is SPEC else least(found), {path[0]: inner})


def placed(path: tuple[str, ...], value: Any) -> Any:
    """The spec with the field: what it needs goes over what the schema requires, and the value over both."""
    spec = laid_over(holding(path, value), around(path))
    owner = spec
    for key in path[:-1]:
        owner = owner[0] if key == "[]" else owner[key]
    owner[path[-1]] = deepcopy(value)
    return spec


def without(spec: Any, path: tuple[str, ...]) -> Any:
    """A copy that lacks the field."""
    copy = deepcopy(spec)
    owner = copy
    for key in path[:-1]:
        owner = owner[0] if key == "[]" else owner[key]
    del owner[path[-1]]
    return copy


def around(path: tuple[str, ...]) -> Any:
    """What the field needs, from the tables."""
    found: Any = {"model": {"uri": "hf://m/n", "name": "m"}}
    if path[0] == "prefill":
        found = laid_over({**found, "router": ROUTER}, {"prefill": _needs(".".join(path[1:]))})
    return laid_over(found, _needs(".".join(path)))


def _needs(name: str) -> Mapping[str, Any]:
    fits = [prefix for prefix in AROUND if f"{name}.".startswith(f"{prefix}.")]
    return AROUND[max(fits, key=len)] if fits else {}


@cache
def world() -> Surroundings:
    """The shipped presets, configs and a ConfigMap for references, and where Prometheus is."""
    config = {"apiVersion": kinds.V1ALPHA2, "kind": kinds.CONFIG.kind}
    named = [
        {**config, "metadata": {"name": name, "namespace": "ns"}, "spec": {"labels": {"of": name}}}
        for name in ("a", "x1")
    ]
    texts = {key: f"kind: {key}\nplugins: []" for key in ("a", "x1", "1")}
    prometheus = json.dumps({"prometheus": {"url": "http://p"}})
    settings = {**SETTINGS, "autoscaling-wva-controller-config": prometheus}
    maps = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace},
            "data": data,
        }
        for name, namespace, data in (
            ("a", "ns", texts),
            ("x1", "ns", texts),
            ("inferenceservice-config", "kserve", settings),
        )
    ]
    given = (*shipped.objects(shipped.presets_folder()), *named, *maps)
    return surroundings(given, Policy(), stored)


def told(spec: Any) -> str | None:
    """All that comes of a service, as text; None where it is refused."""
    service = {
        "apiVersion": kinds.V1ALPHA2,
        "kind": kinds.SERVICE.kind,
        "metadata": {"name": "svc", "namespace": "ns", "uid": "u"},
        "spec": spec,
    }
    if not isinstance(trial.in_process(service), Accepted):
        return None
    made = render(service, world(), policy=Policy(), now=datetime(2026, 1, 1, tzinfo=UTC))
    said = admission_warnings.of_spec(service, None)
    events = without_effect.of_combined(service)
    return json.dumps([made.children, made.problems, made.assumed, said, events], sort_keys=True, default=str)


@pytest.mark.parametrize("name", [".".join(path) for path in FIELDS])
def test_a_field_does_something_or_is_named(name: str) -> None:
    path = tuple(name.split("."))
    taken = False
    for value in VALUES.get(name.removeprefix("prefill."), values(FIELDS[path])):
        spec = placed(path, value)
        with_it = told(spec)
        if with_it is None:
            continue
        if with_it != told(without(spec, path)):
            return
        taken = True
    if not taken:
        assert any(part in name for part in REFUSED), "no value was taken"
        return
    above = [".".join(path[:length]) for length in range(1, len(path))]
    spec = placed(path, values(FIELDS[path])[0])
    said = told(spec) or ""
    assert any(f"spec.{owner} has no effect" in said for owner in above), "it is accepted and nothing follows"

"""MERGE-5: of what excludes one another in a pod the later spec's holds whole."""

from functools import reduce
from typing import Any

import pytest

from aioctl.plan.alternatives import settled
from aioctl.plan.merge import merge_written
from aioctl.plan.model import PlanError
from aioctl.plan.provenance import Contribution

GET = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 5}
EXEC = {"exec": {"command": ["true"]}}
SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
FIELD = {"fieldRef": {"fieldPath": "metadata.name"}}


def main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "main", **fields}]}


def env(**fields: Any) -> dict[str, Any]:
    return main(env=[{"name": "A", **fields}])


def volume(**source: Any) -> dict[str, Any]:
    return {"containers": [], "volumes": [{"name": "v", **source}]}


def merged(*specs: dict[str, Any]) -> Any:
    sources = [Contribution(f"config {index}", spec) for index, spec in enumerate(specs)]
    return settled(reduce(merge_written, specs), sources)


CONFLICTS = {
    "probe": (main(livenessProbe=GET), main(livenessProbe=EXEC)),
    "startup probe of another kind": (main(startupProbe=EXEC), main(startupProbe={"grpc": {"port": 1}})),
    "hook": (main(lifecycle={"preStop": EXEC}), main(lifecycle={"preStop": {"sleep": {"seconds": 1}}})),
    "volume": (volume(emptyDir={}), volume(persistentVolumeClaim={"claimName": "c"})),
    "variable": (env(value="a"), env(valueFrom=SECRET)),
    "variable the other way round": (env(valueFrom=SECRET), env(value="a")),
    "source of a variable": (env(valueFrom=SECRET), env(valueFrom=FIELD)),
}


@pytest.mark.parametrize("path", ["template", "worker", "prefill.template", "router.scheduler.template"])
@pytest.mark.parametrize("what", CONFLICTS)
def test_the_later_one_holds_whole(what: str, path: str) -> None:
    def at(pod: dict[str, Any]) -> dict[str, Any]:
        return reduce(lambda inner, part: {part: inner}, reversed(path.split(".")), pod)

    base, override = (at(pod) for pod in CONFLICTS[what])
    assert merge_written(base, override) != override, "a merge mixes them"
    assert merged(base, override) == override
    assert merged(override, base) == base
    assert merged(base, override, {"replicas": 2}) == {**override, "replicas": 2}


def test_what_excludes_nothing_is_merged_as_ever() -> None:
    base = {"template": {**main(livenessProbe=GET, env=[{"name": "A", "value": "a"}]), **volume(emptyDir={})}}
    longer = {"template": main(livenessProbe={"periodSeconds": 9}, env=[{"name": "B", "valueFrom": SECRET}])}
    assert merged(base, longer) == merge_written(base, longer)
    assert merged({"template": "none", "prefill": 1}) == {"template": "none", "prefill": 1}


def test_only_what_conflicts_is_replaced() -> None:
    base = {"template": main(image="a", livenessProbe=GET, readinessProbe=GET)}
    over = {"template": main(livenessProbe=EXEC)}
    assert merged(base, over)["template"] == main(image="a", livenessProbe=EXEC, readinessProbe=GET)


POST = {"httpGet": {"path": "/other", "port": 8000}}
LAID_OVER = {
    "the rest of a probe": (
        [main(livenessProbe=GET), main(livenessProbe=EXEC), main(livenessProbe={"periodSeconds": 9})],
        main(livenessProbe={**EXEC, "periodSeconds": 9}),
    ),
    "a part of the handler": (
        [
            main(livenessProbe=EXEC),
            main(livenessProbe=GET),
            main(livenessProbe={"httpGet": {"path": "/other"}}),
        ],
        main(livenessProbe={**GET, **POST}),
    ),
    "a part of the volume": (
        [
            volume(emptyDir={}),
            volume(configMap={"name": "m", "defaultMode": 1}),
            volume(configMap={"defaultMode": 2}),
        ],
        volume(configMap={"name": "m", "defaultMode": 2}),
    ),
    "a part of the variable": (
        [env(value="a"), env(valueFrom=SECRET), env(valueFrom={"secretKeyRef": {"optional": True}})],
        env(valueFrom={"secretKeyRef": {"name": "s", "key": "k", "optional": True}}),
    ),
    "back to the first": ([main(livenessProbe=each) for each in (GET, EXEC, POST)], main(livenessProbe=POST)),
}


@pytest.mark.parametrize("what", LAID_OVER)
def test_what_a_still_later_one_says_of_it_is_laid_over_it(what: str) -> None:
    specs, expected = LAID_OVER[what]
    assert merged(*({"template": pod} for pod in specs))["template"] == expected


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (
            main(livenessProbe={**GET, **EXEC}),
            (
                "spec.template.containers.main.livenessProbe has 2 handlers: exec and httpGet of config 1; "
                "leave one of them"
            ),
        ),
        (
            volume(emptyDir={}, hostPath={"path": "/"}),
            "spec.template.volumes.v has 2 sources: emptyDir and hostPath of config 1; leave one of them",
        ),
        (
            env(value="a", valueFrom=SECRET),
            "spec.template.containers.main.env.A has 2 values: value and valueFrom of config 1; leave one of them",
        ),
    ],
)
def test_two_of_one_spec_are_an_error_that_says_whose_until_a_later_one_replaces_them(
    pod: dict[str, Any], said: str
) -> None:
    with pytest.raises(PlanError) as error:
        merged({"template": main(livenessProbe=GET)}, {"template": pod})
    assert str(error.value) == said
    right = {
        **main(livenessProbe=EXEC, env=[{"name": "A", "value": "x"}]),
        "volumes": [{"name": "v", "emptyDir": {}}],
    }
    assert merged({"template": pod}, {"template": right})["template"] == right

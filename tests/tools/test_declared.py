"""The schemas of our CRDs, as `aioctl check -f` applies them; tests/real_install/test_tools.py asks a real API server the same."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.sim import llm_rules
from aioctl.tools.checks.declared import causes, problems
from release import schemas
from tests.tools.bad_files import BAD, service

FINE = {"timeouts that are fine"}
TIMES = st.integers(1, 5)
ADVANCED = st.fixed_dictionaries(
    {},
    optional={
        "horizontalPodAutoscalerConfig": st.fixed_dictionaries(
            {}, optional={"name": st.sampled_from(["", "mine"])}
        ),
        "scalingModifiers": st.dictionaries(
            st.sampled_from(["formula", "target", "activationTarget"]), st.sampled_from(["", "1"])
        ),
    },
)
KEDA = {"idleReplicaCount": TIMES, "advanced": ADVANCED}
SCALING = st.fixed_dictionaries(
    {"maxReplicas": TIMES},
    optional={
        "minReplicas": TIMES,
        "wva": st.fixed_dictionaries({}, optional={"hpa": st.just({}), "keda": st.fixed_dictionaries({}, optional=KEDA)}),
        "keda": st.fixed_dictionaries({"triggers": st.just([{"type": "cpu", "metadata": {}}])}, optional=KEDA),
    },
)  # fmt: skip
WORKLOAD = st.fixed_dictionaries({}, optional={"replicas": TIMES, "scaling": SCALING})


def test_a_keyword_that_nothing_reads_is_refused() -> None:
    keywords: tuple[dict[str, Any], ...] = (
        {"oneOf": []},
        {"x-kubernetes-validations": [{"rule": "true", "fieldPath": ".a"}]},
    )
    for unknown in keywords:
        with pytest.raises(schemas.UnknownKeywordError):
            schemas.Nodes().number({"type": "object", "properties": {"a": unknown}})


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_refused(what: str, version: str) -> None:
    assert bool(problems(service(what, version))) == (what not in FINE)


def test_it_says_where_and_why() -> None:
    assert problems(service("several at once")) == [
        f'spec: Invalid value: "object": {llm_rules._TOP}',
        'spec.scaling: Invalid value: "object": minReplicas cannot exceed maxReplicas',
        'spec.scaling.wva: Invalid value: "object": either hpa or keda must be specified as the actuator backend',
        'spec.router.route.http.spec.rules[0].backendRefs[0]: Invalid value: "object": Must have port for Service reference',
    ]
    assert problems(service("type"))[1:] == [
        "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
    ]


@given(WORKLOAD, st.none() | WORKLOAD)
def test_the_simulated_servers_rules_of_autoscaling_say_the_same(main: Any, prefill: Any) -> None:
    """They are functions there, for speed."""
    spec = main if prefill is None else {**main, "prefill": prefill}
    obj = {**service("type"), "spec": spec}
    wanted = [cause.text for cause in causes(obj)]
    completed = {"spec": _with_defaults(spec)}
    assert sorted(cause.text for cause in llm_rules.autoscaling(completed, None)) == sorted(wanted)


def _with_defaults(spec: dict[str, Any]) -> dict[str, Any]:
    found = {key: _with_defaults(value) if key == "prefill" else value for key, value in spec.items()}
    if "scaling" in found:
        found["scaling"] = {"minReplicas": 1, **found["scaling"]}
    return found

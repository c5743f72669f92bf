"""What gateways have to say of a pool for it to be ready, and how it is said that they have not.

Rules: POOL-6.
"""

from typing import Any

import pytest

from aioctl.api.kinds import POOL_V1, POOL_V1ALPHA2, Kind, ObjectKey
from aioctl.plan.pool_readiness import judge
from tests.plan.router_world import accepted, condition, parent

A, B, RETIRED = ("kserve", "a"), ("kserve", "b"), ("kserve", "retired")
NO = [condition("Accepted", "False", "No", message="not mine")]
UNRESOLVED = [condition("Accepted"), condition("ResolvedRefs", "False", "InvalidExtensionRef")]
SYNTHETIC = {
    "parentRef": {"kind": "Status", "name": "default"},
    "conditions": [condition("Accepted", "Unknown", "Pending")],
}
NOBODY = "Inference Pool ns/p exists but no Gateway controller has accepted it yet"
SAYS_NO = 'ns/p: Accepted="False" (reason "No", message "not mine")'
SILENT = "The inference pool ns/p is not ready"


def word(conditions: list[dict[str, Any]], controller: str) -> dict[str, Any]:
    return {**parent(*A, conditions), "controllerName": controller}


CASES: list[tuple[list[Any], list[tuple[str, str]], str]] = [
    ([], [A], NOBODY),
    ([], [], NOBODY),
    ([SYNTHETIC], [A], NOBODY),
    ([SYNTHETIC], [], NOBODY),
    ([parent(*RETIRED, NO)], [A], NOBODY),
    ([parent(*RETIRED, accepted())], [A], NOBODY),
    ([parent(*A, accepted())], [A], ""),
    ([parent("", "a", accepted())], [("ns", "a")], ""),
    ([parent(*A, UNRESOLVED)], [A], ""),
    ([parent(*A, accepted()), parent(*RETIRED, NO), SYNTHETIC], [A], ""),
    ([parent(*A, accepted())], [A, B], "Inference Pool ns/p is not yet accepted by gateway kserve/b"),
    ([parent(*A, NO)], [A, B], "Inference Pool ns/p is not yet accepted by gateway kserve/b"),
    ([parent(*A, accepted()), parent(*B, accepted())], [A, B], ""),
    ([parent(*A, accepted()), parent(*B, NO)], [A, B], SAYS_NO),
    ([parent(*A, accepted()), parent(*A, NO)], [A], SAYS_NO),
    ([parent(*A, [])], [A], SILENT),
    ([parent(*A, accepted("ResolvedRefs"))], [A], SILENT),
    ([parent(*A, []), parent(*B, NO)], [A, B], SAYS_NO),
    ([parent(*A, accepted(observedGeneration=2))], [A], ""),
    ([parent(*A, accepted(observedGeneration=0))], [A], ""),
    (
        [parent(*A, accepted(observedGeneration=1))],
        [A],
        'ns/p: Accepted="True" (reason "Accepted", message "") is stale: it is of generation 1, the pool is at generation 2',
    ),
    ([parent(*A, NO), parent(*B, accepted())], [], ""),
    ([parent(*A, NO)], [], SAYS_NO),
    ([word(NO, "former"), word(accepted(), "present")], [A], ""),
    ([word(accepted(), "former"), word(NO, "present")], [A], SAYS_NO),
    ([word(NO, "former")], [A], SAYS_NO),
    ([word(accepted(), "other"), word(NO, "another")], [A], SAYS_NO),
]


@pytest.mark.parametrize("kind", [POOL_V1, POOL_V1ALPHA2], ids=["v1", "v1alpha2"])
@pytest.mark.parametrize(("parents", "gateways", "message"), CASES)
def test_a_pool_is_ready_when_each_gateway_of_the_service_has_accepted_it_as_it_is(
    kind: Kind, parents: list[Any], gateways: list[tuple[str, str]], message: str
) -> None:
    field, other = ("parents", "parent") if kind == POOL_V1 else ("parent", "parents")
    pool = {
        "metadata": {"namespace": "ns", "name": "p", "generation": 2},
        "status": {field: parents, other: [parent(*A, accepted()), parent(*B, accepted())]},
    }
    verdict = judge(pool, kind, [ObjectKey(*key) for key in gateways], lambda _: "present")
    assert (verdict.ready, verdict.message) == (not message, message)
    reason = "WaitingForGateway" if "Inference Pool" in message else "InferencePoolNotReady"
    assert verdict.reason == (reason if message else "")

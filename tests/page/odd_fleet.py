"""A fleet in every state, with words that would break a careless page, put on a board by hand."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from aioctl.plan.migration import State
from aioctl.serving.board import Board
from aioctl.serving.timeline import Sample

HOSTILE = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>&amp;"\'`${1}\u2028\u202e'
LONG = "gateway-" + "very-long-name-" * 12
COUNTS = {State.MIGRATED: 40, State.SHIFTING: 2, State.INITIAL: 5, State.NO_ROUTE: 1, State.HELD: 3}
TROUBLE = {
    State.HELD: (
        "GatewayRefusesV1",
        "some parent of the HTTPRoute refuses a kind it refers to: upgrade the gateway, or set annotation aioctl.dev/migration-strategy: hold",
    ),
}


def service(number: int, state: str, **fields: Any) -> dict[str, Any]:
    """The fields of `aioctl status -o json`."""
    since = datetime.now(UTC) - timedelta(seconds=37 * (number + 1) ** 2)
    moved = 100 if state == State.MIGRATED else 0
    reason, problem = TROUBLE.get(State(state), ("Locked" if moved else "V1PoolNotReady", ""))
    name = f"llm-{number:04}"
    return {
        "namespace": f"team-{number % 3}", "name": name, "resource": f"llminferenceservice.serving.kserve.io/{name}",
        "ready": "True", "notReady": "", "state": state, "reason": reason,
        "since": since.strftime("%Y-%m-%dT%H:%M:%SZ"), "traffic": {"v1": moved, "v1alpha2": 100 - moved},
        "readyReplicas": 2, "wantedReplicas": 2, "gateways": ["kserve/kserve-ingress-gateway"], "strategy": "auto",
        "lock": "route+status" if moved else "", "problem": problem, **fields,
    }  # fmt: skip


def services() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for state, count in COUNTS.items():
        found += [service(len(found) + number, state) for number in range(count)]
    broken = 'HTTPRoutesNotReady: The following HTTPRoutes are not ready: [team-0/r: "False" (reason "InvalidKind")]'
    found[3] |= {"ready": "False", "notReady": broken, "readyReplicas": 0}
    found[44] |= {
        "traffic": None,
        "ready": "Unknown",
        "notReady": "Progressing: 1 of 2 pods are ready",
        "readyReplicas": 1,
    }
    found.append(
        service(90, State.HELD, name="hostile", problem=HOSTILE, reason=HOSTILE, gateways=[HOSTILE, LONG])
    )
    unplanned = {"name": "not-planned-yet", "state": "Unknown", "reason": "NotPlanned", "traffic": None}
    found.append(service(91, State.INITIAL) | unplanned | {"ready": "False", "notReady": HOSTILE})
    return found


def detail(row: dict[str, Any]) -> dict[str, Any]:
    """One of them with a tree and chains, as `tools/page.py` encodes them."""
    key = f"{row['namespace']}/{row['name']}"
    gateway = {"object": "gateway kserve/kserve-ingress-gateway", "text": "Accepted True (4m), ResolvedRefs False InvalidKind: "
               f"{row['reason']}", "ok": False, "children": []}  # fmt: skip
    pool = {
        "object": f"InferencePool v1 {key}-inference-pool",
        "text": "",
        "ok": False,
        "children": [gateway],
    }
    lock: dict[str, Any] = {
        "object": "lock",
        "text": "none: traffic has not moved for good",
        "ok": None,
        "children": [],
    }
    work = {"object": f"Deployment {key}-kserve", "text": "workload: 2/2 ready", "ok": True, "children": []}
    chain = {
        "links": [
            {"object": f"LLMInferenceService {key}", "what": "InferencePoolMigration", "status": "False",
             "reason": row["reason"], "message": row["problem"], "age": "4m"},
            {"object": f"HTTPRoute {key}-kserve-route", "what": "parent kserve/kserve-ingress-gateway ResolvedRefs",
             "status": "False", "reason": "InvalidKind", "message": "no such kind", "age": "4m"},
        ],
        "code": "AIO-MIG-010", "act": True, "cure": row["problem"] or "wait", "page": "docs/codes.md#aio-mig-010",
    }  # fmt: skip
    return {
        **row,
        "tree": {"object": f"LLMInferenceService {key}", "text": f"{row['state']} ({row['reason']})", "ok": row["ready"] == "True",
                 "children": [work, pool, lock]},
        "chains": [chain] if row["problem"] else [],
    }  # fmt: skip


def fill(board: Board, role: str = "leader") -> None:
    """All of it, with half an hour of a timeline."""
    now = datetime.now(UTC).timestamp()
    total = sum(COUNTS.values()) + 2
    for step in range(900):
        moved = min(COUNTS[State.MIGRATED], step // 12)
        states = {state.value: count for state, count in COUNTS.items() if state is not State.MIGRATED}
        states |= {"Migrated": moved, "Initial": total - moved - sum(states.values()) + states["Initial"]}
        busy = step % 60 < 20
        figures = {
            "conversion_p50": 0.0012 if busy else None, "conversion_p99": 0.004 + step % 7 / 1000 if busy else None,
            "conversion_rate": 12.0 if busy else 0.0, "admission_p50": 0.003 if step % 50 == 0 else None,
            "admission_p99": 0.007 if step % 50 == 0 else None, "admission_rate": 0.5, "loop_lag_p50": 0.0004,
            "loop_lag_p99": 0.002 + step % 11 / 4000, "conversions_in_flight": float(step % 4), "calls_waiting": 0.0,
        }  # fmt: skip
        if role == "leader":
            figures |= {"queue_depth": float(step % 9), "reconcile_rate": 3.5, "error_rate": 0.0}
        board.sample(Sample(now - 1800 + 2 * step, states if role == "leader" else {}, figures))
    board.say({"role": role, "name": "aioctl-5d9f7c6b8-x2lqp", "leader": "aioctl-5d9f7c6b8-x2lqp" if role == "leader"
               else "aioctl-5d9f7c6b8-7mmzt", "namespace": "kserve", "server": "https://10.96.0.1:443", "port": 8080,
               "version": "0.1.0", "every": 2.0, "started": now - 1800})  # fmt: skip
    for row in services() if role == "leader" else []:
        board.put((row["namespace"], row["name"]), json.dumps(row).encode())

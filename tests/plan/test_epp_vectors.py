"""The picker's pod is rewritten as KServe aaac4e294 did when its function was called with generated pods.

Rules: EPP-6.
"""

from copy import deepcopy
from typing import Any

from aioctl.plan.epp_rewriting import Picker, rewrite
from aioctl.plan.model import PlanError
from aioctl.plan.scheduler_config import needs_tokenizer
from testbed.shared_data import UPSTREAM, vectors


def outcome(row: dict[str, Any]) -> Any:
    name, namespace = row["service"]["metadata"]["name"], row["service"]["metadata"]["namespace"]
    spec = row["service"]["spec"]
    scheme = "https" if row["tls"] else "http"
    url = f"{scheme}://{name}-tokenizer.{namespace}.svc.cluster.local:8000" if needs_tokenizer(spec) else ""
    pod = deepcopy(row["pod"])
    where = f"{namespace}/{name}-kserve-router-scheduler"
    try:
        rewrite(pod, Picker(where, row["version"] or "", url))
    except PlanError as error:
        return {"error": str(error).removeprefix("failed to apply scheduler migrations: ")}
    return [shown(container) for container in pod["containers"]]


def shown(container: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in container.items() if key != "resources" and value != []}


def test_every_recorded_pod_comes_out_the_same() -> None:
    rows = vectors("epp", UPSTREAM)
    differences = []
    for number, row in enumerate(rows):
        wanted = (
            {"error": row["error"]}
            if "error" in row
            else [shown(container) for container in row["result"]["containers"]]
        )
        made = outcome(row)
        if made != wanted:
            differences.append((number, wanted, made))
    assert not differences, (len(differences), differences[:3])
    assert rows

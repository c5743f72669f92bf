"""The Grafana dashboard: its queries ask for what the program shows, from a data source that the reader picks."""

import json
import re
import shutil
import subprocess
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import DEPLOY
from tests.deploy.test_monitoring import RUNBOOKS, anchors, problems

DASHBOARD = json.loads((DEPLOY / "dashboard" / "aioctl.json").read_text())
PANELS = DASHBOARD["panels"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
PICKED = {"type": "prometheus", "uid": "${datasource}"}
SHOWN = {
    "aioctl_services": "fleet by state",
    "aioctl_conversion_duration_seconds_count": "conversions by direction and result",
    "aioctl_conversion_duration_seconds_bucket": "their quantiles",
    "aioctl_conversions_in_flight": "in flight",
    "workqueue_depth": "queue",
    "controller_runtime_reconcile_total": "reconciles",
    "rest_client_requests_total": "API calls by code",
    "aioctl_event_loop_lag_seconds_bucket": "loop lag",
    "process_resident_memory_bytes": "memory",
    "aioctl_certificate_expiry_timestamp_seconds": "certificate days left",
    "llmisvc_condition_status": "single services that are not Ready",
    "llmisvc_workload_replicas_ready": "ready replicas by component",
    "kserve_llminferenceservice_info": "services by accelerator",
}
"""What an operator looks for first, by the metric that has it."""


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def data_sources(node: Any) -> list[Any]:
    """Every `datasource` below a node."""
    if isinstance(node, list):
        return [found for item in node for found in data_sources(item)]
    if not isinstance(node, dict):
        return []
    own = [node["datasource"]] if "datasource" in node else []
    return own + [found for item in node.values() for found in data_sources(item)]


@pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
def test_a_panel_asks_for_what_exists(panel: dict[str, Any]) -> None:
    assert panel["targets"]
    for target in panel["targets"]:
        assert list(problems(target["expr"])) == []
        assert set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"} <= set(VARIABLES)
        # Whatever a legend names, the query keeps.
        kept = re.findall(r"by \(([^)]*)\)", target["expr"])
        for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
            assert any(label in labels.split(", ") for labels in kept), label


def test_every_selector_is_narrowed_to_the_picked_installation() -> None:
    for expression in expressions():
        selectors = re.findall(r"{([^}]*)}", expression)
        assert selectors
        for selector in selectors:
            assert 'job=~"$job"' in selector
            assert 'namespace=~"$namespace"' in selector


def test_the_data_source_is_picked_by_the_reader() -> None:
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["datasource"]["query"] == "prometheus"
    found = data_sources(DASHBOARD)
    assert len(found) >= 2 * len(PANELS)
    assert [source for source in found if source != PICKED] == []
    for name in ("job", "namespace"):
        assert list(problems(VARIABLES[name]["definition"])) == []


def test_everything_an_operator_looks_for_is_shown() -> None:
    text = "\n".join(expressions())
    assert [what for metric, what in SHOWN.items() if not re.search(rf"\b{metric}\b", text)] == []


def test_it_leads_to_the_operators_page() -> None:
    """For one service with its reasons Prometheus is the wrong place."""
    assert "/ui/" in DASHBOARD["description"]
    (link,) = DASHBOARD["links"]
    page, _, anchor = link["url"].removeprefix(RUNBOOKS).partition("#")
    assert anchor in anchors(DEPLOY.parent / page)


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, two in combinations(places, 2):
        assert (
            one["x"] + one["w"] <= two["x"]
            or two["x"] + two["w"] <= one["x"]
            or one["y"] + one["h"] <= two["y"]
            or two["y"] + two["h"] <= one["y"]
        )


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    """As recording rules, with the variables filled in; it needs `promtool`, of Debian's package prometheus."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    filled = [expression.replace("$__rate_interval", "5m") for expression in expressions()]
    rules = [{"record": f"panel:query:{number}", "expr": text} for number, text in enumerate(filled)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", "rules.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

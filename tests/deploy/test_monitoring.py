"""Scraping, alerts and dashboard: they ask for metrics and labels that exist, and each alert leads to what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from aioctl.metrics.page import Metrics
from aioctl.metrics.services import FAMILIES
from tests.deploy.alert_cases import CASES
from tests.deploy.manifests import BASE, DEPLOY, NAMESPACE, documents, find

COMPONENT = DEPLOY / "components" / "monitoring"
MONITOR = find(COMPONENT / "service-monitor.yaml", "ServiceMonitor")
RULE = find(COMPONENT / "alerts.yaml", "PrometheusRule")
ALERTS = [rule for group in RULE["spec"]["groups"] for rule in group["rules"]]
NAMES = [rule["alert"] for rule in ALERTS]
REPOSITORY = DEPLOY.parent
RUNBOOKS = "https://github.com/aioctl/aioctl/blob/main/"
SCRAPED: Final = {"job", "namespace", "pod", "exported_namespace"}
"""Labels that Prometheus adds for the ServiceMonitor; the last is what a series itself calls its namespace."""
_OURS = "aioctl_"
_METRIC = r"(?:aioctl|certwatcher|controller_runtime|kserve|llmisvc(?!_name)|leader_election|process|rest_client|workqueue)_\w+"


@cache
def series() -> dict[str, set[str]]:
    """Every series that the program can show -> its labels."""
    found = {}
    for family in Metrics().registry._collector_to_names:
        if not isinstance(family, MetricWrapperBase):
            continue
        labels = set(family._labelnames)
        if isinstance(family, Counter):
            found[f"{family._name}_total"] = labels
        elif isinstance(family, Histogram):
            found[f"{family._name}_bucket"] = labels | {"le"}
            found[f"{family._name}_count"] = found[f"{family._name}_sum"] = labels
        else:
            found[family._name] = labels
    # Collectors of their own, see docs/reference.md.
    for name in ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"):
        found[name] = set()
    found["workqueue_longest_running_processor_seconds"] = {"name"}
    found |= {name: set(labels) for name, (_, labels) in FAMILIES.items()}
    return found


def problems(expression: str) -> Iterator[str]:
    """What is wrong with the metrics and labels of an expression of PromQL."""
    used = list(re.finditer(rf"\b({_METRIC})(?:\{{([^}}]*)\}})?", expression))
    if not used:
        yield "no metric of ours"
    known = {*SCRAPED, *(label for match in used for label in series().get(match[1], ()))}
    for match in used:
        name, selector = match[1], match[2] or ""
        if name not in series():
            yield f"{name} is no series of the program"
            continue
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector):
            if label not in series()[name] | SCRAPED:
                yield f"{name} has no label {label}"
        if not name.startswith(_OURS) and "job=" not in selector:
            yield f"{name} is every controller's: it needs the job"
    for grouped in re.findall(r"\b(?:by|on) \(([^)]*)\)", expression):
        for label in re.split(r",\s*", grouped):
            if label not in known:
                yield f"nothing has the label {label} to group by"


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "expression",
    [
        "up",
        "aioctl_nothing",
        "aioctl_pool_creations",
        'aioctl_services{status="Held"}',
        "workqueue_depth",
        'sum by (stat) (aioctl_services{state="Held"})',
    ],
)
def test_a_wrong_expression_is_found(expression: str) -> None:
    assert list(problems(expression)) != []


def test_the_monitor_scrapes_the_metrics_service() -> None:
    service = find(BASE / "services.yaml", "Service", "aioctl-metrics")
    others = [
        item["metadata"]["name"]
        for item in documents(BASE / "services.yaml")
        if MONITOR["spec"]["selector"]["matchLabels"].items() <= item["metadata"].get("labels", {}).items()
    ]
    assert others == ["aioctl-metrics"]
    (endpoint,) = MONITOR["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert (endpoint["path"], endpoint["scheme"]) == ("/metrics", "http")
    assert service["metadata"]["labels"][MONITOR["spec"]["jobLabel"]] == "aioctl"
    assert MONITOR["metadata"]["namespace"] == RULE["metadata"]["namespace"] == NAMESPACE


@pytest.mark.parametrize("rule", ALERTS, ids=NAMES)
def test_an_alert_asks_for_what_exists_and_leads_to_what_to_do(rule: dict[str, Any]) -> None:
    assert list(problems(rule["expr"])) == []
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["summary"]
    page, _, anchor = rule["annotations"]["runbook_url"].removeprefix(RUNBOOKS).partition("#")
    assert page in {"docs/operations.md", "docs/codes.md"}
    assert anchor in anchors(REPOSITORY / page)


def test_every_alert_has_its_own_name_and_cases() -> None:
    assert sorted(NAMES) == sorted(set(NAMES)) == sorted(CASES)


def test_alerts_fire_and_stay_silent(tmp_path: Path) -> None:
    """Prometheus's own evaluation of every case; it needs `promtool`, of Debian's package prometheus."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(RULE["spec"]))
    cases = [
        {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in case.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) or vector(0)',
                    "eval_time": "1h",
                    "exp_samples": [{"labels": "{}", "value": int(fires)}],
                }
            ],
        }
        for alert, (firing, silent) in CASES.items()
        for fires, case in ((True, firing), (False, silent))
    ]
    tests = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": cases}
    (tmp_path / "cases.yaml").write_text(json.dumps(tests))
    done = subprocess.run(
        [promtool, "test", "rules", "cases.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

"""Every command of the operator, once, on an installation on a real API server, as somebody would type it."""

import json
import logging
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml
from click.testing import CliRunner

from aioctl.api import kinds, names
from aioctl.api.objects import annotations_of, dig
from aioctl.cli import main
from aioctl.tools.checks.declared import causes
from testbed.real.build import Assets
from tests.deploy.manifests import ACCOUNT, DEPLOY, NAMESPACE
from tests.real_install import services
from tests.real_install.installation import TEAM, Installation, host_address, installed, players
from tests.real_install.replica import until
from tests.tools.bad_files import BAD, service

pytestmark = pytest.mark.real
EVERYONE = ("single", services.OLD)
HOME = ("-n", TEAM)


@pytest.fixture(autouse=True, scope="module")
def _logs_of_other_tests() -> Iterator[None]:
    level = logging.getLogger("aioctl").level
    yield
    structlog.reset_defaults()
    logging.getLogger("aioctl").setLevel(level)


@pytest.fixture(scope="module")
def used(real_assets: Assets) -> Iterator[Installation]:
    """One replica, presets, a gateway, and two services, one of a client of v1alpha1: all Ready and migrated."""
    host = host_address()
    if not host:
        pytest.skip("this host has no address beside loopback, and EndpointSlices must not hold that")
    with installed(real_assets, host) as made:
        made.run(1)
        made.kubectl.apply(kustomize=DEPLOY / "presets")
        for kind, namespace, body in services.gateway_objects():
            made.create(kind, namespace, body)
        # No controller manager looks after the Deployment, whose replica is a process beside the cluster.
        status = {"status": {"replicas": 1, "readyReplicas": 1}}
        path = kinds.DEPLOYMENT.path(NAMESPACE, "aioctl", "status")
        assert made.admin("PATCH", path, status).status == 200
        with players(made.cluster, made.cluster.folder):
            made.create(kinds.SERVICE, TEAM, services.service("single", services.SHAPES["single"]))
            old = services.service(services.OLD, services.OLD_SPEC, version=kinds.V1ALPHA1)
            made.create(kinds.SERVICE_V1ALPHA1, TEAM, old)
            services.until_ready(made, EVERYONE)
            yield made


class Shell:
    """Runs commands as an administrator of the cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def __call__(self, *words: str, code: int = 0, text: str | None = None) -> str:
        done = CliRunner().invoke(
            main, [str(word) for word in words], input=text, env={"KUBECONFIG": str(self._kubeconfig)}
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    def until(self, holds: Callable[[str], bool], *words: str) -> str:
        """What it says once that holds, and it ends well: a controller may have something to write yet."""

        def said() -> str:
            done = CliRunner().invoke(main, [*words], env={"KUBECONFIG": str(self._kubeconfig)})
            return done.output if done.exit_code == 0 and holds(done.output) else ""

        return until(said, f"aioctl {' '.join(words)} says so")

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "-o", "json", code=code))


@pytest.fixture
def aioctl(used: Installation) -> Shell:
    return Shell(used.kubectl.kubeconfig)


def codes(found: Any) -> list[str]:
    return [f"{one['code']} {one['found']}" for one in found["items"] if one["code"]]


def without_findings(used: Installation) -> Any:
    """The report of `check`, if it finds nothing but slow webhooks at most; None if those are all. Raises AssertionError."""
    done = CliRunner().invoke(
        main, ["check", *HOME, "-o", "json"], env={"KUBECONFIG": str(used.kubectl.kubeconfig)}
    )
    report = json.loads(done.output)
    if slow := [line for line in codes(report) if line.startswith("AIO-HOOK-004")]:
        assert codes(report) == slow
        return None
    assert (done.exit_code, codes(report)) == (0, [])
    return report


def test_check_finds_nothing_on_a_healthy_installation(used: Installation, aioctl: Shell) -> None:
    # A dry run that a busy machine answers slowly is worth a warning, and none of the installation's faults.
    found = until(lambda: without_findings(used), "check finds nothing")
    lines = [one["found"] for one in found["items"]]
    assert sum("is that of this release" in line for line in lines) >= 11, lines
    assert any("compared with the shipped roles, by SubjectAccessReview" in line for line in lines)
    assert any(line.startswith("Secret kserve/aioctl-webhook-cert: served until") for line in lines)
    assert sum(line.endswith(" ms") for line in lines) == 4
    assert aioctl("check", "--pre").endswith("0 failed, 0 warnings\n")
    assert codes(aioctl.json("check", "--takeover")) == []


def test_check_asks_the_api_server_what_the_account_may_do(used: Installation, aioctl: Shell) -> None:
    role = used.get(kinds.CLUSTER_ROLE, "", "aioctl")
    less = deepcopy(role["rules"])
    for rule in less:
        if "httproutes" in rule.get("resources", ()):
            rule["verbs"] = ["get", "list", "watch"]
    try:
        assert used.patch(kinds.CLUSTER_ROLE, "", "aioctl", {"rules": less}).status == 200
        until(
            lambda: "may not create, delete, update httproutes" in "".join(
                codes(json.loads(CliRunner().invoke(
                    main, ["check", *HOME, "-o", "json"], env={"KUBECONFIG": str(used.kubectl.kubeconfig)}
                ).output))
            ),
            "the authorizer knows of the change",
        )  # fmt: skip
    finally:
        used.patch(kinds.CLUSTER_ROLE, "", "aioctl", {"rules": role["rules"]})


def test_what_reads(used: Installation, aioctl: Shell) -> None:
    aioctl.until(lambda table: "2 services: 2 Migrated; 2 ready" in table, "status", "-A")
    until(lambda: all(_both_locked(used, name) for name in EVERYONE), "both copies of the locks stand")
    items = {one["name"]: one for one in aioctl.json("status", *HOME)["items"]}
    assert set(items) == set(EVERYONE)
    assert items["single"]["traffic"] == {"v1": 100, "v1alpha2": 0}
    assert items["single"]["lock"] == "route+status"
    tree = aioctl("status", "single", *HOME)
    assert "InferencePool v1 team/single-inference-pool" in tree
    assert aioctl("status", *HOME, "-o", "name").splitlines()[0].startswith("llminferenceservice.")
    assert yaml.safe_load(aioctl("status", *HOME, "-o", "yaml"))["kind"] == "ServiceStatusList"
    nothing = "nothing waits: 2 services are ready, and their migrations at their end\n"
    aioctl.until(lambda said: said == nothing, "explain", "-A")
    assert "client       aioctl" in aioctl("version")
    assert aioctl.json("version")["leader"]["holder"]
    for shell in ("bash", "zsh", "fish"):
        assert "aioctl" in aioctl("completion", shell)


def test_nothing_would_be_written_to_what_is_settled(aioctl: Shell) -> None:
    aioctl.until(lambda said: said == "2 services: nothing would be written\n", "diff", "-A")


def test_diff_of_a_file_tells_whose_fields_restart_what(aioctl: Shell) -> None:
    edited = services.service("single", services.SHAPES["single"])
    edited["spec"] = deepcopy(edited["spec"])
    edited["spec"]["template"]["containers"][0]["image"] = "quay.io/example/vllm:2"
    shown = aioctl("diff", *HOME, "-f", "-", code=1, text=yaml.safe_dump(edited))
    assert "restarts the model server" in shown
    assert "LLMInferenceService team/single" in shown
    checked = aioctl("check", "-f", "-", text=yaml.safe_dump(edited))
    assert checked.endswith("0 failed, 0 warnings\n")
    assert "kind: Deployment" in aioctl("render", "-f", "-", text=yaml.safe_dump(edited))


@pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2"])
def test_check_of_a_file_says_of_a_schema_what_the_api_server_says(used: Installation, version: str) -> None:
    kind = kinds.SERVICE if version == "v1alpha2" else kinds.SERVICE_V1ALPHA1
    for what in BAD:
        obj = service(what, version)
        answer = used.admin("POST", kind.path(TEAM), obj, dryRun="All")
        said = {
            f"{one['field']}: {one['message']}" for one in answer.body.get("details", {}).get("causes", ())
        }
        assert {cause.text for cause in causes(obj)} == said, (what, answer.body)


def test_storage_and_who_writes_v1alpha1(used: Installation, aioctl: Shell) -> None:
    found = aioctl.json("storage", "status")
    assert found["done"] is True
    assert found["notKnown"] == []
    assert any(
        (one["resource"], one["verb"]) == ("llminferenceservices", "POST") for one in found["requests"]
    )
    held = {"status": {"storedVersions": ["v1alpha1", "v1alpha2"]}}
    path = kinds.CRD.path("", kinds.SERVICE.resource, "status")
    assert used.admin("PATCH", path, held).status == 200
    assert "v1alpha1 was asked for" in aioctl("storage", "status", code=1)
    told = aioctl("storage", "migrate", "--rate", "100")
    assert "CRD/llminferenceservices.serving.kserve.io: is migrated: 2 objects were rewritten" in told
    assert aioctl("storage", "status").splitlines()[-1] == "everything is stored in the storage version"


def annotations(used: Installation, name: str = "single") -> dict[str, str]:
    return dict(annotations_of(used.get(kinds.SERVICE, TEAM, name)))


def test_the_verbs(used: Installation, aioctl: Shell) -> None:
    assert "(dry run)" in aioctl("pause", "single", *HOME, "--dry-run")
    assert names.MIGRATION not in annotations(used)
    aioctl("pause", "single", *HOME)
    assert annotations(used)[names.MIGRATION] == "paused"
    aioctl("resume", "-A")
    assert names.MIGRATION not in annotations(used)
    aioctl("strategy", "single", "swap", *HOME)
    assert annotations(used)[names.MIGRATION_STRATEGY] == "swap"
    aioctl("strategy", "single", "auto", *HOME)
    aioctl.until(lambda said: said.count("holds nothing back, nothing to do") == 2, "rollout", "-A")
    aioctl("stop", "single", *HOME)
    route = kinds.HTTP_ROUTE.path(TEAM, names.route_name("single"))
    until(lambda: used.admin("GET", route).status == 404, "the stopped service has no route")
    # The status follows what was done.
    until(lambda: _reason(used) == "Stopped", "the status says that it is stopped")
    assert "Stopped" in aioctl("explain", "single", *HOME)
    aioctl("start", "single", *HOME)
    services.until_ready(used, EVERYONE)


def _reason(used: Installation) -> str:
    conditions = dig(used.get(kinds.SERVICE, TEAM, "single"), "status", "conditions") or ()
    return "".join(one.get("reason", "") for one in conditions if one["type"] == "Ready")


def test_unlock_and_back(used: Installation, aioctl: Shell) -> None:
    until(lambda: _both_locked(used), "both copies of the lock stand")
    told = aioctl("unlock", "single", *HOME)
    assert "would pause the service" in told
    assert "v1alpha2 yes" in told
    assert "unlocked and paused" in aioctl("unlock", "single", "--yes", *HOME)
    found = aioctl.json("status", *HOME, code=1)["items"]
    (single,) = [one for one in found if one["name"] == "single"]
    assert (single["state"], single["reason"], single["lock"]) == ("Held", "Paused", "")
    assert "AIO-MIG-014" in aioctl("explain", "single", *HOME, code=1)
    aioctl("resume", "single", *HOME)
    services.until_ready(used, EVERYONE)


def _both_locked(used: Installation, name: str = "single") -> bool:
    found = used.get(kinds.SERVICE, TEAM, name)
    return bool(dig(found, "status", "annotations", names.MIGRATED) == "v1")


def test_finish_and_undo(used: Installation, aioctl: Shell) -> None:
    until(lambda: _both_locked(used), "both copies of the lock stand")
    assert "is locked for" in aioctl("finish", "-A", code=1)
    told = aioctl("finish", "-A", "--soak", "0")
    assert "would take 2 services off v1alpha2" in told
    assert "v1alpha1 was asked for" in told
    told = aioctl("finish", "-A", "--soak", "0", "--yes")
    assert told.count("finished: routes name v1 alone") == 2
    assert "kubectl delete crd inferencepools.inference.networking.x-k8s.io" in told
    pool = kinds.POOL_V1ALPHA2.path(TEAM, names.default_pool_name("single"))
    assert used.admin("GET", pool).status == 404
    refused = aioctl("unlock", "single", "--yes", *HOME, code=1)
    assert "stays locked: v1 is the only generation" in refused
    aioctl("finish", "--undo", "--yes", "-A")
    until(lambda: used.admin("GET", pool).status == 200, "the pool is back")
    services.until_ready(used, EVERYONE)


def test_who_may_not_read_is_told_which_right_is_missing(used: Installation) -> None:
    """An account that nobody has given anything."""
    metadata = {"name": "nobody", "namespace": TEAM}
    used.create(
        kinds.SERVICE_ACCOUNT, TEAM, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}
    )
    nobody = Shell(used.kubectl.as_account(used.cluster, TEAM, "nobody").kubeconfig)
    said = nobody("status", *HOME, code=3)
    assert said.startswith(
        "Error: no access: you may not list llminferenceservices.serving.kserve.io in namespace team"
    )
    assert len(said.splitlines()) == 1
    assert nobody("pause", "single", *HOME, code=3).startswith("Error: no access: you may not get ")
    assert "AIO-CLU-002" in nobody("check", *HOME, "-o", "name", code=1)
    controller = Shell(used.kubectl.as_account(used.cluster, NAMESPACE, ACCOUNT).kubeconfig)
    controller.until(lambda table: "2 services: 2 Migrated; 2 ready" in table, "status", "-A")

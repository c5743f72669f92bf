"""Our presets: PRESET-4, PRESET-5 and KServe's own presets beside them; which of them a service gets (PRESET-1, PRESET-6)."""

import copy
import importlib.util
import re
import shlex
import subprocess
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from aioctl.api.names import WELL_KNOWN_CONFIGS, WELL_KNOWN_SUFFIXES
from aioctl.golang.roundtrip import round_trip
from aioctl.plan.config_check import SAMPLE, check_config
from aioctl.plan.global_config import GlobalConfig, RoutingConfig
from aioctl.plan.model import PlanError
from aioctl.plan.policy import Policy
from aioctl.plan.presets import chosen, name_of, pin_of, pins
from aioctl.plan.templates import render, root
from aioctl.sim.schema import Schema
from testbed.sampling import sampled
from testbed.shared_data import documents
from testbed.shipped_files import crd, presets

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "presets"
CONFIG = GlobalConfig("kserve", ingress_gateway_name="gateway", ingress_gateway_namespace="gateways")
PREFIX = "kserve-config-llm-"
PIPELINE = {f"{PREFIX}{role}worker-pipeline-parallel" for role in ("", "decode-", "prefill-")}


@cache
def ours() -> dict[str, dict[str, Any]]:
    """Our preset objects by name."""
    return {config["metadata"]["name"]: config for config in presets()}


@cache
def theirs() -> dict[str, dict[str, Any]]:
    return {docs[0]["metadata"]["name"]: docs[0] for docs in documents("upstream/presets/*.yaml").values()}


@cache
def of_the_old_generation() -> dict[str, dict[str, Any]]:
    return {docs[0]["metadata"]["name"]: docs[0] for docs in documents("presets/*.yaml").values()}


def build() -> ModuleType:
    spec = importlib.util.spec_from_file_location("presets_build", FOLDER / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rendered(spec: Any, *, tls: bool = False, **service_spec: Any) -> dict[str, Any]:
    service = {
        "metadata": {"name": "svc", "namespace": "ns"},
        "spec": {"model": {"uri": "hf://o/m", "name": "the-model"}, **service_spec},
    }
    config = replace(CONFIG, routing=RoutingConfig(enable_tls=tls))
    return round_trip(render(spec, root(service, config), path="spec").tree)


def test_the_manifests_are_what_the_program_writes() -> None:
    written = build().files()
    assert {path.name: path.read_text() for path in FOLDER.glob("*.yaml")} == written


def test_all_names_are_there_and_listed() -> None:
    assert set(ours()) == WELL_KNOWN_CONFIGS | PIPELINE
    listed = yaml.load((FOLDER / "kustomization.yaml").read_text(), yaml.CSafeLoader)["resources"]
    assert listed == sorted(path.name for path in FOLDER.glob("config-*.yaml"))


@pytest.mark.parametrize("name", sorted(WELL_KNOWN_CONFIGS | PIPELINE))
def test_every_preset_passes_admission(name: str) -> None:
    check_config(ours()[name], CONFIG)


FULL = {"data": 4, "dataLocal": 2, "tensor": 1, "expert": True}
GRACE = {"containers": [], "terminationGracePeriodSeconds": 120}
OFFLOADED = {
    "cpu": "10Gi",
    "evictionPolicy": "arc",
    "secondary": [{"fileSystem": {"emptyDir": {"size": "1Gi"}}}],
}
SERVICES: list[dict[str, Any]] = [
    {"parallelism": {}, "prefill": {"parallelism": {}}},
    {"parallelism": FULL, "prefill": {"parallelism": FULL}},
    {"parallelism": {"pipeline": 2, "dataRPCPort": 1234}, "prefill": {"parallelism": {"dataRPCPort": 1}}},
    {"parallelism": {"tensor": 8}, "prefill": {"parallelism": {"data": 8, "dataLocal": 8, "tensor": 2}}},
    {
        "parallelism": FULL,
        "template": GRACE,
        "worker": GRACE,
        "kvCacheOffloading": OFFLOADED,
        "prefill": {"parallelism": {"tensor": 2}, "template": GRACE, "kvCacheOffloading": OFFLOADED},
    },
]
# The route's preset is tested with the routes.
SAME_AS_KSERVES = sorted(WELL_KNOWN_CONFIGS - {f"{PREFIX}router-route"})


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("service_spec", SERVICES)
@pytest.mark.parametrize("name", SAME_AS_KSERVES)
def test_a_preset_equals_kserves_but_for_the_words_of_its_script(
    name: str, service_spec: dict[str, Any], tls: bool
) -> None:
    mine, recorded = (
        _with_commands(rendered(_as_stored(configs[name])["spec"], tls=tls, **service_spec))
        for configs in (ours(), theirs())
    )
    assert mine == recorded


DATA_PARALLEL = [f"{PREFIX}{role}worker-data-parallel" for role in ("", "decode-", "prefill-")]


@pytest.mark.parametrize("name", DATA_PARALLEL)
def test_ours_bear_a_parallelism_that_only_a_base_ref_has(name: str) -> None:
    with pytest.raises(PlanError, match="nil pointer evaluating"):
        rendered(theirs()[name]["spec"])
    assert rendered(ours()[name]["spec"])


@pytest.mark.parametrize(
    "name", sorted(PREFIX + suffix for suffix in ("scheduler", "template", "router-route"))
)
@pytest.mark.parametrize("service_spec", SERVICES)
def test_presets_of_the_old_generation_still_render(name: str, service_spec: dict[str, Any]) -> None:
    config = of_the_old_generation()[name]
    check_config(config, CONFIG)
    assert "{{" not in str(rendered(_as_stored(config)["spec"], **service_spec))


@pytest.mark.parametrize("name", sorted(ours()))
def test_the_schema_adds_nothing_to_a_shipped_preset(name: str) -> None:
    """Whoever compares what is stored with the file (Argo CD, Flux) sees no drift (PRESET-5)."""
    assert _as_stored(ours()[name]) == ours()[name]


@cache
def _schema() -> Schema:
    (stored,) = (each for each in crd("llminferenceserviceconfigs")["spec"]["versions"] if each["storage"])
    return Schema(stored["schema"]["openAPIV3Schema"])


def _as_stored(config: dict[str, Any]) -> dict[str, Any]:
    """With the defaults that the API server fills in."""
    filled = copy.deepcopy(config)
    _schema().apply_defaults(filled)
    return filled


def _with_commands(tree: Any) -> Any:
    """Scripts are replaced by what they start: the rank and the words of the command line, quotes included."""
    if isinstance(tree, dict):
        return {name: _with_commands(value) for name, value in tree.items()}
    if isinstance(tree, list):
        return [_with_commands(value) for value in tree]
    return _command(tree) if isinstance(tree, str) and "vllm serve" in tree else tree


def _command(script: str) -> list[str]:
    """The rank, and the words of the command line, quotes included."""
    rank = re.search(r"^START_RANK=.*$", script, re.MULTILINE)
    start = script.index('eval "exec vllm serve')
    return [rank[0] if rank else "", *script[start:].replace("\\\n", " ").split()]


def _script(name: str, *path: str, **service_spec: Any) -> str:
    tree = rendered(ours()[name]["spec"], **service_spec)
    for part in path:
        tree = tree[part]
    script: str = tree["containers"][0]["command"][2]
    return script


def _started(script: str, folder: Path, version: str, *args: str, **given: str) -> list[str]:
    """The arguments with which the script starts vLLM: one stands in that writes them down."""
    folder.mkdir(exist_ok=True)
    fake = folder / "vllm"
    fake.write_text(
        f'#!/bin/bash\nif [ "$1" = --version ]; then echo warning; echo "vLLM {version}"; exit; fi\n'
        f"printf '%s\\n' \"$@\" > {shlex.quote(str(folder / 'argv'))}\n"
    )
    fake.chmod(0o755)
    (folder / "getent").write_text("#!/bin/bash\necho 10.0.0.7 leader\n")
    (folder / "getent").chmod(0o755)
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "LWS_LEADER_ADDRESS": "leader", **given}
    command = ["/bin/bash", "-c", script, "--", *args]
    subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return (folder / "argv").read_text().splitlines()


SCRIPTS = ["template", "prefill-template", "worker-data-parallel"]
VERSIONS = ["0.15.9", "0.16.0", "0.18.2rc1", "0.22.0", "0.100.1", "dev", ""]
USERS: list[tuple[tuple[str, ...], dict[str, str]]] = [
    ((), {}),
    (("--max-model-len=4096", "--enforce-eager"), {"VLLM_ADDITIONAL_ARGS": "--a 1 --b"}),
    (("--kv-transfer-config", "{}"), {}),
    ((), {"VLLM_ADDITIONAL_ARGS": "--kv_transfer_config={}", "LWS_WORKER_INDEX": "3"}),
]


@pytest.mark.parametrize("start", sampled(product(SCRIPTS, VERSIONS, range(len(USERS))), every=7))
def test_a_script_starts_vllm_as_kserves_does(start: tuple[str, str, int], tmp_path: Path) -> None:
    name, version, user = start
    args, given = USERS[user]
    for script, recorded in zip(
        *(_scripts(rendered(of()[PREFIX + name]["spec"], tls=True, **SERVICES[-1])) for of in (ours, theirs)),
        strict=True,
    ):
        started = _started(script, tmp_path, version, *args, **given)
        assert started == _started(recorded, tmp_path, version, *args, **given)
        assert started[:2] == ["serve", "/mnt/models"]


@pytest.mark.parametrize("name", sorted(WELL_KNOWN_CONFIGS | PIPELINE))
def test_scripts_are_valid_shell(name: str) -> None:
    for script in _scripts(rendered(ours()[name]["spec"])):
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def _scripts(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        return [script for value in tree.values() for script in _scripts(value)]
    if isinstance(tree, list):
        return [script for value in tree for script in _scripts(value)]
    return [tree] if isinstance(tree, str) and "\n" in tree else []


Adapter = tuple[str, dict[int, tuple[str, str]]]
"""State of port 1, and by GID index its type and its value."""

V4, V6, ROCE_V2, ROCE_V1 = "0000:0000:0000:0000:0000:ffff:0a00:0001", "fe80:0000", "RoCE v2", "IB/RoCE v1"
UP, DOWN = "4: ACTIVE", "1: DOWN"


def _sysfs(folder: Path, adapters: dict[str, Adapter]) -> Path:
    for name, (state, gids) in adapters.items():
        port = folder / name / "ports" / "1"
        (port / "gid_attrs" / "types").mkdir(parents=True)
        (port / "gids").mkdir()
        (port / "state").write_text(state)
        for index, (kind, value) in gids.items():
            (port / "gid_attrs" / "types" / str(index)).write_text(kind)
            (port / "gids" / str(index)).write_text(value)
    return folder


def _exported(config: dict[str, Any], sysfs: Path, given: dict[str, str]) -> dict[str, str]:
    """What the script exports for the servers, run on a made-up device tree."""
    script = config["spec"]["template"]["containers"][0]["command"][2].partition("VLLM_VERSION")[0]
    script = script.replace("/sys/class/infiniband", str(sysfs)) + "\nenv"
    environment = {"PATH": "/usr/bin:/bin", "KSERVE_INFER_ROCE": "true", **given}
    ran = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=False)
    pairs = (line.partition("=") for line in ran.stdout.splitlines())
    return {name: value for name, _, value in pairs if name.startswith(("NCCL_", "NVSHMEM_", "UCX_"))}


TREES: dict[str, dict[str, Adapter]] = {
    "none": {},
    "one": {"mlx5_0": (UP, {0: (ROCE_V1, V6), 1: (ROCE_V2, V6), 2: (ROCE_V1, V4), 3: (ROCE_V2, V4)})},
    "down": {"mlx5_0": (DOWN, {3: (ROCE_V2, V4)}), "mlx5_1": (UP, {1: (ROCE_V1, V4)})},
    "most": {
        "mlx5_0": (UP, {3: (ROCE_V2, V4)}),
        "mlx5_1": (UP, {5: (ROCE_V2, V4)}),
        "mlx5_2": (UP, {5: (ROCE_V2, V4), 7: (ROCE_V2, V4)}),
    },
    "tie": {"mlx5_0": (UP, {5: (ROCE_V2, V4)}), "mlx5_1": (UP, {3: (ROCE_V2, V4)})},
    "no IPv4": {"mlx5_0": (UP, {1: (ROCE_V2, V6)})},
}


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"NCCL_IB_GID_INDEX": "9"},
        {"NCCL_IB_HCA": "mine", "UCX_IB_GID_INDEX": "8"},
        {"KSERVE_INFER_IB_GID_INDEX_GREP": "RoCE v1"},
        {"KSERVE_INFER_ROCE": "false"},
    ],
)
@pytest.mark.parametrize("tree", sorted(TREES))
def test_the_script_infers_the_same_roce_settings_as_the_recorded_one(
    tree: str, given: dict[str, str], tmp_path: Path
) -> None:
    name, sysfs = f"{PREFIX}template", _sysfs(tmp_path, TREES[tree])
    assert _exported(ours()[name], sysfs, given) == _exported(theirs()[name], sysfs, given)


def test_pipeline_presets_fill_the_parts_their_names_say() -> None:
    specs = {name: ours()[name]["spec"] for name in PIPELINE}
    assert set(specs[f"{PREFIX}worker-pipeline-parallel"]) == {"annotations", "template", "worker"}
    decode = specs[f"{PREFIX}decode-worker-pipeline-parallel"]
    assert decode["template"]["initContainers"][0]["name"] == "llm-d-routing-sidecar"
    assert set(specs[f"{PREFIX}prefill-worker-pipeline-parallel"]["prefill"]) == {
        "annotations",
        "template",
        "worker",
    }
    script = _script(
        f"{PREFIX}worker-pipeline-parallel", "template", parallelism={"pipeline": 4, "tensor": 2}
    )
    assert "--pipeline-parallel-size 4" in script
    assert "--tensor-parallel-size 2" in script


PLAIN = ["scheduler", "template"]
PREDICTED = ["scheduler", "scheduler-latency-predictor", "template"]
TOKENIZED = ["scheduler", "tokenizer", "template"]


def _picker(*plugins: dict[str, Any]) -> dict[str, Any]:
    inline = {"kind": "EndpointPickerConfig", "plugins": list(plugins)}
    return {"router": {"scheduler": {"config": {"inline": inline}}}}


def _flagged(*args: str, **others: list[str]) -> dict[str, Any]:
    """A picker whose `main` has these arguments, behind it other containers."""
    containers = [{"name": name, "args": given} for name, given in {"main": list(args), **others}.items()]
    return _templated(containers=containers)


def _templated(**pod: Any) -> dict[str, Any]:
    return {"router": {"scheduler": {"template": pod}}}


PREDICTING = "kind: E\nplugins:\n- type: predicted-latency-producer\n"
TOKENIZING = "kind: E\nplugins: [{type: token-producer}]"


DP, PP = {"data": 1}, {"pipeline": 1}
WORKER: dict[str, Any] = {"containers": []}


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, ["template"]),
        ({"router": {}}, ["template"]),
        ({"router": {"scheduler": {}}}, ["scheduler", "template"]),
        ({"router": {"scheduler": {"pool": {"ref": {"name": ""}}}}}, ["scheduler", "template"]),
        ({"router": {"scheduler": {"pool": {"ref": {"name": "p"}}}}}, ["template"]),
        ({"router": {"route": {}}}, ["router-route", "template"]),
        ({"router": {"route": {"http": {"spec": {}}}}}, ["router-route", "template"]),
        ({"router": {"route": {"http": {"refs": [{"name": "r"}]}}}}, ["template"]),
        ({"prefill": {}}, ["prefill-template", "decode-template"]),
        ({"prefill": {"worker": {}, "parallelism": DP}}, ["prefill-worker-data-parallel", "decode-template"]),
        (
            {"prefill": {"worker": {}, "parallelism": PP}, "worker": {}, "parallelism": {"dataLocal": 1}},
            ["prefill-worker-pipeline-parallel", "decode-worker-data-parallel"],
        ),
        ({"prefill": {"worker": {}}, "worker": {}}, []),
        (
            {"tracing": {}, "router": {"route": {}, "scheduler": {}}},
            ["scheduler", "router-route", "tracing", "template"],
        ),
        ({"router": {"scheduler": {"tokenizer": {}}}}, ["scheduler", "tokenizer", "template"]),
        (
            {"router": {"scheduler": {"tokenizer": {}, "pool": {"ref": {"name": "p"}}}}},
            ["tokenizer", "template"],
        ),
        (_picker({"type": "token-producer"}), ["scheduler", "tokenizer", "template"]),
        (_picker({"type": "precise-prefix-cache-scorer"}), ["scheduler", "tokenizer", "template"]),
        (
            _picker({"type": "token-producer"}, {"type": "predicted-latency-producer"}),
            ["scheduler", "tokenizer", "scheduler-latency-predictor", "template"],
        ),
        (_picker({"type": "max-score-picker"}), ["scheduler", "template"]),
        *(
            (_flagged("-v", "4", *given, "--x"), PREDICTED)
            for flag in ("--config-text", "-config-text", "--configText", "-configText")
            for given in ((flag, PREDICTING), (f"{flag}={PREDICTING}",))
        ),
        (_flagged("--config-file", PREDICTING), PLAIN),
        (_flagged(f"-configFile={PREDICTING}"), PLAIN),
        (_flagged("--config-texts", PREDICTING), PLAIN),
        (_flagged("--config-text", "{"), PLAIN),
        (_flagged("--config-text"), PLAIN),
        (_flagged("--config-text="), PLAIN),
        # A file beside it hides no text, and the first text of all containers counts.
        (_flagged("--config-file", "/x", "--config-text", PREDICTING), PREDICTED),
        (_flagged("--config-file=/x", f"--config-text={PREDICTING}"), PREDICTED),
        (_flagged(side=["--config-text", PREDICTING]), PREDICTED),
        (_flagged("--config-file", "/x", side=[f"-configText={PREDICTING}"]), PREDICTED),
        (_flagged("--config-text", TOKENIZING, side=["--config-text", PREDICTING]), TOKENIZED),
        (_flagged(f"--config-text={TOKENIZING}", "--config-text", PREDICTING), TOKENIZED),
        (_templated(initContainers=[{"name": "init", "args": ["--config-text", PREDICTING]}]), PLAIN),
        (_templated(containers=[{"name": "main", "command": ["--config-text", PREDICTING]}]), PLAIN),
        ({"worker": WORKER, "parallelism": DP | PP}, ["worker-data-parallel"]),
        ({"worker": WORKER, "parallelism": PP}, ["worker-pipeline-parallel"]),
        ({"worker": WORKER, "parallelism": {"tensor": 8}}, []),
        (
            {"prefill": {}, "worker": {}, "parallelism": PP},
            ["prefill-template", "decode-worker-pipeline-parallel"],
        ),
    ],
)
def test_choice(spec: dict[str, Any], names: list[str]) -> None:
    assert list(chosen(spec)) == names


PINS = {f"serving.kserve.io/{suffix}": f"kserve-{suffix}" for suffix in WELL_KNOWN_SUFFIXES}


def pinned(**annotations: str) -> dict[str, Any]:
    return {
        "status": {
            "annotations": {f"serving.kserve.io/config-llm-{key}": name for key, name in annotations.items()}
        }
    }


def test_a_service_keeps_the_well_known_configs_it_began_with() -> None:
    assert pins({}, Policy()) == PINS
    assert len(PINS) == 11
    today = Policy(config_prefix="v2-")
    assert pins({"status": {"annotations": {**PINS, "other": "x"}}}, today) == PINS
    some = pinned(template="kserve-config-llm-template", scheduler="")
    assert pins(some, today)["serving.kserve.io/config-llm-template"] == "kserve-config-llm-template"
    assert pins(some, today)["serving.kserve.io/config-llm-scheduler"] == "v2-config-llm-scheduler"
    assert pins(some, Policy(pins_configs=False)) == {}


def test_the_pinned_name_is_read_for_every_preset_but_the_routes() -> None:
    today = Policy(config_prefix="v2-")
    old = {"status": {"annotations": PINS}}
    assert name_of("template", old, today) == "kserve-config-llm-template"
    assert name_of("router-route", old, today) == "v2-config-llm-router-route"
    assert name_of("worker-pipeline-parallel", old, today) == "v2-config-llm-worker-pipeline-parallel"
    written = pinned(**{"worker-pipeline-parallel": "mine"})
    assert name_of("worker-pipeline-parallel", written, today) == "mine"
    assert name_of("template", old, replace(today, pins_configs=False)) == "v2-config-llm-template"
    assert pin_of("template", old, today) == "serving.kserve.io/config-llm-template"
    assert pin_of("template", old, Policy()) == ""
    assert pin_of("router-route", old, today) == ""


def test_the_sample_is_the_one_of_the_specification() -> None:
    assert SAMPLE["spec"]["parallelism"] == {"data": 4, "dataLocal": 2, "tensor": 1, "expert": True}

"""Writes the preset manifests of this folder: `python deploy/presets/build.py`.

The manifests share one script and a few pod parts, which have one home here (PRESET-4). A test fails when the files are
not what this program writes. The three pipeline-parallel presets are ours alone: KServe selects those names but ships
nothing under them.
"""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PREFIX = "kserve-config-llm-"
VLLM_IMAGE = "ghcr.io/llm-d/llm-d-cuda:v0.9.0"
SIDECAR_IMAGE = "ghcr.io/llm-d/llm-d-router-disagg-sidecar:v0.10.0"
SCHEDULER_IMAGE = "ghcr.io/llm-d/llm-d-router-endpoint-picker:v0.10.0"
SCHEDULER_VERSION = "0.10.0"
TRAINING_IMAGE = "ghcr.io/llm-d/llm-d-latency-predictor-training-server:0.9.0"
PREDICTION_IMAGE = "ghcr.io/llm-d/llm-d-latency-predictor-prediction-server:0.9.0"
TOKENIZER_IMAGE = (
    "docker.io/vllm/vllm-openai-cpu:v0.23.0"
    "@sha256:89e1fbe829038b1a560601990c8ec89625c622a969fcbc8f10ce48b6139795be"
)
TLS_PATH = "/var/run/kserve/tls"
TRUSTED_DIRECTORIES = f"{TLS_PATH}:/var/run/secrets/kubernetes.io/serviceaccount:/etc/pki/tls/certs"
GRACE = 60
"""Seconds a pod has to end; the time before the server is told to is part of them."""
DRAIN = 15
"""Seconds before that, in which gateways learn that the pod goes."""
ROUTED_BY_MODEL = {"serving.kserve.io/model-based-routing-enabled": "true"}


def with_tls(text: str, otherwise: str = "") -> str:
    """The text where the workloads serve HTTPS."""
    alternative = f"{{{{else}}}}{otherwise}" if otherwise else ""
    return f"{{{{ if .GlobalConfig.EnableTLS }}}}{text}{alternative}{{{{- end }}}}"


RESOLVE_LEADER = """\
# vLLM binds its ZMQ sockets to an IP address, so the leader's DNS name is looked up first.
DP_ADDRESS=""
for ((attempt = 1; attempt <= ${DP_ADDRESS_RESOLVE_ATTEMPTS:-30}; attempt++)); do
  DP_ADDRESS=$(getent hosts ${LWS_LEADER_ADDRESS} | cut -d' ' -f1)
  if [ -n "${DP_ADDRESS}" ]; then
    break
  fi
  echo "leader ${LWS_LEADER_ADDRESS} has no address yet (attempt ${attempt})"
  sleep 1
done
DP_ADDRESS=${DP_ADDRESS:-${LWS_LEADER_ADDRESS}}
echo "DP_ADDRESS=${DP_ADDRESS}"

"""

INFER_ROCE = """\
# RoCE: which adapters are up, and the GID index most of them share. Only on request; what is set already stays.
if [ "${KSERVE_INFER_ROCE}" = "true" ]; then
  grep -H . /sys/class/infiniband/*/ports/*/gids/* 2>/dev/null
  grep -H . /sys/class/infiniband/*/ports/*/gid_attrs/types/* 2>/dev/null
  cat /proc/driver/nvidia/params

  gid_type=${KSERVE_INFER_IB_GID_INDEX_GREP:-"RoCE v2"}
  adapters=()
  for device in /sys/class/infiniband/mlx5_*; do
    if [ -f "${device}/ports/1/state" ] && grep -q ACTIVE "${device}/ports/1/state" \\
      && grep -q "${gid_type}" "${device}"/ports/1/gid_attrs/types/* 2>/dev/null; then
      adapters+=("${device##*/}")
    fi
  done
  echo "active RoCE adapters: ${adapters[*]:-none}"

  if [ ${#adapters[@]} -gt 0 ]; then
    export NCCL_IB_HCA=${NCCL_IB_HCA:-$(IFS=,; echo "${adapters[*]}")}
    ports=$(IFS=,; echo "${adapters[*]/%/:1}")
    export NVSHMEM_HCA_LIST=${NVSHMEM_HCA_LIST:-${ports}}
    export UCX_NET_DEVICES=${UCX_NET_DEVICES:-${ports}}

    declare -A votes
    for adapter in "${adapters[@]}"; do
      port="/sys/class/infiniband/${adapter}/ports/1"
      for type_file in "${port}"/gid_attrs/types/*; do
        index=${type_file##*/}
        if grep -q "${gid_type}" "${type_file}" 2>/dev/null \\
          && [ -f "${port}/gids/${index}" ] && grep -q "ffff:" "${port}/gids/${index}"; then
          votes[${index}]=$((${votes[${index}]:-0} + 1))
          break
        fi
      done
    done

    gid_index=""
    most=0
    for index in "${!votes[@]}"; do
      if [ "${votes[${index}]}" -gt "${most}" ]; then
        most=${votes[${index}]}
        gid_index=${index}
      fi
    done
    if [ "${most}" -gt 0 ] && [ "${votes[3]:-0}" -eq "${most}" ]; then
      gid_index=3
    fi

    gid_index=${NCCL_IB_GID_INDEX:-${gid_index}}
    if [ -n "${gid_index}" ]; then
      export NCCL_IB_GID_INDEX=${gid_index}
      export NVSHMEM_IB_GID_INDEX=${NVSHMEM_IB_GID_INDEX:-${gid_index}}
      export UCX_IB_GID_INDEX=${UCX_IB_GID_INDEX:-${gid_index}}
    fi
    echo "RoCE GID index: ${gid_index:-none found}"
  fi
fi

"""

RAY_WORKER = """\
# The head may start later than this pod, and may be replaced: join it until it answers, and again when it went away.
until ray start --address="${LWS_LEADER_ADDRESS}:6379" --block; do
  echo "no Ray head at ${LWS_LEADER_ADDRESS}:6379"
  sleep 5
done
"""

RAY_HEAD = """\
# Pipeline stages run on the pods of the group, joined by Ray; vLLM starts when all of them are there.
ray start --head --port=6379
alive='import ray; ray.init(address="auto", log_to_driver=False); print(sum(n["Alive"] for n in ray.nodes()))'
until [ "$(python3 -c "${alive}" 2>/dev/null | tail -n 1)" -ge "${LWS_GROUP_SIZE:-1}" ] 2>/dev/null; do
  echo "waiting for ${LWS_GROUP_SIZE:-1} Ray nodes"
  sleep 2
done

"""


VERSION_SWITCHES = """\
# Flags differ between versions of vLLM; one that cannot be read gets none of the newer ones.
VLLM_VERSION=$(vllm --version 2>/dev/null | tail -n 1 | awk '{print $NF}')
vllm_since() {
  [[ "${VLLM_VERSION}" =~ ^[0-9]+[.][0-9]+ ]] \\
    && [ "$(printf '%s\\n' "$1" "${VLLM_VERSION}" | sort -V | head -n 1)" = "$1" ]
}
ACCESS_LOG_ARGS="--disable-uvicorn-access-log"
if vllm_since 0.16.0; then
  ACCESS_LOG_ARGS="--disable-access-log-for-endpoints /health,/metrics,/ping"
fi
SHUTDOWN_TIMEOUT_ARGS=""
if vllm_since 0.18.0; then
  SHUTDOWN_TIMEOUT_ARGS="--shutdown-timeout <shutdown>"
fi
KV_TRANSFER_ARGS=""
given="${VLLM_ADDITIONAL_ARGS:-} $*"
if vllm_since 0.22.0 && [[ "${given}" != *--kv-transfer-config* && "${given}" != *--kv_transfer_config* ]]; then
  KV_TRANSFER_ARGS="<offloading>"
fi
echo "vLLM ${VLLM_VERSION:-of unknown version}: ${ACCESS_LOG_ARGS} ${SHUTDOWN_TIMEOUT_ARGS} ${KV_TRANSFER_ARGS}"

"""


def version_switches(role: str, pod_spec: str) -> str:
    """What depends on the version of vLLM; `pod_spec` is the field of the workload whose grace period counts."""
    if role == "prefill":
        shutdown = (
            f"{{{{ if .Spec.Prefill }}}}{{{{ shutdownTimeout .Spec.Prefill.{pod_spec} {DRAIN} }}}}"
            f"{{{{ else }}}}{{{{ shutdownTimeout nil {DRAIN} }}}}{{{{ end }}}}"
        )
        offloading = "{{ if .Spec.Prefill }}{{ kvTransferConfig .Spec.Prefill.KVCacheOffloading }}{{ end }}"
    else:
        shutdown = f"{{{{ shutdownTimeout .Spec.{pod_spec} {DRAIN} }}}}"
        offloading = "{{ kvTransferConfig .Spec.KVCacheOffloading }}"
    return VERSION_SWITCHES.replace("<shutdown>", shutdown).replace("<offloading>", offloading)


OWN_NAME = '"{{ .Spec.Model.Name }}"'
PUBLISHED_NAME = '"publishers/{{ .ObjectMeta.Namespace }}/models/{{ .Spec.Model.Name }}"'


def vllm(*arguments: str, published: bool = True) -> str:
    """The command line; evaluated, so that VLLM_ADDITIONAL_ARGS may hold several arguments. Users' args come last."""
    names = f"{OWN_NAME} {PUBLISHED_NAME}" if published else OWN_NAME
    lines = [
        'eval "exec vllm serve /mnt/models',
        f"  --served-model-name {names}",
        *arguments,
        *(f"  {with_tls(argument)}" for argument in TLS_ARGUMENTS),
        "  ${VLLM_ADDITIONAL_ARGS}",
        "  $@",
    ]
    return " \\\n".join(lines) + '"'


TLS_ARGUMENTS = (
    "--enable-ssl-refresh",
    f"--ssl-certfile {TLS_PATH}/tls.crt",
    f"--ssl-keyfile {TLS_PATH}/tls.key",
)
SWITCHED = ("  ${ACCESS_LOG_ARGS}", "  ${SHUTDOWN_TIMEOUT_ARGS}", "  ${KV_TRANSFER_ARGS}")


class Parallel:
    """Template expressions over the parallelism of the main workload or of prefill, all safe when it is absent."""

    def __init__(self, role: str) -> None:
        owner = ".Spec.Prefill" if role == "prefill" else ".Spec"
        self.path = f"{owner}.Parallelism"
        self._guard = f"{owner} {self.path}" if role == "prefill" else self.path

    def or_else(self, field: str, default: int) -> str:
        path = f"{self.path}.{field}"
        return f"{{{{ if and {self._guard} {path} }}}}{{{{ {path} }}}}{{{{ else }}}}{default}{{{{ end }}}}"

    def flag(self, field: str, text: str) -> str:
        """The text when the field is set, nothing when not; the blanks before it belong to the line above."""
        return f"  {{{{- if and {self._guard} {self.path}.{field} }}}}{text}{{{{- end }}}}"

    def tensor(self) -> str:
        return self.flag("Tensor", f"--tensor-parallel-size {{{{ {self.path}.Tensor }}}}")


def single_script(role: str, port: int) -> str:
    line = vllm(
        f"  --port {port}",
        *SWITCHED,
        # The blank stands inside: without it nothing but the line's own is left.
        Parallel(role).flag("Tensor", f" --tensor-parallel-size {{{{ {Parallel(role).path}.Tensor }}}}"),
        published=role != "prefill",
    )
    return INFER_ROCE + version_switches(role, "Template") + line


def data_parallel_script(role: str, port: int, *, leader: bool) -> str:
    parallel = Parallel(role)
    rank = "0" if leader else f"$(( ${{LWS_WORKER_INDEX:-0}} * {parallel.or_else('DataLocal', 1)} ))"
    line = vllm(
        f"  --port {port}",
        *(["  --api-server-count ${VLLM_API_SERVER_COUNT:-8}"] if leader else []),
        parallel.flag("Expert", "--enable-expert-parallel"),
        parallel.tensor(),
        f"  --data-parallel-size {parallel.or_else('Data', 1)}",
        f"  --data-parallel-size-local {parallel.or_else('DataLocal', 1)}",
        "  --data-parallel-address ${DP_ADDRESS}",
        f"  --data-parallel-rpc-port {parallel.or_else('DataRPCPort', 5555)}",
        "  --data-parallel-start-rank $START_RANK",
        *([] if leader else ["  --headless"]),
        *SWITCHED,
    )
    switches = version_switches(role, "Template" if leader else "Worker")
    return f"{RESOLVE_LEADER}{INFER_ROCE}START_RANK={rank}\n\n{switches}{line}"


def pipeline_script(role: str, port: int, *, leader: bool) -> str:
    if not leader:
        return INFER_ROCE + RAY_WORKER
    parallel = Parallel(role)
    line = vllm(
        f"  --port {port}",
        parallel.flag("Expert", "--enable-expert-parallel"),
        parallel.tensor(),
        f"  --pipeline-parallel-size {parallel.or_else('Pipeline', 1)}",
        "  --distributed-executor-backend ray",
        *SWITCHED,
    )
    return INFER_ROCE + RAY_HEAD + version_switches(role, "Template") + line


SCHEME = with_tls("HTTPS", "HTTP")


def probe(path: str, port: int | str, *, scheme: str = "", **times: int) -> dict[str, Any]:
    """An HTTP probe; `times` are its numbers by their Kubernetes names, without `Seconds`."""
    seconds = {"initialDelay": "initialDelaySeconds", "period": "periodSeconds", "timeout": "timeoutSeconds"}
    numbers = {seconds.get(name, "failureThreshold"): value for name, value in times.items()}
    return {"httpGet": {"path": path, "port": port, **({"scheme": scheme} if scheme else {})}, **numbers}


def health(port: int | str, **times: int) -> dict[str, Any]:
    return probe("/health", port, scheme=SCHEME, **times)


def quantities(cpu: str, memory: str) -> dict[str, str]:
    return {"cpu": cpu, "memory": memory}


def env(**values: str) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def security(
    *, read_only: bool, seccomp: bool = True, extra: bool = False, root: bool = False
) -> dict[str, Any]:
    capabilities: dict[str, Any] = {"add": ["IPC_LOCK", "SYS_RAWIO", "NET_RAW"]} if extra else {}
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": not root,
        "capabilities": {**capabilities, "drop": ["ALL"]},
    }
    if seccomp:
        context["seccompProfile"] = {"type": "RuntimeDefault"}
    return context


def tls_mount() -> dict[str, Any]:
    return {"mountPath": TLS_PATH, "name": "tls-certs", "readOnly": True}


def tls_volume() -> dict[str, Any]:
    return {
        "name": "tls-certs",
        "secret": {"secretName": "{{ ChildName .ObjectMeta.Name `-kserve-self-signed-certs` }}"},
    }


def termination(policy: str = "FallbackToLogsOnError") -> dict[str, Any]:
    return {"terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": policy}


def port_of(number: int, name: str = "") -> dict[str, Any]:
    return {"containerPort": number, **({"name": name} if name else {}), "protocol": "TCP"}


def before_the_end() -> dict[str, Any]:
    return {"lifecycle": {"preStop": {"exec": {"command": ["/bin/sleep", str(DRAIN)]}}}}


def server(script: str, port: int, *, single: bool, probed: bool = True, **changes: Any) -> dict[str, Any]:
    """The vLLM container; `changes` replace whole fields."""
    container: dict[str, Any] = {
        "name": "main",
        "image": VLLM_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": [port_of(port)],
        "command": ["/bin/bash", "-c", script, "--"],
        "env": env(HOME="/home", VLLM_LOGGING_LEVEL="INFO", HF_HUB_CACHE="/models"),
        "securityContext": security(read_only=False, extra=not single),
        **before_the_end(),
        **termination(),
    }
    if probed:
        container["livenessProbe"] = health(port, period=10, timeout=1, failures=10)
        container["readinessProbe"] = health(port, period=1, timeout=1, failures=2)
        container["startupProbe"] = health(port, period=10, failures=60)
    container["volumeMounts"] = [
        {"mountPath": "/home", "name": "home"},
        {"mountPath": "/tmp", "name": "tmp-dir"},  # noqa: S108 - paths inside the container
        {"mountPath": "/dev/shm", "name": "dshm"},  # noqa: S108
        {"mountPath": "/models", "name": "model-cache"},
        tls_mount(),
    ]
    return {**container, **changes}


def sidecar(*, multi_node: bool) -> dict[str, Any]:
    """The routing sidecar of decode pods: it takes port 8000, vLLM listens on 8001."""
    container: dict[str, Any] = {
        "name": "llm-d-routing-sidecar",
        "image": SIDECAR_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "ports": [port_of(8000)],
        "command": [
            "/app/pd-sidecar",
            "--port=8000",
            "--vllm-port=8001",
            "--kv-connector=nixlv2",
            "--enable-ssrf-protection=true",
            "--pool-group=inference.networking.x-k8s.io",
            "--inference-pool={{ .GlobalConfig.InferencePoolNamespacedName }}",
            with_tls("--secure-proxy=true", "--secure-proxy=false"),
            with_tls(f"--cert-path={TLS_PATH}"),
            with_tls("--enable-tls=decoder"),
            with_tls("--enable-tls=prefiller"),
        ],
        "env": [
            {
                "name": "INFERENCE_POOL_NAMESPACE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            },
            *env(SSL_CERT_DIR=TRUSTED_DIRECTORIES),
        ],
        "securityContext": security(read_only=False, seccomp=multi_node),
        **termination(),
        "livenessProbe": health(8000, initialDelay=10, period=10, timeout=10, failures=3),
        "readinessProbe": health(8000, initialDelay=10, period=10, timeout=5, failures=10),
        "volumeMounts": [tls_mount()],
    }
    if not multi_node:
        container["resources"] = {}
    return container


def _empty(name: str) -> dict[str, Any]:
    return {"name": name, "emptyDir": {}}


def pod(
    container: dict[str, Any], shared_memory: str, *inits: dict[str, Any], cache_first: bool = False
) -> dict[str, Any]:
    """The pod of a server; `cache_first` is the order of volumes that the plain template has."""
    home, temporary, cache = (_empty(name) for name in ("home", "tmp-dir", "model-cache"))
    memory = {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}}
    volumes = [home, memory, cache, temporary] if cache_first else [home, temporary, memory, cache]
    return {
        **({"initContainers": list(inits)} if inits else {}),
        "containers": [container],
        "terminationGracePeriodSeconds": GRACE,
        "volumes": [*volumes, tls_volume()],
    }


def workload(role: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The spec of a preset for one side of a service."""
    side = {"annotations": dict(ROUTED_BY_MODEL), **fields}
    return {"prefill": side} if role == "prefill" else side


def single(role: str) -> dict[str, Any]:
    port = 8001 if role == "decode" else 8000
    changes = termination("File") if role == "prefill" else {}
    inits = [sidecar(multi_node=False)] if role == "decode" else []
    container = server(single_script(role, port), port, single=True, **changes)
    return workload(role, {"template": pod(container, "1Gi", *inits, cache_first=not role)})


def multi_node(role: str, kind: str) -> dict[str, Any]:
    script = data_parallel_script if kind == "data" else pipeline_script
    port = 8001 if role == "decode" else 8000
    inits = [sidecar(multi_node=True)] if role == "decode" else []
    leader = server(script(role, port, leader=True), port, single=False)
    worker = server(script(role, port, leader=False), port, single=False, probed=False)
    if role == "decode" and kind == "data":
        worker["env"] += env(VLLM_RANDOMIZE_DP_DUMMY_INPUTS="1")
    return workload(role, {"template": pod(leader, "8Gi", *inits), "worker": pod(worker, "8Gi")})


def scheduler() -> dict[str, Any]:
    def alive(service: str, delay: int) -> dict[str, Any]:
        return {
            "grpc": {"port": 9003, "service": service},
            "initialDelaySeconds": delay,
            "periodSeconds": 10,
            "timeoutSeconds": 1,
            "successThreshold": 1,
            "failureThreshold": 3,
        }

    container = {
        "name": "main",
        "image": SCHEDULER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": [
            port_of(9002, "grpc"),
            port_of(9003, "grpc-health"),
            port_of(9090, "metrics"),
            port_of(5557, "zmq"),
        ],
        "command": [
            "/app/epp",
            *("--pool-name", "{{ ChildName .ObjectMeta.Name `-inference-pool` }}"),
            *("--pool-namespace", "{{ .ObjectMeta.Namespace }}"),
            *("--zap-encoder", "json"),
            *("--grpc-port", "9002"),
            *("--grpc-health-port", "9003"),
            with_tls("--enable-cert-reload=true"),
            with_tls("--secure-serving=true"),
            with_tls("--model-server-metrics-scheme=https"),
            with_tls(f"--cert-path={TLS_PATH}"),
        ],
        "env": env(SSL_CERT_DIR=TRUSTED_DIRECTORIES),
        "resources": {"requests": quantities("1", "2Gi"), "limits": quantities("6", "16Gi")},
        "livenessProbe": alive("liveness", 5),
        "readinessProbe": alive("readiness", 30),
        "securityContext": security(read_only=True),
        **before_the_end(),
        **termination(),
        "volumeMounts": [tls_mount()],
    }
    pool = {
        "selector": {
            "matchLabels": {
                "app.kubernetes.io/name": "{{ .ObjectMeta.Name }}",
                "app.kubernetes.io/part-of": "llminferenceservice",
                "kserve.io/component": "workload",
            }
        },
        "targetPorts": [{"number": 8000}],
        # The defaults of the schema are written out: what the API server adds is drift to those who compare (PRESET-5).
        "appProtocol": "http",
        "endpointPickerRef": {
            "failureMode": "FailOpen",
            "group": "",
            "kind": "Service",
            "name": "{{ ChildName .ObjectMeta.Name `-epp-service` }}",
            "port": {"number": 9002},
        },
    }
    template = {
        "containers": [container],
        "volumes": [tls_volume()],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": GRACE,
    }
    annotations = {"app.kubernetes.io/version": SCHEDULER_VERSION}
    return {
        "router": {
            "scheduler": {"annotations": annotations, "pool": {"spec": pool}, "template": template},
        }
    }


TRAINING_URL = "http://localhost:8000"
PREDICTION_URL = "http://localhost:8001"


def _models(prefix: str, folder: str) -> dict[str, str]:
    """Where the predictor's files are: model, scaler and gated model, each for time to first and per output token."""
    kinds = {"MODEL_PATH": "", "SCALER_PATH": "_scaler", "GATED_MODEL_PATH": "_gated"}
    return {
        f"{prefix}_{metric.upper()}_{kind}": f"{folder}/{metric}{ending}.joblib"
        for kind, ending in kinds.items()
        for metric in ("ttft", "tpot")
    }


def _predictor(name: str, image: str, port: dict[str, Any], folder: str, **fields: Any) -> dict[str, Any]:
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [port],
        **fields,
        "securityContext": security(read_only=True),
        **termination(),
        "volumeMounts": [
            {"mountPath": folder, "name": f"{name}-storage"},
            {"mountPath": "/tmp", "name": f"{name}-tmp"},  # noqa: S108
        ],
    }


def latency_predictor() -> dict[str, Any]:
    """Two servers beside the picker: one learns latencies, the other foretells them."""
    picker = {
        "name": "main",
        "env": env(
            PREDICTION_SERVER_URL=PREDICTION_URL,
            TRAINING_SERVER_URL=TRAINING_URL,
            LATENCY_MAX_SAMPLE_SIZE="10000",
            LATENCY_MAX_CONCURRENT_DISPATCHES="36",
            LATENCY_COALESCE_WINDOW_MS="1",
        ),
    }
    training = _predictor(
        "training-server",
        TRAINING_IMAGE,
        port_of(8000, "training-port"),
        "/models",
        resources={"requests": quantities("2000m", "4Gi"), "limits": quantities("4000m", "8Gi")},
        startupProbe=probe("/healthz", 8000, failures=30, period=10),
        livenessProbe=probe("/healthz", 8000, initialDelay=30, period=20),
        readinessProbe=probe("/readyz", 8000, initialDelay=45, period=10),
        env=env(
            LATENCY_RETRAINING_INTERVAL_SEC="10",
            LATENCY_MIN_SAMPLES_FOR_RETRAIN="100",
            **_models("LATENCY", "/models"),
            LATENCY_MODEL_TYPE="xgboost",
            LATENCY_MAX_TRAINING_DATA_SIZE_PER_BUCKET="500",
            LATENCY_OBJECTIVE_TYPE="mean",
        ),
    )
    prediction = _predictor(
        "prediction-server",
        PREDICTION_IMAGE,
        port_of(8001, "predict-port"),
        "/server_models",
        resources={"requests": quantities("8000m", "4Gi"), "limits": quantities("28000m", "8Gi")},
        startupProbe=probe("/readyz", 8001, failures=60, period=10),
        livenessProbe=probe("/healthz", 8001, initialDelay=15, period=15, timeout=5, failures=5),
        readinessProbe=probe("/readyz", 8001, initialDelay=10, period=10, timeout=5, failures=3),
        env=env(
            TRAINING_SERVER_URL=TRAINING_URL,
            LATENCY_MODEL_TYPE="xgboost",
            PREDICT_HOST="0.0.0.0",  # noqa: S104 - inside the pod
            PREDICT_PORT="8001",
            **_models("LOCAL", "/server_models"),
            UVICORN_WORKERS="28",
            OMP_NUM_THREADS="1",
            MODEL_SYNC_INTERVAL_SEC="30",
            LATENCY_OBJECTIVE_TYPE="mean",
        ),
    )
    sizes = {"training-server": "20Gi", "prediction-server": "10Gi"}
    storages = [{"name": f"{name}-storage", "emptyDir": {"sizeLimit": size}} for name, size in sizes.items()]
    temporary = [{"name": f"{name}-tmp", "emptyDir": {}} for name in sizes]
    template = {
        "containers": [picker, training, prediction],
        "volumes": [*storages, *temporary],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": GRACE,
    }
    return {"router": {"scheduler": {"template": template}}}


def tokenizer() -> dict[str, Any]:
    """Renders prompts to tokens on CPUs, for pickers that route by prefix."""
    secured = " \\\n  ".join(TLS_ARGUMENTS)
    script = (
        "exec vllm launch render /mnt/models/base \\\n  --port=8000 \\\n"
        f"  {{{{ if .GlobalConfig.EnableTLS }}}}{secured}{{{{ end }}}}"
    )
    container = {
        "name": "main",
        "image": TOKENIZER_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/bash", "-c", script],
        "args": [],
        "ports": [port_of(8000, "render-http")],
        "env": env(HF_HOME="/tmp/hf", DO_NOT_TRACK="1"),  # noqa: S108
        "resources": {"requests": quantities("1", "4Gi"), "limits": quantities("4", "12Gi")},
        "readinessProbe": health("render-http", initialDelay=30, period=10, timeout=5, failures=60),
        "securityContext": security(read_only=True, root=True),
        **termination(),
        "volumeMounts": [{"mountPath": "/tmp", "name": "tmp-dir"}, tls_mount()],  # noqa: S108
    }
    template = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": "tmp-dir", "emptyDir": {}}, tls_volume()],
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
    }
    return {"router": {"scheduler": {"tokenizer": {"template": template}}}}


def tracing() -> dict[str, Any]:
    return {
        "tracing": {
            "exporterEndpoint": "http://otel-collector:4317",
            "sampler": "parentbased_traceidratio",
            "samplerArg": "0.05",
            "exporter": "otlp",
        }
    }


ENDPOINTS = ("completions", "chat/completions", "responses", "messages")


def route() -> dict[str, Any]:
    """Each endpoint by path, by the model header and by publisher path, through the pool; the rest past it (ROUTE-10).

    Every pool rule has one reference: which generation it names, and whether both stand there, the controller decides.
    """
    path = "/{{ .ObjectMeta.Namespace }}/{{ .ObjectMeta.Name }}"
    model = "publishers/{{ .ObjectMeta.Namespace }}/models/{{ .Spec.Model.Name }}"
    header = {
        "type": "Exact",
        "name": "{{ .GlobalConfig.ModelBasedRoutingHeaderName }}",
        "value": model,
    }
    pool = {
        "group": "inference.networking.k8s.io",
        "kind": "InferencePool",
        "name": "{{ ChildName .ObjectMeta.Name `-inference-pool` }}",
        "port": 8000,
        "weight": 1,
    }
    workload = {
        "group": "",
        "kind": "Service",
        "name": "{{ ChildName .ObjectMeta.Name `-kserve-workload-svc` }}",
        "port": 8000,
        "weight": 1,
    }

    def rule(
        name: str, matches: list[dict[str, Any]], backend: dict[str, Any], **more: Any
    ) -> dict[str, Any]:
        timeouts = {"backendRequest": "0s", "request": "0s"}
        return {"name": name, "backendRefs": [backend], "matches": matches, **more, "timeouts": timeouts}

    def below(name: str, prefix: str, rewritten: str, backend: dict[str, Any]) -> dict[str, Any]:
        """Prefixes are rewritten one by one: the Gateway API allows that only to rules with a single match."""
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewritten}}
        filters = [{"type": "URLRewrite", "urlRewrite": rewrite}]
        return rule(name, [{"path": {"type": "PathPrefix", "value": prefix}}], backend, filters=filters)

    def endpoints(prefix: str, ending: str) -> list[dict[str, Any]]:
        return [
            below(f"v1-{each.replace('/', '-')}-{ending}", f"{prefix}/v1/{each}", f"/v1/{each}", pool)
            for each in ENDPOINTS
        ]

    anything = {"type": "PathPrefix", "value": "/"}
    by_header = [
        {"path": {"type": "Exact", "value": f"/v1/{each}{slash}"}, "headers": [header]}
        for each in ENDPOINTS
        for slash in ("", "/")
    ]
    rules = [
        *endpoints(path, "path"),
        rule("v1-model-routing", by_header, pool),
        *endpoints(f"/{model}", "publisher-path"),
        below("v1-publisher-path-catch-all", f"/{model}", "/", workload),
        below("v1-catch-all-path", path, "/", workload),
        rule("v1-catch-all-model-routing", [{"path": anything, "headers": [header]}], workload),
    ]
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": "{{ .GlobalConfig.IngressGatewayName }}",
        "namespace": "{{ .GlobalConfig.IngressGatewayNamespace }}",
    }
    return {"router": {"route": {"http": {"spec": {"parentRefs": [parent], "rules": rules}}}}}


def presets() -> dict[str, dict[str, Any]]:
    """The spec of every preset by its short name."""
    specs = {
        "scheduler": scheduler(),
        "scheduler-latency-predictor": latency_predictor(),
        "tokenizer": tokenizer(),
        "tracing": tracing(),
        "router-route": route(),
    }
    for role in ("", "decode", "prefill"):
        lead = f"{role}-" if role else ""
        specs[f"{lead}template"] = single(role)
        specs[f"{lead}worker-data-parallel"] = multi_node(role, "data")
        specs[f"{lead}worker-pipeline-parallel"] = multi_node(role, "pipeline")
    return specs


class _Dumper(yaml.SafeDumper):
    """Scripts as blocks; nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def manifest(name: str, spec: dict[str, Any]) -> str:
    """One preset as YAML."""
    config = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceServiceConfig",
        "metadata": {"name": PREFIX + name},
        "spec": spec,
    }
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, width=110)


def files() -> dict[str, str]:
    """Everything this program writes, by file name."""
    written = {f"config-llm-{name}.yaml": manifest(name, spec) for name, spec in presets().items()}
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "kserve",
        "resources": sorted(written),
    }
    return {**written, "kustomization.yaml": yaml.safe_dump(kustomization, sort_keys=False)}


def main() -> None:
    for name, text in files().items():
        (HERE / name).write_text(text)


if __name__ == "__main__":
    main()

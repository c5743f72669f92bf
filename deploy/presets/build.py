"""Writes the preset manifests of this folder: `python deploy/presets/build.py`.

The eleven manifests share one script and a few pod parts, which have one home here (PRESET-4). A test fails when the files are not what this program writes. The three pipeline-parallel
presets are ours alone: KServe selects those names but ships nothing under them.
"""

from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
PREFIX = "kserve-config-llm-"
VLLM_IMAGE = "ghcr.io/llm-d/llm-d-dev:v0.2.2"
SIDECAR_IMAGE = "ghcr.io/llm-d/llm-d-routing-sidecar:v0.2.0"
SCHEDULER_IMAGE = "ghcr.io/llm-d/llm-d-inference-scheduler:v0.2.0"
TLS_PATH = "/var/run/kserve/tls"
TRUSTED_DIRECTORIES = "/var/run/secrets/kubernetes.io/serviceaccount:/etc/pki/tls/certs"

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
    export NVSHMEM_HCA_LIST=${NVSHMEM_HCA_LIST:-${adapters[0]}:1}
    export UCX_NET_DEVICES=${UCX_NET_DEVICES:-${adapters[0]}:1}

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


def vllm(*arguments: str, model: str = "vllm serve /mnt/models") -> str:
    """The command line; evaluated, so that VLLM_ADDITIONAL_ARGS may hold several arguments."""
    lines = [f'eval "{model}', '  --served-model-name "{{ .Spec.Model.Name }}"', *arguments]
    return " \\\n".join(lines) + '"'


TLS_ARGUMENTS = (
    "  --enable-ssl-refresh",
    f"  --ssl-certfile {TLS_PATH}/tls.crt",
    f"  --ssl-keyfile {TLS_PATH}/tls.key",
)


class Parallel:
    """Template expressions over the parallelism of the main workload or of prefill, all safe when it is absent."""

    def __init__(self, role: str) -> None:
        owner = ".Spec.Prefill" if role == "prefill" else ".Spec"
        self._path = f"{owner}.Parallelism"
        self._guard = f"{owner} {self._path}" if role == "prefill" else self._path

    def or_else(self, field: str, default: int) -> str:
        path = f"{self._path}.{field}"
        return f"{{{{ if and {self._guard} {path} }}}}{{{{ {path} }}}}{{{{ else }}}}{default}{{{{ end }}}}"

    def flag(self, field: str, text: str) -> str:
        """The text when the field is set, nothing when not; the blanks before it belong to the line above."""
        return f"  {{{{- if and {self._guard} {self._path}.{field} -}}}}{text}{{{{- end }}}}"

    def tensor(self) -> str:
        return self.flag("Tensor", f"--tensor-parallel-size {{{{ {self._path}.Tensor }}}}")


def single_script(port: str) -> str:
    return INFER_ROCE + vllm(
        f"  --port {port}", "  --disable-log-requests", "  ${VLLM_ADDITIONAL_ARGS}", *TLS_ARGUMENTS
    )


def data_parallel_script(role: str, port: int, *, leader: bool) -> str:
    parallel = Parallel(role)
    rank = "0" if leader else f"$(( ${{LWS_WORKER_INDEX:-0}} * {parallel.or_else('DataLocal', 1)} ))"
    arguments = [
        f"  --port {port}",
        *(["  --api-server-count ${VLLM_API_SERVER_COUNT:-8}"] if leader else []),
        "  --disable-log-requests",
        parallel.flag("Expert", "--enable-expert-parallel"),
        parallel.tensor(),
        f"  --data-parallel-size {parallel.or_else('Data', 1)}",
        f"  --data-parallel-size-local {parallel.or_else('DataLocal', 1)}",
        "  --data-parallel-address ${DP_ADDRESS}",
        f"  --data-parallel-rpc-port {parallel.or_else('DataRPCPort', 5555)}",
        "  --data-parallel-start-rank $START_RANK",
        "  ${VLLM_ADDITIONAL_ARGS}",
        "  --trust-remote-code",
        *([] if leader else ["  --headless"]),
        *TLS_ARGUMENTS,
    ]
    return f"{RESOLVE_LEADER}{INFER_ROCE}START_RANK={rank}\n{vllm(*arguments)}"


def pipeline_script(role: str, port: int, *, leader: bool) -> str:
    if not leader:
        return INFER_ROCE + RAY_WORKER
    parallel = Parallel(role)
    arguments = [
        f"  --port {port}",
        "  --disable-log-requests",
        parallel.flag("Expert", "--enable-expert-parallel"),
        parallel.tensor(),
        f"  --pipeline-parallel-size {parallel.or_else('Pipeline', 1)}",
        "  --distributed-executor-backend ray",
        "  ${VLLM_ADDITIONAL_ARGS}",
        "  --trust-remote-code",
        *TLS_ARGUMENTS,
    ]
    return INFER_ROCE + RAY_HEAD + vllm(*arguments)


def health(port: int, delay: int, period: int, timeout: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": "/health", "port": port, "scheme": "HTTPS"},
        "initialDelaySeconds": delay,
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def security(*, read_only: bool, seccomp: bool = True, extra: bool = False) -> dict[str, Any]:
    capabilities: dict[str, Any] = {"add": ["IPC_LOCK", "SYS_RAWIO", "NET_RAW"]} if extra else {}
    context: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": True,
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


def server(script: str, port: int, probes: str, **changes: Any) -> dict[str, Any]:
    """The vLLM container. `probes`: single, leader or none; `changes` replace whole fields."""
    liveness = {"single": (120, 10, 10, 3), "leader": (300, 10, 10, 3)}
    readiness = {"single": (10, 10, 5, 60), "leader": (200, 30, 5, 60)}
    container: dict[str, Any] = {
        "name": "main",
        "image": VLLM_IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "ports": [port_of(port)],
        "command": ["/bin/bash", "-c"],
        "args": [script],
        "env": [
            {"name": "HOME", "value": "/home"},
            {"name": "VLLM_LOGGING_LEVEL", "value": "INFO"},
            {"name": "HF_HUB_CACHE", "value": "/models"},
        ],
        "securityContext": security(read_only=False, extra=probes != "single"),
        **termination(),
    }
    if probes in liveness:
        container["livenessProbe"] = health(port, *liveness[probes])
        container["readinessProbe"] = health(port, *readiness[probes])
    container["volumeMounts"] = [
        {"mountPath": "/home", "name": "home"},
        {"mountPath": "/dev/shm", "name": "dshm"},  # noqa: S108 - a path inside the container
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
        "args": [
            "--port=8000",
            "--vllm-port=8001",
            "--connector=nixlv2",
            "--secure-proxy=true",
            f"--cert-path={TLS_PATH}",
            "--decoder-use-tls=true",
            "--prefiller-use-tls=true",
            "--enable-ssrf-protection=true",
        ],
        "env": [
            {
                "name": "INFERENCE_POOL_NAMESPACE",
                "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            },
            {"name": "SSL_CERT_DIR", "value": TRUSTED_DIRECTORIES},
        ],
        "securityContext": security(read_only=multi_node, seccomp=multi_node),
        **termination(),
        "livenessProbe": health(8000, 10, 10, 10, 3),
        "readinessProbe": health(8000, 10, 10, 5, 10),
        "volumeMounts": [tls_mount()],
    }
    if not multi_node:
        container["resources"] = {}
    return container


def pod(container: dict[str, Any], shared_memory: str, *inits: dict[str, Any]) -> dict[str, Any]:
    return {
        **({"initContainers": list(inits)} if inits else {}),
        "containers": [container],
        "terminationGracePeriodSeconds": 30,
        "volumes": [
            {"name": "home", "emptyDir": {}},
            {"name": "dshm", "emptyDir": {"medium": "Memory", "sizeLimit": shared_memory}},
            {"name": "model-cache", "emptyDir": {}},
            tls_volume(),
        ],
    }


def single(role: str) -> dict[str, Any]:
    port = 8001 if role == "decode" else 8000
    written = '"8000"' if role == "prefill" else str(port)
    changes = termination("File") if role == "prefill" else {}
    inits = [sidecar(multi_node=False)] if role == "decode" else []
    template = pod(server(single_script(written), port, "single", **changes), "1Gi", *inits)
    return {"prefill": {"template": template}} if role == "prefill" else {"template": template}


def multi_node(role: str, kind: str) -> dict[str, Any]:
    script = data_parallel_script if kind == "data" else pipeline_script
    port = 8001 if role == "decode" else 8000
    inits = [sidecar(multi_node=True)] if role == "decode" else []
    leader = server(script(role, port, leader=True), port, "leader")
    worker = server(script(role, port, leader=False), port, "none")
    if role == "decode" and kind == "data":
        worker["env"].append({"name": "VLLM_RANDOMIZE_DP_DUMMY_INPUTS", "value": "1"})
    workload = {"template": pod(leader, "8Gi", *inits), "worker": pod(worker, "8Gi")}
    return {"prefill": workload} if role == "prefill" else workload


def scheduler() -> dict[str, Any]:
    def alive(delay: int) -> dict[str, Any]:
        return {
            "grpc": {"port": 9003, "service": "envoy.service.ext_proc.v3.ExternalProcessor"},
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
        "ports": [port_of(9002, "grpc"), port_of(9003, "grpc-health"), port_of(9090, "metrics")],
        "args": [
            *("--pool-name", "{{ ChildName .ObjectMeta.Name `-inference-pool` }}"),
            *("--pool-namespace", "{{ .ObjectMeta.Namespace }}"),
            *("--pool-group", "inference.networking.x-k8s.io"),
            *("--zap-encoder", "json"),
            *("--grpc-port", "9002"),
            *("--grpc-health-port", "9003"),
            "--secure-serving",
            *("--model-server-metrics-scheme", "https"),
            *("--cert-path", TLS_PATH),
        ],
        "env": [{"name": "SSL_CERT_DIR", "value": TRUSTED_DIRECTORIES}],
        "resources": {"requests": {"cpu": "256m", "memory": "500Mi"}},
        "livenessProbe": alive(5),
        "readinessProbe": alive(30),
        "securityContext": security(read_only=True),
        **termination(),
        "volumeMounts": [tls_mount()],
    }
    pool = {
        "selector": {"matchLabels": {"app.kubernetes.io/part-of": "llminferenceservice"}},
        "targetPorts": [{"number": 8000}],
        # The defaults of the schema are written out: what the API server adds is drift to those who compare (PRESET-5).
        "appProtocol": "http",
        "endpointPickerRef": {
            "failureMode": "FailClose",
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
        "terminationGracePeriodSeconds": 30,
    }
    return {"router": {"scheduler": {"pool": {"spec": pool}, "template": template}}}


def route() -> dict[str, Any]:
    prefix = "/{{ .ObjectMeta.Namespace }}/{{ .ObjectMeta.Name }}"

    def pool(group: str, weight: int) -> dict[str, Any]:
        name = "{{ ChildName .ObjectMeta.Name `-inference-pool` }}"
        return {"group": group, "kind": "InferencePool", "name": name, "port": 8000, "weight": weight}

    def rule(path: str, rewritten: str, *backends: dict[str, Any]) -> dict[str, Any]:
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewritten}}
        return {
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": rewrite}],
            "backendRefs": list(backends),
            "timeouts": {"backendRequest": "0s", "request": "0s"},
        }

    def inference(path: str) -> dict[str, Any]:
        # Both pool generations stand here; the controller moves the weights when the v1 pool is ready.
        v1, v1alpha2 = "inference.networking.k8s.io", "inference.networking.x-k8s.io"
        return rule(prefix + path, path, pool(v1, 0), pool(v1alpha2, 100))

    workload = {
        "group": "",
        "kind": "Service",
        "name": "{{ ChildName .ObjectMeta.Name `-kserve-workload-svc` }}",
        "port": 8000,
        "weight": 100,
    }
    parent = {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "name": "{{ .GlobalConfig.IngressGatewayName }}",
        "namespace": "{{ .GlobalConfig.IngressGatewayNamespace }}",
    }
    rules = [inference("/v1/completions"), inference("/v1/chat/completions"), rule(prefix, "/", workload)]
    return {"router": {"route": {"http": {"spec": {"parentRefs": [parent], "rules": rules}}}}}


def presets() -> dict[str, dict[str, Any]]:
    """The spec of every preset by its short name."""
    specs = {"scheduler": scheduler(), "router-route": route()}
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

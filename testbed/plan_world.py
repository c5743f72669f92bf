"""A cluster as a dictionary, for tests of plans: writes are applied to it the way an API server would, without one.

It gives uids, versions and cluster IPs, and fills in what the plans compare against. It does not validate.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectRef
from aioctl.api.objects import Object, owner_reference, uid_of
from aioctl.plan.facts import Facts
from aioctl.plan.global_config import CredentialConfig, GlobalConfig, S3Config, StorageConfig
from aioctl.plan.model import Context, Step, Verb, Write
from aioctl.plan.observation import Certificate
from aioctl.plan.pod_defaults import with_defaults
from aioctl.plan.policy import Policy

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
STORAGE: Final = StorageConfig(
    image="kserve/storage-initializer:latest",
    memory_request="100Mi",
    memory_limit="1Gi",
    cpu_request="100m",
    cpu_limit="1",
    cpu_modelcar="10m",
    memory_modelcar="15Mi",
    enable_modelcar=True,
)
CREDENTIALS: Final = CredentialConfig(
    storage_secret_name_annotation="serving.kserve.io/storageSecretName",
    gcs_credential_file_name="gcloud-application-credentials.json",
    s3=S3Config(access_key_id_name="AWS_ACCESS_KEY_ID", secret_access_key_name="AWS_SECRET_ACCESS_KEY"),
)
CONFIG: Final = GlobalConfig(system_namespace="kserve", storage=STORAGE, credentials=CREDENTIALS)
MAIN: Final = {"containers": [{"name": "main", "image": "vllm:v1"}]}
HF: Final[dict[str, Any]] = {"model": {"uri": "hf://facebook/opt-125m", "name": "m"}, "template": MAIN}


def service(name: str = "svc", namespace: str = "ns", **metadata: Any) -> dict[str, Any]:
    """A stored service; its combined spec is given apart."""
    return {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "resourceVersion": "1",
            **metadata,
        },
        "spec": {},
    }


@dataclass
class World:
    """What is in the cluster; `unserved` kinds have no CRD."""

    objects: dict[ObjectRef, Object] = field(default_factory=dict)
    unserved: frozenset[Kind] = frozenset({kinds.SCC})
    certificates: dict[str, Certificate] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    version: int = 100

    def context(
        self,
        spec: Mapping[str, Any],
        *,
        of: Object | None = None,
        config: GlobalConfig = CONFIG,
        policy: Policy | None = None,
        now: datetime = NOW,
    ) -> Context:
        facts = Facts(self.objects, unserved=self.unserved, certificates=self.certificates)
        return Context(facts, of or service(), spec, config, policy or Policy(), now)

    def put(
        self, kind: Kind, name: str, namespace: str = "ns", owner: Object | None = None, **fields: Any
    ) -> None:
        metadata = {"name": name, **fields.pop("metadata", {})}
        if kind.namespaced:
            metadata["namespace"] = namespace
        if owner is not None:
            metadata["ownerReferences"] = [owner_reference(owner)]
        ref = ObjectRef(kind, namespace if kind.namespaced else "", name)
        obj = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **fields}
        self.objects[ref] = self._stored(kind, obj)

    def get(self, kind: Kind, name: str, namespace: str = "ns") -> Any:
        return self.objects.get(ObjectRef(kind, namespace if kind.namespaced else "", name))

    def names(self, kind: Kind) -> list[str]:
        return sorted(ref.name for ref in self.objects if ref.kind == kind)

    def run(self, steps: Iterable[Step]) -> Step | None:
        """Applies steps until one fails, as the controller does; answers the failed one."""
        for part in steps:
            assert not part.unanswered, part.unanswered
            self.apply(part.writes)
            if part.error:
                return part
        return None

    def apply(self, writes: Iterable[Write]) -> list[Write]:
        applied = list(writes)
        for write in applied:
            self.writes.append(write)
            if write.verb is Verb.DELETE:
                del self.objects[write.ref]
                continue
            assert write.body is not None
            if write.verb is Verb.CREATE:
                assert write.ref not in self.objects, f"{write.ref} exists"
            self.objects[write.ref] = self._stored(write.kind, write.body)
            if write.sign is not None:
                self.certificates[f"{write.namespace}/{write.name}"] = Certificate(
                    frozenset(write.sign.dns_names),
                    frozenset(write.sign.ip_addresses),
                    NOW + timedelta(days=365 * 12),
                )
        return applied

    def _stored(self, kind: Kind, body: Object) -> dict[str, Any]:
        self.version += 1
        metadata = {**body["metadata"], "resourceVersion": str(self.version)}
        metadata.setdefault("uid", f"uid-{self.version}")
        stored = {**body, "metadata": metadata}
        if kind is kinds.CORE_SERVICE:
            stored["spec"] = {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "clusterIP": f"10.0.0.{self.version}",
                **body.get("spec", {}),
            }
        if kind is kinds.DEPLOYMENT:
            spec = body["spec"]
            template = {**spec["template"], "spec": with_defaults(spec["template"]["spec"])}
            stored["spec"] = {"replicas": 1, "revisionHistoryLimit": 10, **spec, "template": template}
        return stored


def errors_of(part: Step | None) -> tuple[str, str]:
    """(the whole reconcile error, what the condition shows)."""
    assert part is not None
    return part.outer + part.inner + part.error, part.inner + part.error


def same_uid(first: Object, second: Object) -> bool:
    return uid_of(first) == uid_of(second)


__all__ = [
    "CONFIG",
    "CREDENTIALS",
    "HF",
    "MAIN",
    "NOW",
    "STORAGE",
    "World",
    "errors_of",
    "replace",
    "service",
]

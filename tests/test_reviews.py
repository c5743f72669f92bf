"""What reviews are told of the cluster: from the caches, and from the API server when a namespace may be ending (ADM-8)."""

from collections.abc import Collection
from typing import Any

import anyio
import msgspec
import pytest
from structlog.testing import capture_logs

from aioctl.api import kinds
from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.local_model import AS_SENT, CACHE, NO_MARK
from aioctl.controller.caches import Caches, watched
from aioctl.kube.cached import Cached
from aioctl.kube.errors import KubeError
from aioctl.reviews import Reviews
from tests.deploy.manifests import BASE, find

PRESET = "kserve-config-llm-template"


class Server:
    """Stands for the client: one namespace, or an error."""

    def __init__(self, found: dict[str, Any] | Exception | None = None, *, takes: float = 0.0) -> None:
        self.found = found
        self.takes = takes
        self.asked: list[str] = []

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        assert (kind, namespace) == (kinds.NAMESPACE, "")
        self.asked.append(name)
        await anyio.sleep(self.takes)
        if isinstance(self.found, Exception):
            raise self.found
        return {"metadata": {"name": name, **(self.found or {})}}


def reviews(
    server: Server | None = None,
    *objects: dict[str, Any],
    unsynced: Collection[Kind] = (),
    absent: Collection[Kind] = (),
) -> Reviews:
    caches = Caches(watched("sys", None))
    for watch, store in caches.stores.items():
        kind = watch.kind
        if kind in unsynced:
            continue
        found = [
            Cached.from_raw(msgspec.json.encode(obj), kind) for obj in objects if obj["kind"] == kind.kind
        ]
        store.replace({item.key: item for item in found})

    def presence(kind: Kind) -> Served:
        return Served.NO if kind in absent else Served.YES

    return Reviews(caches, server or Server(), namespace="sys", presence=presence)  # type: ignore[arg-type]


def settings(local_model: str | None) -> dict[str, Any]:
    shipped = find(BASE / "configmap.yaml", "ConfigMap")["data"]
    shipped.pop("localModel", None)
    data = {} if local_model is None else {"localModel": local_model}
    return {
        "kind": "ConfigMap",
        "metadata": {"name": "inferenceservice-config", "namespace": "sys", "resourceVersion": "1"},
        "data": {**shipped, **data},
    }


def model_cache(name: str, *groups: str, namespace: str = "") -> dict[str, Any]:
    kind = kinds.LOCAL_MODEL_NAMESPACE_CACHE if namespace else kinds.LOCAL_MODEL_CACHE
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {
        "kind": kind.kind,
        "metadata": metadata,
        "spec": {"sourceModelUri": "hf://a/b", "nodeGroups": list(groups)},
    }


def service(name: str, namespace: str = "ns", *refs: str, **parts: Any) -> dict[str, Any]:
    return {
        "kind": "LLMInferenceService",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"baseRefs": [{"name": ref} for ref in refs]},
        **parts,
    }


def config(name: str, namespace: str = "ns") -> dict[str, Any]:
    return {"kind": "LLMInferenceServiceConfig", "metadata": {"name": name, "namespace": namespace}}


def users(found: Reviews, name: str, namespace: str = "ns") -> list[str]:
    return [f"{key.namespace}/{key.name}" for key in found.config_rules.users(config(name, namespace))]


def test_users_of_a_config_are_found_in_its_namespace_or_everywhere_for_the_systems() -> None:
    found = reviews(
        None,
        service("a", "ns", "c"),
        service("b", "team", "c"),
        service("c", "ns"),
        service("d", "ns", "other"),
    )
    assert users(found, "c") == ["ns/a"]
    assert users(found, "c", "team") == ["team/b"]
    assert users(found, "c", "sys") == ["ns/a", "team/b"]
    assert users(found, "unknown") == []


def test_no_more_users_are_looked_for_than_are_told() -> None:
    found = reviews(None, *(service(f"a{number}", "ns", "c") for number in range(5)))
    assert users(found, "c") == ["ns/a0", "ns/a1"]
    assert users(found, PRESET, "sys") == ["ns/a0", "ns/a1"]


def test_what_hides_a_config_of_the_system_is_what_is_used() -> None:
    found = reviews(None, service("a", "ns", "c"), service("b", "team", "c"), config("c"))
    assert users(found, "c", "sys") == ["team/b"]


@pytest.mark.parametrize("part", [{"spec": "c"}, {"status": ["c"]}])
def test_a_service_with_wrong_types_uses_nothing(part: dict[str, Any]) -> None:
    assert users(reviews(None, service("a", "ns", **part)), "c") == []


@pytest.mark.parametrize(
    ("server", "ends"),
    [
        (Server({}), False),
        (Server({"deletionTimestamp": "2026-01-01T00:00:00Z"}), True),
        (Server(KubeError("refused")), False),
    ],
)
def test_whether_the_system_namespace_ends_is_read_when_something_in_it_goes(
    server: Server, *, ends: bool
) -> None:
    found = reviews(server)
    anyio.run(found.before_deletion, "ns")
    assert server.asked == []
    anyio.run(found.before_deletion, "sys")
    assert server.asked == ["sys"]
    assert found.config_rules.terminating("sys") == ends
    assert not found.config_rules.terminating("ns")


def test_what_was_read_is_forgotten_when_it_cannot_be_read_again() -> None:
    server = Server({"deletionTimestamp": "2026-01-01T00:00:00Z"})
    found = reviews(server)
    anyio.run(found.before_deletion, "sys")
    server.found = KubeError("refused")
    anyio.run(found.before_deletion, "sys")
    assert not found.config_rules.terminating("sys")


def test_keys_of_configs_are_whole() -> None:
    """A name inside another name is no use."""
    assert users(reviews(None, service("a", "ns", "config")), "conf") == []
    assert ObjectKey("ns", "a") not in reviews().config_rules.users(config("a"))


ENABLED = settings('{"enabled": true}')
OURS, CLUSTERS = model_cache("own", "gpu", namespace="ns"), model_cache("all", "gpu")


def with_model(uri: str = "hf://a/b", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "a", "namespace": "ns", **metadata}, "spec": {"model": {"uri": uri}}}


@pytest.mark.parametrize(
    ("objects", "chosen"),
    [
        ((ENABLED, OURS, CLUSTERS), "own"),
        ((ENABLED, model_cache("other", "gpu", namespace="team"), CLUSTERS), "all"),
        ((ENABLED,), None),
        ((settings('{"enabled": false}'), CLUSTERS), None),
        ((settings(None), CLUSTERS), None),
    ],
)
def test_the_first_cache_is_chosen_its_own_namespaces_before_the_clusters(
    objects: Any, chosen: str | None
) -> None:
    noted = reviews(None, *objects).marker(with_model())
    assert noted is not None
    assert noted.labels[CACHE] == chosen


@pytest.mark.parametrize(
    ("objects", "unsynced", "told"),
    [
        ((CLUSTERS,), (), "the ConfigMap cannot be read"),
        ((settings("nonsense"), CLUSTERS), (), "the ConfigMap cannot be read"),
        ((ENABLED, CLUSTERS), [kinds.LOCAL_MODEL_NAMESPACE_CACHE], "caches of models are not known"),
        ((ENABLED, CLUSTERS), [kinds.LOCAL_MODEL_CACHE], "caches of models are not known"),
        ((ENABLED, model_cache("all")), (), "a cache of models has no groups of nodes"),
    ],
)
def test_where_it_cannot_be_told_one_warning_says_why(
    objects: Any, unsynced: Collection[Kind], told: str
) -> None:
    found = reviews(None, *objects, unsynced=unsynced)
    with capture_logs() as logs:
        assert found.marker(with_model()) is None
        assert found.marker(with_model()) is None
    assert [(entry["log_level"], entry["why"]) for entry in logs] == [("warning", told)]


@pytest.mark.parametrize("wrong", ['{"enabled": "yes"}', "nonsense", "[]"])
def test_a_wrong_word_of_caches_refuses_no_config(wrong: str) -> None:
    """CFG-3."""
    spec = {"template": {"containers": [{"name": "main", "image": "{{ .GlobalConfig.IngressGatewayName }}"}]}}
    found = reviews(None, settings(wrong))
    found.config_rules.check({**config("a"), "apiVersion": "serving.kserve.io/v1alpha2", "spec": spec})
    ours = {**settings(None), "data": {"ingress": "{", "localModel": '{"enabled": true}'}}
    noted = reviews(None, ours, CLUSTERS).marker(with_model())
    assert noted is not None
    assert noted.labels[CACHE] == "all", "the other keys are not asked"


def test_a_mark_stays_where_the_caches_are_not_installed_any_more() -> None:
    """LM-2."""
    both = (kinds.LOCAL_MODEL_CACHE, kinds.LOCAL_MODEL_NAMESPACE_CACHE)
    with capture_logs() as logs:
        assert reviews(None, ENABLED, absent=both).marker(with_model()) is None
    assert [entry["why"] for entry in logs] == ["no kind of caches of models is served"]
    # KServe without the namespaced kind is an older one: its caches are all there are.
    assert reviews(None, ENABLED, absent=both[1:]).marker(with_model()) == NO_MARK


def test_who_wants_no_cache_gets_none_even_if_none_is_known() -> None:
    found = reviews(None, ENABLED, unsynced=[kinds.LOCAL_MODEL_CACHE])
    unwilling = with_model(annotations={"serving.kserve.io/disable-localmodel": "no"})
    assert found.marker(unwilling) == NO_MARK


@pytest.mark.parametrize(
    ("objects", "unsynced"),
    [
        ((ENABLED, CLUSTERS), ()),
        ((ENABLED,), [kinds.LOCAL_MODEL_CACHE]),
        ((settings('{"enabled": false}'),), ()),
        ((settings("nonsense"),), ()),
        ((), ()),
    ],
)
@pytest.mark.parametrize("annotations", [{}, {"serving.kserve.io/disable-localmodel": ""}])
def test_a_service_without_a_uri_keeps_what_was_sent_and_is_no_reason_to_warn(
    objects: Any, unsynced: Collection[Kind], annotations: dict[str, str]
) -> None:
    """LM-1."""
    with capture_logs() as logs:
        unnamed = with_model("", annotations=annotations)
        assert reviews(None, *objects, unsynced=unsynced).marker(unnamed) == AS_SENT
    assert logs == []

"""The recorded cases of today's KServe, read from where `shared_data` finds them; nothing of them is kept in this repository."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from aioctl.api import kinds
from aioctl.api.kinds import GROUP, Kind
from testbed.shared_data import UPSTREAM, documents
from tests.golden.cases import Case, Object
from tests.golden.compare import State

NAMES = sorted(path.stem for path in UPSTREAM.glob("golden/*.yaml"))
WHY_ABSENT = "recorded cases are not here: shared/data/upstream/golden"

SCALED_OBJECT = Kind("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects", optional=True)
AUTOSCALER = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
CLAIM_TEMPLATE = Kind("resource.k8s.io", "v1", "ResourceClaimTemplate", "resourceclaimtemplates")
MODEL_CACHE = Kind(GROUP, "v1alpha1", "LocalModelCache", "localmodelcaches", namespaced=False, optional=True)

RECORDED = (
    kinds.SERVICE,
    kinds.SERVICE_V1ALPHA1,
    kinds.CONFIG,
    kinds.CONFIG_V1ALPHA1,
    kinds.CONFIG_MAP,
    kinds.DEPLOYMENT,
    kinds.LEADER_WORKER_SET,
    AUTOSCALER,
    SCALED_OBJECT,
    CLAIM_TEMPLATE,
    kinds.SERVICE_ACCOUNT,
    kinds.ROLE,
    kinds.ROLE_BINDING,
    kinds.CLUSTER_ROLE_BINDING,
    kinds.SECRET,
    kinds.CORE_SERVICE,
    kinds.GATEWAY,
    kinds.HTTP_ROUTE,
    kinds.POOL_V1,
    kinds.POOL_V1ALPHA2,
)
OTHERS = (MODEL_CACHE, kinds.NAMESPACE, kinds.GATEWAY_CLASS)
LABELLED = (kinds.SECRET, kinds.CORE_SERVICE)
"""Of these kinds, recordings hold what carries the label part-of."""


@dataclass(frozen=True)
class UpstreamCase(Case):
    """One recorded case; the parts are those of the recording's README."""

    world: str
    moods: frozenset[str]
    warnings: Mapping[str, tuple[str, ...]]

    def later(self) -> bool:
        """Whether something is done after everything has settled."""
        return super().later() or self.world == "switch"


@cache
def case(name: str) -> UpstreamCase:
    """One case by name."""
    ((found,),) = documents(f"upstream/golden/{name}.yaml").values()
    return UpstreamCase(
        name=found["case"],
        given=found["given"],
        refused=found["refused"],
        events=tuple(found["events"]),
        objects=found["objects"],
        world=found["world"],
        moods=frozenset(found.get("moods") or ()),
        warnings={key: tuple(texts) for key, texts in found["warnings"].items()},
    )


def names_of(world: str) -> list[str]:
    """The cases of a world, known by a line of their files: parsing all of them takes seconds."""
    line = f"\nworld: {world}\n"
    return [name for name in NAMES if line in (UPSTREAM / f"golden/{name}.yaml").read_text(encoding="utf-8")]


def recorded_state(recorded: UpstreamCase) -> State:
    return State(
        dict(recorded.objects), set(recorded.events), dict(recorded.refused), dict(recorded.warnings)
    )


@cache
def presets() -> tuple[Object, ...]:
    """The presets that the recordings were made with, in namespace kserve."""
    found = [preset for file in documents("upstream/presets/*.yaml").values() for preset in file]
    return tuple({**preset, "metadata": {**preset["metadata"], "namespace": "kserve"}} for preset in found)


def kind_of(obj: Mapping[str, object]) -> Kind:
    """The kind of an object; kinds this program does not know are guessed to be namespaced with a plain plural."""
    for kind in (*RECORDED, *OTHERS):
        if (kind.api_version, kind.kind) == (obj["apiVersion"], obj["kind"]):
            return kind
    group, _, version = str(obj["apiVersion"]).rpartition("/")
    return Kind(group, version, str(obj["kind"]), f"{str(obj['kind']).lower()}s")


def address_of(path: str) -> tuple[Kind, str, str]:
    """Kind, name and subresource behind `<group/version>/<plural>/<name>[/<subresource>]`."""
    for kind in RECORDED:
        prefix = f"{kind.api_version}/{kind.plural}/"
        if path.startswith(prefix):
            name, _, subresource = path.removeprefix(prefix).partition("/")
            return kind, name, subresource
    raise AssertionError(f"a recording holds a kind this test does not know: {path}")


def all_cases() -> Iterator[UpstreamCase]:
    """Every recorded case, in the order of names."""
    return (case(name) for name in NAMES)

"""The configs that a service is combined with, found by name (PRESET-2), with their specs as they are merged.

The service's namespace comes first, then the system namespace. What is known of specs is kept by content, as presets are the same
for thousands of services.

Decision (ROUTE-1): route rules that are exactly the CRD's default count as not given.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from aioctl.api import bounds, weight
from aioctl.api.encoding import from_json, to_json
from aioctl.api.kinds import CONFIG, ObjectKey
from aioctl.api.objects import FieldError, Object, dig, mapping, namespace_of, replaced, sequence, text
from aioctl.caching import MIB, BoundedCache
from aioctl.golang.roundtrip import round_trip
from aioctl.plan import presets
from aioctl.plan.model import PlanError
from aioctl.plan.observation import Observation, need
from aioctl.plan.policy import Policy
from aioctl.plan.provenance import Contribution

Tree = Mapping[str, Any]

_DEFAULT_RULES: Final = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]
_SPECS: Final[BoundedCache[bytes, Tree]] = BoundedCache(4 * MIB)


class Looked(NamedTuple):
    """What is told from the JSON text of a spec alone."""

    weight: weight.Weight
    digest: bytes


_LOOKED: Final[BoundedCache[bytes, Looked]] = BoundedCache(2 * MIB)


_READ: Final[BoundedCache[int, tuple[Object, bytes, Looked]]] = BoundedCache(MIB)
"""By identity of the config's object, which is kept beside it, so that the number stays its own."""
_AS_TREE: Final = 6
"""Bytes of an object's tree and text, by those of its text."""


class ConfigNotFound(PlanError):
    """A config is in none of the namespaces where it is looked for (PRESET-2)."""


class Load:
    """What a combination weighs so far: configs count each time they are referred to, for each is merged anew."""

    def __init__(self) -> None:
        self._weight = weight.Weight()

    def add(self, title: str, weighed: weight.Weight) -> None:
        """Raises PlanError, naming what came last, when the sum is more than a plan bears."""
        self._weight += weighed + _EACH
        if problem := weight.problem(self._weight):
            raise PlanError(f"what is combined, up to and with the spec of {title}, {problem}")


_EACH: Final = weight.Weight(values=20)
"""Values that looking a config up and merging it costs, however small it is."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Looks configs up: the service's namespace first, then the system namespace (PRESET-2)."""

    obs: Observation
    namespace: str
    system: str
    load: Load
    found: dict[str, ObjectKey] = field(default_factory=dict)
    """By title."""

    def find(self, name: str, *, pin: str = "") -> Contribution:
        """The config of that name; `pin` is the key under which the service keeps it.

        Raises ConfigNotFound where there is none, PlanError where it is too heavy for what `load` holds already.
        """
        for place in dict.fromkeys((self.namespace, self.system)):
            found = need(self.obs.get(CONFIG, place, name))
            if found is not None:
                title = f"LLMInferenceServiceConfig {place}/{name}"
                encoded, looked = _read(found)
                self.load.add(title, looked.weight)
                self.found[title] = ObjectKey(place, name)
                return _contribution(found, title, encoded, looked.digest)
        pinned = f'; pinned in status.annotations["{pin}"]' if pin else ""
        raise ConfigNotFound(
            f'LLMInferenceServiceConfig "{name}" not found in namespaces [{self.namespace} {self.system}]{pinned}'
        )

    def preset(self, preset: str, service: Object, policy: Policy) -> Contribution:
        """The preset by the last part of its name; raises as `find` does."""
        name = presets.name_of(preset, service, policy)
        return self.find(name, pin=presets.pin_of(preset, service, policy))

    def applied(self, config: Contribution, source: str) -> Mapping[str, str]:
        """The entry of status.appliedConfigs; a preset that a service also refers to stands there twice, by either source."""
        key = self.found[config.title]
        return {"name": key.name, "namespace": key.namespace, "source": source}


def as_written(obs: Observation, service: Object, system_namespace: str) -> list[Object] | None:
    """The service and its baseRefs as they are written, the strongest last of these; None when one of them is not there."""
    found = [service]
    for ref in sequence(service, "spec", "baseRefs"):
        for place in dict.fromkeys((namespace_of(service), system_namespace)):
            config = need(obs.get(CONFIG, place, text(ref, "name")))
            if config is not None:
                found.append(config)
                break
        else:
            return None
    return found


def _read(config: Object) -> tuple[bytes, Looked]:
    """The JSON text of the spec and what it says, once for each object, which nobody changes: those of a cache are read for every
    service."""

    def read() -> tuple[Object, bytes, Looked]:
        encoded = to_json(dig(config, "spec"))
        return config, encoded, look(encoded)

    _, encoded, looked = _READ.get(id(config), read, lambda made: _AS_TREE * len(made[1]))
    return encoded, looked


def look(encoded: bytes) -> Looked:
    """What the JSON text of a spec says before anything reads it, once for each text: a preset is looked up for every service."""
    return _LOOKED.get(
        encoded,
        lambda: Looked(weight.of(encoded), blake2b(encoded, digest_size=16).digest()),
        lambda _: len(encoded),
    )


def spec_of(encoded: bytes) -> Tree:
    """The spec of a JSON text as it is merged; shared, never to be changed in place."""
    return _SPECS.get(encoded, lambda: _as_merged(from_json(encoded)), lambda _: len(encoded))


def _contribution(config: Object, title: str, encoded: bytes, digest: bytes) -> Contribution:
    try:
        spec = spec_of(encoded if mapping(config, "spec") else b"{}")
        return Contribution(title, spec, digest, len(encoded))
    except FieldError as error:
        raise PlanError(f"{title}: {error}") from error


def _as_merged(spec: Tree) -> Tree:
    """The spec as Go writes it, without route rules that only the CRD's default put there.

    Raises FieldError for a list, map or text that was stored before it had a bound (SCHEMA-8).
    """
    for excess in bounds.excesses({"spec": spec}):
        raise FieldError(excess.field, f"it {excess}")
    written = round_trip(spec)
    route = mapping(written, "router", "route", "http", "spec")
    if route.get("rules") != _DEFAULT_RULES:
        return written
    without = {name: value for name, value in route.items() if name != "rules"}
    return replaced(written, ("router", "route", "http", "spec"), without)

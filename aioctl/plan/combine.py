"""From a service and the configs around it to the combined spec (PRESET-3).

The order of precedence, weakest first: presets, baseRefs in order, the service. Templates are rendered at the end,
against the service as stored. Everything is read through the observation; what is unknown raises Unanswered.

Merging and rendering are pure, and presets are the same for thousands of services, so their fold is kept by content; so are
the last results, because a service is planned several times in a row while nothing changes but its status.

Decision (ROUTE-1): route rules that are exactly the CRD's default count as not given.
"""

import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from aioctl.api import bounds, names, user_names, weight
from aioctl.api.defaulting import apply_defaults
from aioctl.api.encoding import from_json, to_json
from aioctl.api.kinds import CONFIG
from aioctl.api.objects import (
    FieldError,
    Object,
    dig,
    mapping,
    name_of,
    namespace_of,
    present,
    sequence,
    text,
)
from aioctl.caching import LARGEST, MIB, BoundedCache
from aioctl.golang.roundtrip import round_trip
from aioctl.plan import alternatives, picker_config, presets, scheduler_config
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.merge import MergeError, merge_written
from aioctl.plan.model import Observation, PlanError, Policy, need
from aioctl.plan.provenance import Contribution, owner_of
from aioctl.plan.route import rewrite_default_refs
from aioctl.plan.templates import render, root
from aioctl.plan.workload import lora, managed_dra

Tree = Mapping[str, Any]

PICKER_PORT: Final = 9002
"""Where an endpoint picker listens for gateways; the pool's CRD wants it written out."""
_DEFAULT_RULES: Final = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]


@dataclass(frozen=True, slots=True)
class Combined:
    """The result of the combination."""

    spec: dict[str, Any]
    """As Go writes it, templates rendered. Shares subtrees with the cached presets: never change it in place."""
    service: Object
    """As stored, with the model name that is in effect (PRESET-3)."""
    sources: tuple[Contribution, ...]
    """What was laid over each other, weakest first; the service is the last."""
    applied: tuple[Mapping[str, str], ...] = ()
    """The configs among them as status.appliedConfigs lists them: name, namespace, source."""
    passes: bool = False
    """A template read what passes in the service: another version of it may have another spec."""


class ConfigNotFound(PlanError):
    """A config is in none of the namespaces where it is looked for (PRESET-2)."""


def combine(obs: Observation, service: Object, config: GlobalConfig, policy: Policy) -> Combined:
    """The combined spec of a service.

    Raises PlanError with the texts of PRESET-3 (without the reconcile's own prefix), ConfigNotFound among them, FieldError
    for a service field of the wrong type, Unanswered when it is not known which configs exist.
    """
    load = _Load()
    load.add(_title(service), to_json(dig(service, "spec")))
    service = apply_defaults(service)
    own = _spec(to_json(mapping(service, "spec")))
    lookup = _Lookup(obs, namespace_of(service), policy.system_namespace, load)
    base_refs = [lookup.find(_ref_name(ref), "UserRef") for ref in sequence(own, "baseRefs")]
    resolved = own
    for contribution in base_refs:
        resolved = merge_written(resolved, contribution.spec)
    service, own = _with_model_name(service, own, text(resolved, "model", "name"))
    chosen: list[Contribution] = []
    for preset in presets.chosen(resolved, _seen(obs, resolved, service, policy)):
        try:
            chosen.append(lookup.preset(preset, service, policy))
        except ConfigNotFound:
            if preset != presets.TOKENIZER or not _brings_tokenizer(chosen, base_refs, own):
                raise
    configs = [*chosen, *base_refs]
    inputs = _Inputs(service, own, tuple(configs), config)
    spec, passes = _kept(inputs)
    if passes:
        spec, _ = _made(inputs)
    # Presets take it from the service, so one that a template of the service's own makes is judged as it was written, too.
    for model in (service, {"spec": spec}):
        if problem := user_names.model_problem(text(model, "spec", "model", "name")):
            raise FieldError("spec.model.name", problem)
    spec = picker_config.resolved(obs, spec, namespace_of(service), policy.system_namespace)
    applied = tuple(lookup.applied(config) for config in configs)
    return Combined(spec, service, inputs.sources, applied, passes)


def _seen(obs: Observation, spec: Tree, service: Object, policy: Policy) -> Tree:
    """The spec with the picker's configuration that it refers to; itself where that cannot be had, which is told at the end."""
    try:
        return picker_config.resolved(obs, dict(spec), namespace_of(service), policy.system_namespace)
    except (PlanError, FieldError):
        return spec


def _ref_name(ref: Any) -> str:
    return text(ref, "name")


def _written_by(owner: str, service: str) -> str:
    """Who wrote a template, and the service it is rendered for, where that is somebody else."""
    return f"{owner} for {service}" if owner and owner != service else service


def _title(service: Object) -> str:
    return f"LLMInferenceService {namespace_of(service)}/{name_of(service)}"


def _with_model_name(service: Object, own: Tree, name: str) -> tuple[Object, Tree]:
    """The service with the model name that the baseRefs left standing, and its spec as it is merged.

    The service has a name by default, so an empty one was written in a baseRef; to Go that is a name too.
    """
    if name == text(own, "model", "name"):
        return service, own
    spec = mapping(service, "spec")
    renamed = {**service, "spec": {**spec, "model": {**mapping(spec, "model"), "name": name}}}
    return renamed, {**own, "model": {**mapping(own, "model"), "name": name}}


# Lookup.


class _Load:
    """What a combination weighs so far: configs count each time they are referred to, for each is merged anew."""

    def __init__(self) -> None:
        self._weight = weight.Weight()

    def add(self, title: str, encoded: bytes) -> None:
        """Raises PlanError, naming what came last, when the sum is more than a plan bears."""
        self._weight += weight.of(encoded) + _EACH
        if problem := weight.problem(self._weight):
            raise PlanError(f"what is combined, up to and with the spec of {title}, {problem}")


_EACH: Final = weight.Weight(values=20)
"""Values that looking a config up and merging it costs, however small it is."""


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Looks configs up: the service's namespace first, then the system namespace (PRESET-2)."""

    obs: Observation
    namespace: str
    system: str
    load: _Load
    found: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By title: name, namespace and source."""

    def find(self, name: str, source: str, *, pin: str = "") -> Contribution:
        """The config of that name; `pin` is the key under which the service keeps it.

        Raises ConfigNotFound where there is none, PlanError where it is too heavy for what `load` holds already.
        """
        for place in dict.fromkeys((self.namespace, self.system)):
            found = need(self.obs.get(CONFIG, place, name))
            if found is not None:
                title = f"LLMInferenceServiceConfig {place}/{name}"
                self.load.add(title, to_json(dig(found, "spec")))
                self.found.setdefault(title, (name, place, source))
                return _contribution(found, title)
        pinned = f'; pinned in status.annotations["{pin}"]' if pin else ""
        raise ConfigNotFound(
            f'LLMInferenceServiceConfig "{name}" not found in namespaces [{self.namespace} {self.system}]{pinned}'
        )

    def preset(self, preset: str, service: Object, policy: Policy) -> Contribution:
        """The preset by the last part of its name; raises as `find` does."""
        name = presets.name_of(preset, service, policy)
        return self.find(name, "Preset", pin=presets.pin_of(preset, service, policy))

    def applied(self, config: Contribution) -> Mapping[str, str]:
        name, namespace, source = self.found[config.title]
        return {"name": name, "namespace": namespace, "source": source}


def _brings_tokenizer(chosen: Sequence[Contribution], base_refs: Sequence[Contribution], own: Tree) -> bool:
    """Whether the picker that is put together of these has its tokenizer beside it, so that the fleet's presets know no other."""
    specs = [*(each.spec for each in (*chosen, *base_refs)), own]
    asked = any(present({"spec": spec}, "spec", "router", "scheduler", "tokenizer") for spec in specs)
    return not asked and any(scheduler_config.brings_tokenizer(spec) for spec in specs)


def _contribution(config: Object, title: str) -> Contribution:
    try:
        encoded = to_json(mapping(config, "spec"))
        return Contribution(title, _spec(encoded), blake2b(encoded, digest_size=16).digest(), len(encoded))
    except FieldError as error:
        raise PlanError(f"{title}: {error}") from error


_SPECS: Final[BoundedCache[bytes, Tree]] = BoundedCache(4 * MIB)
_FOLDS: Final[BoundedCache[tuple[bytes, ...], Tree]] = BoundedCache(2 * MIB)
_KEPT: Final[BoundedCache[Hashable, tuple[bytes, bool]]] = BoundedCache(16 * MIB)
"""Each result is 15 kB of JSON, packed 4: a storm's services come round again before it is over. As a tree it would take 75 kB."""

_KV_CACHE: Final = "kvCacheOffloading"
_KEY: Final = 1024
"""Bytes of a key of `_KEPT`, about."""


def _spec(encoded: bytes) -> Tree:
    return _SPECS.get(encoded, lambda: _as_merged(from_json(encoded)), lambda _: len(encoded))


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


def replaced(tree: Tree, path: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of the tree with the value at the path, which is there already; the rest is shared."""
    head, *rest = path
    return {**tree, head: replaced(tree[head], rest, value) if rest else value}


# Merging and completing.


def _folded(configs: Sequence[Contribution], own: Tree) -> Tree:
    if not configs:
        return own
    try:
        return merge_written(_fold_of(configs), own)
    except MergeError as error:
        raise PlanError(f"failed to merge specs: {error}") from error


class _Inputs(NamedTuple):
    """What a combination is made of."""

    service: Object
    own: Tree
    """Its spec as it is merged: it follows from the service."""
    configs: tuple[Contribution, ...]
    config: GlobalConfig

    @property
    def sources(self) -> tuple[Contribution, ...]:
        return (*self.configs, Contribution(_title(self.service), self.own))


_PASSING: Final = {
    "resourceVersion": "ResourceVersion",
    "managedFields": "ManagedFields",
    "finalizers": "Finalizers",
}
"""Metadata that changes while the spec does not, by the name that templates have for it."""
_PASSING_NAMES: Final = (*_PASSING.values(), "Status")


def _lasting(service: Object) -> dict[str, Any]:
    metadata = mapping(service, "metadata")
    return {
        **{name: value for name, value in service.items() if name != "status"},
        "metadata": {name: value for name, value in metadata.items() if name not in _PASSING},
    }


def _kept(inputs: _Inputs) -> tuple[dict[str, Any], bool]:
    """As `_made`; the same while every part is the same, down to the last byte, but for what passes in the service."""
    service = blake2b(to_json(_lasting(inputs.service)), digest_size=16).digest()
    read = tuple((contribution.title, contribution.digest) for contribution in inputs.configs)
    fresh: list[dict[str, Any]] = []

    def packed() -> tuple[bytes, bool]:
        spec, passes = _made(inputs)
        fresh.append(spec)
        text = to_json(spec)
        # What is too large to be kept is not worth packing either.
        return zlib.compress(text, 1) if len(text) <= LARGEST else text, passes

    spec, passes = _KEPT.get((service, read, inputs.config), packed, lambda made: len(made[0]) + _KEY)
    return fresh[0] if fresh else from_json(zlib.decompress(spec)), passes


def _made(inputs: _Inputs) -> tuple[dict[str, Any], bool]:
    """The combined spec, and whether a template in it may read what passes: then it holds for this service only."""
    merged = alternatives.settled(_folded(inputs.configs, inputs.own), inputs.sources)
    spec = _complete(merged, name_of(inputs.service))
    return _rendered(spec, inputs)


def _fold_of(configs: Sequence[Contribution]) -> Tree:
    """All configs over each other. Results are shared: never change one in place."""

    def fold() -> Tree:
        folded = configs[0].spec
        for config in configs[1:]:
            folded = merge_written(folded, config.spec)
        return folded

    size = sum(config.size for config in configs)
    return _FOLDS.get(tuple(config.digest for config in configs), fold, lambda _: size)


def _complete(spec: Tree, service_name: str) -> Tree:
    """The pool's selector and picker port, and the scheduler's account (PRESET-3).

    Decision: a selector that names what the pods are part of but not of whom, as presets before 2026 have it, is completed
    like an empty one: it would select the pods of every service.
    """
    if present(spec, "router", "scheduler", "pool", "spec"):
        pool = spec["router"]["scheduler"]["pool"]["spec"]
        selector = mapping(pool, "selector")
        labels = mapping(selector, "matchLabels")
        if not labels or (names.PART_OF in labels and names.NAME not in labels):
            selector = {**selector, "matchLabels": {**labels, **names.workload_selector(service_name)}}
        picker = mapping(pool, "endpointPickerRef")
        if not mapping(picker, "port").get("number") and text(picker, "kind") in ("", "Service"):
            picker = {**picker, "port": {"number": PICKER_PORT}}
        complete = {**pool, "selector": selector, "endpointPickerRef": picker}
        spec = replaced(spec, ("router", "scheduler", "pool", "spec"), complete)
    if present(spec, "router", "scheduler", "template"):
        template = mapping(spec, "router", "scheduler", "template")
        if not text(template, "serviceAccountName"):
            account = names.epp_service_account_name(service_name)
            spec = replaced(
                spec, ("router", "scheduler", "template"), {**template, "serviceAccountName": account}
            )
    return spec


def _as_seen(service: Object, merged: Tree) -> Object:
    """The service as templates see it: as it is stored, but with the KV cache of the merged spec, whose volumes it gets (TPL-3)."""
    spec = _with_cache(mapping(service, "spec"), merged)
    prefill = mapping(spec, "prefill")
    seen = _with_cache(prefill, mapping({"spec": merged}, "spec", "prefill"))
    if seen is not prefill:
        spec = {**spec, "prefill": seen}
    return {**service, "spec": spec}


def _with_cache(workload: Tree, merged: Tree) -> Tree:
    found = merged.get(_KV_CACHE)
    return workload if found is None else {**workload, _KV_CACHE: found}


def _rendered(spec: Tree, inputs: _Inputs) -> tuple[dict[str, Any], bool]:
    """Templates replaced, in the service's metadata too (only errors matter there), then the default references."""
    service = inputs.service
    given = {"metadata": mapping(service, "metadata"), "spec": spec}
    rendered = render(
        given,
        root(
            _as_seen(service, spec), inputs.config, text(spec, "router", "scheduler", "pool", "ref", "name")
        ),
        source=lambda path: _written_by(owner_of(path, inputs.sources), _title(service)),
    )
    passes = any(name in text for text in rendered.templates for name in _PASSING_NAMES)
    # Rendering puts strings where strings were. Only an empty one changes what Go would write.
    result = round_trip(rendered.tree["spec"]) if rendered.emptied else dict(rendered.tree["spec"])
    if present(result, "router", "route", "http", "spec"):
        route = rewrite_default_refs(result["router"]["route"]["http"]["spec"], name_of(service), result)
        result = replaced(result, ("router", "route", "http", "spec"), route)
    try:
        lora.resolve(result)
    except PlanError as error:
        raise PlanError(f"failed to enumerate LoRA adapters: {error}") from error
    return managed_dra.claimed(result, service), passes

"""From a service and the configs around it to the combined spec (PRESET-3).

The order of precedence, weakest first: presets, baseRefs in order, the service. Templates are rendered at the end,
against the service as stored. Everything is read through the observation; what is unknown raises Unanswered.

Merging and rendering are pure, and presets are the same for thousands of services, so their fold is kept by content; so are
the last results, because a service is planned several times in a row while nothing changes but its status.
"""

import zlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from aioctl.api import names, user_names
from aioctl.api.defaulting import apply_defaults
from aioctl.api.encoding import from_json, to_json
from aioctl.api.objects import (
    FieldError,
    Object,
    dig,
    mapping,
    name_of,
    namespace_of,
    present,
    replaced,
    sequence,
    text,
)
from aioctl.caching import LARGEST, MIB, BoundedCache
from aioctl.golang.roundtrip import round_trip
from aioctl.golang.template import Rendered
from aioctl.plan import alternatives, lasting, picker_config, presets, scheduler_config
from aioctl.plan.config_lookup import ConfigNotFound, Load, Lookup, Tree, look, spec_of
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.merge import MergeError, merge_written, with_containers
from aioctl.plan.model import PlanError
from aioctl.plan.observation import Observation
from aioctl.plan.policy import Policy
from aioctl.plan.provenance import Contribution, owner_of
from aioctl.plan.route import rewrite_default_refs
from aioctl.plan.templates import render, root
from aioctl.plan.workload import lora, managed_dra

PICKER_PORT: Final = 9002
"""Where an endpoint picker listens for gateways; the pool's CRD wants it written out."""


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
    numbered: bool = False
    """A template read one of the service's numbers (`lasting.numbers`): with others they would not just stand in its place."""

    def renumbered(self, service: Object) -> "Combined":
        """The same of a version of the service in which only numbers differ; of none that is `numbered`."""
        counts = lasting.own_counts(service)
        *configs, own = self.sources
        return replace(
            self,
            spec=lasting.with_numbers(self.spec, counts),
            service=lasting.with_numbers(self.service, lasting.numbers(service)),
            sources=(*configs, replace(own, spec=lasting.with_numbers(own.spec, counts))),
        )


def combine(obs: Observation, service: Object, config: GlobalConfig, policy: Policy) -> Combined:
    """The combined spec of a service.

    Raises PlanError with the texts of PRESET-3 (without the reconcile's own prefix), ConfigNotFound among them, FieldError
    for a service field of the wrong type, Unanswered when it is not known which configs exist.
    """
    load = Load()
    load.add(_title(service), look(to_json(dig(service, "spec"))).weight)
    service = apply_defaults(service)
    own = _own(service)
    lookup = Lookup(obs, namespace_of(service), policy.system_namespace, load)
    base_refs = [lookup.find(_ref_name(ref)) for ref in sequence(own, "baseRefs")]
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
    spec, read = _kept(inputs)
    if read.passing:
        spec, _ = _made(inputs)
    # Presets take it from the service, so one that a template of the service's own makes is judged as it was written, too.
    for model in (service, {"spec": spec}):
        if problem := user_names.model_problem(text(model, "spec", "model", "name")):
            raise FieldError("spec.model.name", problem)
    spec = picker_config.resolved(obs, spec, namespace_of(service), policy.system_namespace)
    _check_adapters(spec)
    applied = (
        *(lookup.applied(config, "Preset") for config in chosen),
        *(lookup.applied(config, "UserRef") for config in base_refs),
    )
    return Combined(spec, service, inputs.sources, applied, read.passing, read.numbers)


def _check_adapters(spec: Tree) -> None:
    try:
        lora.resolve(spec)
    except PlanError as error:
        raise PlanError(f"failed to enumerate LoRA adapters: {error}") from error


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


def _brings_tokenizer(chosen: Sequence[Contribution], base_refs: Sequence[Contribution], own: Tree) -> bool:
    """Whether the picker that is put together of these has its tokenizer beside it, so that the fleet's presets know no other."""
    specs = [*(each.spec for each in (*chosen, *base_refs)), own]
    asked = any(present({"spec": spec}, "spec", "router", "scheduler", "tokenizer") for spec in specs)
    return not asked and any(scheduler_config.brings_tokenizer(spec) for spec in specs)


_FOLDS: Final[BoundedCache[tuple[bytes, ...], Tree]] = BoundedCache(2 * MIB)
_KEPT: Final[BoundedCache[Hashable, tuple[bytes, "_Read"]]] = BoundedCache(16 * MIB)
"""Each result is 15 kB of JSON, packed 4: a storm's services come round again before it is over. As a tree it would take 75 kB."""

_KV_CACHE: Final = "kvCacheOffloading"
_KEY: Final = 1024
"""Bytes of a key of `_KEPT`, about."""


def _own(service: Object) -> Tree:
    """The spec of a service as it is merged; made once whatever its numbers are."""
    spec = spec_of(to_json(mapping(lasting.unnumbered(service), "spec")))
    return lasting.with_numbers(spec, lasting.own_counts(service))


# Merging and completing.


def _folded(configs: Sequence[Contribution], own: Tree) -> Tree:
    if not configs:
        return with_containers(own)
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
_NUMBERS: Final = ("Replicas", "Generation")
"""`lasting.numbers`, by the names that templates have for them; no struct that holds one can be printed as a whole."""


class _Read(NamedTuple):
    """What the templates of a combination may have read of the service though it does not last."""

    passing: bool
    numbers: bool


def _lasting(service: Object) -> dict[str, Any]:
    metadata = mapping(service, "metadata")
    return {
        **{name: value for name, value in service.items() if name != "status"},
        "metadata": {name: value for name, value in metadata.items() if name not in _PASSING},
    }


def _kept(inputs: _Inputs) -> tuple[dict[str, Any], _Read]:
    """As `_made`; the same while every part is the same, down to the last byte, but for what passes in the service and for its
    numbers, which are put in their places."""
    spec, read = _packed(inputs, lasting.unnumbered(inputs.service))
    if read.numbers:
        return _packed(inputs, inputs.service)
    return lasting.with_numbers(spec, lasting.own_counts(inputs.service)), read


def _packed(inputs: _Inputs, service: Object) -> tuple[dict[str, Any], _Read]:
    """As `_made`, or as it was for the same service."""
    seen = blake2b(to_json(_lasting(service)), digest_size=16).digest()
    read = tuple((contribution.title, contribution.digest) for contribution in inputs.configs)
    fresh: list[dict[str, Any]] = []

    def packed() -> tuple[bytes, _Read]:
        spec, read = _made(inputs)
        fresh.append(spec)
        text = to_json(spec)
        # What is too large to be kept is not worth packing either.
        return zlib.compress(text, 1) if len(text) <= LARGEST else text, read

    spec, found = _KEPT.get((seen, read, inputs.config), packed, lambda made: len(made[0]) + _KEY)
    return fresh[0] if fresh else from_json(zlib.decompress(spec)), found


def _made(inputs: _Inputs) -> tuple[dict[str, Any], _Read]:
    """The combined spec, and what its templates may have read: what passes makes it hold for this service only."""
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


def _rendered(spec: Tree, inputs: _Inputs) -> tuple[dict[str, Any], _Read]:
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
    read = _Read(_names_any(rendered, _PASSING_NAMES), _names_any(rendered, _NUMBERS))
    # Rendering puts strings where strings were. Only an empty one changes what Go would write.
    result = round_trip(rendered.tree["spec"]) if rendered.emptied else dict(rendered.tree["spec"])
    if present(result, "router", "route", "http", "spec"):
        route = rewrite_default_refs(result["router"]["route"]["http"]["spec"], name_of(service), result)
        result = replaced(result, ("router", "route", "http", "spec"), route)
    return managed_dra.claimed(result, service), read


def _names_any(rendered: Rendered, names_: Sequence[str]) -> bool:
    return any(name in text for text in rendered.templates for name in names_)

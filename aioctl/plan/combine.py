"""From a service and the configs around it to the combined spec (spec 20 section 2, spec 40 section 3).

The order of precedence, weakest first: presets, baseRefs in order, the service. Templates are rendered at the end,
against the service as stored. Everything is read through the observation; what is unknown raises Unanswered.

Merging and rendering are pure, and presets are the same for thousands of services, so their fold is kept by content; so are
the last results, because a service is planned several times in a row while nothing of this changes.

Decision (spec 50 section 1): route rules that are exactly the CRD's default count as not given.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aioctl.api import names
from aioctl.api.defaulting import apply_defaults
from aioctl.api.encoding import from_json, to_json
from aioctl.api.kinds import CONFIG
from aioctl.api.objects import FieldError, Object, mapping, name_of, namespace_of, present, sequence, text
from aioctl.plan import presets
from aioctl.plan.global_config import GlobalConfig
from aioctl.plan.merge import MergeError, merge_written
from aioctl.plan.model import Observation, PlanError, Policy, need
from aioctl.plan.provenance import Contribution, owner_of
from aioctl.plan.roundtrip import round_trip
from aioctl.plan.route import rewrite_default_refs
from aioctl.plan.template import render, root

Tree = Mapping[str, Any]

_DEFAULT_RULES = [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]


@dataclass(frozen=True, slots=True)
class Combined:
    """The result of the combination."""

    spec: dict[str, Any]
    """As Go writes it, templates rendered. Shares subtrees with the cached presets: never change it in place."""
    service: Object
    """As stored, with the model name that is in effect (spec 20 section 2.3 step 2)."""
    sources: tuple[Contribution, ...]
    """What was laid over each other, weakest first; the service is the last."""


def combine(obs: Observation, service: Object, config: GlobalConfig, policy: Policy) -> Combined:
    """The combined spec of a service.

    Raises PlanError with the texts of spec 20 (without the reconcile's own prefix), FieldError for a service field of
    the wrong type, Unanswered when it is not known which configs exist.
    """
    service = apply_defaults(service)
    own = _as_merged(mapping(service, "spec"))
    base_refs = [_find(obs, service, policy, _ref_name(ref)) for ref in sequence(own, "baseRefs")]
    resolved = own
    for contribution in base_refs:
        resolved = merge_written(resolved, contribution.spec)
    service, own = _with_model_name(service, own, text(resolved, "model", "name"))
    configs = [*(_find(obs, service, policy, name) for name in presets.chosen(resolved)), *base_refs]
    return _combined(_Given(service, own, tuple(configs), config))


def _ref_name(ref: Any) -> str:
    return text(ref, "name")


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


def _find(obs: Observation, service: Object, policy: Policy, name: str) -> Contribution:
    """The config of that name: the service's namespace first, then the system namespace (spec 20 section 2.2)."""
    namespace, system = namespace_of(service), policy.system_namespace
    for place in dict.fromkeys((namespace, system)):
        found = need(obs.get(CONFIG, place, name))
        if found is not None:
            return _contribution(found, f"LLMInferenceServiceConfig {place}/{name}")
    raise PlanError(
        f'failed to get LLMInferenceServiceConfig "{name}" from namespaces ["{namespace}", "{system}"]: '
        f"{CONFIG.not_found(name)}"
    )


def _contribution(config: Object, title: str) -> Contribution:
    try:
        return Contribution(title, _config_spec(to_json(mapping(config, "spec"))))
    except FieldError as error:
        raise PlanError(f"{title}: {error}") from error


@lru_cache(maxsize=512)
def _config_spec(encoded: bytes) -> Tree:
    return _as_merged(from_json(encoded))


def _as_merged(spec: Tree) -> Tree:
    """The spec as Go writes it, without route rules that only the CRD's default put there."""
    written = round_trip(spec)
    route = mapping(written, "router", "route", "http", "spec")
    if route.get("rules") != _DEFAULT_RULES:
        return written
    without = {name: value for name, value in route.items() if name != "rules"}
    return _replaced(written, ("router", "route", "http", "spec"), without)


def _replaced(tree: Tree, path: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of the tree with the value at the path, which is there already; the rest is shared."""
    head, *rest = path
    return {**tree, head: _replaced(tree[head], rest, value) if rest else value}


# Merging and completing.


def _folded(configs: Sequence[Contribution], own: Tree) -> Tree:
    if not configs:
        return own
    try:
        return merge_written(_fold_of(tuple(_ByIdentity(config.spec) for config in configs)), own)
    except MergeError as error:
        raise PlanError(f"failed to merge specs: {error}") from error


class _Given:
    """What a combination is made of, as a cache key: equal when every part of it is, down to the last byte."""

    __slots__ = ("_key", "config", "configs", "own", "service")

    def __init__(
        self, service: Object, own: Tree, configs: tuple[Contribution, ...], config: GlobalConfig
    ) -> None:
        """`own` is the service's spec as it is merged: it follows from the service, so the key does without it."""
        self.service = service
        self.own = own
        self.configs = configs
        self.config = config
        read = tuple((contribution.title, _ByIdentity(contribution.spec)) for contribution in configs)
        self._key = (to_json(service), read, config)

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and self._key == other._key


@lru_cache(maxsize=64)
def _combined(given: _Given) -> Combined:
    """More services than these are seldom on their way at once, and each result is some 50 kB."""
    service = given.service
    sources = (*given.configs, Contribution(_title(service), given.own))
    spec = _complete(_folded(given.configs, given.own), name_of(service))
    return Combined(_rendered(spec, service, given.config, sources), service, sources)


class _ByIdentity:
    """A spec out of `_config_spec` as a cache key: equal content is the same object there, for as long as it lives."""

    __slots__ = ("spec",)

    def __init__(self, spec: Tree) -> None:
        self.spec = spec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.spec is other.spec


@lru_cache(maxsize=256)
def _fold_of(configs: tuple[_ByIdentity, ...]) -> Tree:
    first, *others = configs
    folded = first.spec
    for config in others:
        folded = merge_written(folded, config.spec)
    return folded


def _complete(spec: Tree, service_name: str) -> Tree:
    """The pool's selector and the scheduler's account (spec 20 section 2.3 steps 7 and 8)."""
    if present(spec, "router", "scheduler", "pool", "spec"):
        selector = mapping(spec, "router", "scheduler", "pool", "spec", "selector")
        labels = {**mapping(selector, "matchLabels"), **names.workload_selector(service_name)}
        pool = spec["router"]["scheduler"]["pool"]["spec"]
        spec = _replaced(
            spec,
            ("router", "scheduler", "pool", "spec"),
            {**pool, "selector": {**selector, "matchLabels": labels}},
        )
    if present(spec, "router", "scheduler", "template"):
        template = mapping(spec, "router", "scheduler", "template")
        if not text(template, "serviceAccountName"):
            account = names.epp_service_account_name(service_name)
            spec = _replaced(
                spec, ("router", "scheduler", "template"), {**template, "serviceAccountName": account}
            )
    return spec


def _rendered(
    spec: Tree, service: Object, config: GlobalConfig, sources: Sequence[Contribution]
) -> dict[str, Any]:
    """Templates replaced, in the service's metadata too (only errors matter there), then the default references."""
    given = {"metadata": mapping(service, "metadata"), "spec": spec}
    rendered = render(
        given, root(service, config), source=lambda path: owner_of(path, sources) or _title(service)
    )
    # Rendering puts strings where strings were. Only an empty one changes what Go would write.
    result = round_trip(rendered.tree["spec"]) if rendered.emptied else dict(rendered.tree["spec"])
    if present(result, "router", "route", "http", "spec"):
        route = rewrite_default_refs(result["router"]["route"]["http"]["spec"], name_of(service), result)
        result = _replaced(result, ("router", "route", "http", "spec"), route)
    return result

"""Routing by model: the matches of the managed route that look at the header which names a model (MODEL-1, MODEL-2).

On, each of them is repeated for every LoRA adapter; off, they go, and with them the rules that had no others. A rule whose
matches would be more than the Gateway API allows is continued in further rules with the same backends.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.objects import annotations_of, sequence, text
from aioctl.plan.model import Context, PlanError
from aioctl.plan.observation import need
from aioctl.plan.routing import gateway_refs, route_spec

MOST_IN_A_RULE: Final = 64
MOST_IN_A_ROUTE: Final = 128
MOST_RULES: Final = 16
"""Gateway API 1.5, HTTPRoute: `maxItems` of matches and rules, and its rule over the matches of all rules together."""

Rule = Mapping[str, Any]


def managed_spec(ctx: Context) -> Mapping[str, Any]:
    """The spec of the managed route before the migration sets its pool references.

    Raises PlanError when the adapters need more matches or rules than a route holds, or when no rule is left, Unanswered when
    it is not known whether a gateway opts out.
    """
    spec = without_adapters(ctx)
    rules = sequence(spec, "rules")
    if not rules and sequence(route_spec(ctx), "rules"):
        raise PlanError(
            f"routing by model is off, and spec.router.route.http.spec has no rule without header "
            f"{ctx.config.routing.model_header}; give it one, or spec.annotations {names.MODEL_ROUTING}: "
            '"true" where the configuration and the gateways allow that'
        )
    if not rules or not is_on(ctx):
        return spec
    header, adapters = ctx.config.routing.model_header, adapter_names(ctx.spec)
    if not adapters and all(len(sequence(rule, "matches")) <= MOST_IN_A_RULE for rule in rules):
        return spec
    return {**spec, "rules": _fitting(with_adapters(rules, header, ctx.namespace, adapters), len(adapters))}


def without_adapters(ctx: Context) -> Mapping[str, Any]:
    """The spec of the managed route as for a model that has no adapters. Raises Unanswered as `managed_spec`."""
    spec = route_spec(ctx)
    rules = sequence(spec, "rules")
    if not rules or is_on(ctx):
        return spec
    return {**spec, "rules": without_model_matches(rules, ctx.config.routing.model_header)}


def is_on(ctx: Context) -> bool:
    """True when the combined spec asks for it and neither the configuration nor a gateway that it names is against it.

    Named are those of `router.gateway.refs`: the default gateway and those of an inline route are not asked. A gateway
    that does not exist has nothing against it.
    """
    asked = text({"spec": ctx.spec}, "spec", "annotations", names.MODEL_ROUTING)
    mode = ctx.config.routing.model_routing
    if asked != "true" or mode == "disabled":
        return False
    return mode == "forced" or not any(_opts_out(ctx))


def adapter_names(spec: Mapping[str, Any]) -> list[str]:
    """Names of the LoRA adapters of a combined spec, sorted, each once; one without a name cannot be asked for."""
    adapters = sequence({"spec": spec}, "spec", "model", "lora", "adapters")
    return sorted({name for adapter in adapters if (name := text(adapter, "name"))})


def with_adapters(rules: Sequence[Any], header: str, namespace: str, adapters: Sequence[str]) -> list[Any]:
    """The rules with every match that has the header repeated for each adapter, behind the given matches."""
    return [_repeated(rule, header, namespace, adapters) for rule in rules]


def without_model_matches(rules: Sequence[Any], header: str) -> list[Any]:
    """The rules without the matches that have the header, and without rules that had no others.

    A rule that has no matches at all takes every request, whatever its headers, and stays.
    """
    kept: list[Any] = []
    for rule in rules:
        matches = sequence(rule, "matches")
        others = [match for match in matches if not _has(match, header)]
        if len(others) == len(matches):
            kept.append(rule)
        elif others:
            kept.append({**rule, "matches": others})
    return kept


def _opts_out(ctx: Context) -> Iterator[bool]:
    for key in gateway_refs(ctx):
        gateway = need(ctx.obs.get(kinds.GATEWAY, key.namespace, key.name))
        yield gateway is not None and annotations_of(gateway).get(names.MODEL_ROUTING) == "false"


def _has(match: Any, header: str) -> bool:
    return any(text(each, "name") == header for each in sequence(match, "headers"))


def _repeated(rule: Any, header: str, namespace: str, adapters: Sequence[str]) -> Any:
    matches = sequence(rule, "matches")
    copies = [
        _asking_for(match, header, names.qualified_model(namespace, adapter))
        for match in matches
        if _has(match, header)
        for adapter in adapters
    ]
    return {**rule, "matches": [*matches, *copies]} if copies else rule


def _asking_for(match: Mapping[str, Any], header: str, model: str) -> dict[str, Any]:
    headers = [
        {**each, "value": model} if text(each, "name") == header else each
        for each in sequence(match, "headers")
    ]
    return {**match, "headers": headers}


def _fitting(rules: Sequence[Any], adapters: int) -> list[Any]:
    """The rules, those with too many matches continued in others. Raises PlanError when the route would be too large."""
    taken = {text(rule, "name") for rule in rules}
    split = [part for rule in rules for part in _parts(rule, taken)]
    matches = sum(max(1, len(sequence(rule, "matches"))) for rule in split)
    for count, most, what in ((matches, MOST_IN_A_ROUTE, "matches"), (len(split), MOST_RULES, "rules")):
        if adapters and count > most:
            raise PlanError(f"{adapters} LoRA adapters need {count} {what}, an HTTPRoute holds {most}")
    return split


def _parts(rule: Any, taken: set[str]) -> Iterator[Any]:
    matches = sequence(rule, "matches")
    if len(matches) <= MOST_IN_A_RULE:
        yield rule
        return
    name = text(rule, "name")
    yield {**rule, "matches": matches[:MOST_IN_A_RULE]}
    number = 2
    for start in range(MOST_IN_A_RULE, len(matches), MOST_IN_A_RULE):
        part = {**rule, "matches": matches[start : start + MOST_IN_A_RULE]}
        if name:
            while f"{name}-{number}" in taken:
                number += 1
            part["name"] = f"{name}-{number}"
            taken.add(part["name"])
        yield part

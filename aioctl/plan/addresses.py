"""`status.addresses` and `status.url`: every URL of the service's routes, and the one to show (URL-2, URL-3).

Each address has a name that says who can use it, the gateway it leads through, and the models that can be asked for there.
Without a route the workload's Service is the only address, and no URL is shown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import names
from aioctl.api.objects import FieldError, Object, mapping, sequence, text
from aioctl.plan.gateways import managed_route, referenced_routes
from aioctl.plan.model import NETWORKING, Context, Part, PlanError, Step
from aioctl.plan.model_routing import without_adapters
from aioctl.plan.observation import Unanswered
from aioctl.plan.routing import GATEWAY_API_GROUP, Mode, mode
from aioctl.plan.urls import Url, is_internal, route_urls

OUTER: Final = f"{NETWORKING}failed to reconcile HTTP routes: "
REVISIT: Final = 60.0
"""Seconds until a failed discovery is looked at again; a change of the gateway wakes the service before that."""

_BY_MODEL: Final = "-model-routing"


@dataclass(frozen=True, slots=True)
class Addresses:
    """`url` is the one to show, empty without any; `all` are the entries of `status.addresses`, in text order."""

    url: str
    all: tuple[dict[str, Any], ...]


def discover(ctx: Context) -> Addresses:
    """The addresses of the service. Raises PlanError (gateway, class or listener missing) and Unanswered."""
    if mode(ctx) is Mode.NONE:
        host = f"{names.workload_service_name(ctx.name)}.{ctx.namespace}.svc.{ctx.policy.cluster_domain}"
        scheme = "https" if ctx.config.routing.enable_tls else "http"
        return Addresses("", ({"url": f"{scheme}://{host}"},))
    managed = managed_route(ctx)
    return addresses([*_referenced(ctx), *([managed] if managed is not None else [])], ctx)


def check(ctx: Context) -> Step | None:
    """The step that fails the reconcile when discovery is bound to fail, asked before the managed route is written.

    It comes last: whatever else there is to do for the service does not wait for a listener.
    """
    try:
        planned_addresses(ctx)
    except Unanswered as unanswered:
        return Step(Part.ADDRESSES, OUTER, unanswered=str(unanswered))
    except (PlanError, FieldError) as error:
        return Step(Part.ADDRESSES, OUTER, error=str(error), revisit=REVISIT)
    return None


def planned_addresses(ctx: Context) -> Addresses:
    """The addresses as they are once the managed route is as it is asked for. Raises as `discover`."""
    found = list(_referenced(ctx))
    if mode(ctx) is Mode.MANAGED:
        metadata = {"namespace": ctx.namespace, "name": names.route_name(ctx.name)}
        spec = without_adapters(ctx)
        # A rule without matches is stored with one of every path, which is a way to ask.
        rules = [
            rule if sequence(rule, "matches") else {**rule, "matches": [{}]}
            for rule in sequence(spec, "rules")
        ]
        found.append({"metadata": metadata, "spec": {**spec, "rules": rules}})
    return addresses(found, ctx)


def addresses(routes: Iterable[Object], ctx: Context) -> Addresses:
    """The addresses through the given routes. A URL that several routes or parents give is one. Raises as `discover`."""
    routing, domain = ctx.config.routing, ctx.policy.cluster_domain
    found: dict[str, Url] = {}
    for route in routes:
        for url in route_urls(route, ctx.obs, ctx.policy, routing):
            found.setdefault(url.text, url)
    urls = [found[key] for key in sorted(found)]
    models = Models.of(ctx)
    return Addresses(
        shown(urls, f"/{ctx.namespace}/{ctx.name}", domain, routing.url_scheme),
        tuple(_entry(url, models, domain) for url in urls),
    )


def shown(urls: Iterable[Url], prefix: str, cluster_domain: str, scheme: str) -> str:
    """The URL to show of the sorted ones: external, whose path begins with `prefix`; of internal ones of that scheme first.

    An internal one is shown only where there is no other; what it is best at counts more than its place in the order.
    """
    external = [url for url in urls if not is_internal(url.host, cluster_domain)]

    def rank(url: Url) -> tuple[bool, bool]:
        elsewhere = not url.path.startswith(prefix)
        return elsewhere, not external and not elsewhere and url.scheme != scheme

    best = min(external or urls, key=rank, default=None)
    return best.text if best is not None else ""


@dataclass(frozen=True, slots=True)
class Models:
    """The names under which the base model and its adapters can be asked for, in the order of the spec."""

    qualified: tuple[str, ...]
    """As the publisher paths and the model header have them."""
    plain: tuple[str, ...]

    @classmethod
    def of(cls, ctx: Context) -> "Models":
        model = mapping({"spec": ctx.spec}, "spec", "model")
        adapters = (text(adapter, "name") for adapter in sequence(model, "lora", "adapters"))
        plain = tuple(name for name in (text(model, "name"), *adapters) if name)
        return cls(tuple(names.qualified_model(ctx.namespace, name) for name in plain), plain)

    def at(self, *, by_header: bool) -> list[dict[str, str]]:
        """Entries of an address: where the header decides, only the qualified names are known."""
        if by_header:
            return [{"name": name} for name in self.qualified]
        pairs = zip(self.qualified, self.plain, strict=True)
        return [{"name": name} for pair in pairs for name in pair]


def _entry(url: Url, models: Models, cluster_domain: str) -> dict[str, Any]:
    if url.host.lower().endswith(cluster_domain.lower()):
        name = "gateway-internal"
    else:
        name = "internal" if is_internal(url.host, cluster_domain) else "gateway-external"
    by_header = url.path == "/"
    entry: dict[str, Any] = {
        "name": name + (_BY_MODEL if by_header else ""),
        "url": url.text,
        "origin": {
            "group": GATEWAY_API_GROUP,
            "kind": "Gateway",
            "name": url.gateway.name,
            "namespace": url.gateway.namespace,
        },
    }
    if found := models.at(by_header=by_header):
        entry["models"] = found
    return entry


def _referenced(ctx: Context) -> Iterator[Object]:
    try:
        yield from referenced_routes(ctx)
    except Unanswered as unanswered:
        raise Unanswered(f"failed to collect referenced routes: {unanswered}") from unanswered

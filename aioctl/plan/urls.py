"""The addresses under which a service can be reached: `status.url` and `status.addresses` (URL-1).

URLs come from the routes and their gateways as they are in the cluster. A gateway without an address silences its whole
route; that is no failure. A gateway or class that is missing is one, and a read that is unknown leaves the old
addresses in place (the caller sees Unanswered).
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aioctl.api import names
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import FieldError, Object, dig, integer, mapping, sequence, text
from aioctl.golang.gourl import UrlError, go_string
from aioctl.plan.gateways import lookup, managed_route, referenced_routes, route_key
from aioctl.plan.model import (
    NETWORKING,
    Context,
    Observation,
    Part,
    PlanError,
    Policy,
    Step,
    Unanswered,
)
from aioctl.plan.routing import Mode, mode, route_spec

OUTER = f"{NETWORKING}failed to reconcile HTTP routes: "

_PLAIN_PORTS = {"http": 80, "https": 443}
_PRIVATE = tuple(
    ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_LOCAL_SUFFIXES = (".local", ".localhost", ".internal")


@dataclass(frozen=True, slots=True)
class Addresses:
    """`url` is an external one, an internal one where there is no other, empty without any; `all` is in text order."""

    url: str
    all: tuple[str, ...]


def discover(ctx: Context) -> Addresses:
    """The addresses of the service. Raises PlanError (gateway or class missing) and Unanswered."""
    if mode(ctx) is Mode.NONE:
        host = f"{names.workload_service_name(ctx.name)}.{ctx.namespace}.svc.{ctx.policy.cluster_domain}"
        return Addresses("", (f"https://{host}",))
    managed = managed_route(ctx)
    found = [*_referenced(ctx), *([managed] if managed is not None else [])]
    return addresses(found, ctx.obs, ctx.policy, prefix=f"/{ctx.namespace}/{ctx.name}")


def check(ctx: Context) -> Step | None:
    """The step that fails the reconcile when discovery is bound to fail, asked before the managed route is written."""
    try:
        found = list(_referenced(ctx))
        if mode(ctx) is Mode.MANAGED:
            metadata = {"namespace": ctx.namespace, "name": names.route_name(ctx.name)}
            found.append({"metadata": metadata, "spec": route_spec(ctx)})
        addresses(found, ctx.obs, ctx.policy)
    except Unanswered as unanswered:
        return Step(Part.ROUTES, OUTER, unanswered=str(unanswered))
    except (PlanError, FieldError) as error:
        return Step(Part.ROUTES, OUTER, error=str(error))
    return None


def addresses(routes: Iterable[Object], obs: Observation, policy: Policy, *, prefix: str = "/") -> Addresses:
    """The addresses of the given routes; of several, one whose path begins with `prefix` is `url`. Raises as `discover`."""
    urls = sorted(url for route in routes for url in route_urls(route, obs, policy))
    external = [url for url in urls if not is_internal(_host_of(url), policy.cluster_domain)]
    # Behind a private gateway there is no external one: then the service is reached under an internal one (URL-2).
    shown = min(external or urls, key=lambda url: not _path_of(url).startswith(prefix), default="")
    return Addresses(shown, tuple(urls))


def route_urls(route: Object, obs: Observation, policy: Policy) -> list[str]:
    """URLs of one route: parents in order, hosts of a parent sorted; empty when some gateway has no address."""
    at = route_key(route)
    try:
        parents = [(ref, _gateway(obs, ref, at)) for ref in sequence(route, "spec", "parentRefs")]
    except PlanError as error:
        raise PlanError(
            f"failed to discover URL for route {at}: failed to discover gateways: {error}"
        ) from error
    if any(not sequence(gateway, "status", "addresses") for _, gateway in parents):
        return []
    path = choose_path(route)
    return [url for ref, gateway in parents for url in _parent_urls(route, ref, gateway, path, policy)]


def choose_path(route: Object) -> str:
    """The path with the fewest slashes, then the shortest, then the first; rules to a Service go before others."""
    rules = sequence(route, "spec", "rules")
    to_service = [rule for rule in rules if any(_is_service(ref) for ref in sequence(rule, "backendRefs"))]
    paths = [
        text(match, "path", "value") or "/"
        for rule in to_service or rules
        for match in sequence(rule, "matches")
    ]
    return min(paths, key=lambda path: (path.count("/"), len(path)), default="/")


def is_internal(host: str, cluster_domain: str) -> bool:
    """True for private addresses and names that do not leave the cluster or the machine; loopback counts as external."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower()
        return name == "localhost" or name.endswith((cluster_domain.lower(), *_LOCAL_SUFFIXES))
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in block for block in _PRIVATE)


def _referenced(ctx: Context) -> Iterator[Object]:
    try:
        yield from referenced_routes(ctx)
    except Unanswered as unanswered:
        raise Unanswered(f"failed to collect referenced routes: {unanswered}") from unanswered


def _gateway(obs: Observation, ref: Any, route: ObjectKey) -> Object:
    key = ObjectKey(text(ref, "namespace") or route.namespace, text(ref, "name"))
    return lookup(obs, key, route)[0]


def _is_service(ref: Any) -> bool:
    return isinstance(ref, Mapping) and ref.get("kind") == "Service"


def _parent_urls(route: Object, ref: Any, gateway: Object, path: str, policy: Policy) -> Iterator[str]:
    listeners = sequence(gateway, "spec", "listeners")
    if not listeners:
        return
    section = text(ref, "sectionName")
    listener = next((each for each in listeners if section and text(each, "name") == section), listeners[0])
    scheme = "https" if text(listener, "protocol") == "HTTPS" else "http"
    port = integer(listener, "port") or _PLAIN_PORTS[scheme]
    suffix = "" if port == _PLAIN_PORTS[scheme] else f":{port}"
    for host in sorted(_hosts(route, listener, gateway, policy.wildcard_hostname)):
        shown = f"[{host}]" if ":" in host else host
        # One text that is no URL, such as of a regular expression, would keep Go clients from reading the whole service.
        with suppress(UrlError):
            yield go_string(f"{scheme}://{shown}{suffix}{path}")


def _hosts(route: Object, listener: Any, gateway: Object, wildcard: str) -> list[str]:
    hosts = [host for host in sequence(route, "spec", "hostnames") if host not in ("", "*")]
    hostname = text(listener, "hostname")
    if not hosts and hostname:
        hosts = [hostname]
    if not hosts:
        values = (dig(address, "value") for address in sequence(mapping(gateway, "status"), "addresses"))
        return [str(value) for value in values if value]
    return [f"{wildcard}{host[1:]}" if host.startswith("*.") else host for host in hosts]


def _path_of(url: str) -> str:
    return "/" + url.split("://", 1)[1].partition("/")[2]


def _host_of(url: str) -> str:
    authority = url.split("://", 1)[1].split("/", 1)[0]
    if authority.startswith("["):
        return authority[1:].split("]", 1)[0]
    return authority.rsplit(":", 1)[0]

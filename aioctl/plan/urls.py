"""The URLs under which one route can be reached: through its gateways from outside, and through their Services (URL-1).

Each parent of a route gives one URL for each way to ask for the model (by path, by publisher path, by header), each listener
that takes part, and each host: those from outside where the gateway has an address, and the name of the Service behind
the gateway where there is one. A parent that yields nothing is no failure. A gateway, class or listener that is missing is
one, and a read that is unknown leaves the caller without an answer.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from aioctl.api import kinds, names
from aioctl.api.kinds import ObjectKey
from aioctl.api.objects import Object, dig, integer, name_of, namespace_of, sequence, text
from aioctl.golang.gourl import UrlError, go_string
from aioctl.plan.gateways import lookup, route_key
from aioctl.plan.global_config import RoutingConfig
from aioctl.plan.model import PlanError
from aioctl.plan.observation import Observation, need, need_list
from aioctl.plan.policy import Policy

_SCHEMES: Final = {"HTTP": "http", "HTTPS": "https", "TLS": "https"}
"""By the protocol of a listener; listeners of other protocols take no HTTPRoutes."""
_PLAIN_PORTS: Final = {"http": 80, "https": 443}
_PUBLISHERS: Final = "/publishers/"
_PRIVATE: Final = tuple(
    ipaddress.ip_network(block) for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
_LOCAL_SUFFIXES: Final = (".local", ".localhost", ".internal")


@dataclass(frozen=True, slots=True)
class Url:
    """One URL, as Go prints it, and the gateway that takes its requests."""

    text: str
    gateway: ObjectKey

    @property
    def path(self) -> str:
        """With its first slash, escaped as in the text; a pattern's question mark begins a query, as it does for Go."""
        path = self.text.split("://", 1)[1].partition("/")[2]
        return "/" + path.partition("#")[0].partition("?")[0]

    @property
    def host(self) -> str:
        """Without port and brackets."""
        authority = self.text.split("://", 1)[1].split("/", 1)[0]
        if authority.startswith("["):
            return authority[1:].split("]", 1)[0]
        return authority.rsplit(":", 1)[0]

    @property
    def scheme(self) -> str:
        return self.text.split("://", 1)[0]


def route_urls(route: Object, obs: Observation, policy: Policy, routing: RoutingConfig) -> list[Url]:
    """The URLs of one route, parents in order; equal ones once for each parent.

    Raises PlanError, with KServe's text, for a gateway, class or listener that is not there, and Unanswered.
    """
    at = route_key(route)
    try:
        parents = [
            (text(ref, "sectionName"), _gateway(obs, ref, at))
            for ref in sequence(route, "spec", "parentRefs")
        ]
    except PlanError as error:
        raise PlanError(f"failed to discover gateways for route {at}: {error}") from error
    paths = paths_of(route, routing.model_header)
    hostnames = [host for host in sequence(route, "spec", "hostnames") if host not in ("", "*")]
    found: list[Url] = []
    for section, gateway in parents:
        door = _Door(gateway, policy, obs, hostnames)
        try:
            listeners = _listeners(gateway, section, routing.url_scheme)
            texts = [each for path in paths for each in door.urls(listeners, path)]
        except PlanError as error:
            raise PlanError(f"failed to discover URL for route {at}: {error}") from error
        found += [Url(each, door.key) for each in dict.fromkeys(texts)]
    return found


def paths_of(route: Object, model_header: str) -> list[str]:
    """One path for each way to ask: plain, publisher and by model header; the shallowest, shortest one first.

    Matches with other headers only are no way to ask; a route without any way is reached at its root.
    """
    ways: dict[str, _Candidates] = {}
    for rule in sequence(route, "spec", "rules"):
        to_service = any(text(ref, "kind") in ("", "Service") for ref in sequence(rule, "backendRefs"))
        for match in sequence(rule, "matches"):
            path = text(match, "path", "value") or "/"
            way = _way(match, path, model_header)
            if way:
                ways.setdefault(way, _Candidates()).add(path, to_service=to_service)
    chosen = (ways[way].best() for way in ("path", "publisher", "model") if way in ways)
    return sorted(dict.fromkeys(chosen), key=_depth) or ["/"]


def is_internal(host: str, cluster_domain: str) -> bool:
    """True for private addresses and names that do not leave the cluster or the machine; loopback counts as external."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.lower()
        return name == "localhost" or name.endswith((cluster_domain.lower(), *_LOCAL_SUFFIXES))
    mapped = getattr(address, "ipv4_mapped", None)
    return any((mapped or address) in block for block in _PRIVATE)


class _Candidates:
    """Paths of one way to ask; those of rules that lead to a Service go before all others."""

    def __init__(self) -> None:
        self._to_services: list[str] = []
        self._others: list[str] = []

    def add(self, path: str, *, to_service: bool) -> None:
        (self._to_services if to_service else self._others).append(path)

    def best(self) -> str:
        return min(self._to_services or self._others, key=_depth)


def _depth(path: str) -> tuple[int, int]:
    return path.count("/"), len(path)


def _way(match: Any, path: str, model_header: str) -> str:
    headers = sequence(match, "headers")
    if any(text(header, "name") == model_header for header in headers):
        return "model"
    if headers:
        return ""
    return "publisher" if path.startswith(_PUBLISHERS) else "path"


def _gateway(obs: Observation, ref: Any, route: ObjectKey) -> Object:
    key = ObjectKey(text(ref, "namespace") or route.namespace, text(ref, "name"))
    return lookup(obs, key, route)[0]


@dataclass(frozen=True, slots=True)
class _Listener:
    """One listener of a gateway. Its protocol is judged only where it would give a URL, as in KServe."""

    name: str
    protocol: str
    port: int
    hostname: str

    def scheme(self, gateway: ObjectKey) -> str:
        """Raises PlanError for a protocol that takes no HTTPRoutes."""
        scheme = _SCHEMES.get(self.protocol)
        if scheme is None:
            raise PlanError(
                f'failed to resolve scheme for gateway {gateway} listener {self.name}: listener "{self.name}" uses '
                f"unsupported protocol {self.protocol} for HTTP routing"
            )
        return scheme


def _listeners(gateway: Object, section: str, preferred: str) -> list[_Listener]:
    """The listener of that name, or all that take HTTPRoutes: of the preferred scheme first, then HTTPS, then HTTP."""
    key = ObjectKey(namespace_of(gateway), name_of(gateway))
    listeners = [
        _Listener(
            text(each, "name"), text(each, "protocol"), integer(each, "port") or 0, text(each, "hostname")
        )
        for each in sequence(gateway, "spec", "listeners")
    ]
    if section:
        chosen = [each for each in listeners if each.name == section][:1]
        missing = f'listener "{section}" not found in gateway {key}'
    else:
        chosen = [each for each in listeners if each.protocol in _SCHEMES]
        missing = f"no HTTP-capable listener found in gateway {key}"
    if not chosen:
        raise PlanError(f"failed to select listeners for gateway {key}: {missing}")

    def rank(each: _Listener) -> tuple[bool, bool]:
        scheme = _SCHEMES.get(each.protocol)
        return scheme != preferred, scheme != "https"

    return sorted(chosen, key=rank)


class _Door:
    """One gateway as a way in, for one route: its addresses, the route's hostnames, and the Service behind it."""

    def __init__(self, gateway: Object, policy: Policy, obs: Observation, hostnames: Sequence[str]) -> None:
        self.key = ObjectKey(namespace_of(gateway), name_of(gateway))
        self._hostnames = sorted(hostnames)
        self._wildcard = policy.wildcard_hostname
        entries = sequence(gateway, "status", "addresses")
        self._open = bool(entries)
        self._addresses = sorted(str(value) for entry in entries if (value := dig(entry, "value")))
        service = _service_of(obs, self.key)
        self._inside = (
            f"{name_of(service)}.{self.key.namespace}.svc.{policy.cluster_domain}" if service else ""
        )
        ports = sequence(service, "spec", "ports") if service else ()
        self._ports = frozenset(integer(port, "port") for port in ports)

    def urls(self, listeners: Sequence[_Listener], path: str) -> Iterator[str]:
        """From outside, where the gateway has an address, then from inside, where it has a Service."""
        for listener in listeners if self._open else ():
            yield from self._printed(listener, self._hosts(listener), path)
        for listener in listeners if self._inside else ():
            if not self._ports or listener.port in self._ports:
                yield from self._printed(listener, (self._inside,), path)

    def _printed(self, listener: _Listener, hosts: Iterable[str], path: str) -> Iterator[str]:
        scheme = listener.scheme(self.key)
        plain = _PLAIN_PORTS[scheme]
        port = "" if listener.port in (0, plain) else f":{listener.port}"
        for host in hosts:
            shown = f"[{host}]" if ":" in host else host
            # One text that is no URL, such as of a regular expression, would keep Go clients from reading the service.
            with suppress(UrlError):
                yield go_string(f"{scheme}://{shown}{port}{path}")

    def _hosts(self, listener: _Listener) -> Sequence[str]:
        """Hostnames of the route, else of the listener, else the addresses; `*.` stands for a name that can be asked for."""
        named = self._hostnames or ([listener.hostname] if listener.hostname else [])
        if not named:
            return self._addresses
        return [f"{self._wildcard}{host[1:]}" if host.startswith("*.") else host for host in named]


def _service_of(obs: Observation, gateway: ObjectKey) -> Mapping[str, Any] | None:
    """The Service in front of the gateway's proxies: by label, the first by name, else one of the gateway's own name."""
    labelled = need_list(
        obs.select(kinds.CORE_SERVICE, gateway.namespace, {names.GATEWAY_NAME: gateway.name})
    )
    if labelled:
        return min(labelled, key=name_of)
    return need(obs.get(kinds.CORE_SERVICE, gateway.namespace, gateway.name, named_by_user=True))

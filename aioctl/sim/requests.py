"""What a request asks for: paths, queries and headers as the API server reads them.

`SimRequest` and `SimReply` are the whole interface of the simulated server; `http.py` and the tests carry them. Parsing
decides nothing about what exists.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import yaml

from aioctl.sim.errors import bad_request
from aioctl.sim.resources import GroupVersion, Object


@dataclass(frozen=True, slots=True)
class SimRequest:
    """One request: path without query, query pairs in order, header names in any case, the whole body."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers.items() if key.lower() == name), "")

    def argument(self, name: str) -> str:
        """The first value of a query parameter, empty when absent."""
        return next((value for key, value in self.query if key == name), "")

    def flag(self, name: str) -> bool:
        return self.argument(name).lower() in {"true", "1"}

    @property
    def content_type(self) -> str:
        return self.header("content-type").split(";", 1)[0].strip().lower()

    @property
    def user_agent(self) -> str:
        """Program part only, such as `kubectl/v1.34.1`."""
        return self.header("user-agent").split(" ", 1)[0]


@dataclass(frozen=True, slots=True)
class SimReply:
    """One answer; header names are lower case. A body that is an iterator is a stream: closing it closes the watch."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | AsyncIterator[bytes] = b""


JSON_HEADERS: Final = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Target:
    """The resource part of a path; `name` is empty for a collection."""

    at: GroupVersion
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_path(path: str) -> Target | None:
    """The target of a resource path, or None for paths that are no resource (discovery, health, unknown)."""
    parts = [part for part in path.split("/") if part]
    if len(parts) >= 3 and parts[0] == "api":
        at, rest = GroupVersion("", parts[1]), parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        at, rest = GroupVersion(parts[1], parts[2]), parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] not in {"status", "finalize"}:
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "")[:3]
    return Target(at, plural, namespace, name, subresource)


def decode_body(request: SimRequest) -> Any:
    """The body as JSON (or YAML where the content type says so). Raises StatusError 400."""
    if not request.body:
        raise bad_request("the body of the request is empty: expected an object")
    if "yaml" in request.content_type:
        try:
            return yaml.safe_load(request.body)
        except yaml.YAMLError as error:
            raise bad_request(f"error converting YAML to JSON: {error}") from error
    try:
        return msgspec.json.decode(request.body)
    except msgspec.DecodeError as error:
        raise bad_request(f"unable to decode the body as JSON: {error}") from error


def decode_object(request: SimRequest) -> Object:
    """The body as one object. Raises StatusError 400."""
    decoded = decode_body(request)
    if not isinstance(decoded, dict):
        raise bad_request("couldn't get version/kind; json parse error: the body is no object")
    return decoded


def wants_metadata_only(request: SimRequest) -> bool:
    accept = request.header("accept")
    return "as=PartialObjectMetadata" in accept.split(",", 1)[0] and "application/json" in accept


def wants_table(request: SimRequest) -> bool:
    first = request.header("accept").split(",", 1)[0]
    return "as=Table" in first and "v=v1" in first and "application/json" in first

"""What the API server fills into an HTTPRoute, so that wanted and live routes can be compared in full (ROUTE-4).

The defaults are those of the Gateway API CRDs (1.2 to 1.4, both channels). Both sides of a comparison pass through
here; a default that some installed version does not know is therefore harmless. Input is never changed.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

_Fields = Mapping[str, Any]
_Fill = Callable[[Any], Any]

_ROOT_MATCH: Final = {"path": {"type": "PathPrefix", "value": "/"}}
_SESSION_DEFAULTS: Final[_Fields] = {"type": "Cookie"}


def _over(defaults: _Fields, value: Any, **nested: _Fill) -> Any:
    """The object with absent and null fields defaulted, then each nested field (if present) filled by its own rule."""
    if not isinstance(value, Mapping):
        return value
    filled = {**defaults, **{key: item for key, item in value.items() if item is not None}}
    for key, fill in nested.items():
        if key in filled:
            filled[key] = fill(filled[key])
    return filled


def _each(fill: _Fill) -> _Fill:
    return lambda value: [fill(item) for item in value] if isinstance(value, (list, tuple)) else value


def _parent_ref(ref: Any) -> Any:
    return _over({"group": "gateway.networking.k8s.io", "kind": "Gateway"}, ref)


def _plain_backend(ref: Any) -> Any:
    return _over({"group": "", "kind": "Service"}, ref)


def _mirror(mirror: Any) -> Any:
    return _over(
        {}, mirror, backendRef=_plain_backend, fraction=lambda value: _over({"denominator": 100}, value)
    )


def _filter(rule_filter: Any) -> Any:
    return _over(
        {},
        rule_filter,
        requestMirror=_mirror,
        requestRedirect=lambda value: _over({"statusCode": 302}, value),
        cors=lambda value: _over({"maxAge": 5}, value),
        externalAuth=lambda value: _over({}, value, backendRef=_plain_backend),
    )


def _backend(ref: Any) -> Any:
    return _over({"group": "", "kind": "Service", "weight": 1}, ref, filters=_each(_filter))


def _exact(matcher: Any) -> Any:
    return _over({"type": "Exact"}, matcher)


def _match(match: Any) -> Any:
    return _over(
        {"path": {}},
        match,
        path=lambda path: _over(_ROOT_MATCH["path"], path),
        headers=_each(_exact),
        queryParams=_each(_exact),
    )


def _session(session: Any) -> Any:
    return _over(
        _SESSION_DEFAULTS,
        session,
        cookieConfig=lambda value: _over({"lifetimeType": "Session"}, value),
    )


def _rule(rule: Any) -> Any:
    return _over(
        {"matches": [_ROOT_MATCH]},
        rule,
        matches=_each(_match),
        filters=_each(_filter),
        backendRefs=_each(_backend),
        sessionPersistence=_session,
    )


def defaulted(spec: _Fields) -> dict[str, Any]:
    """An HTTPRoute spec as the API server would store it."""
    filled: dict[str, Any] = _over(
        {"rules": [{"matches": [_ROOT_MATCH]}]}, spec, parentRefs=_each(_parent_ref), rules=_each(_rule)
    )
    return filled

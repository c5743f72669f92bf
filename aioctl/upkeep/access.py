"""Who may read the metrics port: holders of a token with a permission on the path, as controller-runtime's filter has it.

The API server says whose the token is (TokenReview) and whether that user may do the method's verb on the path, which is no
resource (SubjectAccessReview). Its verdicts are kept for as long as that filter keeps them. Nothing is stored by either
review: they are created, and answered, and gone.

Rules: ACCESS-1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final, Generic, NamedTuple, TypeVar

import structlog

from aioctl.api.kinds import ACCESS_REVIEW, TOKEN_REVIEW, Kind
from aioctl.engine.clock import SYSTEM_CLOCK, Clock
from aioctl.kube.client import Client
from aioctl.kube.errors import KubeError

USER_TTL: Final = 60.0
ALLOWED_TTL: Final = 300.0
DENIED_TTL: Final = 30.0
"""Seconds; sigs.k8s.io/controller-runtime, pkg/metrics/filters/filters.go."""
KEPT: Final = 256
"""Verdicts kept at most, of each sort: a stranger with ever new tokens must not fill the memory."""

log = structlog.get_logger(__name__)
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class User:
    """`status.user` of a TokenReview."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


class Refusal(NamedTuple):
    """What a caller is told who gets no page."""

    status: HTTPStatus
    text: str
    headers: Mapping[str, str]


class AccessGuard:
    """Decides on calls of one server. A token that is nobody's gets 401 (RFC 6750, 3.1) where the filter says 500."""

    def __init__(self, client: Client, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._client = client
        self._users = _Verdicts[bytes, User | None](clock)
        self._permissions = _Verdicts[tuple[User, str, str], bool](clock)

    async def refusal(self, authorization: str, method: str, path: str) -> Refusal | None:
        """Of a call with that header (empty: none); None lets it through."""
        scheme, _, token = authorization.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return _unauthorized("Bearer")
        try:
            user = await self._user(token)
            if user is None:
                return _unauthorized('Bearer error="invalid_token"')
            allowed = await self._may(user, method.lower(), path)
        except KubeError as error:
            log.warning("access could not be reviewed", path=path, error=str(error))
            return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Access could not be reviewed\n", {})
        if allowed:
            return None
        return Refusal(HTTPStatus.FORBIDDEN, f"Authorization denied for user {user.name}\n", {})

    async def _user(self, token: str) -> User | None:
        """Whose token it is; None: nobody's. Raises KubeError."""
        key = sha256(token.encode("utf-8", "surrogateescape")).digest()
        known = self._users.get(key)
        if known is None:
            status = await self._review(TOKEN_REVIEW, {"token": token})
            known = self._users.keep(key, _user_of(status), USER_TTL)
        return known.value

    async def _may(self, user: User, verb: str, path: str) -> bool:
        """Raises KubeError."""
        key = (user, verb, path)
        known = self._permissions.get(key)
        if known is None:
            spec = {
                "user": user.name,
                "uid": user.uid,
                "groups": list(user.groups),
                "extra": {name: list(values) for name, values in user.extra},
                "nonResourceAttributes": {"path": path, "verb": verb},
            }
            allowed = (await self._review(ACCESS_REVIEW, spec)).get("allowed") is True
            known = self._permissions.keep(key, allowed, ALLOWED_TTL if allowed else DENIED_TTL)
        return known.value

    async def _review(self, kind: Kind, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        review = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {}, "spec": spec}
        reviewed = await self._client.create(kind, "", review)
        status: Mapping[str, Any] = reviewed.get("status") or {}
        return status


@dataclass(frozen=True, slots=True)
class _Verdict(Generic[V]):
    value: V
    until: float


class _Verdicts(Generic[K, V]):
    """Those whose time is not over; of too many the oldest are dropped."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._found: dict[K, _Verdict[V]] = {}

    def get(self, key: K) -> _Verdict[V] | None:
        found = self._found.get(key)
        return found if found is not None and self._clock.monotonic() < found.until else None

    def keep(self, key: K, value: V, seconds: float) -> _Verdict[V]:
        self._found.pop(key, None)
        while len(self._found) >= KEPT:
            del self._found[next(iter(self._found))]
        self._found[key] = verdict = _Verdict(value, self._clock.monotonic() + seconds)
        return verdict


def _user_of(status: Mapping[str, Any]) -> User | None:
    """Of a TokenReview; None where it says that the token is nobody's."""
    if status.get("authenticated") is not True:
        return None
    user = status.get("user") or {}
    extra = user.get("extra") or {}
    return User(
        user.get("username") or "",
        user.get("uid") or "",
        tuple(user.get("groups") or ()),
        tuple(sorted((name, tuple(values or ())) for name, values in extra.items())),
    )


def _unauthorized(challenge: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "Unauthorized\n", {"WWW-Authenticate": challenge})

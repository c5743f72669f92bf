"""Plain requests to a real API server: where kubectl hides what is asked about (status details, warnings, impersonation)."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from testbed.real.cluster import RealCluster


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code, decoded body, and the API server's warnings."""

    status: int
    body: Any
    warnings: tuple[str, ...]

    @property
    def fields(self) -> list[str]:
        """The fields that a refusal names, in its order."""
        causes = (self.body.get("details") or {}).get("causes") or []
        return [cause.get("field", "") for cause in causes]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))


class Api:
    """As administrator, or as the ServiceAccount `<namespace>:<name>` by impersonation."""

    def __init__(self, cluster: RealCluster, account: str = "") -> None:
        self.cluster = cluster
        self._server = cluster.server
        self._context = ssl.create_default_context(cafile=str(cluster.ca_file))
        self._headers = {"Authorization": f"Bearer {cluster.token}", "Accept": "application/json"}
        if account:
            self._headers["Impersonate-User"] = f"system:serviceaccount:{account}"

    def __call__(
        self, method: str, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None, **query: str
    ) -> Answer:
        """One request; refusals are answers, too. A PATCH with a mapping is a merge patch, with a sequence a JSON patch."""
        content = "application/json"
        if method == "PATCH":
            kind = "merge" if isinstance(body, Mapping) else "json"
            content = f"application/{kind}-patch+json"
        headers = {**self._headers, "Content-Type": content}
        url = self._server + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310  ours
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=60) as answer:  # noqa: S310
                return _read(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return _read(error.code, error.headers, error.read())

    def try_create(self, path: str, body: Mapping[str, Any]) -> Answer:
        """A creation that is validated and not stored; unknown fields are errors."""
        return self("POST", path, body, dryRun="All", fieldValidation="Strict")

    def allowed(self, verb: str, group: str, resource: str, *, namespace: str = "", name: str = "") -> bool:
        """Whether this user may do that (SelfSubjectAccessReview); `resource` may be `plural/subresource`."""
        plural, _, subresource = resource.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        return self._review({"resourceAttributes": attributes})

    def allowed_url(self, verb: str, path: str) -> bool:
        """The same for a path that is no resource."""
        return self._review({"nonResourceAttributes": {"verb": verb, "path": path}})

    def _review(self, spec: Mapping[str, Any]) -> bool:
        group = "authorization.k8s.io/v1"
        body = {"apiVersion": group, "kind": "SelfSubjectAccessReview", "spec": spec}
        answer = self("POST", f"/apis/{group}/selfsubjectaccessreviews", body)
        assert answer.status == 201, answer.body
        return bool(answer.body["status"]["allowed"])


def _read(status: int, headers: Any, raw: bytes) -> Answer:
    try:
        body = json.loads(raw)
    except ValueError:
        body = {"message": raw.decode(errors="replace")}
    return Answer(status, body, tuple(headers.get_all("Warning") or ()))

"""The AdmissionReview protocol, v1 and v1beta1, and the verdict on a review (ADM-2, ADM-5).

Every answer is HTTP 200 with `allowed` inside; a body that cannot be used is answered by a denial as well, so that the
API server shows the reason. What must be read from a cluster or rendered to judge a config comes in as `ConfigRules`.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from aioctl.api import admission_warnings, body_limits, validation, weight
from aioctl.api.config_admission import CONFIG_RULES, ConfigRules, judge_config, judge_deletion
from aioctl.api.decoding import Undecodable
from aioctl.api.encoding import decode_deep
from aioctl.api.kinds import CONFIG, GROUP, SERVICE
from aioctl.api.objects import FieldError, is_deleting, name_of, text
from aioctl.api.verdict import Verdict, error_status

_KIND: Final = "AdmissionReview"
_V1: Final = "admission.k8s.io/v1"
_VERSIONS: Final = frozenset({_V1, "admission.k8s.io/v1beta1"})


class AdmissionRefused(Exception):
    """The review is answered by a denial with this code and message; `uid` and `api_version` as far as known."""

    def __init__(self, code: int, message: str, *, uid: str = "", api_version: str = _V1) -> None:
        super().__init__(message)
        self.code = code
        self.uid = uid
        self.api_version = api_version


@dataclass(frozen=True, slots=True)
class AdmissionRequest:
    """What a review asks; objects are decoded trees, None where the review has none."""

    api_version: str
    """The review's own version, which the answer repeats."""
    uid: str
    operation: str
    obj: Any
    old: Any
    as_written: bool
    """False when the API server converted the object for this webhook (matchPolicy Equivalent)."""


class _GroupVersionKind(msgspec.Struct):
    group: str = ""
    version: str = ""
    kind: str = ""


_NULL: Final = msgspec.Raw(b"null")


class _Request(msgspec.Struct):
    uid: str = ""
    operation: str = ""
    kind: _GroupVersionKind | None = None
    request_kind: _GroupVersionKind | None = msgspec.field(name="requestKind", default=None)
    object: msgspec.Raw = _NULL
    old_object: msgspec.Raw = msgspec.field(name="oldObject", default=_NULL)


class _Review(msgspec.Struct):
    api_version: str = msgspec.field(name="apiVersion", default="")
    kind: str = ""
    request: _Request | None = None


_decode = msgspec.json.Decoder(_Review).decode
_encode = msgspec.json.Encoder().encode


def read_admission(body: bytes, content_type: str) -> AdmissionRequest:
    """Read a review. Raises AdmissionRefused with code 400 or 413 when it cannot be used."""
    if not body:
        raise AdmissionRefused(400, "request body is empty")
    if len(body) >= body_limits.ADMISSION:
        raise AdmissionRefused(413, f"request entity is too large; limit is {body_limits.ADMISSION} bytes")
    if content_type != "application/json":
        raise AdmissionRefused(400, f"contentType={content_type}, expected application/json")
    try:
        review = decode_deep(_decode, body)
        request = review.request
        obj, old = (_tree(part) for part in (request.object, request.old_object)) if request else (None, None)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AdmissionRefused(400, f"body is no {_KIND}: {error}") from error
    if review.kind != _KIND or review.api_version not in _VERSIONS:
        raise AdmissionRefused(400, f"expected an {_KIND} of {' or '.join(sorted(_VERSIONS))}")
    if request is None:
        raise AdmissionRefused(400, f"{_KIND} has no request", api_version=review.api_version)
    as_written = request.request_kind is None or request.request_kind == request.kind
    return AdmissionRequest(review.api_version, request.uid, request.operation, obj, old, as_written)


def _tree(encoded: msgspec.Raw) -> Any:
    """The object of a review; one that is too heavy to be read keeps its spec encoded."""
    return weight.decode(encoded) if bytes(memoryview(encoded)[:1]) == b"{" else msgspec.json.decode(encoded)


def answer(
    api_version: str,
    uid: str,
    *,
    allowed: bool,
    status: Mapping[str, Any] | None = None,
    warnings: Sequence[str] = (),
    patch: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """The reply to one review; `status` defaults to the plain code 200 of an admitted object. `patch`: RFC 6902."""
    response: dict[str, Any] = {
        "uid": uid,
        "allowed": allowed,
        "status": status or {"metadata": {}, "code": 200},
    }
    if warnings:
        response["warnings"] = list(warnings)
    if patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(_encode(patch)).decode()
    return _encode({"apiVersion": api_version, "kind": _KIND, "response": response})


def content(found: Any, version: str, kind: str) -> Mapping[str, Any]:
    """The object, checked to be what this path is for. Raises Undecodable."""
    if found is None:
        raise Undecodable("there is no content to decode")
    if not isinstance(found, Mapping):
        raise Undecodable(f"expected an object of kind {kind}, got {type(found).__name__}")
    for key, title in (("kind", "Kind"), ("apiVersion", "apiVersion")):
        if not text(found, key):
            raise Undecodable(f"Object '{title}' is missing")
    if found["apiVersion"] != f"{GROUP}/{version}" or found["kind"] != kind:
        raise Undecodable(
            f"unable to decode {found['apiVersion']}, Kind={found['kind']} into *{version}.{kind}"
        )
    return found


def _judge_heavy(new: Mapping[str, Any], old: Mapping[str, Any] | None, problem: str) -> Verdict:
    """A spec that nobody plans is refused, unless it is stored already and does not change: metadata can be mended."""
    if is_deleting(new) or (old is not None and _spec_text(old) == _spec_text(new)):
        return Verdict()
    kind, name = text(new, "kind"), name_of(new)
    return Verdict(
        {
            **error_status(422, f'{kind}.{GROUP} "{name}" is invalid: spec: Too long: it {problem}'),
            "status": "Failure",
            "reason": "Invalid",
            "details": {
                "name": name,
                "group": GROUP,
                "kind": kind,
                "causes": [
                    {"reason": "FieldValueTooLong", "message": f"Too long: it {problem}", "field": "spec"}
                ],
            },
        }
    )


def _spec_text(obj: Mapping[str, Any]) -> bytes:
    return _encode(obj.get("spec"))


def _without_heavy_spec(old: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What a change is compared with: an old spec that was too heavy says nothing that can be held against the new."""
    return None if old is not None and weight.spec_problem(old) else old


def _judge_service(new: Mapping[str, Any], old: Mapping[str, Any] | None) -> Verdict:
    problems = validation.validate(new, old)
    return Verdict(validation.status(new, problems) if problems else None, validation.warnings(new))


def _judge(request: AdmissionRequest, version: str, kind: str, rules: ConfigRules) -> Verdict:
    """Raises Undecodable, and AdmissionRefused for an unknown operation."""
    if request.operation == "CONNECT":
        return Verdict()
    if request.operation == "DELETE":
        gone = content(request.old, version, kind)
        return judge_deletion(gone, rules) if kind == CONFIG.kind else Verdict()
    if request.operation not in ("CREATE", "UPDATE"):
        raise AdmissionRefused(400, f'unknown operation "{request.operation}"')
    new = content(request.obj, version, kind)
    old = content(request.old, version, kind) if request.operation == "UPDATE" else None
    return _judge_written(new, old, rules, as_written=request.as_written)


def judge_created(obj: Mapping[str, Any], rules: ConfigRules = CONFIG_RULES) -> Verdict:
    """What is said to the creation of a service or config of either version. Raises Undecodable and FieldError."""
    return _judge_written(obj, None, rules, as_written=True)


def _judge_written(
    new: Mapping[str, Any], old: Mapping[str, Any] | None, rules: ConfigRules, *, as_written: bool
) -> Verdict:
    kind = text(new, "kind")
    if heavy := weight.spec_problem(new):
        return _judge_heavy(new, old, heavy)
    old = _without_heavy_spec(old)
    verdict = _judge_service(new, old) if kind == SERVICE.kind else judge_config(new, old, rules)
    written = admission_warnings.of_spec(new, old) if as_written and not is_deleting(new) else []
    return Verdict(verdict.status, [*verdict.warnings, *written])


def review_admission(
    body: bytes,
    content_type: str,
    *,
    version: str,
    kind: str,
    config_rules: ConfigRules = CONFIG_RULES,
) -> bytes:
    """The whole answer to one call of the path for `version` (`v1alpha1`, `v1alpha2`) and `kind`; never raises for input."""
    return review(body, content_type, kind, lambda request: _judge(request, version, kind, config_rules))


def review(body: bytes, content_type: str, kind: str, judge: Callable[[AdmissionRequest], Verdict]) -> bytes:
    """The answer to a review: read, judged, encoded. `judge` may raise AdmissionRefused, Undecodable and FieldError."""
    try:
        request = read_admission(body, content_type)
    except AdmissionRefused as error:
        return answer(
            error.api_version, error.uid, allowed=False, status=error_status(error.code, str(error))
        )
    try:
        verdict = judge(request)
    except AdmissionRefused as error:
        verdict = Verdict(error_status(error.code, str(error)))
    except (Undecodable, FieldError) as error:
        verdict = Verdict(error_status(400, str(error)))
    except RecursionError:
        verdict = Verdict(error_status(400, f"the {kind} is nested too deeply"))
    return answer(
        request.api_version,
        request.uid,
        allowed=verdict.status is None,
        status=verdict.status,
        warnings=verdict.warnings,
        patch=verdict.patch,
    )


def crashed(body: bytes, error: BaseException) -> bytes:
    """The answer when judging a review failed by a fault of ours (code 500); the caller logs the error."""
    try:
        request = read_admission(body, "application/json")
        api_version, uid = request.api_version, request.uid
    except AdmissionRefused as refused:
        api_version, uid = refused.api_version, refused.uid
    return answer(api_version, uid, allowed=False, status=error_status(500, f"panic: {error} [recovered]"))

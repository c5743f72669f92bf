"""The URI of a model: its schemes, and what is wrong with one that cannot be served (ART-1).

Pure text: admission asks about URIs as they are written, planning about what the merged and rendered spec came to. A URI
is `<scheme>://<rest>`; `gourl` prints its scheme in lower case.
"""

import re
from typing import Final

from aioctl.api import user_names

SEPARATOR: Final = "://"
HF: Final = "hf"
S3: Final = "s3"
PVC: Final = "pvc"
OCI: Final = "oci"
OCI_NATIVE: Final = "oci+native"
SCHEMES: Final = (HF, S3, PVC, OCI, OCI_NATIVE)
DOWNLOADED: Final = (HF, S3)
"""Schemes that the storage initializer fetches."""
ADAPTER_SCHEMES: Final = (HF, S3, PVC)

_FORM: Final = {
    HF: "hf://<organisation>/<model>",
    S3: "s3://<bucket>/<path>",
    PVC: "pvc://<claim>/<path>",
    OCI: "oci://<image>",
    OCI_NATIVE: "oci+native://<image>",
}
FORMS: Final = f"use {', '.join(_FORM[scheme] for scheme in SCHEMES[:-1])} or {_FORM[OCI_NATIVE]}"
"""The allowed forms of a base model's URI, for error texts."""
ADAPTER_FORMS: Final = f"use {_FORM[HF]}, {_FORM[S3]} or {_FORM[PVC]}"
_PLACEHOLDER: Final = re.compile(r"<[^<>]*>|\$\{[^{}]*\}|\$\([^()]*\)")
"""What a sample leaves for its reader to fill in: `<patch-me>`, `${USER}`, `$(NAME)`."""


def split(uri: str) -> tuple[str, str] | None:
    """(scheme, rest), None for a URI without `://`."""
    scheme, separator, rest = uri.partition(SEPARATOR)
    return (scheme, rest) if separator else None


def literal_problem(
    uri: str, *, initializer: bool = True, adapter: bool = False, cached: bool = False
) -> str:
    """What is wrong with a URI as a user wrote it, with the forms to use; empty when nothing is.

    Empty URIs (a baseRef may give one) and templates are left to planning. `initializer` False is
    `spec.storageInitializer.enabled: false`: the server then fetches the model itself, from wherever it can. `adapter`:
    the URI of a LoRA adapter, which cannot be an image. `cached`: a LocalModelCache holds the model, wherever it came from, and
    its claim is mounted (LM-1).
    """
    if not uri or "{{" in uri:
        return ""
    schemes = None if cached else ADAPTER_SCHEMES if adapter else SCHEMES
    reason = _literal_reason(uri, schemes, initializer=initializer)
    return f"{reason}; {ADAPTER_FORMS if adapter else FORMS}" if reason else ""


def _literal_reason(uri: str, schemes: tuple[str, ...] | None, *, initializer: bool) -> str:
    """`schemes` None: any."""
    found = _PLACEHOLDER.search(uri)
    if found is not None:
        return f"the placeholder {found.group()} has to be replaced"
    parts = split(uri)
    if parts is None:
        return "it has no scheme"
    scheme, rest = parts[0].lower(), parts[1]
    if not initializer:
        return ""
    if schemes is None and scheme not in SCHEMES:
        return "it has an empty part (`//`) in its path" if "//" in rest else ""
    if schemes is not None and scheme not in schemes:
        return f"scheme {scheme}:// is not supported"
    return rest_problem(scheme, rest)


def rest_problem(scheme: str, rest: str) -> str:
    """What is wrong with the part behind `://` of a known scheme; empty when nothing is."""
    match scheme:
        case "pvc":
            return _claim_problem(rest)
        case "hf":
            return _repository_problem(rest)
        case "s3":
            # Keys of objects may hold `//`, and are the store's to judge.
            return "it names no bucket" if not rest.partition("/")[0] else ""
        case _:
            return user_names.image_problem(rest) if rest else "it names no image"


def _claim_problem(rest: str) -> str:
    claim, _, path = rest.partition("/")
    if not claim:
        return "it names no claim"
    if "//" in rest:
        return "it has an empty part (`//`) in its path"
    return user_names.object_problem(claim) or user_names.path_problem(path)


def _repository_problem(rest: str) -> str:
    organisation, _, model = rest.partition("/")
    if not organisation:
        return "it names no repository"
    if "//" in rest:
        return "it has an empty part (`//`) in its path"
    return "" if model or "/" not in rest else "it names no model"

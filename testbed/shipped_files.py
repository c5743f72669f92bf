"""The manifests that come with the program, as the tests read them: each file is parsed once a process."""

import pickle
from functools import cache
from pathlib import Path
from typing import Any, Final

from aioctl import shipped
from testbed.recorded_yaml import load

CRDS: Final = Path(__file__).resolve().parents[1] / "deploy" / "crds"
OURS: Final = ("llminferenceserviceconfigs", "llminferenceservices")


@cache
def _presets() -> bytes:
    return pickle.dumps(list(shipped.objects(shipped.presets_folder())))


def presets() -> list[dict[str, Any]]:
    """The shipped LLMInferenceServiceConfigs, each caller's own."""
    found: list[dict[str, Any]] = pickle.loads(_presets())  # noqa: S301  our own
    return found


@cache
def crd(plural: str) -> dict[str, Any]:
    """Our CRD of a resource such as `llminferenceservices`; shared by all callers, so not to be changed."""
    found: dict[str, Any] = load((CRDS / f"serving.kserve.io_{plural}.yaml").read_text(encoding="utf-8"))
    return found

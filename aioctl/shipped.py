"""Where the files that come with the program are: beside the package in a checkout, inside it in an installed wheel."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aioctl.yaml_text import documents

_PACKAGE: Final = Path(__file__).parent


def presets_folder() -> Path:
    """The folder of the shipped LLMInferenceServiceConfigs. Raises FileNotFoundError when the installation is broken."""
    for folder in (_PACKAGE.parent / "deploy" / "presets", _PACKAGE / "_presets"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError("the presets that belong to aioctl are not beside the package; install it anew")


def roles() -> list[dict[str, Any]]:
    """The ClusterRole and the Role of the controller's account. Raises FileNotFoundError when the installation is broken."""
    for folder in (_PACKAGE.parent / "deploy" / "base", _PACKAGE / "_roles"):
        files = [folder / name for name in ("cluster-role.yaml", "role.yaml")]
        if all(file.is_file() for file in files):
            found = (one for file in files for one in documents(file.read_text(encoding="utf-8")))
            return [one for one in found if isinstance(one, dict)]
    raise FileNotFoundError("the roles that belong to aioctl are not beside the package; install it anew")


def objects(folder: Path) -> Iterator[dict[str, Any]]:
    """Every Kubernetes object in the YAML files of a folder, kustomizations apart, sorted by file name. Raises ValueError naming the file."""
    for file in sorted(folder.glob("*.yaml")):
        if file.name == "kustomization.yaml":
            continue
        try:
            found = documents(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error
        for document in found:
            if isinstance(document, dict):
                yield document

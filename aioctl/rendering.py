"""`aioctl render`: reads a service and presets from files, prints the children; what they are is decided in `plan`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from aioctl import shipped
from aioctl.api.objects import FieldError, name_of
from aioctl.plan.model import PlanError
from aioctl.plan.offline import Rendering, Surroundings, render, surroundings
from aioctl.plan.policy import Policy, Strategy
from aioctl.tools import manifests
from aioctl.tools.access import ToolError
from aioctl.tools.checks.declared import VERSIONS, stored
from aioctl.tools.checks.files import refused, unknown_field_words
from aioctl.yaml_text import as_yaml


class RenderError(Exception):
    """Nothing could be rendered; the text names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Text for standard output, and one line for each service that could not be rendered to its end."""

    text: str
    problems: tuple[str, ...]


def render_file(file: Path, configs: Path | None, *, explain: bool) -> Rendered:
    """The children (or with `explain` the origin of each field) of every LLMInferenceService in the file, as YAML text.

    The file `-` is standard input, a folder its YAML files. Objects of other kinds in the file count as being in the cluster. Raises RenderError.
    """
    given = _read(file)
    services = [obj for obj in given if obj.get("kind") == "LLMInferenceService"]
    if not services:
        raise RenderError(f"{file}: holds no LLMInferenceService")
    others = [obj for obj in given if obj.get("kind") != "LLMInferenceService"]
    folder = configs if configs is not None else shipped.presets_folder()
    policy = Policy(auth_disabled=True, strategy=Strategy.AUTO)  # the default of AIOCTL_MIGRATION_STRATEGY

    @cache
    def around() -> Surroundings:
        return surroundings([*_folder(folder), *others], policy, stored)

    parts: list[str] = []
    problems = [
        f"{where}: {problem}"
        for where, obj in _sources(file, given, folder)
        for problem in unknown_field_words(obj)
    ]
    for service in services:
        name = name_of(service)
        if service.get("apiVersion") not in VERSIONS:
            raise RenderError(
                f"{file}: {name}: apiVersion {service.get('apiVersion')} is none of ours; use {' or '.join(sorted(VERSIONS))}"
            )
        if not name:
            raise RenderError(f"{file}: a service has no metadata.name")
        if said := refused(service):
            raise RenderError("\n".join(f"{file}: {name}: {each}" for each in said))
        try:
            made = render(service, around(), policy=policy, now=datetime.now(UTC))
        except (PlanError, FieldError) as error:
            raise RenderError(f"{file}: {error}") from error
        parts.append(_explained(made) if explain else _printed(made))
        problems += [f"{file}: {name}: {problem}" for problem in made.problems]
    return Rendered("".join(parts), tuple(problems))


def _sources(
    file: Path, given: Iterable[Mapping[str, Any]], folder: Path
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from ((str(file), obj) for obj in given)
    yield from ((str(folder), obj) for obj in _folder(folder))


def _printed(made: Rendering) -> str:
    comments = [f"# assumed to exist: {name}\n" for name in made.assumed]
    comments += [f"# not rendered further: {problem}\n" for problem in made.problems]
    return "".join(comments) + as_yaml(made.children)


def _explained(made: Rendering) -> str:
    width = max((len(source) for _, source in made.fields), default=0)
    lines = [f"{source.ljust(width)}  {path}\n" for path, source in made.fields]
    return "".join(lines) + "".join(f"# {problem}\n" for problem in made.problems)


def _folder(folder: Path) -> list[dict[str, Any]]:
    try:
        return list(shipped.objects(folder))
    except (OSError, ValueError) as error:
        raise RenderError(f"{folder}: {error}") from error


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        return [obj for _, obj in manifests.read(file)]
    except ToolError as error:
        raise RenderError(str(error)) from error

"""What follows from other files in deploy/: `python -m release charts` writes it.

From the program's version: the version of each chart and of the base's image. From each chart's
values.schema.json: values.yaml and the README's table. From the program's settings: which variables a chart takes. A test
fails when a file is not what this program writes.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from aioctl import __version__
from aioctl.settings import Settings, variable_of

REPOSITORY: Final = Path(__file__).resolve().parent.parent
CHARTS: Final = REPOSITORY / "deploy" / "charts"
CONTROLLER, CRDS = CHARTS / "aioctl", CHARTS / "aioctl-crds"
PRESETS: Final = CONTROLLER / "charts" / "presets"
OWN: Final = {"AIOCTL_CERT_MODE", "AIOCTL_CERT_SECRET", "AIOCTL_METRICS_AUTH", "AIOCTL_NAMESPACE"}
"""Variables that follow from other values, or from the pod's namespace."""
BEGIN, END = "<!-- values -->", "<!-- end values -->"


def files() -> Mapping[Path, str]:
    """Path -> its text."""
    base = REPOSITORY / "deploy" / "base" / "deployment.yaml"
    found = {
        CONTROLLER / "values.schema.json": with_settings(CONTROLLER),
        base: re.sub(r"(image: \S+/aioctl:)\S+", rf"\g<1>{__version__}", base.read_text()),
    }
    for chart in (CONTROLLER, CRDS, PRESETS):
        schema = json.loads(found.get(chart / "values.schema.json") or schema_of(chart))
        found[chart / "Chart.yaml"] = versioned((chart / "Chart.yaml").read_text())
        found[chart / "values.yaml"] = "\n".join(values(schema)) + "\n"
        if (readme := chart / "README.md").exists():
            found[readme] = with_table(readme.read_text(), schema)
    return found


def versioned(chart: str) -> str:
    """A Chart.yaml with the version of the program, that of the sub-chart it depends on included."""
    return re.sub(r"^( *(?:version|appVersion)): .*$", rf'\1: "{__version__}"', chart, flags=re.MULTILINE)


def schema_of(chart: Path) -> str:
    return (chart / "values.schema.json").read_text()


def with_settings(chart: Path) -> str:
    """The schema with one property for each environment variable of the program."""
    schema = json.loads(schema_of(chart))
    variables = sorted(map(variable_of, Settings.model_fields))
    # What each means stands in docs/reference.md.
    schema["properties"]["settings"]["properties"] = {
        variable: {"type": ["string", "number", "boolean"]} for variable in variables if variable not in OWN
    }
    return json.dumps(schema, indent=2) + "\n"


def values(schema: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """The lines of values.yaml: each default, with its description above."""
    if not indent:
        yield "# Made from values.schema.json by `python -m release charts`; do not edit."
    for name, entry in schema["properties"].items():
        if name == "global":
            continue
        yield f"{indent}# {entry['description']}"
        if "default" not in entry:
            yield f"{indent}{name}:"
            yield from values(entry, f"{indent}  ")
        elif entry["default"] and isinstance(entry["default"], dict):
            yield f"{indent}{name}:"
            block = yaml.safe_dump(entry["default"], sort_keys=False)
            yield from (f"{indent}  {line}" for line in block.splitlines())
        else:
            yield f"{indent}{name}: {json.dumps(entry['default'])}"


def with_table(readme: str, schema: Mapping[str, Any]) -> str:
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = ["| Value | Default | Meaning |", "|---|---|---|", *rows(schema)]
    return "\n".join((f"{before}{BEGIN}", *lines, f"{END}{after}"))


def rows(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, entry in schema["properties"].items():
        if name == "global":
            continue
        if "default" not in entry:
            yield from rows(entry, f"{prefix}{name}.")
            continue
        meaning = entry["description"]
        if "enum" in entry and not all(f"`{choice}`" in meaning for choice in entry["enum"]):
            meaning += " One of " + ", ".join(f"`{choice}`" for choice in entry["enum"] if choice) + "."
        yield f"| `{prefix}{name}` | `{json.dumps(entry['default'])}` | {meaning} |"


def write() -> None:
    for path, text in files().items():
        path.write_text(text)

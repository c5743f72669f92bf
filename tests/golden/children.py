"""The children of every published sample, rendered with our own presets: stored as YAML beside this file, reviewed like code.

`python -m tests.golden.regenerate` writes them anew; the diff shows what a change of presets or plans means for users.
"""

from datetime import UTC, datetime
from pathlib import Path

from aioctl.plan.offline import render, surroundings
from aioctl.plan.policy import Policy
from aioctl.tools.checks.declared import stored
from aioctl.yaml_text import as_yaml
from testbed.shared_data import ROOT, documents
from testbed.shipped_files import presets

FOLDER = Path(__file__).parent / "children"
PATTERN = "samples/**/*.yaml"
SAMPLES = sorted(path.stem for path in ROOT.glob(PATTERN))
_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_POLICY = Policy(auth_disabled=True)
_PREFIX = "llm-inference-service-"


def stored_at(sample: str) -> Path:
    """The file that holds the children of a sample."""
    return FOLDER / f"{sample.removeprefix(_PREFIX)}.yaml"


def rendered(sample: str) -> str:
    """The children of the services in a sample as YAML. Raises AssertionError when a part of them cannot be planned."""
    (given,) = documents(f"samples/**/{sample}.yaml").values()
    objects = [obj for obj in given if obj]
    around = surroundings([*presets(), *objects], _POLICY, stored)
    parts = []
    for service in (obj for obj in objects if obj["kind"] == "LLMInferenceService"):
        made = render(service, around, policy=_POLICY, now=_NOW)
        assert not made.problems, made.problems
        parts += [f"# assumed to exist: {name}\n" for name in made.assumed]
        parts.append(as_yaml(made.children))
    return "".join(parts)

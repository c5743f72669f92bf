"""`aioctl check` on the command line: what is looked at, and how findings are shown. What is wrong is decided in `tools/checks/`."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum, auto
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from aioctl.tool_commands import quiet, settings_from
from aioctl.tools.access import Access, Exit, ToolError, check_namespace
from aioctl.tools.options import output_option, reads_cluster
from aioctl.tools.output import Output, coloured, listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aioctl.settings import Settings
    from aioctl.tools.checks.finding import Finding
    from aioctl.tools.checks.survey import Installed
    from aioctl.tools.connect import Connection

_COLOURS: Final = {"ok": "green", "warning": "yellow", "failed": "red", "unknown": "yellow"}


class Scope(Enum):
    """What is checked."""

    INSTALLED = auto()
    BEFORE = auto()
    TAKEOVER = auto()


@dataclass(frozen=True, slots=True)
class _Asked:
    scope: Scope
    system_namespace: str


@click.command()
@click.option(
    "--pre", is_flag=True, help="Before anything of ours is installed: what the cluster has to have."
)
@click.option(
    "--takeover",
    is_flag=True,
    help="Beside KServe's controller: what would be lost or changed if this one took over.",
)
@click.option(
    "-f",
    "--filename",
    "files",
    multiple=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="Manifests, without a cluster; a folder means its YAML files, - standard input. May be repeated.",
)
@click.option(
    "--system-namespace",
    default="",
    metavar="NAME",
    help="Where KServe's ConfigMap and presets are; else the controller's namespace.",
)
@output_option(Output.TABLE, Output.JSON, Output.YAML, Output.NAME)
@reads_cluster()
def check(
    access: Access,
    output: str,
    files: tuple[Path, ...],
    system_namespace: str,
    *,
    pre: bool,
    takeover: bool,
) -> None:
    """Look for what is wrong, in groups, each finding with a code. Reads, and creates as dry runs; exit code 1 if anything failed, 3 if something could not be looked at."""
    import anyio

    if bool(files) + pre + takeover > 1:
        raise ToolError("--pre, --takeover and -f exclude each other", Exit.USAGE)
    check_namespace(system_namespace, "--system-namespace")
    quiet()
    if files:
        found = _of_files(files)
    else:
        scope = Scope.BEFORE if pre else Scope.TAKEOVER if takeover else Scope.INSTALLED
        found = anyio.run(_of_cluster, access, _Asked(scope, system_namespace))
    text, code = _shown(found, Output(output))
    click.echo(text, nl=False)
    sys.exit(code)


def _of_files(files: Sequence[Path]) -> "list[Finding]":
    from aioctl.tools import manifests
    from aioctl.tools.checks.declared import OUR_KINDS
    from aioctl.tools.checks.files import Given, check_files

    given = [Given(name, obj) for file in files for name, obj in manifests.read(file)]
    if not any(one.obj.get("kind") in OUR_KINDS for one in given):
        raise ToolError(
            f"{', '.join(map(str, files))}: no LLMInferenceService and no LLMInferenceServiceConfig",
            Exit.USAGE,
        )
    return check_files(given, datetime.now(UTC))


async def _of_cluster(access: Access, asked: _Asked) -> "list[Finding]":
    from aioctl.app import policy_of
    from aioctl.tools.checks.judge import BEFORE, INSTALLED, check
    from aioctl.tools.checks.survey import survey
    from aioctl.tools.checks.takeover import check_takeover
    from aioctl.tools.connect import connected
    from aioctl.tools.installation import Installation, deployment_of
    from aioctl.tools.rehearsal import rehearse
    from aioctl.tools.session import Session

    async with connected(access) as connection:
        deployment, _ = await deployment_of(connection)
        settings = settings_from(Installation(deployment).environment)
        installed = _installed(settings, deployment, asked.system_namespace)
        facts = await survey(connection, installed, calls=asked.scope is Scope.INSTALLED)
        if asked.scope is not Scope.TAKEOVER:
            return check(facts, BEFORE if asked.scope is Scope.BEFORE else INSTALLED)
        policy = replace(policy_of(settings), system_namespace=installed.namespace)
        everywhere: Connection = replace(connection, namespace="")
        opened = Session(everywhere, Access(everywhere=True), policy)
        return check_takeover(facts, await rehearse(opened, "", []))


def _installed(settings: "Settings", deployment: "Mapping[str, object] | None", system: str) -> "Installed":
    from aioctl.api.kinds import ObjectKey
    from aioctl.settings import CertMode
    from aioctl.tools.checks.survey import Installed, mounted_secret

    namespace = system or settings.namespace
    if settings.cert_mode is CertMode.SELF:
        secret = settings.cert_secret
    else:
        secret = mounted_secret(deployment, str(settings.cert_dir))
    return Installed(
        namespace,
        ObjectKey(settings.namespace, settings.lease_name),
        ObjectKey(settings.namespace, secret) if secret and deployment is not None else None,
        settings.cert_service,
    )


def _shown(found: "list[Finding]", form: Output) -> tuple[str, int]:
    from aioctl.tools.checks.finding import Grade

    counts = Counter(one.grade for one in found)
    code = Exit.ACT if counts[Grade.FAILED] else Exit.UNREADABLE if counts[Grade.UNKNOWN] else Exit.FINE
    if form is not Output.TABLE:
        items = [one.as_data() for one in found if form is not Output.NAME or one.code]
        return listing(items, (), form, name="code", kind="FindingList"), code
    lines = [_line(one) for one in found]
    summary = f"{counts[Grade.FAILED]} failed, {counts[Grade.WARNING]} warnings"
    if counts[Grade.UNKNOWN]:
        summary += f", {counts[Grade.UNKNOWN]} unknown"
    return "\n".join([*lines, summary]) + "\n", code


def _line(one: "Finding") -> str:
    from aioctl.tools.checks.codes import GROUPS
    from aioctl.tools.checks.finding import Grade

    mark = coloured(one.grade.value.ljust(8), _COLOURS[one.grade.value])
    if one.code is None:
        heads = one.grade is not Grade.OK or one.found == GROUPS[one.group]
        return f"{mark}{one.found}" if heads else f"          {one.found}"
    return f"{mark}{one.code.code}  {one.found}\n        cure: {one.code.cure}\n        page: {one.code.page}"


COMMANDS: Final[tuple[click.Command, ...]] = (check,)

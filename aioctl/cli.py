"""The command line. Each command imports what it runs, so that `aioctl --help` is quick."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import click

from aioctl import (
    __version__,
    check_command,
    diff_command,
    finish_command,
    piped,
    storage_command,
    tool_commands,
    ui_command,
    verb_commands,
)
from aioctl.crdgen.command import crds
from aioctl.tools.options import Number, Whole


class _Commands(click.Group):
    """click is quiet about a reader that has gone, but not where several tasks print."""

    def main(self, *args: Any, **given: Any) -> Any:
        if not given.get("standalone_mode", True):
            return super().main(*args, **given)
        return piped.command(lambda: super(_Commands, self).main(*args, **given))

    def invoke(self, ctx: click.Context) -> Any:
        """click ends with 1 when it is interrupted, which says here that somebody has to act."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            ctx.exit(piped.INTERRUPTED)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aioctl")
def main() -> None:
    """Controller for KServe's LLMInferenceService: both InferencePool generations, one-way migration, conversion."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal that lacks a letter gets `?` for it, not a traceback


@main.command()
@click.option(
    "--kubeconfig", default="", metavar="FILE", help="Kubeconfig; else $KUBECONFIG, the pod, ~/.kube/config."
)
def run(kubeconfig: str) -> None:
    """Run the controller: webhooks, metrics, probes, and, while leading, reconciles. Settings come from AIOCTL_*."""
    import anyio
    import structlog

    from aioctl import app, logs, tracing
    from aioctl.kube.config import ConfigError
    from aioctl.kube.lease import LeadershipLost
    from aioctl.serving.http_server import ListenError
    from aioctl.settings import SettingsError, load

    try:
        settings, warnings = load()
    except SettingsError as error:
        raise click.ClickException(f"settings cannot be used:\n{error}") from error
    logs.configure(settings.log_level, settings.log_format)
    log = structlog.get_logger("aioctl")
    for warning in warnings:
        log.warning("questionable setting", problem=warning)
    log.info("starting", version=__version__, namespace=settings.namespace, workers=settings.workers)
    stop_traces = tracing.start(os.environ)
    try:
        anyio.run(lambda: app.run(settings, kubeconfig=kubeconfig))
    # From the first line on everything is a line of the log, in its format: who collects it reads nothing else.
    except (ConfigError, ListenError) as error:
        log.error("cannot start", error=str(error))  # noqa: TRY400  no trace needed
        sys.exit(1)
    except LeadershipLost as error:
        log.error("leadership lost, leaving so that the pod starts anew", error=str(error))  # noqa: TRY400  no trace needed
        sys.exit(1)
    except Exception as error:
        log.exception("failed, leaving so that the pod starts anew", error=str(error))
        sys.exit(1)
    finally:
        stop_traces()
    log.info("stopped")


@main.command()
@click.option("--services", default=50, show_default=True, type=Whole(1, 5000), help="How many services.")
@click.option("--serve", is_flag=True, help="Keep everything up afterwards, until interrupted.")
@click.option(
    "--gateway-delay",
    default=1.0,
    show_default=True,
    type=Number(0, 60),
    help="Seconds until the gateway accepts.",
)
@click.option(
    "--timeout",
    default=50.0,
    show_default=True,
    type=Number(1, 3600),
    help="Seconds until the demo gives up.",
)
def demo(services: int, serve: bool, gateway_delay: float, timeout: float) -> None:  # noqa: FBT001  click's shape
    """Migrate a fleet on the embedded cluster, with live progress and a summary."""
    import anyio

    from aioctl import logs
    from aioctl.demo import command as show
    from aioctl.demo.processes import StageError
    from aioctl.settings import LogFormat, LogLevel

    logs.configure(LogLevel.WARNING, LogFormat.CONSOLE)
    options = show.Options(services=services, serve=serve, gateway_delay=gateway_delay, timeout=timeout)
    try:
        sys.exit(anyio.run(lambda: show.run(options)))
    except StageError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option(
    "-f",
    "--filename",
    "service",
    required=True,
    type=click.Path(exists=True, allow_dash=True, path_type=Path),
    help="LLMInferenceService; - reads standard input.",
)
@click.option(
    "--configs",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of presets and baseRefs; else the shipped ones.",
)
@click.option(
    "--explain", is_flag=True, help="Say which preset or baseRef each field of the combined spec came from."
)
def render(service: Path, configs: Path | None, explain: bool) -> None:  # noqa: FBT001  click's shape
    """Print every object that would be created for a service, without a cluster; exit code 1 if that is not all."""
    from aioctl import rendering

    try:
        made = rendering.render_file(service, configs, explain=explain)
    except rendering.RenderError as error:
        raise click.ClickException(str(error)) from error
    click.echo(made.text, nl=False)
    if made.problems:
        raise click.ClickException("\n".join(made.problems))


main.add_command(crds)
for command in (
    *tool_commands.COMMANDS,
    *check_command.COMMANDS,
    *storage_command.COMMANDS,
    *diff_command.COMMANDS,
    *finish_command.COMMANDS,
    *verb_commands.COMMANDS,
    *ui_command.COMMANDS,
):
    main.add_command(command)


if __name__ == "__main__":
    main()

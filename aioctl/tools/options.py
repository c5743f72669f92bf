"""The options that the operator's commands share, spelled as kubectl spells them, and how a command ends."""

import functools
import math
import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

import click

from aioctl.tools.access import Access, Exit, ToolError
from aioctl.tools.output import Output


class Number(click.FloatRange):
    """A number in a range. NaN is none, though no range excludes it."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        if _read(float, value) is None:
            self.fail(f"{value!r} is no number in the range {self._describe_range()}.", param, ctx)
        return float(super().convert(value, param, ctx))


class Whole(click.IntRange):
    """A whole number in a range."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        if _read(int, value) is None:
            self.fail(f"{value!r} is no whole number in the range {self._describe_range()}.", param, ctx)
        return int(super().convert(value, param, ctx))


def _read(kind: Callable[[Any], float], value: Any) -> float | None:
    try:
        found = kind(value)
    except ValueError:
        return None
    return None if math.isnan(found) else found


Command = Callable[..., Any]
_CONNECTION: Final = (
    click.option(
        "--kubeconfig",
        default="",
        metavar="FILE",
        help="Kubeconfig; else $KUBECONFIG, the pod, ~/.kube/config.",
    ),
    click.option(
        "--context", default="", metavar="NAME", help="Context of the kubeconfig; else its current one."
    ),
)
_SCOPE: Final = (
    click.option(
        "-n", "--namespace", default="", metavar="NAME", help="Namespace; else that of the context."
    ),
    click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="All namespaces."),
)
_SELECTOR: Final = (
    click.option(
        "-l", "--selector", default="", metavar="LABELS", help="Only services with these labels, as kubectl."
    ),
)


def output_option(*allowed: Output) -> Callable[[Command], Command]:
    """`-o`, with the forms that the command has."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice([form.value for form in allowed or Output]),
        default=Output.TABLE.value,
        show_default=True,
        help="Form of what is printed.",
    )


def reads_cluster(*, scope: bool = True, selector: bool = False) -> Callable[[Command], Command]:
    """Gives a command an `access` argument made of the shared options, and turns a ToolError into its exit code."""
    options = [*_CONNECTION, *(_SCOPE if scope else ()), *(_SELECTOR if selector else ())]

    def wrap(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            words = {
                key: given.pop(key)
                for key in ("kubeconfig", "context", "namespace", "everywhere", "selector")
                if key in given
            }
            try:
                command(access=Access(**words), **given)
            except ToolError as error:
                fail(str(error), error.code)

        wrapped: Command = run
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return wrap


def fail(text: str, code: Exit) -> NoReturn:
    """One line on standard error, and out."""
    click.echo(f"Error: {text}", err=True)
    sys.exit(code)

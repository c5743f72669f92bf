"""A bar on a terminal for what takes long; nothing elsewhere."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_PER_SECOND: Final = 2


@contextmanager
def shown(what: str, done: Callable[[], float], of: float) -> Iterator[None]:
    """Until the block ends. `done` is asked on a thread of the bar's: a life in virtual time leaves its own no moment to draw."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _Asking(
        *columns,
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=_PER_SECOND,
        disable=not sys.stderr.isatty(),
    ) as bar:
        bar.add_task(what, total=of, done=done)
        yield


class _Asking(Progress):
    """Asks each task how far it is whenever it is drawn."""

    def get_renderables(self) -> Iterable[RenderableType]:
        for task in self.tasks:
            self.update(task.id, completed=task.fields["done"]())
        return super().get_renderables()

"""What the operators' page shows, as encoded JSON, and what of it has changed since a client last looked.

Nothing is queued for anybody: a client remembers one number, the revision that it has seen, and asks for what came after. So a
client that reads slowly costs no memory, and gets what stands when it is ready for more, not what stood in between.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, takewhile
from typing import Final

import anyio
import msgspec

from aioctl.serving.timeline import Sample, Timeline

Key = tuple[str, str]
"""Namespace and name."""
ROWS_PER_EVENT: Final = 50
_REMEMBERED: Final = 1000
"""Services that are gone, and samples, that are known one by one; who has missed more is told everything anew."""


class Board:
    """Rows by service, a word about this process, and the timeline. Each change is a new revision."""

    def __init__(self) -> None:
        self.revision = 0
        self.watchers = 0
        """Clients that look on right now."""
        self.timeline = Timeline()
        self._rows: dict[Key, tuple[int, bytes]] = {}
        """The longest unchanged first."""
        self._gone: dict[Key, int] = {}
        self._samples: deque[tuple[int, bytes]] = deque(maxlen=_REMEMBERED)
        self._about: tuple[int, bytes] = (0, b"{}")
        self._floor = 0
        """Who has seen less cannot be told what has changed since."""
        self._changed = anyio.Event()
        self._watched = anyio.Event()

    def put(self, key: Key, row: bytes) -> None:
        """The service's row; nothing happens when it is the same as before."""
        known = self._rows.get(key)
        if known is not None and known[1] == row:
            return
        self._rows.pop(key, None)
        self._gone.pop(key, None)
        self._rows[key] = (self._step(), row)

    def drop(self, key: Key) -> None:
        """The service is gone."""
        if self._rows.pop(key, None) is None:
            return
        self._gone[key] = self._step()
        if len(self._gone) > _REMEMBERED:
            oldest = next(iter(self._gone))
            self._floor = self._gone.pop(oldest)

    def clear(self) -> None:
        """Forgets the rows: nobody looks, or they are no longer ours to show."""
        if self._rows or self._gone:
            self._rows.clear()
            self._gone.clear()
            self._floor = self._step()

    def shown(self) -> list[Key]:
        """The services that have a row."""
        return list(self._rows)

    def say(self, about: object) -> None:
        """What this process is and who leads; encoded as JSON."""
        text = msgspec.json.encode(about)
        if text != self._about[1]:
            self._about = (self._step(), text)

    def sample(self, sample: Sample) -> None:
        """One more moment of the timeline."""
        self.timeline.add(sample)
        if len(self._samples) == _REMEMBERED:
            self._floor = max(self._floor, self._samples[0][0])
        self._samples.append((self._step(), msgspec.json.encode(sample.as_data())))

    async def changed(self, since: int) -> None:
        """Returns as soon as there is something after that revision."""
        while self.revision <= since:
            await self._changed.wait()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody looks on inside."""
        self.watchers += 1
        self._watched.set()
        try:
            yield
        finally:
            self.watchers -= 1
            if not self.watchers:
                self._watched = anyio.Event()

    async def watched(self) -> None:
        """Returns as soon as somebody looks on."""
        await self._watched.wait()

    def events(self, since: int | None) -> Iterator[bytes]:
        """Server-sent events that lead from a revision to the present one; None: from nothing.

        All of it is decided now: what changes while they are sent is for the next time.
        """
        if since is None or since < self._floor:
            begin = b'{"about":%b,"timeline":%b}' % (self._about[1], self._timeline())
            rows = [row for _, row in self._rows.values()]
            return chain([_event(b"begin", begin)], _rows(rows), [_event(b"whole", b"{}")])
        news: list[bytes] = []
        if gone := [key for key, at in self._gone.items() if at > since]:
            news.append(_event(b"gone", msgspec.json.encode(gone)))
        if self._about[0] > since:
            news.append(_event(b"about", self._about[1]))
        news += [_event(b"sample", text) for at, text in self._samples if at > since]
        changed = takewhile(lambda entry: entry[0] > since, reversed(self._rows.values()))
        return chain(news, _rows([row for _, row in changed]))

    def document(self) -> Iterator[bytes]:
        """All of it as one JSON object, in parts."""
        rows = [row for _, row in self._rows.values()]
        yield b'{"kind":"Fleet","about":%b,"timeline":%b,"services":[' % (self._about[1], self._timeline())
        for start in range(0, len(rows), ROWS_PER_EVENT):
            yield (b"," if start else b"") + b",".join(rows[start : start + ROWS_PER_EVENT])
        yield b"]}\n"

    def _timeline(self) -> bytes:
        return msgspec.json.encode(self.timeline.as_data())

    def _step(self) -> int:
        self.revision += 1
        self._changed.set()
        self._changed = anyio.Event()
        return self.revision


def _rows(rows: list[bytes]) -> Iterator[bytes]:
    for start in range(0, len(rows), ROWS_PER_EVENT):
        yield _event(b"rows", b"[" + b",".join(rows[start : start + ROWS_PER_EVENT]) + b"]")


def _event(name: bytes, data: bytes) -> bytes:
    """JSON has no line breaks of its own, so one `data` line holds it (HTML, 9.2: Server-sent events)."""
    return b"event: %b\ndata: %b\n\n" % (name, data)

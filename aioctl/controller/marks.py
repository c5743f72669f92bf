"""What this process plans now, written down where its successor finds it: a key that was being planned when a process died.

The mark is set in mapped memory before a plan and taken away after it, which costs a microsecond and survives every death
but the machine's. A process that starts takes over the marks of those that died in the same folder: their keys are suspects
until they have settled once. Suspects are a small file each, so that a second death forgets none of them.

The folder must survive a restart of the container (an `emptyDir`); each process in it locks a slot of its own. Without a
usable folder nothing is remembered.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec
import structlog

from aioctl.api.kinds import ObjectKey

log = structlog.get_logger(__name__)

_SIZE: Final = mmap.PAGESIZE
_MOST_SLOTS: Final = 64
"""Processes that share a folder; a pod has one."""


class _Suspect(msgspec.Struct):
    namespace: str
    name: str
    deaths: int = 1


class Marks:
    """The slot of this process, and the suspects it knows: key -> processes that died while they worked on it."""

    def __init__(self) -> None:
        self.suspects: dict[ObjectKey, int] = {}
        self._folder: Path | None = None
        self._slot: mmap.mmap | None = None

    @classmethod
    def in_folder(cls, folder: Path) -> "Marks":
        """Takes a slot in the folder and takes over what dead processes left. A folder that cannot be used is logged."""
        marks = cls()
        try:
            marks._folder = _own(folder)
            marks._read_suspects()
            marks._take_slot()
        except OSError as error:
            marks._folder = None
            log.warning(
                "what is planned is not written down: a service that kills the process is planned again",
                error=str(error),
                cure="let AIOCTL_STATE_DIR name a folder that this user may write into, such as an emptyDir",
            )
        return marks

    @contextmanager
    def planning(self, key: ObjectKey) -> Iterator[None]:
        """The block works on the key without awaiting."""
        self.set(key)
        try:
            yield
        finally:
            self.clear()

    def set(self, key: ObjectKey) -> None:
        """From here on the key is suspected if the process dies. Takes no lock: a signal handler may call it."""
        if self._slot is not None:
            text = msgspec.json.encode(key)
            self._slot[: len(text) + 1] = text + b"\0"

    def clear(self) -> None:
        """Nothing is being planned."""
        if self._slot is not None:
            self._slot[0] = 0

    def settled(self, key: ObjectKey) -> None:
        """The key is no suspect any more."""
        if self.suspects.pop(key, None) is not None and self._folder is not None:
            with suppress(OSError):
                self._file(key).unlink()

    def close(self) -> None:
        """Gives the slot up; for a process that goes on, such as a test's."""
        if self._slot is not None:
            self._slot.close()
            self._slot = None
            os.close(self._descriptor)

    def _take_slot(self) -> None:
        """Locks the first free slot; every other free one is a dead process's too, and is read and emptied."""
        assert self._folder is not None  # noqa: S101  set by the caller
        for number in range(_MOST_SLOTS):
            path = self._folder / f"slot-{number}"
            if self._slot is not None and not path.exists():
                return
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            os.ftruncate(descriptor, _SIZE)
            slot = mmap.mmap(descriptor, _SIZE)
            self._suspect(slot[:].split(b"\0", 1)[0])
            slot[0] = 0
            if self._slot is None:
                self._slot, self._descriptor = slot, descriptor
            else:
                slot.close()
                os.close(descriptor)
        if self._slot is None:
            raise OSError(f"{self._folder} has {_MOST_SLOTS} processes already")

    def _suspect(self, left: bytes) -> None:
        """Adds what a dead process's slot says; half of a mark, written in the moment of death, says nothing."""
        try:
            key = ObjectKey(*msgspec.json.decode(left, type=tuple[str, str]))
        except msgspec.MsgspecError:
            return
        deaths = self.suspects.get(key, 0) + 1
        self.suspects[key] = deaths
        self._file(key).write_bytes(msgspec.json.encode(_Suspect(*key, deaths)))
        log.error("a process ended while it worked on this service", service=str(key), deaths=deaths)

    def _read_suspects(self) -> None:
        assert self._folder is not None  # noqa: S101  set by the caller
        for path in sorted(self._folder.glob("suspect-*")):
            try:
                found = msgspec.json.decode(path.read_bytes(), type=_Suspect)
            except msgspec.MsgspecError:
                path.unlink()
                continue
            self.suspects[ObjectKey(found.namespace, found.name)] = found.deaths

    def _file(self, key: ObjectKey) -> Path:
        assert self._folder is not None  # noqa: S101  suspects come from a folder
        return self._folder / f"suspect-{sha256(str(key).encode()).hexdigest()[:32]}"


def _own(folder: Path) -> Path:
    """A folder of this user's inside, which nobody else can have prepared. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f"uid-{os.getuid()}"
    mine.mkdir(mode=0o700, exist_ok=True)
    found = mine.lstat()
    if not mine.is_dir() or mine.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise OSError(f"{mine} belongs to somebody else, or others may write into it")
    return mine

"""What a process planned when it died is known to the next one in the same folder, until it has settled."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from aioctl.api.kinds import ObjectKey
from aioctl.controller.marks import Marks

BAD, GOOD = ObjectKey("demo", "bad"), ObjectKey("demo", "good")

_DIES = """
import os, signal, sys
from pathlib import Path
from aioctl.api.kinds import ObjectKey
from aioctl.controller.marks import Marks

marks = Marks.in_folder(Path(sys.argv[1]))
with marks.planning(ObjectKey("demo", "good")):
    pass
if sys.argv[2] == "planning":
    with marks.planning(ObjectKey("demo", "bad")):
        os.kill(os.getpid(), signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)
"""


def die(folder: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", _DIES, str(folder), when], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def suspects(folder: Path) -> dict[ObjectKey, int]:
    marks = Marks.in_folder(folder)
    marks.close()
    return marks.suspects


def test_a_key_that_was_being_planned_is_suspected_until_it_settles(tmp_path: Path) -> None:
    die(tmp_path, "planning")
    assert suspects(tmp_path) == {BAD: 1}
    assert suspects(tmp_path) == {BAD: 1}, "a restart in between forgets nothing"
    die(tmp_path, "planning")
    marks = Marks.in_folder(tmp_path)
    assert marks.suspects == {BAD: 2}
    marks.settled(BAD)
    marks.settled(GOOD)
    marks.close()
    assert suspects(tmp_path) == {}


def test_a_process_that_dies_between_plans_leaves_no_suspect(tmp_path: Path) -> None:
    die(tmp_path, "idle")
    assert suspects(tmp_path) == {}


def test_processes_in_one_folder_do_not_suspect_each_others_present_work(tmp_path: Path) -> None:
    first, second = Marks.in_folder(tmp_path), Marks.in_folder(tmp_path)
    first.set(BAD)
    second.set(GOOD)
    assert suspects(tmp_path) == {}
    first.close()  # without having cleared its mark, as a process that dies does
    assert suspects(tmp_path) == {BAD: 1}
    second.clear()
    second.close()
    assert suspects(tmp_path) == {BAD: 1}


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    Marks.in_folder(tmp_path).close()
    folder = tmp_path / f"uid-{os.getuid()}"
    (folder / "slot-0").write_bytes(b'["demo","ba')
    (folder / "suspect-torn").write_bytes(b"{")
    assert suspects(tmp_path) == {}
    assert not (folder / "suspect-torn").exists()


@pytest.mark.parametrize("mode", ["not a folder", "others write"])
def test_a_folder_that_cannot_be_trusted_is_not_used_and_said(tmp_path: Path, mode: str) -> None:
    if mode == "not a folder":
        (tmp_path / "file").touch()
        folder = tmp_path / "file"
    else:
        folder = tmp_path
        mine = tmp_path / f"uid-{os.getuid()}"
        mine.mkdir()
        mine.chmod(0o777)
    with capture_logs() as logs:
        marks = Marks.in_folder(folder)
    assert [line["log_level"] for line in logs] == ["warning"]
    with marks.planning(BAD):
        pass
    marks.settled(BAD)
    assert not list(tmp_path.glob("uid-*/*"))

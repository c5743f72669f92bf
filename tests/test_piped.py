"""A command whose reader leaves, as `head` does, ends without a trace; every command of the project passes through `piped`."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aioctl import piped

ROOT = Path(__file__).parents[1]
FOLDERS = ("aioctl", "bench", "deploy", "release", "testbed", "tests")
GUARD = 'if __name__ == "__main__":'
BEFORE_ANYTHING_IS_INSTALLED = ROOT / "release" / "lock.py"
"""Makes the environment that the image has, so it cannot import `piped`; its reader is a file."""


def printing() -> Iterator[Path]:
    """Programs that write to their standard output by themselves; click does it for those that are its own."""
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            text = path.read_text("utf-8")
            if f"\n{GUARD}" in text and any(map(prints, ast.walk(ast.parse(text)))):
                yield path


def prints(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = ast.unparse(node.func)
    to = [ast.unparse(each.value) for each in node.keywords if each.arg == "file"]
    return (name == "print" and to in ([], ["sys.stdout"])) or name == "sys.stdout.write"


def test_every_program_that_prints_ends_by_the_same_rule() -> None:
    found = list(printing())
    assert len(found) > 8
    bare = [path for path in found if "piped.command(" not in path.read_text("utf-8").rpartition(GUARD)[2]]
    assert bare == [BEFORE_ANYTHING_IS_INSTALLED]


@pytest.mark.parametrize(
    "body",
    [
        "print('x' * 100_000)",
        "print('a line that stays in the buffer to the end')",
        "raise ExceptionGroup('of tasks', [BrokenPipeError()])",
        "print('left by argparse'); sys.exit(0)",
    ],
)
def test_nothing_is_said_when_nobody_reads(body: str) -> None:
    script = f"import sys; from aioctl import piped\ndef main():\n    {body}\nsys.stdin.read(); piped.command(main)"
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        _, said = child.communicate()
    assert (child.returncode, said) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
@pytest.mark.parametrize(
    "body", ["print('x' * 100_000)", "print('a line that stays in the buffer to the end')"]
)
def test_a_full_disk_is_one_line(body: str) -> None:
    script = f"from aioctl import piped\npiped.command(lambda: {body})"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, cwd=ROOT, check=False
        )
    said = b"Error: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_a_command_whose_output_is_closed_ends_as_any() -> None:
    script = "from aioctl import piped\npiped.command(lambda: print('x'))"
    words = ["sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, script]
    done = subprocess.run(words, stderr=subprocess.PIPE, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_pipe_of_another_kind_that_breaks_is_a_fault_as_any() -> None:
    def main() -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        piped.command(main)


@pytest.mark.parametrize("code", [0, 3, None, "words"])
def test_the_code_is_that_of_the_command(code: int | str | None) -> None:
    with pytest.raises(SystemExit) as ended:
        piped.command(lambda: code)
    assert ended.value.code == code

#!/usr/bin/env python3
"""kubectl-aioctl: the plugin as krew installs it. Runs the aioctl of its own version.

The first call makes an environment in the user's cache folder and installs that release there; later calls only start it.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

VERSION: Final = "@VERSION@"


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  whatever the user has
        print("kubectl aioctl needs Python 3.11 or newer as python3", file=sys.stderr)
        return 1
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "kubectl-aioctl" / VERSION
    ready = folder / "ready"
    if not ready.exists():
        print(f"installing aioctl {VERSION} into {folder} ...", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        command = [
            str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            f"aioctl=={VERSION}",
        ]  # fmt: skip
        if subprocess.run(command, check=False, stdout=sys.stderr).returncode != 0:
            print("kubectl aioctl could not be installed; the lines above say why", file=sys.stderr)
            return 1
        ready.touch()
    program = folder / "bin" / "kubectl-aioctl"
    os.execv(program, [str(program), *sys.argv[1:]])  # noqa: S606  it takes our place
    raise AssertionError("a program that was started in our place does not come back")


if __name__ == "__main__":
    sys.exit(main())

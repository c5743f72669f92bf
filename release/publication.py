"""What a release's page shows and offers: the changes of a version, and kubectl's plugin as an archive."""

import gzip
import io
import re
import tarfile
from pathlib import Path
from typing import Final

from aioctl import __version__
from release.lock import REPOSITORY

PLUGIN: Final = "kubectl-aioctl"
_SECTION: Final = re.compile(r"^## (\S+).*\n", re.MULTILINE)


class NoChangesError(Exception):
    """The changelog has no section for that version."""


def changes(version: str, changelog: str) -> str:
    """The section of a version, without its heading. Raises NoChangesError."""
    headings = list(_SECTION.finditer(changelog))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading[1].strip("[]") == version:
            return changelog[heading.end() : following.start() if following else None].strip() + "\n"
    raise NoChangesError(f"CHANGELOG.md has no section `## {version}`")


def plugin(folder: Path) -> Path:
    """Writes the plugin's archive into the folder; the same version makes the same bytes."""
    program = (REPOSITORY / "release" / "kubectl_plugin.py").read_text().replace("@VERSION@", __version__)
    content = {PLUGIN: (program.encode(), 0o755), "LICENSE": ((REPOSITORY / "LICENSE").read_bytes(), 0o644)}
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, (data, mode) in content.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))
    path = folder / f"{PLUGIN}.tar.gz"
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return path

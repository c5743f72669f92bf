"""Bill of materials (CycloneDX 1.6) and licences of what the program runs with, from the lock file.

The same lock makes the same bytes: nothing in it comes from a clock but `SOURCE_DATE_EPOCH`, where that is set. Licences are
what each package says of itself, so it has to be installed; a package that is not installed here has none in the bill.
"""

import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import metadata
from typing import Any, Final

from aioctl import __version__
from release import lock

_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""Of URLs (RFC 9562)."""
_KNOWN: Final = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "mit": "MIT",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "dual license": "Apache-2.0 OR BSD-3-Clause",
    "python software foundation license": "PSF-2.0",
}
"""What packages write that say no SPDX expression -> the expression."""


def run_time() -> dict[str, lock.Package]:
    """Everything that the program may run with, each extra included."""
    names = lock.wanted("run")
    for extra in lock.extras():
        names |= lock.wanted(extra)
    return lock.needed(lock.read(), names)


def licence(name: str) -> str:
    """The SPDX expression of an installed package; "" where it is not installed or says nothing."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    if "License-Expression" in found:
        return found["License-Expression"]
    stated = found["License"].strip() if "License" in found else ""
    classified = [
        text.rpartition(" :: ")[2]
        for text in found.get_all("Classifier") or ()
        if text.startswith("License :: ")
    ]
    for text in (stated, *classified):
        if text.lower() in _KNOWN:
            return _KNOWN[text.lower()]
    return stated if re.fullmatch(r"[A-Za-z0-9.+-]+( (OR|AND) [A-Za-z0-9.+-]+)*", stated) else ""


def licences() -> Iterator[tuple[str, str, str]]:
    """Name, version and licence of every package."""
    for package in run_time().values():
        yield package.name, package.version, licence(package.name) or "(not known)"


def bill() -> dict[str, Any]:
    """The bill of materials as CycloneDX's JSON."""
    packages = run_time()
    own = f"pkg:pypi/aioctl@{__version__}"
    direct = lock.wanted("run")
    told: dict[str, Any] = {
        "component": {
            "type": "application",
            "bom-ref": own,
            "name": "aioctl",
            "version": __version__,
            "purl": own,
            "licenses": [{"license": {"id": "Apache-2.0"}}],
        }
    }
    if epoch := os.environ.get("SOURCE_DATE_EPOCH"):
        told["timestamp"] = datetime.fromtimestamp(int(epoch), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    components = [_component(package) for package in packages.values()]
    depends = [{"ref": own, "dependsOn": sorted(_reference(packages[name]) for name in direct)}]
    for package in packages.values():
        on = sorted(_reference(other) for other in packages.values() if package.name in other.via)
        depends.append({"ref": _reference(package), "dependsOn": on})
    body = json.dumps([told["component"], components, depends], sort_keys=True)
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, body)}",
        "version": 1,
        "metadata": told,
        "components": components,
        "dependencies": depends,
    }


def _component(package: lock.Package) -> Mapping[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": _reference(package),
        "name": package.name,
        "version": package.version,
        "purl": _reference(package),
        "scope": "required",
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{package.name}/{package.version}/",
                # Of every file that the lock allows: which of them is installed depends on the platform.
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in package.hashes],
            }
        ],
    }
    stated = licence(package.name)
    if " " in stated:
        found["licenses"] = [{"expression": stated}]
    elif stated:
        found["licenses"] = [{"license": {"id": stated}}]
    return found


def _reference(package: lock.Package) -> str:
    return f"pkg:pypi/{package.name}@{package.version}"

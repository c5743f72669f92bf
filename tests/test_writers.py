"""Who writes to the API server: the reconcile through one module, the other loops their own objects, nobody else.

Rules: ARCH-3.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "aioctl"
WRITES = {"create", "update", "patch", "delete"}
WRITERS = {
    "controller/apply.py": "every write of a reconcile, and the status",
    "controller/trials.py": "nothing: dry runs of what would be made",
    "controller/configs.py": "finalizer and status of configs",
    "kube/events.py": "events",
    "kube/lease.py": "the lease",
    "tools/checks/survey.py": "nothing: creates as dry runs, and SubjectAccessReviews, which are not stored",
    "tools/writing.py": "what an operator's verb says: annotations of services, the lock where `unlock` removes it, and the marks of `finish`",
    "upkeep/access.py": "nothing: reviews, which the API server answers and does not store",
    "upkeep/former_autoscalers.py": "VariantAutoscalings that KServe made before it wrote autoscalers",
    "upkeep/storage_migration.py": "stored objects, rewritten as they are, and storedVersions of our CRDs",
    "upkeep/webhook_certificates.py": "the certificate's Secret, and the CA bundles of our CRDs and webhooks",
}
"""Module -> what it writes. `sim` and `demo` are the other side of the connection, and a user."""
NOT_OURS = {"sim", "demo"}


def writes(source: str) -> set[str]:
    """The write calls in a module: awaited or passed on, on anything that is named like a client of the API server."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = ast.unparse(node.func.value)
        if node.func.attr in WRITES and owner.rpartition(".")[2].lstrip("_").endswith(("client", "api")):
            found.add(ast.unparse(node.func))
    return found


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in NOT_OURS)


def test_only_the_listed_modules_write() -> None:
    assert {path.relative_to(ROOT).as_posix() for path in modules() if writes(path.read_text())} == set(
        WRITERS
    )


def test_every_listed_writer_exists() -> None:
    assert {name for name in WRITERS if not (ROOT / name).is_file()} == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("await self._client.create(kind, ns, body)", {"self._client.create"}),
        ("request = client.update(kind, body)", {"client.update"}),
        ("await side_client.delete(kind, ns, name)", {"side_client.delete"}),
        ("answers.update(others)", set()),
        ("await client.get(kind, ns, name)", set()),
    ],
)
def test_the_walk_sees_writes_and_nothing_else(source: str, found: set[str]) -> None:
    assert writes(source) == found

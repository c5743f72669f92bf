"""Imports point one way (ARCH-1), the pure rooms stay pure (ARCH-2), and importing the package stays light.

The walk reads sources with `ast`: imports inside functions and under TYPE_CHECKING count like any other, since an arrow is
an arrow. A package of ours that is not in the table, or a library that its room does not list, fails: extend the table
on purpose, with the reason, or not at all.

Rules: ARCH-1, ARCH-2.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "aioctl"


@dataclass(frozen=True)
class Room:
    """What a package may import: rooms of ours (itself always) and libraries (the standard library always)."""

    rooms: frozenset[str]
    libraries: frozenset[str]


def room(rooms: str = "", libraries: str = "") -> Room:
    return Room(frozenset(rooms.split()), frozenset(libraries.split()))


ROOMS = {
    "caching": room(),
    "histogram": room(),
    "yaml_text": room("golang", "yaml"),
    "golang": room("caching", "msgspec yaml"),
    "cel": room(),
    "api": room("golang", "msgspec"),
    "plan": room("caching golang api"),
    "engine": room("", "anyio structlog"),
    "kube": room("api engine", "aiohttp anyio kubernetes_asyncio msgspec structlog tenacity"),
    "pki": room("caching", "cryptography"),
    "serving": room("api engine pki", "aiohttp anyio msgspec prometheus_client structlog"),
    "upkeep": room("api engine kube pki", "anyio msgspec structlog"),
    "controller": room("caching golang api plan engine kube pki", "anyio msgspec structlog"),
    "metrics": room(
        "api histogram plan engine kube pki serving upkeep controller", "prometheus_client structlog"
    ),
    "sim": room("golang cel api kube piped", "aiohttp anyio cryptography msgspec structlog yaml"),
    "demo": room("api histogram kube pki sim shipped", "anyio httpx prometheus_client rich"),
    "crdgen": room("api", "click yaml"),
    "tools": room(
        # `upkeep`: `aioctl storage migrate` runs the controller's own migration. `sim`: `aioctl check -f` judges files by
        # the simulated API server's schemas.
        "golang cel api plan engine kube pki upkeep controller crdgen shipped sim yaml_text",
        "anyio click msgspec yaml",
    ),
    "shipped": room("yaml_text"),
    "piped": room(),
}
"""Modules beside the rooms (app, cli, settings, ...) compose: they may import everything, no room imports them.
`shipped`, `piped`, `caching`, `histogram` and `yaml_text` are rooms of one module."""

ONLY_IN = {
    "aiohttp.web": {"serving", "sim"},
    "kubernetes_asyncio": {"kube"},
    "opentelemetry": {"tracing"},
    "prometheus_client": {"demo", "metrics", "serving"},
}
"""Holds for the composing modules too (`metrics` fills the page, `serving` shows it, `demo` reads it over HTTP).

Names cover their submodules, and `aiohttp.web` also its `web_*` siblings."""

PURE = {"golang", "cel", "api", "plan"}
IMPURE_MODULES = {
    "asyncio", "contextvars", "logging", "multiprocessing", "os", "random", "secrets", "select", "selectors", "signal",
    "socket", "subprocess", "threading", "time",
}  # fmt: skip
IMPURE_CALLS = {"getLogger", "now", "today", "urandom", "utcnow", "uuid1", "uuid4"}


def imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Every imported dotted name; `from a import b` gives `a.b`, relative imports are resolved against `package`."""
    for node in nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def nodes(tree: ast.AST) -> list[ast.AST]:
    """All there are in the tree: several tests walk the same ones."""
    return list(ast.walk(tree))


def covered(name: str, target: str) -> bool:
    return name == target or name.startswith((f"{target}.", f"{target}_"))


def room_fault(here: str, name: str) -> str | None:
    """What is wrong with importing `name` in the room `here`, if anything."""
    top, _, rest = name.partition(".")
    allowed = ROOMS[here]
    if top == "aioctl":
        target = rest.partition(".")[0]
        if target.startswith("__") or target == here or target in allowed.rooms:
            return None
        return f"{here} may not import aioctl.{target}"
    if top in sys.stdlib_module_names:
        if here in PURE and top in IMPURE_MODULES:
            return f"{here} is pure and may not import {top}"
        return None
    return None if top in allowed.libraries else f"{here} may not import {top}"


def faults(tree: ast.Module, here: str, package: str) -> list[str]:
    """Everything wrong with a module's imports. `here` is its room, or its own name where it composes."""
    found = []
    for name in imports(tree, package):
        if here in ROOMS and (fault := room_fault(here, name)) is not None:
            found.append(fault)
        found += [
            f"{here} may not import {only}, only {' and '.join(sorted(rooms))} may"
            for only, rooms in ONLY_IN.items()
            if covered(name, only) and here not in rooms
        ]
    if here in PURE:
        found += [
            f"{here} is pure and may not call {node.func.attr}()"
            for node in nodes(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in IMPURE_CALLS
        ]
    return found


@cache
def modules(top: str = "aioctl") -> dict[Path, ast.Module]:
    """Every module of a package, by its path below the repository."""
    folder = ROOT.parent
    found = sorted((folder / top).rglob("*.py"))
    return {path.relative_to(folder): ast.parse(path.read_text(encoding="utf-8")) for path in found}


def all_faults(of: Iterable[tuple[Path, list[str]]]) -> dict[str, list[str]]:
    return {path.as_posix(): faults for path, faults in of if faults}


def test_imports_point_one_way() -> None:
    def of(path: Path, tree: ast.Module) -> list[str]:
        top, *parts = path.with_suffix("").parts
        return faults(tree, parts[0], ".".join([top, *parts[:-1]]))

    assert len(modules()) > 100
    assert all_faults((path, of(path, tree)) for path, tree in modules().items()) == {}


BESIDE = {"aioctl": set[str](), "testbed": {"aioctl"}, "bench": {"aioctl", "testbed"}}
"""What stands beside the program, and what of it each may import; the tests may import all."""


def beside_faults(tree: ast.Module, top: str, package: str) -> list[str]:
    """Imports of a package beside the program that the table does not allow."""
    others = {*BESIDE, "tests"} - BESIDE[top] - {top}
    found = sorted({name.partition(".")[0] for name in imports(tree, package)} & others)
    return [f"{top} may not import {name}" for name in found]


@pytest.mark.parametrize("top", BESIDE)
def test_test_bed_and_bench_lean_on_the_program_only(top: str) -> None:
    found = modules(top)
    assert found
    assert (
        all_faults(
            (path, beside_faults(tree, top, ".".join(path.parts[:-1]))) for path, tree in found.items()
        )
        == {}
    )


@pytest.mark.parametrize(
    ("top", "source", "fault"),
    [
        ("bench", "from tests.plan import router_world", "bench may not import tests"),
        ("bench", "def f():\n    import tests", "bench may not import tests"),
        ("testbed", "from bench.clusters import Place", "testbed may not import bench"),
        ("aioctl", "from testbed.virtual_time import run_virtual", "aioctl may not import testbed"),
    ],
)
def test_the_walk_sees_a_wrong_arrow_beside_the_program(top: str, source: str, fault: str) -> None:
    assert beside_faults(ast.parse(source), top, top) == [fault]


def test_every_package_has_a_row_in_the_table() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == set(ROOMS) - {"shipped", "piped", "caching", "histogram", "yaml_text"}


def test_the_table_has_no_circle() -> None:
    done: set[str] = set()
    while len(done) < len(ROOMS):
        free = {name for name, row in ROOMS.items() if name not in done and row.rooms <= done}
        assert free, f"circle among {set(ROOMS) - done}"
        done |= free


@pytest.mark.parametrize(
    ("here", "source", "fault"),
    [
        ("api", "from aioctl.plan.model import Plan", "api may not import aioctl.plan"),
        ("api", "from aioctl import plan", "api may not import aioctl.plan"),
        ("api", "from .. import plan", "api may not import aioctl.plan"),
        ("api", "def f():\n    import asyncio", "api is pure and may not import asyncio"),
        ("plan", "import structlog", "plan may not import structlog"),
        ("plan", "from datetime import datetime\ndatetime.now()", "plan is pure and may not call now()"),
        ("plan", "import uuid\nuuid.uuid4()", "plan is pure and may not call uuid4()"),
        ("engine", "from aioctl.api import kinds", "engine may not import aioctl.api"),
        ("engine", "import msgspec", "engine may not import msgspec"),
        ("kube", "import aioctl.settings", "kube may not import aioctl.settings"),
        ("kube", "from aiohttp import web", "kube may not import aiohttp.web, only serving and sim may"),
        ("kube", "import aiohttp.web_protocol", "kube may not import aiohttp.web, only serving and sim may"),
        ("sim", "from aioctl.controller import apply", "sim may not import aioctl.controller"),
        ("controller", "from aioctl.upkeep import storage_migration", "controller may not import aioctl.upkeep"),
        ("upkeep", "from aioctl.serving import certificates", "upkeep may not import aioctl.serving"),
        ("controller", "from aioctl.metrics.pools import PoolMetrics", "controller may not import aioctl.metrics"),
        ("metrics", "from aioctl.settings import Settings", "metrics may not import aioctl.settings"),
        ("demo", "from aioctl.controller import apply", "demo may not import aioctl.controller"),
        ("sim", "from aioctl.engine.queue import WorkQueue", "sim may not import aioctl.engine"),
        ("cli", "import kubernetes_asyncio.config", "cli may not import kubernetes_asyncio, only kube may"),
        ("app", "import prometheus_client", "app may not import prometheus_client, only demo and metrics and serving may"),
    ],
)  # fmt: skip
def test_the_walk_sees_a_wrong_import(here: str, source: str, fault: str) -> None:
    assert faults(ast.parse(source), here, f"aioctl.{here}") == [fault]


@pytest.mark.parametrize(
    ("here", "source"),
    [
        ("api", "import re\nfrom datetime import datetime\nfrom . import kinds\nfrom .kinds import Kind"),
        ("plan", "from aioctl.api.kinds import Kind\nfrom aioctl.plan import model"),
        ("engine", "import asyncio, logging\nimport anyio.lowlevel"),
        (
            "kube",
            "from aioctl import __version__\nimport aiohttp\nfrom kubernetes_asyncio.client import Configuration",
        ),
        ("serving", "from aiohttp import web\nimport prometheus_client"),
        ("app", "from aioctl.controller import apply\nfrom aioctl.sim import server\nimport aiohttp"),
    ],
)
def test_the_walk_passes_what_is_allowed(here: str, source: str) -> None:
    assert faults(ast.parse(source), here, f"aioctl.{here}") == []


def declared_names(tree: ast.Module) -> set[str]:
    """The names a module binds at its top level, also in branches such as `if TYPE_CHECKING`."""
    names: set[str] = set()
    for node in nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def exported(tree: ast.Module) -> list[str]:
    """What a module lists in `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return list(ast.literal_eval(node.value))
    return []


def _capital(name: str) -> bool:
    """Whether a name is spelt as that of a constant; one letter is a type variable."""
    return name.isupper() and len(name) > 1


def constants(source: str) -> Iterator[tuple[str, bool]]:
    """The constants of a module, by their spelling in capitals, and whether each is declared `Final`."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign):
            yield from ((t.id, False) for t in node.targets if isinstance(t, ast.Name) and _capital(t.id))
        elif (
            isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.isupper()
        ):
            yield node.target.id, ast.unparse(node.annotation).startswith(("Final", "TypeAlias"))


@pytest.mark.parametrize("top", ["aioctl", "bench", "testbed", "release"])
def test_every_constant_of_a_module_is_final(top: str) -> None:
    found = [
        (str(path), name, final)
        for path in (ROOT.parent / top).rglob("*.py")
        for name, final in constants(path.read_text())
    ]
    assert found
    assert [(path, name) for path, name, final in found if not final] == []


def test_a_constant_that_is_not_final_is_seen() -> None:
    source = "AA = 1\nBB: int = 2\nCC: Final = 3\nDD: Final[int] = 4\nlog = 5\nT = T()\n_E = FF = 6"
    assert [name for name, final in constants(source) if not final] == ["AA", "BB", "_E", "FF"]


def test_every_public_name_exists_and_is_listed_once() -> None:
    listing = {path: (exported(tree), tree) for path, tree in modules().items()}
    assert sum(bool(names) for names, _ in listing.values()) > 5
    twice = {path for path, (names, _) in listing.items() if len(names) != len(set(names))}
    missing = {path for path, (names, tree) in listing.items() if not set(names) <= declared_names(tree)}
    assert (twice, missing) == (set(), set())


@pytest.mark.parametrize("path", sorted(ROOT.glob("engine/[!_]*.py")), ids=lambda path: path.name)
def test_the_engine_says_what_is_public(path: Path) -> None:
    """The engine's modules are a small library: each lists exactly the classes and functions it does not underscore."""
    tree = modules()[path.relative_to(ROOT.parent)]
    listed = set(exported(tree))
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }
    assert defined <= listed


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = sorted(
        {library for row in ROOMS.values() for library in row.libraries}
        | {"click", "httpx", "pydantic", "rich"}
    )
    script = f"import sys, aioctl; print([name for name in {heavy!r} if name in sys.modules], aioctl.__all__)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[] ['__version__']"

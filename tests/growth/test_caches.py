"""What is kept between calls is bounded in bytes; the standard library's caches, bounded in entries, hold no user's text."""

import ast

from aioctl.caching import LARGEST
from aioctl.plan import combine as combining
from aioctl.plan import config_lookup
from tests.growth.patterns import ROOT
from tests.plan.combined_world import combined

BY_ENTRIES = {
    "golang/roundtrip.py": "by the names of our own types",
    "pki/pairs.py": "two signing pairs, each at most as large as any entry of ours",
    "plan/epp_defaults.py": "by the four shapes of a service",
    "plan/left_overs.py": "within one plan",
    "plan/memo.py": "within one plan",
    "rendering.py": "one, within a command",
    "tools/checks/declared.py": "four schemas, in a command",
    "tools/checks/files.py": "one, within a command",
    "sim/facts.py": "the embedded cluster's own tables",
}


def test_where_caches_without_a_bound_in_bytes_are_used() -> None:
    found = {
        str(file.relative_to(ROOT))
        for file in ROOT.rglob("*.py")
        if "cache" in (text := file.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "functools"
            and any(name.name in ("cache", "lru_cache") for name in node.names)
        )
        or (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "functools"
            and node.attr in ("cache", "lru_cache")
        )
    }
    assert found == set(BY_ENTRIES)


def test_a_large_spec_is_combined_and_not_kept() -> None:
    caches = (config_lookup._LOOKED, config_lookup._SPECS, combining._FOLDS, combining._KEPT)
    before = [cache.weight for cache in caches]
    arguments = ["x" * 100] * (LARGEST // 90)
    template = {"containers": [{"name": "main", "args": arguments}]}
    result = combined(
        {"template": template, "baseRefs": [{"name": "large"}]},
        {"ns/large": {"template": template}},
    )
    assert len(result.spec["template"]["containers"][0]["args"]) == len(arguments)
    after = [cache.weight for cache in caches]
    assert all(new - old < LARGEST for new, old in zip(after, before, strict=True))

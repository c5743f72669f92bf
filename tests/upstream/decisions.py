"""What is meant to differ from the recordings of today's KServe, each with its reason. Reviewed by hand.

Patterns are those of fnmatch on the lines of `tests.golden.compare.differences`. Such a difference is in no file of `open/`,
and a pattern that covers nothing any more fails the test of the whole.
"""

from collections.abc import Mapping

from tests.golden.differences import LLM, Reason, because, unexplained

EVERYWHERE: tuple[Reason, ...] = (
    because(
        "CONV-5: what users wrote is kept as they wrote it; Go stores it back through its types",
        f"{LLM} spec.*ontainers.*.resources",
        f"{LLM} spec.*ontainers.*.resources.limits.*",
        f"{LLM} spec.*ontainers.*.resources.requests.*",
    ),
    because(
        "EVENT-1: the migration has an event of its own",
        "event ours Normal InferencePoolMigrated: Traffic moved to v1 InferencePool *",
    ),
)

__all__ = ["EVERYWHERE", "LLM", "undecided"]


def undecided(found: Mapping[str, str]) -> dict[str, str]:
    """The differences that no decision covers."""
    return {line: found[line] for line in unexplained(EVERYWHERE, found)}

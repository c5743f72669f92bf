"""What more than one family uses: the controller's name as a label, the bounds of histograms in seconds, and their text."""

from typing import Final

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest

CONTROLLER: Final = "llminferenceservice"
CALL_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 6.0, 10.0, 30.0)
"""Of calls; 50 ms, 1 s and 6 s are KEP-95's bars for conversion webhooks, 30 s the API server's limit."""
WORK_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
"""Of work in the queue."""


def exposed(family: Metric) -> bytes:
    """One family in the text format."""
    return generate_latest(_One(family))


class _One:
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> tuple[Metric]:
        return (self._family,)

"""Quantiles of histograms as Prometheus counts them. A room of its own: the demo and the operators' page use it."""

from collections.abc import Sequence


def quantile(q: float, buckets: Sequence[tuple[float, float]]) -> float:
    """Prometheus' histogram_quantile: linear within the bucket, the last finite bound beyond it; 0 without samples.

    `buckets`: (upper bound, samples up to it), sorted.
    """
    total = buckets[-1][1] if buckets else 0.0
    if total == 0:
        return 0.0
    rank, low, below = q * total, 0.0, 0.0
    for bound, count in buckets:
        if count >= rank:
            if bound == float("inf"):
                return low
            return low + (bound - low) * ((rank - below) / (count - below) if count > below else 0.0)
        low, below = bound, count
    return low

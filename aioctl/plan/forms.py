"""How rules with our pools are written: both generations with weights, or one reference at a time (MIG-7).

`weighted` and `swap` say it themselves. `auto` goes by what the gateways are known to do: a gateway of which that is not
known never gets a rule with both, and a live route with both keeps it until a gateway is seen to refuse it.
"""

from collections.abc import Sequence

from aioctl.plan.evidence import GatewayEvidence, Source, Support
from aioctl.plan.model import Strategy


def form_of(
    strategy: Strategy, default: Strategy, *, mixed: bool, evidence: Sequence[GatewayEvidence]
) -> Strategy:
    """`weighted` or `swap`. `default`: the operator's strategy, which gives the form while a service is on hold; `mixed`: the
    live route has rules with both generations."""
    wanted = default if strategy is Strategy.HOLD else strategy
    if wanted in (Strategy.WEIGHTED, Strategy.SWAP):
        return wanted
    if mixed:
        refused = any(
            each.mixed.support is Support.NO and each.mixed.source is Source.ROUTE for each in evidence
        )
        return Strategy.SWAP if refused else Strategy.WEIGHTED
    everywhere = bool(evidence) and all(each.mixed.support is Support.YES for each in evidence)
    return Strategy.WEIGHTED if everywhere else Strategy.SWAP

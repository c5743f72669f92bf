"""Lines that a stranger can cause come one at a time, and count those that were left out."""

from structlog import get_logger
from structlog.testing import capture_logs

from aioctl.serving.seldom import Seldom


def test_one_line_in_a_while_counts_the_others() -> None:
    now = 100.0
    with capture_logs() as logs:
        seldom = Seldom(get_logger().warning, "refused", pause=10.0, clock=lambda: now)
        for at, peer in ((100.0, "a"), (100.1, "b"), (109.9, "c"), (110.0, "d"), (130.0, "e")):
            now = at
            seldom.say(peer=peer)
    assert [(line["peer"], line["left_out"]) for line in logs] == [("a", 0), ("d", 2), ("e", 0)]

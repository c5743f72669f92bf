"""How a case of the recordings ends here, as its differences from the recording."""

from tests.golden.compare import differences
from tests.upstream.cases import case, recorded_state
from tests.upstream.simulated import play


def all_differences(name: str) -> dict[str, str]:
    """Difference, on one line -> the two values as text."""
    played = case(name)
    found = differences(play(played), recorded_state(played), played.namespace)
    return {line.replace("\n", r"\n"): values for line, values in found.items()}

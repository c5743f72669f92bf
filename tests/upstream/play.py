"""How a case of the recordings ends here, as its differences from the recording."""

from tests.golden.cases import PLACE
from tests.golden.compare import State, differences
from tests.upstream.cases import UpstreamCase, case, recorded_state
from tests.upstream.simulated import play


def all_differences(name: str) -> dict[str, str]:
    """What differs on the embedded cluster; see `from_recording`."""
    played = case(name)
    return from_recording(played, play(played))


def from_recording(played: UpstreamCase, state: State) -> dict[str, str]:
    """Difference, on one line -> the two values as text. The case's namespace reads `<ns>` in both."""
    found = differences(state, recorded_state(played), played.namespace)
    return {
        line.replace("\n", r"\n"): values.replace(played.namespace, PLACE) for line, values in found.items()
    }

"""`python -m bench SCENARIO`, or `list`: each scenario is a module with `main(argv)`; its result is the exit code."""

import sys
from importlib import import_module

SCENARIOS = {
    "all": "every run behind docs/benchmarks.md, and its table",
    "convert": "conversion: losses, pure speed, and the webhook server over TLS",
    "memory": "what cached services cost in memory",
    "plan": "how long one service's plan takes",
    "strangers": "what attacks on the ports do to the calls of a client that behaves",
    "crds": "how long the CRDs take to install on a real API server",
    "worst": "how long the heaviest objects hold the event loop, by field",
    "crash": "a controller killed at every write it makes, in a catalogue of scenarios",
    "faults": "fleets created while misfortunes happen, alone and in pairs",
    "storm": "a fleet created at once, until all of it is migrated",
}


def main(argv: list[str]) -> int:
    asked = argv[:1] == ["list"]
    if asked or not argv or argv[0] not in SCENARIOS:
        for name, text in SCENARIOS.items():
            print(f"  python -m bench {name:<9}  {text}", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    scenario = import_module(f"bench.{argv[0]}")
    code: int = scenario.main(argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

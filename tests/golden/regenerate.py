"""`python -m tests.golden.regenerate`: writes the children of every sample anew; see `children.py`."""

import sys

from tests.golden.children import FOLDER, SAMPLES, rendered, stored_at


def main() -> int:
    if not SAMPLES:
        print("the samples are not here: shared/data/samples", file=sys.stderr)  # noqa: T201
        return 1
    FOLDER.mkdir(exist_ok=True)
    wanted = {stored_at(sample): sample for sample in SAMPLES}
    for path in set(FOLDER.glob("*.yaml")) - wanted.keys():
        path.unlink()
    for path, sample in wanted.items():
        path.write_text(rendered(sample), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

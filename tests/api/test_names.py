"""Child names against those recorded from the Go functions.

Rules: NAME-1.
"""

import pytest

from aioctl.api import names
from testbed import shared_data


def test_recorded_names_agree_and_panics_are_errors() -> None:
    for row in shared_data.vectors("names"):
        function = {"SafeChildName": names.safe, "ChildName": names.child}[row["function"]]
        if row["result"] is None:
            with pytest.raises(ValueError, match="is longer than"):
                function(row["parent"], row["suffix"])
        else:
            assert function(row["parent"], row["suffix"]) == row["result"], row


def test_plain_child_name_is_hashed_beyond_63_characters() -> None:
    assert names.child("a" * 50, "-epp-service") == "a" * 50 + "-epp-service"
    long = names.child("a" * 60, "-epp-service")
    assert len(long) == 63
    assert long.endswith("-epp-service")


def test_safe_child_name_is_hashed_beyond_43_characters() -> None:
    assert names.safe("a" * 30, "-kserve-mn") == "a" * 30 + "-kserve-mn"
    assert len(names.safe("a" * 40, "-kserve-mn")) == 43

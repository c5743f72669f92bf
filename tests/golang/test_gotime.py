"""What Go 1.24 reads with time.Parse(time.RFC3339, ...)."""

import pytest

from aioctl.golang.gotime import rfc3339


@pytest.mark.parametrize(
    "text",
    [
        "2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00+00:00",
        "2020-01-01T00:00:00-00:00",
        "2020-01-01T01:30:00.000+01:30",
        "2020-01-01T00:00:00,0Z",
        "2020-01-01T00:00:00.000000000Z",
        "2020-01-01T0:00:00Z",
    ],
)
def test_it_is_the_same_moment_however_it_is_written(text: str) -> None:
    found = rfc3339(text)
    assert found is not None
    assert found.timestamp() == 1_577_836_800


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2020-01-01",
        "2020-01-01t00:00:00z",
        "2020-01-01T00:00Z",
        "20200101T000000Z",
        "2020-01-01 00:00:00Z",
        "2020-W01-1T00:00:00Z",
        "2020-01-01T00:00:00+0000",
        "2020-01-01T00:00:00+01:00:00",
        "2020-01-01T00:00:00.Z",
        "2020-01-01T24:00:00Z",
        "2020-02-30T00:00:00Z",
        "2020-01-01T00:00:60Z",
        " 2020-01-01T00:00:00Z",
        "2020-01-01T00:00:00Z\n",
    ],
)
def test_what_go_does_not_read_is_no_time(text: str) -> None:
    assert rfc3339(text) is None

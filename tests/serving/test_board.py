"""What a client is told of the operators' page: everything once, then what has changed since, in bounded memory."""

import json
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aioctl.serving import board as boards
from aioctl.serving.board import ROWS_PER_EVENT, Board
from aioctl.serving.timeline import Sample, Timeline
from testbed.virtual_time import virtual_time


def row(namespace: str, name: str, value: object = 0) -> bytes:
    return json.dumps({"namespace": namespace, "name": name, "value": value}).encode()


class Client:
    """A page's picture of the board, from the events alone."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._seen: int | None = None
        self.rows: dict[tuple[str, str], Any] = {}
        self.about: Any = None
        self.samples: list[Any] = []
        self.begun = 0

    def read(self) -> list[str]:
        """Takes what is new; the names of the events."""
        events, self._seen = self._board.events(self._seen), self._board.revision
        return [self._take(event) for event in events]

    def _take(self, event: bytes) -> str:
        head, data, *rest = event.decode().split("\n")
        assert (head[:7], data[:6], rest) == ("event: ", "data: ", ["", ""])
        said = json.loads(data[6:])
        match head[7:]:
            case "begin":
                self.begun += 1
                self.rows, self.about = {}, said["about"]
            case "rows":
                self.rows |= {(one["namespace"], one["name"]): one["value"] for one in said}
            case "gone":
                for key in said:
                    self.rows.pop(tuple(key))
            case "about":
                self.about = said
            case "sample":
                self.samples.append(said["t"])
            case _:
                assert (head[7:], said) == ("whole", {})
        return head[7:]


def test_a_client_is_told_all_of_it_once_and_then_what_changes() -> None:
    board = Board()
    board.say({"role": "leader"})
    for number in range(2 * ROWS_PER_EVENT + 1):
        board.put(("n", f"s{number}"), row("n", f"s{number}"))
    client = Client(board)
    assert client.read() == ["begin", "rows", "rows", "rows", "whole"]
    assert (len(client.rows), client.about) == (2 * ROWS_PER_EVENT + 1, {"role": "leader"})
    assert client.read() == []

    board.put(("n", "s1"), row("n", "s1", 1))
    board.put(("n", "s2"), row("n", "s2"))
    board.drop(("n", "s3"))
    board.drop(("n", "nobody"))
    board.say({"role": "leader"})
    board.sample(Sample(1.0, {}, {}))
    assert client.read() == ["gone", "sample", "rows"]
    assert (client.rows["n", "s1"], ("n", "s3") in client.rows) == (1, False)
    board.say({"role": "follower"})
    assert client.read() == ["about"]


changes = st.lists(
    st.tuples(st.sampled_from(["put", "drop", "clear", "read"]), st.integers(0, 6), st.integers(0, 2)),
    max_size=40,
)


@given(changes)
def test_however_seldom_a_client_reads_it_ends_with_what_is_there(done: list[tuple[str, int, int]]) -> None:
    board, client = Board(), None
    there: dict[tuple[str, str], int] = {}
    client = Client(board)
    for what, number, value in done:
        key = ("n", str(number))
        match what:
            case "put":
                board.put(key, row(*key, value))
                there[key] = value
            case "drop":
                board.drop(key)
                there.pop(key, None)
            case "clear":
                board.clear()
                there.clear()
            case _:
                client.read()
    client.read()
    assert client.rows == there
    assert {
        (one["namespace"], one["name"]) for one in json.loads(b"".join(board.document()))["services"]
    } == set(there)


def test_who_has_missed_too_much_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "_REMEMBERED", 3)
    board = Board()
    slow = Client(board)
    for number in range(10):
        board.put(("n", str(number)), row("n", str(number)))
    slow.read()
    for number in range(5):
        board.drop(("n", str(number)))
    assert slow.read()[0] == "begin"
    assert set(slow.rows) == {("n", str(number)) for number in range(5, 10)}
    assert len(board._gone) == 3


@virtual_time
async def test_a_change_wakes_whoever_waits() -> None:
    board = Board()
    woken = []

    async def wait() -> None:
        await board.changed(0)
        woken.append(anyio.current_time())

    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.sleep(5)
        board.put(("n", "s"), row("n", "s"))
    assert woken == [pytest.approx(5)]


def test_a_timeline_shows_all_the_time_in_bounded_memory_and_loses_no_spike() -> None:
    line = Timeline(capacity=8)
    for second in range(1000):
        line.add(
            Sample(float(second), {"Held": second}, {"lag": 9.0 if second == 333 else 0.1, "none": None})
        )
        assert len(line.samples) < 8
    shown = line.as_data()
    assert shown["t"][-1] == 999
    assert shown["t"] == sorted(shown["t"])
    assert shown["t"][0] < 300
    assert shown["states"]["Held"] == [int(at) for at in shown["t"]]
    assert max(shown["figures"]["lag"]) == 9.0
    assert set(shown["figures"]["none"]) == {None}


def test_a_figure_that_comes_later_has_nulls_before() -> None:
    line = Timeline()
    line.add(Sample(1.0, {}, {"a": 1.0}))
    line.add(Sample(2.0, {"Held": 1}, {"a": 1.0, "b": 2.0}))
    assert line.as_data() == {
        "t": [1.0, 2.0],
        "states": {"Held": [None, 1]},
        "figures": {"a": [1.0, 1.0], "b": [None, 2.0]},
    }


def test_a_timeline_of_one_point_is_none() -> None:
    with pytest.raises(ValueError, match="two neighbours"):
        Timeline(capacity=1)

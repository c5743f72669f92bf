"""The echo of a write wakes everybody but the service that wrote, however watch and answer overtake each other."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aioctl.api import kinds
from aioctl.api.kinds import ObjectKey, ObjectRef
from aioctl.controller.own_writes import MOST_HELD, OwnWrite, OwnWrites
from aioctl.engine.queue import LOW_PRIORITY

ROUTE = ObjectRef(kinds.HTTP_ROUTE, "demo", "shared")
A, B, READER = (ObjectKey("demo", name) for name in ("a", "b", "reader"))
EVERYBODY = frozenset({A, B, READER})


@dataclass
class Script:
    """Plays `a sends`, `a answers 5`, `a fails`, `a is unsure` (an answer that says nothing), `show 5`."""

    woken: list[str] = field(default_factory=list)
    own: OwnWrites = field(init=False)
    sent: dict[str, tuple[ExitStack, OwnWrite]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.own = OwnWrites(lambda key, _: self.woken.append(key.name))

    def play(self, lines: str) -> list[str]:
        """Who was woken by each line, such as `show 5: b reader`; lines that wake nobody are left out."""
        said = []
        for line in lines.split(", "):
            self.woken.clear()
            self._step(line)
            if self.woken:
                said.append(f"{line}: {' '.join(sorted(self.woken))}")
        return said

    def _step(self, line: str) -> None:
        match line.split():
            case ["show", version]:
                self.woken += [key.name for key in self.own.to_wake(ROUTE, version, EVERYBODY, 0)]
            case [name, "sends"]:
                writing = ExitStack()
                write = writing.enter_context(self.own.writing(ROUTE, ObjectKey("demo", name)))
                self.sent[name] = writing, write
            case [name, "answers", version]:
                writing, write = self.sent.pop(name)
                write.made(version)
                writing.close()
            case [name, "is", "unsure"]:
                self.sent.pop(name)[0].close()
            case [name, "fails"]:
                swallowed = self.sent.pop(name)[0].__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
                assert not swallowed, "the failure is kept from the caller"
            case _:
                raise AssertionError(line)


TABLE = {
    "answer before echo": ("a sends, a answers 5, show 5", ["show 5: b reader"]),
    "echo before answer": ("a sends, show 5, a answers 5", ["show 5: b reader"]),
    "a version is an echo once": (
        "a sends, a answers 5, show 5, show 5",
        ["show 5: b reader", "show 5: a b reader"],
    ),
    "nobody writes": ("show 5", ["show 5: a b reader"]),
    "somebody else was faster": (
        "a sends, show 5, show 6, a answers 6",
        ["show 5: b reader", "show 6: b reader", "a answers 6: a"],
    ),
    "somebody else came after": (
        "a sends, show 5, show 6, a answers 5",
        ["show 5: b reader", "show 6: b reader", "a answers 5: a"],
    ),
    "somebody else, and the echo after the answer": (
        "a sends, show 5, a answers 6, show 6",
        ["show 5: b reader", "a answers 6: a", "show 6: b reader"],
    ),
    "somebody else after the answer": (
        "a sends, a answers 5, show 5, show 6",
        ["show 5: b reader", "show 6: a b reader"],
    ),
    "no answer": ("a sends, show 5, a fails", ["show 5: b reader", "a fails: a"]),
    "no answer, the change shows later": ("a sends, a fails, show 5", ["show 5: a b reader"]),
    "nothing shown, no answer": ("a sends, a fails", []),
    "an answer with more in it": ("a sends, show 5, a is unsure", ["show 5: b reader", "a is unsure: a"]),
    "a refused write, and the next one": (
        "a sends, show 5, a fails, a sends, show 6, a answers 6",
        ["show 5: b reader", "a fails: a", "show 6: b reader"],
    ),
    "two writes, both echoes late": (
        "a sends, a answers 5, a sends, show 5, a answers 6, show 6",
        ["show 5: b reader", "show 6: b reader"],
    ),
    "two writers at once, each learns of the other": (
        "a sends, b sends, show 5, show 6, b answers 6, a answers 5",
        ["show 5: reader", "show 6: reader", "b answers 6: b", "a answers 5: a"],
    ),
    "two writers create, one was too late": (
        "a sends, b sends, show 5, b fails, a answers 5",
        ["show 5: reader", "b fails: b"],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_who_is_woken(case: str) -> None:
    lines, expected = TABLE[case]
    assert Script().play(lines) == expected


def test_only_who_is_concerned_is_woken() -> None:
    woken: list[tuple[ObjectKey, int]] = []
    own = OwnWrites(lambda key, priority: woken.append((key, priority)))
    with own.writing(ROUTE, A):
        assert own.to_wake(ROUTE, "5", {READER}, 0) == {READER}
    assert woken == []


def test_another_object_of_the_same_version_is_another_change() -> None:
    own = OwnWrites(lambda *_: None)
    with own.writing(ROUTE, A) as write:
        write.made("5")
    other = ObjectRef(kinds.GATEWAY, "demo", "shared")
    assert own.to_wake(other, "5", {A}, 0) == {A}
    assert own.to_wake(ROUTE, "5", {A}, 0) == set()


def test_the_highest_priority_of_what_was_held_counts() -> None:
    woken: list[tuple[ObjectKey, int]] = []
    own = OwnWrites(lambda key, priority: woken.append((key, priority)))
    with own.writing(ROUTE, A):
        own.to_wake(ROUTE, "5", {A}, LOW_PRIORITY)
        own.to_wake(ROUTE, "6", {A}, 0)
        own.to_wake(ROUTE, "7", {A}, LOW_PRIORITY)
    with own.writing(ROUTE, A):
        own.to_wake(ROUTE, "7", {A}, 0)
        own.to_wake(ROUTE, "7", {A}, LOW_PRIORITY)
        own.to_wake(ROUTE, "7", {B}, 0)
    with own.writing(ROUTE, A) as write:
        own.to_wake(ROUTE, "8", {A}, LOW_PRIORITY)
        own.to_wake(ROUTE, "9", {A}, 0)
        write.made("9")
    assert woken == [(A, 0), (A, 0), (A, LOW_PRIORITY)]


def test_what_is_kept_is_bounded_and_wakes_rather_than_being_lost() -> None:
    woken: list[ObjectKey] = []
    own = OwnWrites(lambda key, _: woken.append(key))
    with own.writing(ROUTE, A) as write:
        at_once = [bool(own.to_wake(ROUTE, str(version), {A}, 0)) for version in range(MOST_HELD + 2)]
        assert at_once == [False] * MOST_HELD + [True] * 2
        assert len(write.held) == MOST_HELD
        write.made(str(MOST_HELD + 1))
    assert woken == [A]
    # Shown already, though that was not kept: nothing may be left that could hide the version from a later list.
    assert len(own) == 0


def test_of_versions_no_watch_shows_the_oldest_are_forgotten() -> None:
    own = OwnWrites(lambda *_: None, most_known=2)
    for version in ("1", "2", "3"):
        with own.writing(ROUTE, A) as write:
            write.made(version)
    assert len(own) == 2
    assert own.to_wake(ROUTE, "1", {A}, 0) == {A}
    assert own.to_wake(ROUTE, "2", {A}, 0) == set()


@dataclass(eq=False)
class Sent:
    """A request of the model: the server took it once it has a version."""

    writer: ObjectKey
    ref: ObjectRef
    writing: ExitStack
    write: OwnWrite
    version: str = ""
    answered: bool = False
    seen: list[str] = field(default_factory=list)
    """What the watch showed while it was on its way, of what concerns its writer."""


REFS = (ROUTE, ObjectRef(kinds.POD_MONITOR, "demo", "shared"))
WRITERS = (A, B)


class Laws(RuleBasedStateMachine):
    """A server, a watch that lags as it likes, two services that write to the same objects, and others who do."""

    def __init__(self) -> None:
        super().__init__()
        self.own = OwnWrites(self.wake)
        self.versions = 0
        self.log: dict[ObjectRef, list[tuple[str, Sent | None]]] = {ref: [] for ref in REFS}
        self.sent: list[Sent] = []
        self.owed: Counter[ObjectKey] = Counter()
        """Changes by others that a service was shown since it was last woken."""

    def wake(self, key: ObjectKey, _: int) -> None:
        assert self.owed[key], "woken for nothing but its own writes"
        self.owed[key] = 0

    @rule(writer=st.sampled_from(WRITERS), ref=st.sampled_from(REFS))
    def send(self, writer: ObjectKey, ref: ObjectRef) -> None:
        if any(request.writer == writer for request in self.sent):
            return  # a reconcile sends one write at a time
        writing = ExitStack()
        write = writing.enter_context(self.own.writing(ref, writer))
        self.sent.append(Sent(writer, ref, writing, write))

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.sent))
        if not request.version:
            request.version = self.write(request.ref, request)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), arrives=st.booleans())
    def end(self, data: st.DataObject, *, arrives: bool) -> None:
        self.over(data.draw(st.sampled_from(self.sent)), arrives=arrives)

    def teardown(self) -> None:
        for request in list(self.sent):
            self.over(request, arrives=False)
        self.nobody_is_owed_a_wake()

    def over(self, request: Sent, *, arrives: bool) -> None:
        self.sent.remove(request)
        if arrives and request.version:
            request.write.made(request.version)
            request.answered = True
        self.owed[request.writer] += sum(
            not request.answered or version != request.version for version in request.seen
        )
        if arrives:
            request.writing.close()
        else:
            request.writing.__exit__(TimeoutError, TimeoutError(), None)

    @rule(ref=st.sampled_from(REFS))
    def others_write(self, ref: ObjectRef) -> None:
        self.write(ref, None)

    @precondition(lambda self: any(self.log.values()))
    @rule(data=st.data(), concerned=st.frozensets(st.sampled_from(sorted(EVERYBODY))))
    def show(self, data: st.DataObject, concerned: frozenset[ObjectKey]) -> None:
        ref = data.draw(st.sampled_from([ref for ref in REFS if self.log[ref]]))
        version, maker = self.log[ref].pop(0)
        for key in concerned:
            on_its_way = [request for request in self.sent if (request.writer, request.ref) == (key, ref)]
            if maker is not None and maker.answered and maker.writer == key:
                continue
            if on_its_way:
                on_its_way[0].seen.append(version)
            else:
                self.owed[key] += 1
        now = self.own.to_wake(ref, version, concerned, 0)
        assert now <= concerned
        for key in now:
            self.wake(key, 0)

    def write(self, ref: ObjectRef, maker: Sent | None) -> str:
        self.versions += 1
        self.log[ref].append((str(self.versions), maker))
        return str(self.versions)

    @invariant()
    def nobody_is_owed_a_wake(self) -> None:
        assert not +self.owed

    @invariant()
    def what_is_remembered_is_needed(self) -> None:
        to_show = [
            maker for log in self.log.values() for _, maker in log if maker is not None and maker.answered
        ]
        assert len(self.own) == len(self.sent) + len(to_show)


Laws.TestCase.settings = settings(stateful_step_count=40)
TestLaws = Laws.TestCase

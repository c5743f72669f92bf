"""What is kept of one service between its plans (ARCH-11): results of parts, the questions that they asked, and stamps of the answers.

Plain data; `plan/memo.py` fills it and decides what of it still holds.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Asked = tuple[Any, ...]
"""One question to an observation: the name of its method and the arguments, all hashable."""


STATUS: Final = "status: "
"""What names of results begin with that the status is made of."""


class Questions:
    """The questions of one service, each once: everything else speaks of them by number, which is small and quick to compare."""

    __slots__ = ("_asked", "_numbers")

    def __init__(self) -> None:
        self._asked: list[Asked] = []
        self._numbers: dict[Asked, int] = {}

    def __len__(self) -> int:
        return len(self._asked)

    def __getitem__(self, number: int) -> Asked:
        return self._asked[number]

    def number(self, asked: Asked) -> int:
        """The number of the question, which is a new one where it was not asked before."""
        found = self._numbers.get(asked)
        if found is None:
            if len(self._numbers) != len(self._asked):
                self._numbers = {known: number for number, known in enumerate(self._asked)}
                return self.number(asked)
            found = self._numbers[asked] = len(self._asked)
            self._asked.append(asked)
        return found

    def rest(self) -> None:
        """Lets go of what can be made again from the questions."""
        self._numbers = {}


Reads = tuple[int, ...]
"""Numbers of questions."""


@dataclass(slots=True)
class Entry:
    """A result, what it was made of, and the stamp of that."""

    reads: Reads
    stamp: int
    value: Any


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan may look at of its service: a digest of what lasts of it but for its numbers, these, and what its version says of
    itself when asked."""

    digest: Hashable
    numbers: Hashable
    told: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Ground:
    """What the parts of a plan stand on: a digest of all that they may look at without asking, and the numbers that they ask for."""

    digest: Hashable
    counts: Mapping[tuple[str, ...], Any]


@dataclass(slots=True)
class Memo:
    """What is kept of one service between its plans."""

    basis: Hashable = None
    """What may be looked at without asking before the parts: what lasts of the service but for its numbers, and the policy."""
    numbers: Hashable = None
    """These numbers."""
    version: Hashable = None
    """The version of the service that the basis was made of last."""
    told: Mapping[str, bool] = field(default_factory=dict)
    """What that version says of itself, for the parts that ask."""
    first: Entry | None = None
    """What comes before the parts; its value goes when the service comes to rest."""
    ground: Hashable = None
    """What every part may look at without asking, as it follows from the first. On another ground no part's result stands."""
    counts: Mapping[tuple[str, ...], Any] = field(default_factory=dict)
    """The numbers of the combined spec that no part sees but by asking, by their path."""
    parts: dict[str, Entry] = field(default_factory=dict)
    questions: Questions = field(default_factory=Questions)
    """All that results of here have asked."""
    standing: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Of objects that were asked for but for their status, by question: hashes of the version seen last and of what it was."""

    def rest(self) -> None:
        """Lets go of what is large and can be made again: a combined spec takes 75 kB as a tree, and what the status was made of, 9 kB,
        is made again in a millisecond."""
        self.questions.rest()
        for name in [name for name in self.parts if name.startswith(STATUS)]:
            del self.parts[name]
        if self.first is not None:
            self.first.value = None

    def void(self) -> None:
        """Forgets all results; what was asked by number until now means nothing any more."""
        self.first = None
        self.parts.clear()
        self.standing.clear()
        self.questions = Questions()


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that was asked of an observation, and the stamp of what was said."""

    questions: Questions
    asked: Reads
    stamp: int

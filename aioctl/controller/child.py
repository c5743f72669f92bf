"""The child process that plans for one service under hard limits: `main(CPU, MEMORY)`.

It is started anew for each run of a confined service, by `controller/confinement.py`, and decides as the controller itself
does. What its plan reads it asks of its parent, which has the caches:

    parent                               child
    (PLAN, service, policy, now)    ->
                                    <-   (GET, kind, namespace, name, named_by_user), (SELECT, ...), (SERVED, kind) ...
    the answer                      ->
                                    <-   (DONE, plan without its context) or (FAILED, text)
    (CONCLUDE, places, outcome,
     now)                           ->    ... (DONE, conclusion)

Messages are pickled, each behind its length in four bytes: both ends are the same program. `CPU` seconds and `MEMORY` bytes
of address space are limits of the kernel, which ends a process that passes the first. Certificates are parsed here, as a
Secret's text may be what costs so much.
"""

import os
import pickle
import resource
import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from typing import Any, BinaryIO, Final

from aioctl.api.kinds import Kind, ObjectKey, Served
from aioctl.api.objects import Object
from aioctl.controller.observe import Certificates, certificate_of, signer_problem
from aioctl.controller.planner import Conclusion, conclude
from aioctl.plan import order
from aioctl.plan.hearsay import Heard
from aioctl.plan.model import Outcome, Plan
from aioctl.plan.observation import Certificate, GatewayRequest, Read, Unknown, Versions, never_again
from aioctl.plan.policy import Policy
from aioctl.plan.trial import DryRunResult

LENGTH: Final = 4
NICE: Final = 10
"""The child gives way to the process that serves everybody."""


class Word(Enum):
    """First field of a message."""

    PLAN = auto()
    CONCLUDE = auto()
    GET = auto()
    SELECT = auto()
    OTHERS_RUN = auto()
    NAMESAKES = auto()
    SERVED = auto()
    TRY_OUT = auto()
    SERVER_VERSION = auto()
    HEARD = auto()
    REACHES = auto()
    DONE = auto()
    FAILED = auto()
    NO_MEMORY = auto()


def encode(message: Any) -> bytes:
    """The message behind its length. Raises OverflowError for one of 4 GiB."""
    text = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return len(text).to_bytes(LENGTH, "big") + text


def decode(text: bytes) -> Any:
    """The message, without its length."""
    return pickle.loads(text)  # noqa: S301  see above


class _Pipe:
    """The two ends that lead to the parent."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink

    def receive(self) -> Any:
        """The next message. Raises EOFError when the parent has gone or has no more."""
        head = self._source.read(LENGTH)
        size = int.from_bytes(head, "big")
        text = self._source.read(size)
        if len(head) < LENGTH or len(text) < size:
            raise EOFError
        return decode(text)

    def send(self, *message: Any) -> None:
        self._sink.write(encode(message))
        self._sink.flush()

    def ask(self, *question: Any) -> Any:
        self.send(*question)
        return self.receive()


class _Asked:
    """An observation whose answers come from the parent; implements `plan.observation.Observation`."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._certificates: Certificates = {}

    def get(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Read:
        read: Read = self._pipe.ask(Word.GET, kind, namespace, name, named_by_user)
        return read

    def select(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Sequence[Object] | Unknown:
        found: Sequence[Object] | Unknown = self._pipe.ask(Word.SELECT, kind, namespace, dict(labels))
        return found

    def others_run(self, namespace: str, name: str) -> bool | Unknown:
        found: bool | Unknown = self._pipe.ask(Word.OTHERS_RUN, namespace, name)
        return found

    def namesakes(
        self, namespace: str, name: str, group: str, models: frozenset[str]
    ) -> Sequence[str] | Unknown:
        found: Sequence[str] | Unknown = self._pipe.ask(Word.NAMESAKES, namespace, name, group, models)
        return found

    def served(self, kind: Kind) -> Served:
        served: Served = self._pipe.ask(Word.SERVED, kind)
        return served

    def try_out(self, candidate: Object) -> DryRunResult | Unknown:
        tried: DryRunResult | Unknown = self._pipe.ask(Word.TRY_OUT, candidate)
        return tried

    def server_version(self) -> tuple[str, str] | None:
        version: tuple[str, str] | None = self._pipe.ask(Word.SERVER_VERSION)
        return version

    def heard(self, gateway: ObjectKey, apart_from: frozenset[ObjectKey]) -> Heard:
        heard: Heard = self._pipe.ask(Word.HEARD, gateway, apart_from)
        return heard

    def revision(self, kind: Kind, namespace: str, name: str, *, named_by_user: bool = False) -> Hashable:
        return never_again()  # a child plans once, and remembers nothing

    def revisions(self, kind: Kind, namespace: str, labels: Mapping[str, str]) -> Versions | int:
        return never_again()

    def tried(self) -> Hashable:
        return never_again()

    def reaches(self, request: GatewayRequest) -> bool | Unknown:
        reached: bool | Unknown = self._pipe.ask(Word.REACHES, request)
        return reached

    def certificate(self, secret: Object) -> Certificate | str:
        return certificate_of(secret, self._certificates)

    def signer(self, secret: Object) -> str:
        return signer_problem(secret)


class _Child:
    """What is known between the two questions of one run."""

    def __init__(self, pipe: _Pipe) -> None:
        self._obs = _Asked(pipe)
        self._plan = Plan({})
        self._policy = Policy()

    def answer(self, word: Word, *fields: Any) -> Any:
        return self.plan(*fields) if word is Word.PLAN else self.conclude(*fields)

    def plan(self, service: Object, policy: Policy, now: datetime) -> Plan:
        self._policy = policy
        self._plan = order.plan(self._obs, service, policy, now)
        return replace(self._plan, context=None)

    def conclude(self, places: tuple[int | None, ...], outcome: Outcome, now: datetime) -> Conclusion:
        """`places` of what failed, failed beside it, or is blocked: a step is known by its identity, which no pipe keeps."""
        steps = self._plan.steps
        failed, beside, blocked = (None if place is None else steps[place] for place in places)
        outcome = replace(outcome, failed=failed, beside=beside, blocked=blocked)
        return conclude(self._plan, outcome, self._obs, self._policy, now)


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answers until the parent has no more questions."""
    pipe = _Pipe(source, sink)
    child = _Child(pipe)
    while True:
        try:
            question = pipe.receive()
        except EOFError:
            return
        try:
            answer = child.answer(*question)
        except MemoryError:
            pipe.send(Word.NO_MEMORY)
        except EOFError:
            return
        except Exception as error:  # noqa: BLE001  the parent logs it
            pipe.send(Word.FAILED, f"{type(error).__name__}: {error}")
        else:
            pipe.send(Word.DONE, answer)


def main(cpu: str, memory: str) -> None:
    """Sets the limits and serves standard input and output."""
    resource.setrlimit(resource.RLIMIT_CPU, (int(cpu), int(cpu) + 1))
    resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICE)
    serve(sys.stdin.buffer, sys.stdout.buffer)

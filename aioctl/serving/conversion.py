"""Answers ConversionReviews: bytes in, bytes out, in slices that leave the loop to others.

One review can be a list of 10,000 objects and 100 MB. It is taken apart, converted and written in turns of at most half a
millisecond; what it becomes in memory is charged to its line before or as it comes to be; each object is dropped as soon as it is converted, each converted one as soon as it is written, so that the
peak is about two and a half times the review. All objects are converted before the first byte leaves: an answer that has
begun cannot become a failure. Whatever goes wrong with a usable request is an answer with its uid, never a broken call.
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from http import HTTPStatus
from time import perf_counter
from typing import Final

import anyio
import msgspec
import structlog
from structlog.contextvars import bind_contextvars

from aioctl.api import body_limits
from aioctl.api.conversion import VERSIONS, ConversionFailed, convert_object
from aioctl.api.review import BadReview, ConversionRequest, failure, read_conversion, success
from aioctl.serving.limits import KIB
from aioctl.serving.line import Refused
from aioctl.serving.splitting import BadObjects, Splitter
from aioctl.serving.webhook import Answer, Call, Turns

_SLICE: Final = 0.0004
"""Seconds of work per turn, the last object not counted."""
_AT_ONCE: Final = 64 * KIB
"""Up to here a review is read within one turn: 0.1 ms; if it is all numbers, 2 ms."""
_WHOLE: Final = 256 * KIB
"""Up to here an answer is put together at once."""
PER_OBJECT: Final = 512
"""Bytes that an object costs beside its text, once it is split off and converted."""
_INTERNAL_ERROR: Final = "internal error occurred during conversion"

Convert = Callable[[msgspec.Raw, str], bytes | msgspec.Raw]
log = structlog.get_logger(__name__)


class ConversionObserver:
    """Hook for latency by direction and result, and for objects per review."""

    def reviewed(self, direction: str, result: str, seconds: float, objects: int) -> None:
        """A review was answered. `direction`: up, down or unknown; `result`: success, failure, panic or bad_request.

        `seconds` run from the end of the request's header to the last byte of the answer.
        """


def _convert(raw: msgspec.Raw, desired: str) -> bytes | msgspec.Raw:
    """As `convert_object`; what v1alpha1 has no room for is logged, for its next write will lose it."""

    def left_out(field: str) -> None:
        log.warning("field left out of v1alpha1: annotations would exceed 256 KiB", field=field)

    return convert_object(raw, desired, left_out)


class ConversionHandler:
    """The handler of `/convert`."""

    def __init__(
        self,
        turnstile: Turns,
        *,
        body_limit: int = body_limits.CONVERSION,
        observer: ConversionObserver | None = None,
        convert: Convert = _convert,
    ) -> None:
        self._turnstile = turnstile
        self._body_limit = body_limit
        self._observer: ConversionObserver = observer or ConversionObserver()
        self._convert = convert

    @property
    def body_limit(self) -> int:
        return self._body_limit

    @property
    def line(self) -> str:
        return "conversion"

    def too_large(self, size: int) -> Answer:
        text = (
            f"the ConversionReview has {size} bytes and the limit is {self._body_limit}; "
            "read the list in pages (limit and continue)"
        )
        return Answer.text(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)

    async def answer(self, call: Call) -> Answer:
        started = call.started
        work = _Work(self._convert)
        converting.set(work.current)
        try:
            await self._work(work, call)
        except BadReview as error:
            log.warning("conversion request refused", reason=str(error))
            self._done("unknown", "bad_request", started, 0)
            return Answer.of(HTTPStatus.BAD_REQUEST, b"")
        except (ConversionFailed, BadObjects) as error:
            return self._failed(work, "failure", str(error), started)
        except Refused:
            work.drop()
            raise
        except (
            Exception
        ):  # a crash of the converter must not become a broken call: lists would lose their reason
            log.exception("conversion crashed")
            return self._failed(work, "panic", _INTERNAL_ERROR, started)
        return self._succeeded(work, started)

    async def _work(self, work: "_Work", call: Call) -> None:
        body = call.take()
        if len(body) <= _AT_ONCE:
            await call.charge(PER_OBJECT * body.count(b"{"))
            async with self._turnstile.turn(urgent=True):
                work.read(body)
                work.convert_some()
        else:
            await self._split(work, Splitter(body), call)
        del body
        charged = 0
        while work.objects:
            async with self._turnstile.turn(urgent=True):
                work.convert_some()
            await call.charge(work.size - charged)
            charged = work.size

    async def _split(self, work: "_Work", splitter: Splitter, call: Call) -> None:
        """Splits all objects off, and reads the envelope in any case: an answer needs its uid."""
        objects = splitter.objects()
        charged, splitting = 0, True
        while splitting:
            async with self._turnstile.turn(urgent=True):
                try:
                    splitting = work.split_some(objects)
                except BadObjects:
                    work.read(splitter.envelope())
                    raise
            await call.charge(PER_OBJECT * (len(work.objects) - charged))
            charged = len(work.objects)
        work.read(splitter.envelope())

    def _succeeded(self, work: "_Work", started: float) -> Answer:
        request = work.request
        assert request is not None  # noqa: S101  read, or BadReview was raised
        direction, count = _direction(request), len(work.converted)
        pieces = success(request, work.drain())
        if work.size <= _WHOLE:
            self._done(direction, "success", started, count)
            return Answer.of(HTTPStatus.OK, b"".join(pieces))
        return Answer(
            HTTPStatus.OK,
            "application/json",
            pieces,
            sent=lambda: self._done(direction, "success", started, count),
        )

    def _failed(self, work: "_Work", result: str, message: str, started: float) -> Answer:
        request, count = work.request, work.count
        work.drop()
        if request is None:
            self._done("unknown", result, started, 0)
            return Answer.of(HTTPStatus.BAD_REQUEST, b"")
        log.warning("conversion failed", desired=request.desired, message=message)
        self._done(_direction(request), result, started, count)
        return Answer.of(HTTPStatus.OK, failure(request, message))

    def _done(self, direction: str, result: str, started: float, objects: int) -> None:
        self._observer.reviewed(direction, result, anyio.current_time() - started, objects)


class _Metadata(msgspec.Struct):
    namespace: str = ""
    name: str = ""


class _Named(msgspec.Struct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_named = msgspec.json.Decoder(_Named).decode


def _nothing() -> str:
    return ""


converting: Final[ContextVar[Callable[[], str]]] = ContextVar("converting", default=_nothing)
"""Says which object the conversion in this context is at; asked only when it takes too long."""


class _Work:
    """One review on its way through: objects still to convert, and what has become of the others."""

    def __init__(self, convert: Convert) -> None:
        self._convert = convert
        self.request: ConversionRequest | None = None
        self.objects: deque[msgspec.Raw] = deque()
        self.converted: deque[bytes | msgspec.Raw] = deque()
        self.size = 0
        """Bytes of the converted objects."""
        self.count = 0
        """Objects in the request."""
        self._current: msgspec.Raw | None = None

    def current(self) -> str:
        """Namespace and name of the object that is being converted, empty when none is or it has none."""
        try:
            named = _named(self._current or b"{}").metadata
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return ""
        return f"{named.namespace}/{named.name}" if named.name else ""

    def split_some(self, objects: Iterator[msgspec.Raw | None]) -> bool:
        """Splits objects off for one slice. False when there are no more. Raises BadObjects or BadReview."""
        end = perf_counter() + _SLICE
        for found in objects:
            if found is not None:
                self.objects.append(found)
            if perf_counter() >= end:
                return True
        return False

    def read(self, body: bytes | bytearray) -> None:
        """Reads the envelope; its objects follow those that were split off. Raises BadReview."""
        request = read_conversion(body)
        bind_contextvars(uid=request.uid)
        self.objects.extend(request.objects)
        self.request = replace(request, objects=())
        self.count = len(self.objects)

    def convert_some(self) -> None:
        """Converts objects for one slice, at least one. Raises what the converter raises."""
        assert self.request is not None  # noqa: S101  read before
        end = perf_counter() + _SLICE
        while self.objects:
            self._current = self.objects.popleft()
            converted = self._convert(self._current, self.request.desired)
            self._current = None
            self.converted.append(converted)
            self.size += len(memoryview(converted))
            if perf_counter() >= end:
                return

    def drain(self) -> Iterator[bytes | msgspec.Raw]:
        """The converted objects, in order, each forgotten when it is taken."""
        while self.converted:
            yield self.converted.popleft()

    def drop(self) -> None:
        self.objects.clear()
        self.converted.clear()


def _direction(request: ConversionRequest) -> str:
    return VERSIONS.direction(request.desired)

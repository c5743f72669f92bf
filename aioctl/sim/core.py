"""What the verbs share: the store, the translators, clocks, names. No request handling.

`Core` is made by the cluster; reads, writes, the garbage collector and the CRD keeper work on it.
"""

import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import anyio

from aioctl.sim.admission import Admission
from aioctl.sim.conversion import Converter
from aioctl.sim.errors import NoSuchPath
from aioctl.sim.records import Record, record_of
from aioctl.sim.resources import GroupVersion, Object, Version
from aioctl.sim.store import Collection, Store

CRDS: Final = "customresourcedefinitions.apiextensions.k8s.io"


class WallClock:
    """Wall time that moves with the loop's clock, so that virtual time shows in timestamps too."""

    def __init__(self, start: float | None = None) -> None:
        """`start`: seconds since the epoch at the first call; None takes the machine's."""
        self._start = start
        self._origin: float | None = None

    def now(self) -> datetime:
        moment = anyio.current_time()
        if self._origin is None:
            self._origin = moment
            self._start = time.time() if self._start is None else self._start
        return datetime.fromtimestamp((self._start or 0.0) + moment - self._origin, UTC)

    def stamp(self) -> str:
        """RFC 3339 in whole seconds, as metadata carries it."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Core:
    """The shared state of one cluster."""

    store: Store
    converter: Converter
    admission: Admission
    clock: WallClock
    random: random.Random
    addresses: int = field(default=0)

    def new_uid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def new_suffix(self) -> str:
        """Five characters, as generateName appends them."""
        return "".join(self.random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))

    def new_address(self) -> str:
        """The next cluster IP of 10.96.0.0/12."""
        self.addresses += 1
        number = self.addresses
        return f"10.{96 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"

    def find(self, at: GroupVersion, plural: str) -> tuple[Collection, Version]:
        """The collection served under a path. Raises NoSuchPath."""
        for collection in self.store.collections.values():
            if collection.resource.plural == plural:
                version = collection.resource.version(at)
                if version is not None:
                    return collection, version
        raise NoSuchPath

    def collection(self, title: str) -> Collection:
        """The collection with this dotted name. Raises KeyError."""
        return self.store.collections[title]

    async def as_object(self, collection: Collection, record: Record, at: GroupVersion) -> Object:
        """One object, decoded, in a version: a conversion where that is not the stored one."""
        converted = await self.converter.convert(collection.resource, [record.decode()], at, cause="read")
        return converted[0]

    async def as_record(self, collection: Collection, record: Record, at: GroupVersion) -> Record:
        """One record in a version."""
        if record.at == at:
            return record
        return record_of(await self.as_object(collection, record, at), record.key, record.revision)

    def translator(self, title: str) -> "Translator":
        return Translator(self, title)


class Translator:
    """Fills and feeds the views of one resource (implements `store.Translate`)."""

    def __init__(self, core: Core, title: str) -> None:
        self._core = core
        self._title = title

    async def __call__(self, records: Sequence[Record], at: GroupVersion, cause: str) -> Sequence[Record]:
        resource = self._core.collection(self._title).resource
        objects = [record.decode() for record in records]
        converted = await self._core.converter.convert(resource, objects, at, cause=cause)
        return [
            record_of(obj, record.key, record.revision)
            for obj, record in zip(converted, records, strict=True)
        ]

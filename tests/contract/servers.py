"""The two API servers that have to behave alike, behind one small blocking client; each with our webhooks over TLS.

`HookHost` serves conversion and admission as the program does, in a thread of its own, counts the calls of each path and
can be told to answer badly. The simulated server is a process (`python -m aioctl.sim`), the real one a kube-apiserver.
"""

import base64
import contextlib
import http.client
import itertools
import json
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import anyio

from aioctl.api import kinds
from aioctl.api.admission import review_admission
from aioctl.api.mutation import review_mutation
from aioctl.api.review import CONVERT
from aioctl.app import ADMISSION_PATHS, MUTATION_PATHS
from aioctl.engine.turnstile import Turnstile
from aioctl.serving.admission import AdmissionHandler
from aioctl.serving.certificates import LiveCertificate
from aioctl.serving.conversion import ConversionHandler
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import Answer as HookAnswer
from aioctl.serving.webhook import Call, Handler, WebhookServer
from aioctl.sim.hooks import conversion_patch, mutating_configuration, validating_configurations
from aioctl.sim.reads import KEPT_LISTS
from testbed.real.build import Assets
from testbed.real.kubectl import prepared
from testbed.real_world import Webhooks
from testbed.shipped_files import OURS, crd

PATIENCE = 300.0
"""Seconds for what takes two or three on a machine with nothing else to do, as CRDs that are set up."""
QUIET, QUIET_REQUESTS = 0.3, 20
"""Seconds without a call after which none comes any more, and at least as long as so many requests take at the moment."""
CALLS_WITHIN = 60.0
"""Seconds for conversions that must come."""
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


@dataclass(frozen=True, slots=True)
class Answer:
    """Status code, decoded body (a plain text is a message), headers in lower case (several of one name joined)."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def version(self) -> str:
        """The object's (or list's) resourceVersion."""
        found: str = self.body["metadata"]["resourceVersion"]
        return found


class HookHost:
    """Our webhooks on loopback."""

    def __init__(self, webhooks: Webhooks) -> None:
        self.webhooks = webhooks
        self.calls: Counter[str] = Counter()
        self.instead: dict[str, Callable[[bytes], HookAnswer]] = {}
        """By path: what to answer in place of the program."""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=anyio.run, args=(self._main,))
        self._stop: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join(PATIENCE)

    async def _main(self) -> None:
        live, turnstile = LiveCertificate(), Turnstile()
        folder = self.webhooks.certificates
        assert live.offer((folder / "tls.crt").read_bytes(), (folder / "tls.key").read_bytes())
        handlers: dict[str, Handler] = {CONVERT: ConversionHandler(turnstile, body_limit=64 << 20)}
        for path, (version, kind) in ADMISSION_PATHS.items():
            review = partial(review_admission, version=version, kind=kind)
            handlers[path] = AdmissionHandler(review, turnstile)
        for path, version in MUTATION_PATHS.items():
            handlers[path] = AdmissionHandler(partial(review_mutation, version=version), turnstile)
        counting = {path: _Counting(handler, self) for path, handler in handlers.items()}
        server = WebhookServer(
            "127.0.0.1", self.webhooks.port, live, counting, limits=Limits(drain=1.0), turnstile=turnstile
        )
        ended, token = anyio.Event(), anyio.lowlevel.current_token()
        self._stop = partial(anyio.from_thread.run_sync, ended.set, token=token)
        async with anyio.create_task_group() as group:
            await group.start(server.run)
            self._ready.set()
            await ended.wait()
            group.cancel_scope.cancel()


class _Counting:
    """A handler that is counted, and can be replaced while the server runs."""

    def __init__(self, handler: Handler, host: HookHost) -> None:
        self._handler = handler
        self._host = host

    @property
    def body_limit(self) -> int:
        return self._handler.body_limit

    @property
    def line(self) -> str:
        return self._handler.line

    def too_large(self, size: int) -> HookAnswer:
        return self._handler.too_large(size)

    async def answer(self, call: Call) -> HookAnswer:
        self._host.calls[call.path] += 1
        instead = self._host.instead.get(call.path)
        return await self._handler.answer(call) if instead is None else instead(bytes(call.take()))


@dataclass
class Server:
    """One API server, called as administrator."""

    name: str
    address: str
    hooks: HookHost
    kubeconfig: Path
    tls: ssl.SSLContext | None = None
    token: str = ""
    etcd: str = ""
    """Address of the real server's store."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        kind: str = "application/json",
        accept: str = "application/json",
        **query: str,
    ) -> Answer:
        """One request on a connection of its own."""
        connection = self._connect()
        try:
            self._send(connection, method, path, body, kind=kind, accept=accept, query=query)
            response = connection.getresponse()
            return _answer(response, response.read())
        finally:
            connection.close()

    def merge(self, path: str, body: object, **query: str) -> Answer:
        return self("PATCH", path, body, kind=MERGE, **query)

    @contextlib.contextmanager
    def watch(self, path: str, *, accept: str = "application/json", **query: str) -> Iterator["Events"]:
        """An open watch; bookmarks are asked for, and the server ends it long after everything has come."""
        connection = self._connect()
        asked = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(round(PATIENCE)),
            **query,
        }
        try:
            self._send(connection, "GET", path, None, kind="application/json", accept=accept, query=asked)
            response = connection.getresponse()
            assert response.status == 200, response.read()
            yield Events(response)
        finally:
            connection.close()

    def namespace(self) -> str:
        """A new namespace of the test's own."""
        name = f"contract-{next(self._numbers)}"
        made = self(
            "POST",
            "/api/v1/namespaces",
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
        )
        assert made.status == 201, made.body
        return name

    def forget_pages(self, path: str) -> str:
        """A token for the second page of a list that the server does not remember."""
        if not self.etcd:
            token: str = self("GET", path, limit="1").body["metadata"]["continue"]
            for _ in range(KEPT_LISTS):
                assert "continue" in self("GET", path, limit="1").body["metadata"]
            return token
        newest = {"revision": int(self("GET", path).version), "physical": True}
        with urllib.request.urlopen(f"{self.etcd}/v3/kv/compaction", json.dumps(newest).encode()) as answer:  # noqa: S310
            assert answer.status == 200
        start = {"v": "meta.k8s.io/v1", "rv": 2, "start": "a\0"}
        return base64.urlsafe_b64encode(json.dumps(start).encode()).decode().rstrip("=")

    def conversions(self, during: Callable[[], Answer], expected: int) -> int:
        """Conversion calls that a request makes, those of the watch caches included, which come a moment later.

        So many as are expected are waited for; more are found as long as they follow soon.
        """
        before, started = self.hooks.calls[CONVERT], time.monotonic()
        answer = during()
        assert answer.status < 300, answer.body
        quiet_since, seen = time.monotonic(), self.hooks.calls[CONVERT]
        quiet = max(QUIET, QUIET_REQUESTS * (quiet_since - started))
        while time.monotonic() - quiet_since < (quiet if seen - before >= expected else CALLS_WITHIN):
            time.sleep(0.02)  # another process decides; there is nothing to await
            if self.hooks.calls[CONVERT] != seen:
                quiet_since, seen = time.monotonic(), self.hooks.calls[CONVERT]
        return seen - before

    def _connect(self) -> http.client.HTTPConnection:
        where = urlsplit(self.address)
        assert where.hostname is not None
        if self.tls is None:
            return http.client.HTTPConnection(where.hostname, where.port, timeout=PATIENCE)
        return http.client.HTTPSConnection(where.hostname, where.port, timeout=PATIENCE, context=self.tls)

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: object,
        *,
        kind: str,
        accept: str,
        query: Mapping[str, str],
    ) -> None:
        headers = {"Accept": accept, "Content-Type": kind, "User-Agent": "contract/1"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        address = f"{path}?{urlencode(query)}" if query else path
        connection.request(method, address, None if body is None else json.dumps(body), headers)


class Events:
    """The lines of one watch."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self._response = response

    def next(self, *, bookmarks: bool = False) -> dict[str, Any]:
        """The next event. Raises EOFError at the end of the stream and TimeoutError when nothing comes."""
        while True:
            line = self._response.readline()
            if not line:
                raise EOFError
            event: dict[str, Any] = json.loads(line)
            if bookmarks or event["type"] != "BOOKMARK":
                return event

    def take(self, count: int) -> list[tuple[str, str]]:
        """(type, name) of the next events."""
        events = [self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def _answer(response: http.client.HTTPResponse, raw: bytes) -> Answer:
    try:
        body = json.loads(raw)
    except ValueError:
        body = {"message": raw.decode(errors="replace")}
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        # The real server sends a line for each warning.
        headers[name.lower()] = ", ".join(filter(None, (headers.get(name.lower(), ""), value)))
    return Answer(response.status, body, headers)


# -- the two


@contextlib.contextmanager
def simulated(folder: Path) -> Iterator[Server]:
    """The simulated server with the world of tests: webhooks, all CRDs, nothing else."""
    webhooks = Webhooks.in_folder(folder)
    kubeconfig = folder / "kubeconfig"
    command = [
        sys.executable, "-m", "aioctl.sim", "--scenario", "empty", "--history", "100",
        "--kubeconfig", str(kubeconfig),
        "--webhook-url", webhooks.url, "--webhook-ca", str(webhooks.certificates / "ca.crt"),
    ]  # fmt: skip
    with (
        HookHost(webhooks) as hooks,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            server = Server("sim", ready["server"], hooks, kubeconfig)
            # Nobody here would take the finalizer off again; the tests of mutating webhooks put it back.
            name = mutating_configuration(webhooks.url, "")["metadata"]["name"]
            assert server("DELETE", kinds.MUTATING_WEBHOOK.path("", name)).status == 200
            yield server
        finally:
            process.terminate()


@contextlib.contextmanager
def real(assets: Assets, folder: Path) -> Iterator[Server]:
    """A kube-apiserver with the same."""
    webhooks = Webhooks.in_folder(folder)
    # The API server ends first, so that its kept connections do.
    with HookHost(webhooks) as hooks, prepared(assets) as cluster:
        tls = ssl.create_default_context(cafile=str(cluster.ca_file))
        server = Server("real", cluster.server, hooks, cluster.kubeconfig, tls, cluster.token, cluster.etcd)
        clause = conversion_patch(webhooks.url, webhooks.bundle)["spec"]
        for plural in OURS:
            ours = crd(plural)
            made = server("POST", kinds.CRD.path(), {**ours, "spec": {**ours["spec"], **clause}})
            assert made.status == 201, made.body
        for configuration in validating_configurations(webhooks.url, webhooks.bundle):
            assert server("POST", kinds.VALIDATING_WEBHOOK.path(), configuration).status == 201
        paths = [
            kind.path()
            for kind in (kinds.SERVICE, kinds.SERVICE_V1ALPHA1, kinds.CONFIG, kinds.CONFIG_V1ALPHA1)
        ]
        until(lambda: all(server("GET", path).status == 200 for path in paths))
        yield server


def until(claim: Callable[[], bool]) -> None:
    """Asks until it is true. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while not claim():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true within {PATIENCE:g} s")
        time.sleep(0.05)  # another process works; there is nothing to await

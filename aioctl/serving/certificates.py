"""The certificate that is served right now, and the files it may come from.

A new pair becomes a new TLS context for the handshakes that follow; open connections keep theirs. (Loading a second
pair into the old context would not replace the first: OpenSSL keeps one certificate per key type and would go on
offering the RSA certificate after a change to ECDSA.) A pair that cannot be used leaves the old one in place and is
reported. Where the pair comes from, files or a Secret, is the caller's business; `CertificateFiles` watches a directory.

Clients may have to be known: then a context also asks for their certificate and checks it against a bundle of authorities,
and there is no context before there is a bundle. Who needs one is decided by path (`webhook`), not here: kube-apiserver has
none for conversions.
"""

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskStatus

from aioctl.pki.pairs import ParsedPair, read_certificate

POLL_INTERVAL: Final = 0.5
"""Seconds between two looks at the files; a change has to be served within one second."""


class CertificateObserver:
    """Hooks for `certwatcher_read_certificate_total`, `certwatcher_read_certificate_errors_total` and the log."""

    def certificate_read(self) -> None:
        """A pair was read, good or bad."""

    def certificate_loaded(self, pair: ParsedPair) -> None:
        """From now on this pair is served."""

    def certificate_failed(self, problem: str) -> None:
        """What was read cannot be served; what was served before still is."""


class LiveCertificate:
    """Holds the TLS context for new connections; None until the first usable pair, and bundle if clients have to be known."""

    def __init__(self, observer: CertificateObserver | None = None, *, known_clients: bool = False) -> None:
        self._observer: CertificateObserver = observer or CertificateObserver()
        self._context: ssl.SSLContext | None = None
        self._offered: tuple[bytes, bytes] | None = None
        self._usable = False
        self._loaded = anyio.Event()
        self._known_clients = known_clients
        self._bundle: bytes | None = None
        self._pair_bytes: tuple[bytes, bytes] | None = None
        """Certificate and key that are served."""
        self.pair: ParsedPair | None = None

    @property
    def context(self) -> ssl.SSLContext | None:
        return self._context

    async def wait_loaded(self) -> None:
        """Returns as soon as there is a context."""
        await self._loaded.wait()

    def offer(self, crt: bytes, key: bytes) -> bool:
        """Serve this pair (PEM, chain allowed) if it is usable. True if it is served now; False left things as they were.

        The pair that was offered last is not looked at again.
        """
        if self._offered == (crt, key):
            return self._usable
        self._offered, self._usable = (crt, key), False
        self._observer.certificate_read()
        pair = read_certificate(crt)
        if isinstance(pair, str):
            self._observer.certificate_failed(pair)
            return False
        try:
            context = server_context(crt, key)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self._observer.certificate_failed(f"tls.crt and tls.key cannot be served: {error}")
            return False
        if self._bundle is not None:
            ask_clients(context, self._bundle)
        self.pair, self._pair_bytes, self._usable = pair, (crt, key), True
        if self._bundle is not None or not self._known_clients:
            self._serve(context)
        self._observer.certificate_loaded(pair)
        return True

    def trust(self, bundle: bytes) -> bool:
        """From now on clients of new connections are checked against this bundle (PEM). False left things as they were."""
        try:
            context = server_context(*self._pair_bytes) if self._pair_bytes is not None else None
            ask_clients(context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), bundle)
        except (OSError, ValueError) as error:
            self._observer.certificate_failed(f"the bundle for clients cannot be used: {error}")
            return False
        self._bundle = bundle
        if context is not None:
            self._serve(context)
        return True

    def _serve(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._loaded.set()

    def missing(self, problem: str) -> None:
        """Nothing could be read at all; reported, and the next pair is looked at even if it is the old one."""
        self._offered = None
        self._observer.certificate_read()
        self._observer.certificate_failed(problem)


class CertificateFiles:
    """Offers `tls.crt` and `tls.key` of a directory whenever they change, also by the kubelet's swap of symlinks.

    The contents are compared, not the times: both files are small, and a time stamp can stand still or go back.
    """

    def __init__(self, live: LiveCertificate, directory: Path, *, interval: float = POLL_INTERVAL) -> None:
        self._live = live
        self._directory = directory
        self._interval = interval
        self._problem = ""

    def look(self) -> None:
        """Reads both files once. Missing or unreadable files are reported once, until the problem is another one."""
        try:
            crt = (self._directory / "tls.crt").read_bytes()
            key = (self._directory / "tls.key").read_bytes()
        except OSError as error:
            problem = f"cannot read {error.filename}: {error.strerror}"
            if problem != self._problem:
                self._problem = problem
                self._live.missing(problem)
            return
        self._problem = ""
        self._live.offer(crt, key)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watches until cancelled; started after the first look, whether it found something or not."""
        self.look()
        task_status.started()
        while True:
            await anyio.sleep(self._interval)
            self.look()


class ClientAuthorities:
    """Has the bundle of a file trusted whenever the file changes; what cannot be used is reported once and changes nothing."""

    def __init__(
        self,
        live: LiveCertificate,
        file: Path,
        *,
        observer: CertificateObserver | None = None,
        interval: float = POLL_INTERVAL,
    ) -> None:
        self._live = live
        self._file = file
        self._observer: CertificateObserver = observer or CertificateObserver()
        self._interval = interval
        self._seen: bytes | str = b""
        """Contents, or the problem."""

    def look(self) -> None:
        try:
            seen: bytes | str = self._file.read_bytes()
        except OSError as error:
            seen = f"cannot read {error.filename}: {error.strerror}"
        if seen == self._seen:
            return
        self._seen = seen
        if isinstance(seen, str):
            self._observer.certificate_failed(seen)
        else:
            self._live.trust(seen)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Watches until cancelled; started after the first look."""
        self.look()
        task_status.started()
        while True:
            await anyio.sleep(self._interval)
            self.look()


def ask_clients(context: ssl.SSLContext, bundle: bytes) -> None:
    """Has the context ask for a certificate and refuse one that no authority of the bundle (PEM) has signed.

    Raises ssl.SSLError or ValueError when there is no certificate in it.
    """
    context.load_verify_locations(cadata=bundle.decode("ascii"))
    context.verify_mode = ssl.CERT_OPTIONAL


def server_context(crt: bytes, key: bytes) -> ssl.SSLContext:
    """A context for the webhook server. Raises ssl.SSLError or OSError when the pair cannot be loaded.

    TLS 1.2 and up, HTTP/1.1 only (the API server forces it), no session tickets: the API server never resumes, and each
    ticket costs a signature-free but measurable 5 to 25 % of a fresh call (WEB-3).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION | ssl.OP_SINGLE_ECDH_USE
    with ExitStack() as files:
        crt_path = files.enter_context(_as_file(crt))
        key_path = files.enter_context(_as_file(key))
        # An empty password: an encrypted key is an error, not a prompt on the terminal.
        context.load_cert_chain(crt_path, key_path, password=b"")
    return context


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """A path for OpenSSL, which reads files only: in memory where the system can, so that the key touches no disk.

    The bytes are those that were checked; the files they came from may have changed since.
    """
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        descriptor = os.memfd_create("pem")
        try:
            os.write(descriptor, data)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.name

"""The live certificate: a new pair is served at once, a bad one never, and files are noticed whatever way they change.

Rules: WEB-3.
"""

import os
import socket
import ssl
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientError, ClientSession, TCPConnector
from anyio.streams.tls import TLSAttribute
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from aioctl.engine.turnstile import Turnstile
from aioctl.pki.pairs import ParsedPair, read_certificate, sign_service_pair
from aioctl.serving.certificates import (
    CertificateFiles,
    CertificateObserver,
    ClientAuthorities,
    LiveCertificate,
)
from aioctl.serving.limits import Limits
from aioctl.serving.webhook import Handler, WebhookServer
from tests.pki.test_pairs import NOW
from tests.serving.support import Ca, Echo, client, running, until


class Watcher(CertificateObserver):
    def __init__(self) -> None:
        self.reads = 0
        self.loaded: list[ParsedPair] = []
        self.problems: list[str] = []

    def certificate_read(self) -> None:
        self.reads += 1

    def certificate_loaded(self, pair: ParsedPair) -> None:
        self.loaded.append(pair)

    def certificate_failed(self, problem: str) -> None:
        self.problems.append(problem)


def write(directory: Path, pair: tuple[bytes, bytes]) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "tls.crt").write_bytes(pair[0])
    (directory / "tls.key").write_bytes(pair[1])


def swap(directory: Path, pair: tuple[bytes, bytes], generation: str) -> None:
    """As the kubelet does it: a new directory, and one symlink that is replaced in one step."""
    write(directory / generation, pair)
    fresh = directory / "..data_tmp"
    fresh.symlink_to(generation)
    fresh.rename(directory / "..data")
    for name in ("tls.crt", "tls.key"):
        link = directory / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)


async def served_names(port: int) -> set[str]:
    """DNS names in the certificate that a fresh handshake shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    stream = await anyio.connect_tcp("127.0.0.1", port, ssl_context=context, tls_standard_compatible=False)
    async with stream:
        der = stream.extra_attributes[TLSAttribute.peer_certificate_binary]()
    assert der is not None
    parsed = read_certificate(ssl.DER_cert_to_PEM_cert(der).encode())
    assert isinstance(parsed, ParsedPair)
    return set(parsed.dns_names)


async def test_a_new_pair_is_served_to_new_connections_and_old_ones_live_on(ca: Ca) -> None:
    live = ca.live("localhost", "127.0.0.1", "old.test")
    webhook = WebhookServer(
        "127.0.0.1", 0, live, {"/convert": Echo()}, limits=Limits(), turnstile=Turnstile()
    )
    async with running(webhook), client(webhook.port, ca) as http:
        assert (await http.post("/convert", data=b"x")).status == 200
        assert "old.test" in await served_names(webhook.port)
        assert live.offer(*ca.pair("localhost", "127.0.0.1", "new.test"))
        assert "new.test" in await served_names(webhook.port)
        assert (await http.post("/convert", data=b"x")).status == 200
        assert webhook.connections == 1


async def test_a_change_of_the_key_type_leaves_nothing_of_the_old_pair(ca: Ca) -> None:
    live = ca.live("old.test")
    crt, key, _ = sign_service_pair(
        ["new.test"], [], signer_crt=None, signer_key=None, now=NOW, key_type="rsa4096"
    )
    webhook = WebhookServer("127.0.0.1", 0, live, {}, limits=Limits(), turnstile=Turnstile())
    async with running(webhook):
        assert await served_names(webhook.port) == {"old.test"}
        assert live.offer(crt, key)
        assert await served_names(webhook.port) == {"new.test"}
        assert live.offer(*ca.pair("newest.test"))
        assert await served_names(webhook.port) == {"newest.test"}


def test_a_bad_pair_keeps_the_old_one_and_is_reported(ca: Ca) -> None:
    watcher = Watcher()
    live = LiveCertificate(watcher)
    good, other = ca.pair("good.test"), ca.pair("other.test")
    assert live.offer(*good)
    context = live.context
    encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    for crt, key in [
        (good[0], other[1]),
        (b"junk", good[1]),
        (b"", b""),
        (good[0], b"junk"),
        (good[0], encrypted),
    ]:
        assert not live.offer(crt, key)
        assert live.context is context
    assert len(watcher.problems) == 5
    assert watcher.reads == 6
    assert len(watcher.loaded) == 1
    assert live.pair is not None
    assert live.pair.dns_names == {"good.test"}


def test_the_pair_offered_last_is_not_looked_at_again(ca: Ca) -> None:
    watcher = Watcher()
    live = LiveCertificate(watcher)
    pair = ca.pair()
    assert live.offer(*pair)
    assert live.offer(*pair)
    assert not live.offer(pair[0], b"junk")
    assert not live.offer(pair[0], b"junk")
    assert live.offer(*pair)
    assert watcher.reads == 3


async def test_files_are_served_when_they_come_and_when_they_change(tmp_path: Path, ca: Ca) -> None:
    watcher = Watcher()
    live = LiveCertificate(watcher)
    files = CertificateFiles(live, tmp_path, interval=0.001)
    async with running(files):
        assert live.context is None
        assert len(watcher.problems) == 1
        assert "tls.crt" in watcher.problems[0]
        write(tmp_path, ca.pair("first.test"))
        await live.wait_loaded()
        write(tmp_path, ca.pair("second.test"))
        await until(lambda: live.pair is not None and live.pair.dns_names == {"second.test"})


async def test_a_swap_of_symlinks_is_noticed(tmp_path: Path, ca: Ca) -> None:
    live = LiveCertificate()
    swap(tmp_path, ca.pair("first.test"), "..1")
    async with running(CertificateFiles(live, tmp_path, interval=0.001)):
        assert live.pair is not None
        swap(tmp_path, ca.pair("second.test"), "..2")
        await until(lambda: live.pair is not None and live.pair.dns_names == {"second.test"})


def test_a_change_that_keeps_the_time_stamp_is_noticed(tmp_path: Path, ca: Ca) -> None:
    live = LiveCertificate()
    files = CertificateFiles(live, tmp_path)
    for name in ("first.test", "second.test"):
        write(tmp_path, ca.pair(name))
        for path in tmp_path.iterdir():
            os.utime(path, (1, 1))
        files.look()
        assert live.pair is not None
        assert live.pair.dns_names == {name}


def test_files_that_vanish_are_reported_once_and_change_nothing(tmp_path: Path, ca: Ca) -> None:
    watcher = Watcher()
    live = LiveCertificate(watcher)
    files = CertificateFiles(live, tmp_path)
    write(tmp_path, ca.pair())
    files.look()
    (tmp_path / "tls.key").unlink()
    files.look()
    files.look()
    assert live.context is not None
    assert len(watcher.problems) == 1
    assert "tls.key" in watcher.problems[0]


async def test_a_client_that_offers_tls_1_1_only_is_turned_away(ca: Ca) -> None:
    webhook = WebhookServer("127.0.0.1", 0, ca.live(), {}, limits=Limits(), turnstile=Turnstile())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    def talk() -> None:
        with socket.create_connection(("127.0.0.1", webhook.port)) as raw:
            context.wrap_socket(raw).close()

    async with running(webhook):
        with pytest.raises(OSError, match=r"(?i)alert|version|EOF|reset|protocols"):
            await anyio.to_thread.run_sync(talk)


async def called(port: int, ca: Ca, client_of: Ca | None, path: str) -> int:
    """The status of a call by a client with a certificate of this authority. Raises ClientError if it is turned away."""
    context = ca.client_context()
    if client_of is not None:
        client_of.authority.issue_cert("kube-apiserver").configure_cert(context)
    async with (
        ClientSession(connector=TCPConnector(ssl=context)) as http,
        http.post(f"https://127.0.0.1:{port}{path}", data=b"x") as answer,
    ):
        return answer.status


async def test_admission_is_for_clients_with_a_good_certificate_and_conversion_for_all(
    ca: Ca, tmp_path: Path
) -> None:
    first, second = Ca(), Ca()
    file = tmp_path / "ca.crt"
    watcher = Watcher()
    live = LiveCertificate(watcher, known_clients=True)
    live.offer(*ca.pair())
    assert live.context is None, "nobody is served before it is known whom to trust"
    authorities = ClientAuthorities(live, file, observer=watcher)
    authorities.look()
    authorities.look()
    assert watcher.problems == [f"cannot read {file}: No such file or directory"]
    file.write_bytes(first.authority.cert_pem.bytes())
    authorities.look()
    handlers: dict[str, Handler] = {"/convert": Echo(), "/validate": Echo()}
    webhook = WebhookServer(
        "127.0.0.1",
        0,
        live,
        handlers,
        limits=Limits(drain=0.1),
        turnstile=Turnstile(),
        known_clients=("/validate",),
    )
    async with running(webhook):
        port = webhook.port
        assert await called(port, ca, first, "/validate") == 200
        assert await called(port, ca, None, "/validate") == 401
        assert await called(port, ca, None, "/convert") == 200
        for path in ("/validate", "/convert"):
            with pytest.raises(ClientError):
                await called(port, ca, second, path)

        file.write_bytes(second.authority.cert_pem.bytes())
        authorities.look()
        assert await called(port, ca, second, "/validate") == 200
        with pytest.raises(ClientError):
            await called(port, ca, first, "/validate")

        file.write_bytes(b"no certificate")
        authorities.look()
        assert "the bundle for clients cannot be used" in watcher.problems[-1]
        assert live.offer(*ca.pair()), "a new pair keeps the bundle"
        assert await called(port, ca, second, "/validate") == 200
        assert await called(port, ca, None, "/validate") == 401


async def test_a_bundle_that_comes_before_the_pair_is_kept_for_it(ca: Ca) -> None:
    live = LiveCertificate(known_clients=True)
    assert live.trust(ca.authority.cert_pem.bytes())
    before = live.context
    assert live.offer(*ca.pair())
    after = live.context
    assert before is None
    assert after is not None
    assert after.verify_mode == ssl.CERT_OPTIONAL

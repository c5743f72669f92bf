"""When the first bytes of a connection are a whole ClientHello, and when they are none."""

import ssl

import pytest

from aioctl.serving.hello import MAX_HELLO, NotTls, missing


def client_hello(**options: object) -> bytes:
    """What OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name, value in options.items():
        setattr(context, name, value)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    return outgoing.read()


HELLO = client_hello()
OLD = client_hello(maximum_version=ssl.TLSVersion.TLSv1_2)


def records(message: bytes, *sizes: int) -> bytes:
    """The handshake message in records of these sizes; the last takes the rest."""
    written, at = b"", 0
    for size in (*sizes, len(message)):
        part = message[at : at + size]
        written += b"\x16\x03\x01" + len(part).to_bytes(2) + part
        at += size
        if at >= len(message):
            break
    return written


@pytest.mark.parametrize("hello", [HELLO, OLD], ids=["TLS 1.3", "TLS 1.2"])
def test_only_the_last_byte_makes_it_whole(hello: bytes) -> None:
    assert missing(hello) == 0
    assert missing(hello + b"more") == 0
    assert all(0 < missing(hello[:size]) <= len(hello) - size for size in range(len(hello)))


@pytest.mark.parametrize("sizes", [(1,), (3, 1), (4,), (5, 100), (1, 1, 1, 1, 1, 1, 1)])
def test_a_hello_may_be_spread_over_records(sizes: tuple[int, ...]) -> None:
    spread = records(HELLO[5:], *sizes)
    assert missing(spread) == 0
    assert all(missing(spread[:size]) > 0 for size in range(len(spread)))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GET / HTTP/1.1\r\n", "first byte of a record is 71"),
        (b"\x15\x03\x01\x00\x02\x01\x00", "first byte of a record is 21"),
        (b"\x16\x02", "record version 2"),
        (b"\x16\x03\x01\x00\x00", "record of 0 bytes"),
        (b"\x16\x03\x01\x40\x01", "record of 16385 bytes"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "begins with message 2"),
        (b"\x16\x03\x01\x00\x04\x01" + (MAX_HELLO + 1).to_bytes(3), "at most 65536 are read"),
        (records(HELLO[5:], *[1] * 8), "more than 8 records"),
    ],
)
def test_what_can_never_become_one_is_said_at_once(data: bytes, says: str) -> None:
    with pytest.raises(NotTls, match=says):
        missing(data)

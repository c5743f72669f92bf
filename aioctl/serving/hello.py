"""Whether the first bytes of a connection are a whole TLS ClientHello (RFC 8446 section 4.1.2), read without a TLS library.

A handshake costs the server a signature and a key exchange. Both are spent only on a client that has said everything it has
to say first, so that one byte, or half a hello, costs no more than a socket.
"""

from typing import Final

MAX_HELLO: Final = 64 * 1024
"""Bytes. Go's hello has 0.3 to 1.8 kB; the protocol would allow 16 MB."""

_RECORD_HEADER: Final = 5
_MESSAGE_HEADER: Final = 4
_MAX_RECORD: Final = 1 << 14
_MAX_RECORDS: Final = 8
"""A hello in records of a byte each would cost a look at all of them with every byte that comes."""
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_MAJOR: Final = 3


class NotTls(ValueError):
    """The bytes do not begin a TLS handshake."""


def missing(data: bytes | bytearray) -> int:
    """How many bytes are missing at least; 0 when the hello is whole. Raises NotTls.

    A hello may be spread over several records; each is read by its own header.
    """
    message_missing = _MESSAGE_HEADER
    seen_header = b""
    at = 0
    for _ in range(_MAX_RECORDS):
        if len(data) - at < _RECORD_HEADER:
            _check_record(data[at:])
            return _RECORD_HEADER - (len(data) - at)
        size = _check_record(data[at : at + _RECORD_HEADER])
        at += _RECORD_HEADER
        content = data[at : at + size]
        if len(seen_header) < _MESSAGE_HEADER:
            taken = bytes(content[: _MESSAGE_HEADER - len(seen_header)])
            seen_header += taken
            if len(seen_header) == _MESSAGE_HEADER:
                message_missing = _message_size(seen_header) - (len(content) - len(taken))
        else:
            message_missing -= len(content)
        if len(content) < size:
            return size - len(content)
        at += size
        if message_missing <= 0:
            return 0
    raise NotTls(f"a ClientHello in more than {_MAX_RECORDS} records")


def _check_record(header: bytes | bytearray) -> int:
    """The size of the record's content, 0 while the header is not whole. Raises NotTls."""
    if header and header[0] != _HANDSHAKE:
        raise NotTls(f"the first byte of a record is {header[0]}, that of a handshake is {_HANDSHAKE}")
    if len(header) > 1 and header[1] != _MAJOR:
        raise NotTls(f"unknown record version {header[1]}")
    if len(header) < _RECORD_HEADER:
        return 0
    size = int.from_bytes(header[3:])
    if not 0 < size <= _MAX_RECORD:
        raise NotTls(f"a handshake record of {size} bytes")
    return size


def _message_size(header: bytes) -> int:
    if header[0] != _CLIENT_HELLO:
        raise NotTls(f"the handshake begins with message {header[0]}, not with a ClientHello")
    size = int.from_bytes(header[1:])
    if size > MAX_HELLO:
        raise NotTls(f"a ClientHello of {size} bytes; at most {MAX_HELLO} are read")
    return size

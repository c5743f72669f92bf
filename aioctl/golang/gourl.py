"""URLs as Go's net/url reads and prints them: what counts as unparseable, the error's wording, the text written back.

Admission refuses a URI that Go clients could not decode (CONV-4, ADM-4), and everything built
from a URI uses the re-serialised text (ART-1). Python's urllib accepts and prints other things, so the
rules stand here. Behaviour is that of Go since 1.25.8: brackets are around an IPv6 address and nowhere else in the host, whose last
colon starts the port. Of an address that is none Go says why; here it is always `unable to parse IP`.
"""

import string
from ipaddress import ip_address
from typing import Final, NamedTuple

from aioctl.caching import MIB, keeping

_UNRESERVED: Final = frozenset((string.ascii_letters + string.digits + "-_.~").encode())
_HOST: Final = _UNRESERVED | frozenset(b"!$&'()*+,;=:[]<>\"")
_PATH: Final = _UNRESERVED | frozenset(b"$&+,/:;=@")
_FRAGMENT: Final = _PATH | frozenset(b"?!()*")
_USER: Final = _UNRESERVED | frozenset(b"$&+,;=")
_ACCEPTED_AS_GIVEN: Final = frozenset(b"!$&'()*+,;=:@[]%")
_USERINFO: Final = frozenset((string.ascii_letters + string.digits + "-._:~!$&'()*+,;=%@").encode())
_CONTROLS: Final = bytes((*range(0x20), 0x7F))
_GIVEN_IN_PATH: Final = bytes(_PATH | _ACCEPTED_AS_GIVEN)
_LONGEST: Final = 8 * 1024
"""Bytes of a URI; RFC 9110 (4.1) asks for 8,000 at least. What is longer is no place of a model, and slow to read."""
_NO_LITERAL: Final = "invalid IP-literal"
_IPV4: Final = 4
_HEX: Final = frozenset(string.hexdigits.encode())
_SCHEME: Final = frozenset((string.ascii_letters + string.digits + "+-.").encode())
_NO_SCHEME_START: Final = frozenset((string.digits + "+-.").encode())
_SHORT_ESCAPES: Final = {
    7: "\\a",
    8: "\\b",
    12: "\\f",
    10: "\\n",
    13: "\\r",
    9: "\\t",
    11: "\\v",
    34: '\\"',
    92: "\\\\",
}


class UrlError(ValueError):
    """The URI does not parse; the text is Go's, `parse "<uri>": <reason>`."""


class Url(NamedTuple):
    """The decoded parts templates may use: `hf://org/model` has scheme `hf`, host `org`, path `/model`."""

    scheme: str
    host: str
    path: str
    text: str
    """The URL printed again: scheme in lower case, path percent-encoded where it must be."""


class _Parts(NamedTuple):
    scheme: bytes = b""
    opaque: bytes = b""
    user: tuple[bytes, ...] | None = None
    host: bytes = b""
    path: bytes = b""
    raw_path: bytes = b""
    query: bytes | None = None
    omit_host: bool = False


def quote(raw: bytes) -> str:
    """Go's %q of a string that may hold broken UTF-8."""
    shown = []
    for character in raw.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if code in _SHORT_ESCAPES:
            shown.append(_SHORT_ESCAPES[code])
        elif 0xDC80 <= code <= 0xDCFF:
            shown.append(f"\\x{code - 0xDC00:02x}")
        elif character.isprintable():
            shown.append(character)
        elif code < 0x20 or code == 0x7F:
            shown.append(f"\\x{code:02x}")
        else:
            shown.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return f'"{"".join(shown)}"'


def _encoded(text: str) -> bytes:
    """UTF-8; a lone surrogate becomes U+FFFD, as Go's JSON decoder makes it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _decoded(raw: bytes) -> str:
    """Text of UTF-8; every broken byte becomes one U+FFFD, as Go's JSON encoder writes it."""
    text = raw.decode("utf-8", "surrogateescape")
    return text if text.isascii() else "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in text)


def _bad_escape(text: bytes) -> UrlError:
    return UrlError(f"invalid URL escape {quote(text)}")


def _check_escape(raw: bytes, at: int, *, host: bool, zone: bool) -> None:
    triple = raw[at : at + 3]
    if len(triple) < 3 or triple[1] not in _HEX or triple[2] not in _HEX:
        raise _bad_escape(triple)
    value = int(triple[1:], 16)
    if host and value < 0x80 and triple != b"%25":
        raise _bad_escape(triple)
    if zone and triple != b"%25" and value != 0x20 and value not in _HOST:
        raise _bad_escape(triple)


def _unescape(raw: bytes, *, host: bool = False, zone: bool = False) -> bytes:
    """Decode percent escapes; hosts may hold only some characters, and escape only bytes beyond ASCII."""
    if b"%" not in raw and not host and not zone:
        return raw
    decoded = bytearray()
    at = 0
    # Go checks the whole text before it decodes any of it; errors come in the order of the text either way.
    while at < len(raw):
        byte = raw[at]
        if byte == 0x25:
            _check_escape(raw, at, host=host, zone=zone)
            decoded.append(int(raw[at + 1 : at + 3], 16))
            at += 3
            continue
        if (host or zone) and byte < 0x80 and byte not in _HOST:
            raise UrlError(f"invalid character {quote(raw[at : at + 1])} in host name")
        decoded.append(byte)
        at += 1
    return bytes(decoded)


def _escape(raw: bytes, allowed: frozenset[int]) -> bytes:
    if not raw.translate(None, bytes(allowed)):
        return raw
    return b"".join(bytes((byte,)) if byte in allowed else b"%%%02X" % byte for byte in raw)


def _scheme_of(raw: bytes) -> tuple[bytes, bytes]:
    for at, byte in enumerate(raw):
        if byte == 0x3A:
            if at == 0:
                raise UrlError("missing protocol scheme")
            return raw[:at].lower(), raw[at + 1 :]
        if byte not in _SCHEME or (at == 0 and byte in _NO_SCHEME_START):
            break
    return b"", raw


def _check_port(port: bytes) -> None:
    if port and (port[:1] != b":" or not (port[1:].isdigit() or port == b":")):
        raise UrlError(f"invalid port {quote(port)} after host")


def _host_of(raw: bytes) -> bytes:
    opening, end = raw.rfind(b"["), raw.rfind(b"]")
    if opening > 0:
        raise UrlError(_NO_LITERAL)
    if opening == 0:
        if end < 0:
            raise UrlError("missing ']' in host")
        _check_port(raw[end + 1 :])
        port = _unescape(raw[end + 1 :], host=True)
        address, percent, zone = raw[1:end].partition(b"%25")
        literal = _unescape(address, host=True) + _unescape(percent + zone, zone=True)
        _check_literal(literal)
        return b"[" + literal + b"]" + port
    if b":" in raw:
        _check_port(raw[raw.rfind(b":") :])
    return _unescape(raw, host=True)


def _check_literal(literal: bytes) -> None:
    address, percent, zone = literal.partition(b"%")
    try:
        found = ip_address(address.decode())
    except ValueError:
        found = None
    if found is None or (percent and (not zone or found.version == _IPV4)):
        raise UrlError(f"invalid host: ParseAddr({quote(literal)}): unable to parse IP")
    if found.version == _IPV4:
        raise UrlError(_NO_LITERAL)


def _authority_of(raw: bytes) -> tuple[tuple[bytes, ...] | None, bytes]:
    userinfo, separator, host_text = raw.rpartition(b"@")
    host = _host_of(host_text)
    if not separator:
        return None, host
    if not all(byte in _USERINFO for byte in userinfo):
        raise UrlError("net/url: invalid userinfo")
    return tuple(_unescape(part) for part in userinfo.split(b":", 1)), host


def _parts_of(raw: bytes) -> _Parts:
    if len(raw.translate(None, _CONTROLS)) < len(raw):
        raise UrlError("net/url: invalid control character in URL")
    if raw == b"*":
        return _Parts(path=b"*")
    scheme, rest = _scheme_of(raw)
    rest, question, after = rest.partition(b"?")
    query = after if question else None
    if not rest.startswith(b"/"):
        if scheme:
            return _Parts(scheme=scheme, opaque=rest, query=query)
        if b":" in rest.partition(b"/")[0]:
            raise UrlError("first path segment in URL cannot contain colon")
    user, host, omit_host = None, b"", False
    if rest.startswith(b"//") and (scheme or not rest.startswith(b"///")):
        authority, slash, tail = rest[2:].partition(b"/")
        rest = slash + tail
        user, host = _authority_of(authority)
    elif scheme and rest.startswith(b"/"):
        omit_host = True
    return _Parts(scheme, b"", user, host, _unescape(rest), rest, query, omit_host)


def _printed_path(parts: _Parts) -> bytes:
    """The path as given when it was validly encoded, else encoded anew as a whole."""
    if not parts.raw_path.translate(None, _GIVEN_IN_PATH):
        return parts.raw_path or parts.path
    return _escape(parts.path, _PATH)


def _printed_authority(parts: _Parts) -> bytes:
    if not (parts.scheme or parts.host or parts.user is not None):
        return b""
    if parts.omit_host or not (parts.host or parts.path or parts.user is not None):
        return b""
    user = b"" if parts.user is None else b":".join(_escape(part, _USER) for part in parts.user) + b"@"
    return b"//" + user + _escape(parts.host, _HOST)


def _printed(parts: _Parts, fragment: bytes) -> bytes:
    printed = parts.scheme + b":" if parts.scheme else b""
    if parts.opaque:
        printed += parts.opaque
    else:
        printed += _printed_authority(parts)
        path = _printed_path(parts)
        if not printed and b":" in path.partition(b"/")[0]:
            printed += b"./"
        printed += path
    if parts.query is not None:
        printed += b"?" + parts.query
    if fragment:
        given = all(byte in _FRAGMENT or byte in _ACCEPTED_AS_GIVEN for byte in fragment)
        printed += b"#" + (fragment if given else _escape(_unescape(fragment), _FRAGMENT))
    return printed


def parse(uri: str) -> Url:
    """Read a URI as Go does. Raises UrlError with Go's text; the empty string is fine and has empty parts."""
    raw = _encoded(uri)
    if len(raw) > _LONGEST:
        raise UrlError(
            f"parse {quote(raw[:64])}...: the URI has {len(raw):,} bytes; at most {_LONGEST:,} are read"
        )
    main, _, fragment = raw.partition(b"#")
    failed = main
    try:
        parts = _parts_of(main)
        failed = raw
        _unescape(fragment)
    except UrlError as error:
        raise UrlError(f"parse {quote(failed)}: {error}") from error
    return Url(
        parts.scheme.decode(),
        _decoded(parts.host),
        _decoded(parts.path),
        _decoded(_printed(parts, fragment)),
    )


@keeping(MIB)
def go_string(uri: str) -> str:
    """The URI printed again, as `URL.String()` does. Raises UrlError."""
    return parse(uri).text

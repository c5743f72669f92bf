"""Keys and certificates as PEM bytes: what is issued here and what is accepted from elsewhere.

Two families. The webhook server's own chain (`create_ca`, `issue_leaf`) is ECDSA P-256, because the cost of a burst is
TLS handshakes. The services' pairs (`sign_service_pair`, `parse_pair`, `signer_problem`) follow CERT-2 to
the bit, because pods and gateways of the Go controller's making must keep trusting them.

Everything is a function of its arguments and of fresh randomness for keys and serial numbers. No files, no sockets, no
clock: times come in as arguments. Making an RSA key takes about 0.3 s of CPU; callers put that into a worker thread.
"""

import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final, Literal

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aioctl.caching import LARGEST
from aioctl.pki.pem import first_block

KeyType = Literal["ec", "rsa4096"]
IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

SERVICE_VALIDITY: Final = timedelta(hours=105120)
"""12 times 365 days (CERT-2)."""
CA_SIGNED: Final = "Kserve CA Signed"
SELF_SIGNED: Final = "Kserve Self Signed"

_CLOCK_SKEW: Final = timedelta(minutes=5)
"""How far back webhook certificates are dated, so that a client whose clock is slow accepts a new one at once."""
_UNPARSABLE: Final = (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, both PEM; the key is PKCS#8."""

    crt: bytes
    key: bytes


@dataclass(frozen=True, slots=True)
class ParsedPair:
    """What a stored certificate stands for. Times are aware and in UTC."""

    dns_names: frozenset[str]
    ip_addresses: frozenset[IPAddress]
    not_before: datetime
    not_after: datetime


class SignerError(ValueError):
    """The signing pair cannot be used; the text is one of CERT-2."""


def create_ca(common_name: str, *, now: datetime, lifetime: timedelta) -> Pair:
    """A new root for the webhook certificates: ECDSA P-256, may sign leaves only (path length 0)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _dated(name, name, key, now - _CLOCK_SKEW, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(digital_signature=True, key_cert_sign=True), critical=True)
        .add_extension(identifier, critical=False)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _pkcs8(key))


def issue_leaf(ca: Pair, dns_names: Sequence[str], *, now: datetime, lifetime: timedelta) -> Pair:
    """A server certificate for the names, signed by a CA that `create_ca` made. Raises ValueError without names."""
    if not dns_names:
        raise ValueError("a server certificate needs at least one DNS name")
    signer = x509.load_pem_x509_certificate(ca.crt)
    signing_key = _signing_key(serialization.load_pem_private_key(ca.key, password=None))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns_names[0][:64])])
    builder = (
        _dated(subject, signer.subject, key, now - _CLOCK_SKEW, now + lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in dns_names]), critical=False
        )
    )
    builder = _with_authority(builder, signer)
    return Pair(_pem(builder.sign(signing_key, hashes.SHA256())), _pkcs8(key))


def parse_pair(crt: bytes, key: bytes) -> ParsedPair | str:
    """What the stored service pair is good for, or the reason why it has to be made anew (CERT-1).

    Whether names, addresses and dates still fit is the caller's question.
    """
    certificate = read_certificate(crt)
    if isinstance(certificate, str):
        return certificate
    if not key:
        return "tls.key is empty"
    der = first_block(key)
    if der is None:
        return "tls.key is not PEM"
    if not _is_pkcs8(der):
        return "tls.key is not PKCS#8"
    try:
        serialization.load_der_private_key(der, password=None, unsafe_skip_rsa_key_validation=True)
    except _UNPARSABLE as error:
        return f"tls.key cannot be parsed: {error}"
    return certificate


def read_certificate(crt: bytes) -> ParsedPair | str:
    """Names and dates of the first certificate in the PEM data, or the reason why it cannot be read."""
    if not crt:
        return "tls.crt is empty"
    der = first_block(crt)
    if der is None:
        return "tls.crt is not PEM"
    try:
        certificate = x509.load_der_x509_certificate(der)
        names, addresses = _subject_alternative_names(certificate)
        return ParsedPair(
            frozenset(names),
            frozenset(addresses),
            certificate.not_valid_before_utc,
            certificate.not_valid_after_utc,
        )
    except _UNPARSABLE as error:
        return f"tls.crt cannot be parsed: {error}"


def signer_problem(crt: bytes | None, key: bytes | None, namespace: str, name: str) -> str:
    """Why the signing secret's `tls.crt` and `tls.key` cannot sign, in the texts of CERT-2; empty if they can.

    None means that the secret has no such entry.
    """
    for value, entry in ((crt, "tls.crt"), (key, "tls.key")):
        if value is None:
            return f"CA secret {namespace}/{name} does not contain {entry}"
    try:
        _signer(crt or b"", key or b"")
    except SignerError as error:
        return str(error)
    return ""


def sign_service_pair(
    dns_names: Sequence[str],
    ip_addresses: Iterable[str],
    *,
    signer_crt: bytes | None,
    signer_key: bytes | None,
    now: datetime,
    key_type: KeyType = "ec",
) -> tuple[bytes, bytes, bytes]:
    """A service's pair by the profile of CERT-2: `(tls.crt, tls.key, ca.crt)`, all PEM.

    `ca.crt` is the signer's certificate; without a signer the certificate signs itself and is its own. Addresses that do not parse are left out.
    Raises SignerError when a signer is given that cannot sign.
    """
    signer = None
    if signer_crt is not None or signer_key is not None:
        signer = _signer(signer_crt or b"", signer_key or b"")
    key: SigningKey
    if key_type == "ec":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    organization = SELF_SIGNED if signer is None else CA_SIGNED
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)])
    issuer = subject if signer is None else signer[0].subject
    usage = _usage(digital_signature=True, key_encipherment=key_type == "rsa4096")
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns_names]
    names += [x509.IPAddress(address) for address in _addresses(ip_addresses)]
    builder = (
        _dated(subject, issuer, key, now, now + SERVICE_VALIDITY)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if signer is None:
        crt = _pem(builder.sign(key, hashes.SHA256()))
        return crt, _pkcs8(key), crt
    builder = _with_authority(builder, signer[0])
    return _pem(builder.sign(signer[1], hashes.SHA256())), _pkcs8(key), _pem(signer[0])


def _signer(crt: bytes, key: bytes) -> tuple[x509.Certificate, SigningKey]:
    return (_kept_signer if len(crt) + len(key) <= LARGEST else _read_signer)(crt, key)


@lru_cache(
    maxsize=2
)  # OpenSSL checks an RSA key for 0.1 s (2048 bits) to 0.6 s (4096), and every service asks
def _kept_signer(crt: bytes, key: bytes) -> tuple[x509.Certificate, SigningKey]:
    return _read_signer(crt, key)


def _read_signer(crt: bytes, key: bytes) -> tuple[x509.Certificate, SigningKey]:
    crt_der = first_block(crt)
    if crt_der is None:
        raise SignerError("failed to decode certificate PEM from CA secret")
    try:
        certificate = x509.load_der_x509_certificate(crt_der)
        _ = (
            certificate.subject,
            certificate.extensions,
        )  # both are parsed late and both are needed for signing
        public = certificate.public_key()
    except _UNPARSABLE as error:
        raise SignerError(f"failed to parse CA certificate: {error}") from error
    key_der = first_block(key)
    if key_der is None:
        raise SignerError("failed to decode private key PEM from CA secret")
    try:
        private = serialization.load_der_private_key(key_der, password=None)
    except _UNPARSABLE as error:
        raise SignerError(f"failed to parse CA private key: {error}") from error
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise SignerError("CA private key is neither an RSA nor an EC key")
    if private.public_key() != public:
        raise SignerError("CA private key does not belong to the CA certificate")
    return certificate, private


def _signing_key(key: PrivateKeyTypes) -> SigningKey:
    if isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return key
    raise TypeError(f"cannot sign certificates with a key of type {type(key).__name__}")


def _is_pkcs8(der: bytes) -> bool:
    """Tell PKCS#8 from PKCS#1 and SEC1: after the version number comes a sequence, the algorithm."""
    if len(der) < 2 or der[0] != 0x30:
        return False
    start = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    version = der[start : start + 3]
    return len(version) == 3 and version[:2] == b"\x02\x01" and der[start + 3 : start + 4] == b"\x30"


def _dated(
    subject: x509.Name, issuer: x509.Name, key: SigningKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(secrets.randbelow(2**128 - 1) + 1)
        .not_valid_before(start.astimezone(UTC).replace(microsecond=0))
        .not_valid_after(end.astimezone(UTC).replace(microsecond=0))
    )


def _with_authority(builder: x509.CertificateBuilder, signer: x509.Certificate) -> x509.CertificateBuilder:
    try:
        identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return builder
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    return builder.add_extension(authority, critical=False)


def _usage(
    *, digital_signature: bool = False, key_encipherment: bool = False, key_cert_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _addresses(values: Iterable[str]) -> list[IPAddress]:
    found: dict[IPAddress, None] = {}
    for value in values:
        try:
            found[ipaddress.ip_address(value)] = None
        except ValueError:  # a headless Service says "None", a pending pod "": neither is an address (CERT-1)
            continue
    return list(found)


def _subject_alternative_names(certificate: x509.Certificate) -> tuple[list[str], list[IPAddress]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], []
    addresses = [
        value
        for value in names.get_values_for_type(x509.IPAddress)
        if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address)
    ]
    return names.get_values_for_type(x509.DNSName), addresses


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pkcs8(key: SigningKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

"""Whether a client that holds a bundle of authorities would believe what a server shows (RFC 5280, section 6, in short)."""

from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

_UNREADABLE: Final = (ValueError, TypeError)


def distrust(served: bytes, bundle: bytes, *, name: str, now: datetime) -> str:
    """Why a client would refuse the chain `served` (PEM, leaf first) for the DNS name; empty where it would not.

    `bundle`: PEM. Trusted is what it holds itself and what a certificate of it, or an intermediate that is trusted, has signed.
    """
    try:
        chain, anchors = x509.load_pem_x509_certificates(served), x509.load_pem_x509_certificates(bundle)
    except _UNREADABLE as error:
        return f"cannot be read: {error}"
    leaf = chain[0]
    if now >= leaf.not_valid_after_utc:
        return f"expired {leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    if now < leaf.not_valid_before_utc:
        return f"is not valid before {leaf.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
    if name not in _names(leaf):
        return f"is not for {name}, but for {', '.join(_names(leaf)) or 'no name'}"
    if not _leads(leaf, chain[1:], anchors):
        return "is not signed by an authority of the bundle"
    return ""


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return []
    return found.get_values_for_type(x509.DNSName)


def _leads(leaf: x509.Certificate, between: list[x509.Certificate], anchors: list[x509.Certificate]) -> bool:
    at, left = leaf, list(between)
    while True:
        if at in anchors or any(_signed(at, anchor) for anchor in anchors):
            return True
        following = next((one for one in left if _signed(at, one)), None)
        if following is None:
            return False
        left.remove(following)
        at = following


def _signed(one: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(by)
    except (InvalidSignature, *_UNREADABLE):
        return False
    return True

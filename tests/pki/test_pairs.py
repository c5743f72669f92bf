"""Certificates: the profile of CERT-2, and what stored pairs are told apart by."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aioctl.pki import pairs

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
NAMES = ["localhost", "a.ns.svc", "a.ns.svc.cluster.local"]


def pem_key(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    form: serialization.PrivateFormat,
) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def signer_certificate(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *, with_identifier: bool
) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "openshift-service-serving-signer")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=800))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    )
    if with_identifier:
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = builder.add_extension(identifier, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def extension_oids(certificate: x509.Certificate) -> dict[str, bool]:
    return {extension.oid._name: extension.critical for extension in certificate.extensions}


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_a_signed_service_pair_has_the_exact_profile(
    rsa_key: rsa.RSAPrivateKey, form: serialization.PrivateFormat
) -> None:
    ca = signer_certificate(rsa_key, with_identifier=True)
    crt, key, bundle = pairs.sign_service_pair(
        NAMES,
        ["127.0.0.1", "None", "", "10.0.0.7", "fd00::1"],
        signer_crt=ca,
        signer_key=pem_key(rsa_key, form),
        now=NOW.replace(microsecond=5),
    )
    assert bundle == ca
    assert crt.count(b"BEGIN") == 1
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    certificate = x509.load_pem_x509_certificate(crt)
    assert [(part.oid, part.value) for part in certificate.subject] == [
        (NameOID.ORGANIZATION_NAME, "Kserve CA Signed")
    ]
    assert certificate.issuer == x509.load_pem_x509_certificate(ca).subject
    assert 0 < certificate.serial_number < 2**128
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + timedelta(days=12 * 365)
    assert extension_oids(certificate) == {
        "keyUsage": True,
        "extendedKeyUsage": False,
        "basicConstraints": True,
        "subjectAltName": False,
        "authorityKeyIdentifier": False,
    }
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature
    assert not usage.key_encipherment
    purposes = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(purposes) == [ExtendedKeyUsageOID.SERVER_AUTH]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == NAMES
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "10.0.0.7",
        "fd00::1",
    ]
    authority = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    identifier = x509.SubjectKeyIdentifier.from_public_key(rsa_key.public_key())
    assert authority.key_identifier == identifier.digest
    assert authority.authority_cert_issuer is None
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha256"
    rsa_key.public_key().verify(
        certificate.signature, certificate.tbs_certificate_bytes, padding.PKCS1v15(), hashes.SHA256()
    )


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_signer_may_have_an_ec_key(curve: ec.EllipticCurve, form: serialization.PrivateFormat) -> None:
    """PKCS#8 and SEC1, as OpenSSL writes them."""
    key = ec.generate_private_key(curve)
    ca = signer_certificate(key, with_identifier=True)
    crt, _, bundle = pairs.sign_service_pair(NAMES, [], signer_crt=ca, signer_key=pem_key(key, form), now=NOW)
    assert bundle == ca
    x509.load_pem_x509_certificate(crt).verify_directly_issued_by(x509.load_pem_x509_certificate(ca))


def test_a_signer_without_key_identifier_leaves_the_authority_out(rsa_key: rsa.RSAPrivateKey) -> None:
    crt, _, _ = pairs.sign_service_pair(
        NAMES,
        [],
        signer_crt=signer_certificate(rsa_key, with_identifier=False),
        signer_key=pem_key(rsa_key, serialization.PrivateFormat.PKCS8),
        now=NOW,
    )
    assert "authorityKeyIdentifier" not in extension_oids(x509.load_pem_x509_certificate(crt))


def test_without_signer_the_certificate_signs_itself_and_is_its_own_authority() -> None:
    crt, key, bundle = pairs.sign_service_pair(
        NAMES, ["127.0.0.1"], signer_crt=None, signer_key=None, now=NOW
    )
    assert bundle == crt
    certificate = x509.load_pem_x509_certificate(crt)
    assert certificate.issuer == certificate.subject
    assert certificate.subject.rfc4514_string() == "O=Kserve Self Signed"
    certificate.verify_directly_issued_by(certificate)
    assert isinstance(serialization.load_pem_private_key(key, password=None), ec.EllipticCurvePrivateKey)


def test_an_rsa_service_key_has_4096_bits_and_may_encipher() -> None:
    crt, key, _ = pairs.sign_service_pair(
        NAMES, [], signer_crt=None, signer_key=None, now=NOW, key_type="rsa4096"
    )
    usage = x509.load_pem_x509_certificate(crt).extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, True)
    private = serialization.load_pem_private_key(key, password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.key_size == 4096


def test_a_stored_pair_tells_its_names_addresses_and_end() -> None:
    crt, key, _ = pairs.sign_service_pair(
        NAMES, ["127.0.0.1", "::1"], signer_crt=None, signer_key=None, now=NOW
    )
    parsed = pairs.parse_pair(crt, key)
    assert isinstance(parsed, pairs.ParsedPair)
    assert parsed.dns_names == set(NAMES)
    assert parsed.ip_addresses == {ip_address("127.0.0.1"), ip_address("::1")}
    assert parsed.not_after == NOW + timedelta(hours=105120)


def test_pairs_that_must_be_made_anew_are_told_apart(rsa_key: rsa.RSAPrivateKey) -> None:
    crt, key, _ = pairs.sign_service_pair(NAMES, [], signer_crt=None, signer_key=None, now=NOW)
    old_key = pem_key(rsa_key, serialization.PrivateFormat.TraditionalOpenSSL)
    sec1 = pem_key(ec.generate_private_key(ec.SECP256R1()), serialization.PrivateFormat.TraditionalOpenSSL)
    not_a_certificate = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    rows = {
        "tls.crt is empty": (b"", key),
        "tls.key is empty": (crt, b""),
        "tls.crt is not PEM": (b"hello", key),
        "tls.key is not PEM": (crt, b"hello"),
        "tls.crt cannot be parsed": (not_a_certificate, key),
        "tls.key is not PKCS#8": (crt, old_key),
    }
    for reason, pair in rows.items():
        found = pairs.parse_pair(*pair)
        assert isinstance(found, str)
        assert found.startswith(reason)
    assert pairs.parse_pair(crt, sec1) == "tls.key is not PKCS#8"


def test_a_broken_signer_is_named_in_the_controllers_words(rsa_key: rsa.RSAPrivateKey) -> None:
    crt = signer_certificate(rsa_key, with_identifier=True)
    key = pem_key(rsa_key, serialization.PrivateFormat.PKCS8)
    curve = ec.generate_private_key(ec.SECP256R1())
    garbage = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    rows: list[tuple[bytes | None, bytes | None, str]] = [
        (crt, key, ""),
        (None, key, "CA secret ns/signing-key does not contain tls.crt"),
        (crt, None, "CA secret ns/signing-key does not contain tls.key"),
        (b"", key, "failed to decode certificate PEM from CA secret"),
        (garbage, key, "failed to parse CA certificate: "),
        (crt, b"x", "failed to decode private key PEM from CA secret"),
        (crt, garbage, "failed to parse CA private key: "),
        (
            crt,
            pem_key(curve, serialization.PrivateFormat.TraditionalOpenSSL),
            "CA private key does not belong to the CA certificate",
        ),
        (
            crt,
            pem_key(curve, serialization.PrivateFormat.PKCS8),
            "CA private key does not belong to the CA certificate",
        ),
        (
            crt,
            pem_key(ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.PKCS8),
            "CA private key is neither an RSA nor an EC key",
        ),
    ]
    for row_crt, row_key, text in rows:
        problem = pairs.signer_problem(row_crt, row_key, "ns", "signing-key")
        assert problem == text if not text.endswith(": ") else problem.startswith(text)


def test_a_signer_is_read_once_however_many_services_ask(
    rsa_key: rsa.RSAPrivateKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL's check of an RSA key takes a tenth of a second and more, all of it on the loop."""
    crt = signer_certificate(rsa_key, with_identifier=False)
    key = pem_key(rsa_key, serialization.PrivateFormat.PKCS8) + b"\nread by nobody else\n"
    read: list[bytes] = []
    load = serialization.load_der_private_key

    def counted(data: bytes, **options: object) -> object:
        read.append(data)
        return load(data, **options)  # type: ignore[arg-type]  # passed on as given

    monkeypatch.setattr(serialization, "load_der_private_key", counted)
    for _ in range(3):
        assert pairs.signer_problem(crt, key, "ns", "signing-key") == ""
        pairs.sign_service_pair(NAMES, [], signer_crt=crt, signer_key=key, now=NOW)
    assert len(read) == 1


def test_a_given_but_broken_signer_never_falls_back_to_self_signing() -> None:
    with pytest.raises(pairs.SignerError, match="failed to decode certificate PEM"):
        pairs.sign_service_pair(NAMES, [], signer_crt=b"", signer_key=None, now=NOW)


def test_a_webhook_leaf_chains_to_its_authority() -> None:
    ca = pairs.create_ca("aioctl", now=NOW, lifetime=timedelta(days=365))
    leaf = pairs.issue_leaf(ca, ["w.ns.svc", "w.ns.svc.cluster.local"], now=NOW, lifetime=timedelta(days=365))
    root, certificate = x509.load_pem_x509_certificate(ca.crt), x509.load_pem_x509_certificate(leaf.crt)
    certificate.verify_directly_issued_by(root)
    parsed = pairs.parse_pair(leaf.crt, leaf.key)
    assert isinstance(parsed, pairs.ParsedPair)
    assert parsed.dns_names == {"w.ns.svc", "w.ns.svc.cluster.local"}
    assert parsed.not_before < NOW
    with pytest.raises(ValueError, match="at least one DNS name"):
        pairs.issue_leaf(ca, [], now=NOW, lifetime=timedelta(days=1))

"""Certificates: the one of this process for DTLS, and what stands in the one that HTTPS shows.

Out come bytes for the data plane and the fingerprint for descriptions (RFC 8827 section 6.5, RFC 8122). The DTLS
certificate is made at start, never stored, never shared.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from common.errors import LocalError
from common.redact import Redacted

LIFETIME = timedelta(days=30)  # as browsers choose for theirs
BACKDATED = timedelta(days=1)  # peers' clocks may be behind
FINGERPRINT_ALGORITHM = "sha-256"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A self-signed certificate with its key."""

    der: bytes  # X.509
    private_key: Redacted[bytes]  # DER PKCS#8
    digest: bytes  # SHA-256 over `der`


def new_certificate(*, wall: float) -> Certificate:
    """A fresh ECDSA P-256 key and its certificate, valid around `wall` (seconds since the epoch)."""
    key = ec.generate_private_key(ec.SECP256R1())
    # A name that tells nothing: WebRTC compares fingerprints, never names.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])
    now = datetime.fromtimestamp(wall, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + LIFETIME)
        .sign(key, hashes.SHA256())
    )
    return Certificate(
        der=certificate.public_bytes(Encoding.DER),
        private_key=Redacted(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())),
        digest=certificate.fingerprint(hashes.SHA256()),
    )


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What an operator's certificate says about itself."""

    not_before: float  # seconds since the epoch
    not_after: float
    names: tuple[str, ...]  # DNS names and IP addresses that it is for


def read_certificate(pem: bytes) -> CertificateFacts:
    """The first certificate of a chain. Raises LocalError `certificate_unreadable`."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        raise LocalError("certificate_unreadable", "this is no PEM certificate") from error
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        listed = [str(name.value) for name in names]
    except x509.ExtensionNotFound:
        listed = []  # RFC 9525 section 2: the common name does not count
    return CertificateFacts(
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        names=tuple(listed),
    )

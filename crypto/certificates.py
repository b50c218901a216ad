"""The certificate of this process for DTLS: made at start, never stored, never shared.

Out come bytes for the data plane and the fingerprint for descriptions (RFC 8827 section 6.5, RFC 8122).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

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

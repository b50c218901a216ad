"""Certificates for servers of tests: self-signed, for the names that a test wants, valid or no longer."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509  # noqa: TID251 - a certificate for the test
from cryptography.hazmat.primitives import hashes, serialization  # noqa: TID251
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: TID251
from cryptography.x509.oid import NameOID  # noqa: TID251

from common.clock import SystemClock


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate and its key, in files."""

    certificate: Path
    key: Path
    pin: str  # base64 of SHA-256 over the public key, as Chromium takes it on its command line


def make_certificate(folder: Path, *names: str, expired: bool = False) -> Certificate:
    """For host names and addresses; a day old, or ended for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.fromtimestamp(SystemClock().wall(), UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=-1 if expired else 300))
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.IPAddress(ip_address(n)) if n[0].isdigit() else x509.DNSName(n)
                    for n in names
                ]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    folder.mkdir(exist_ok=True)
    paths = folder / "certificate.pem", folder / "private-key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    pin = base64.b64encode(hashlib.sha256(public).digest()).decode()
    return Certificate(paths[0], paths[1], pin)

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509  # noqa: TID251 - checks what crypto made
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: TID251
from cryptography.hazmat.primitives.serialization import load_der_private_key  # noqa: TID251

from common.clock import SystemClock
from common.errors import LocalError
from crypto.certificates import new_certificate, read_certificate
from tests.support.certificates import make_certificate

NOW = 1_700_000_000.0


def test_the_certificate_is_a_valid_p256_one_for_thirty_days() -> None:
    certificate = new_certificate(wall=NOW)
    parsed = x509.load_der_x509_certificate(certificate.der)
    key = parsed.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    now = datetime.fromtimestamp(NOW, UTC)
    assert parsed.not_valid_before_utc < now
    assert parsed.not_valid_after_utc == now + timedelta(days=30)
    parsed.verify_directly_issued_by(parsed)


def test_key_and_fingerprint_belong_to_the_certificate() -> None:
    certificate = new_certificate(wall=NOW)
    private = load_der_private_key(certificate.private_key.reveal(), None)
    public = x509.load_der_x509_certificate(certificate.der).public_key()
    assert private.public_key() == public
    assert certificate.digest == hashlib.sha256(certificate.der).digest()


def test_every_process_has_its_own_and_never_shows_the_key() -> None:
    first, second = new_certificate(wall=NOW), new_certificate(wall=NOW)
    assert first.digest != second.digest
    assert "redacted" in repr(first)
    assert str(first.private_key.reveal()) not in repr(first)


def test_an_operators_certificate_is_read_with_its_names_and_its_time(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "conclave.example", "192.0.2.1")
    facts = read_certificate(made.certificate.read_bytes())
    assert facts.names == ("conclave.example", "192.0.2.1")
    assert facts.not_before < SystemClock().wall() < facts.not_after


def test_a_name_outside_subject_alt_name_does_not_count() -> None:
    der = new_certificate(wall=1_790_000_000.0).der
    facts = read_certificate(ssl.DER_cert_to_PEM_cert(der).encode())
    assert facts.names == ()
    assert facts.not_after - facts.not_before == 31 * 86_400


@pytest.mark.parametrize("pem", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_what_is_no_certificate_is_refused(pem: bytes) -> None:
    with pytest.raises(LocalError) as caught:
        read_certificate(pem)
    assert caught.value.code == "certificate_unreadable"

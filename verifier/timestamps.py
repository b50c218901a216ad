"""Time-stamps (RFC 3161, RFC 5652, RFC 5816): that somebody trusted saw a checkpoint, and when.

In: an authority's answer, what it is over, trusted certificates. Out: the time. Must not: take a token whose parts
are not all bound to each other: what was stamped, the signed attributes, the signer's certificate, its chain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from verifier.der import OCTETS, SEQUENCE, SET, Element, whole
from verifier.folder import read_file
from verifier.report import Misused, Refused

MAX_ANSWER: Final = 64 * 1024  # bytes
MAX_CHAIN: Final = 8
_GRANTED: Final = (0, 1)
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNER_V1: Final = "1.2.840.113549.1.9.16.2.12"  # names the certificate by SHA-1 (RFC 2634)
_SIGNER_V2: Final = "1.2.840.113549.1.9.16.2.47"  # by any hash (RFC 5816)
_PSS: Final = "1.2.840.113549.1.1.10"
_HASHES: Final[dict[str, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]]] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256,
    "2.16.840.1.101.3.4.2.2": hashes.SHA384,
    "2.16.840.1.101.3.4.2.3": hashes.SHA512,
}
_BAD_CERTIFICATE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart; nothing is checked."""

    info: bytes  # TSTInfo
    certificates: tuple[bytes, ...]
    signer: tuple[bytes, int]  # issuer's name as encoded, serial number
    digest: _Hash  # of the signer
    attributes: Element
    algorithm: str
    signature: bytes


def check_timestamp(answer: bytes, message: bytes, roots: Sequence[x509.Certificate]) -> datetime:
    """The time that an answer shows for a message; without roots nobody vouches for it. Raises Refused."""
    if len(answer) > MAX_ANSWER:
        raise Refused("timestamp_malformed", "the answer is too long")
    try:
        return _check(_token(answer), message, roots)
    except _BAD_CERTIFICATE as error:  # fields of certificates are read when they are asked for
        raise Refused("timestamp_malformed", "a certificate cannot be read") from error


def _check(token: Token, message: bytes, roots: Sequence[x509.Certificate]) -> datetime:
    time = _stamped(token.info, message)
    certificates = [x509.load_der_x509_certificate(each) for each in token.certificates]
    signer = _signer(token, certificates)
    _check_attributes(token, signer)
    _check_signature(token, signer)
    _check_purpose(signer)
    if not _valid(signer, time):
        raise _wrong("the signer's certificate was not valid at that time")
    if roots and not _leads(signer, certificates, roots, time):
        raise Refused("timestamp_untrusted", "the signer's chain leads to no trusted certificate")
    return time


def read_roots(paths: Sequence[Path]) -> list[x509.Certificate]:
    """Certificates of PEM files. Raises Misused."""
    found: list[x509.Certificate] = []
    for path in paths:
        try:
            found += x509.load_pem_x509_certificates(read_file(path, 10_000_000))
        except (Refused, ValueError) as error:
            raise Misused(f"{path} holds no certificates") from error
    return found


def _token(answer: bytes) -> Token:
    parts = whole(answer).expect(SEQUENCE).children()
    if not parts or parts[0].expect(SEQUENCE).children()[:1] == []:
        raise _malformed()
    status = parts[0].children()[0].number()
    if status not in _GRANTED:
        raise Refused("timestamp_refused", f"the authority declined with status {status}")
    content = _at(parts, 1).expect(SEQUENCE).children()
    if _at(content, 0).oid() != _SIGNED_DATA:
        raise _malformed()
    data = _at(_at(content, 1).expect(0xA0).children(), 0).expect(SEQUENCE).children()
    inner = _at(data, 2).expect(SEQUENCE).children()
    if _at(inner, 0).oid() != _TST_INFO:
        raise _malformed()
    info = _at(_at(inner, 1).expect(0xA0).children(), 0).expect(OCTETS).content
    certificates = [each.raw for part in data[3:] if part.tag == 0xA0 for each in part.children()]
    signers = data[-1].expect(SET).children()
    if len(signers) != 1:
        raise _wrong("the token has not one signer")
    return _signed(info, tuple(certificates), signers[0].expect(SEQUENCE).children())


def _signed(info: bytes, certificates: tuple[bytes, ...], signer: list[Element]) -> Token:
    named = _at(signer, 1).expect(SEQUENCE).children()  # issuer and serial number
    return Token(
        info,
        certificates,
        (_at(named, 0).raw, _at(named, 1).number()),
        _hash(_at(signer, 2)),
        _at(signer, 3).expect(0xA0),
        _at(_at(signer, 4).expect(SEQUENCE).children(), 0).oid(),
        _at(signer, 5).expect(OCTETS).content,
    )


def _stamped(info: bytes, message: bytes) -> datetime:
    """The time within, if it is about the message."""
    parts = whole(info).expect(SEQUENCE).children()
    imprint = _at(parts, 2).expect(SEQUENCE).children()
    name = _hash(_at(imprint, 0)).name
    if _at(imprint, 1).expect(OCTETS).content != hashlib.new(name, message).digest():
        raise _wrong("the time-stamp is over something else")
    return _at(parts, 4).time()


def _signer(token: Token, certificates: list[x509.Certificate]) -> x509.Certificate:
    for certificate in certificates:
        name = certificate.issuer.public_bytes()
        if (name, certificate.serial_number) == token.signer:
            return certificate
    raise _wrong("the signer's certificate is not in the token")


def _check_attributes(token: Token, signer: x509.Certificate) -> None:
    """That the signed attributes bind content and certificate."""
    values: dict[str, list[Element]] = {}
    for attribute in token.attributes.children():
        parts = attribute.expect(SEQUENCE).children()
        name = _at(parts, 0).oid()
        if name in values:
            raise _wrong("a signed attribute stands there twice")
        values[name] = _at(parts, 1).expect(SET).children()
    content = _at(values.get(_CONTENT_TYPE, []), 0).oid()
    digest = _at(values.get(_MESSAGE_DIGEST, []), 0).expect(OCTETS).content
    if content != _TST_INFO or digest != hashlib.new(token.digest.name, token.info).digest():
        raise _wrong("the signature is over something else")
    for name, default in ((_SIGNER_V2, "sha256"), (_SIGNER_V1, "sha1")):
        if name in values:
            _check_named(_at(values[name], 0), default, signer)
            return
    raise _wrong("the signature does not name its certificate")


def _check_named(value: Element, default: str, signer: x509.Certificate) -> None:
    first = _at(_at(value.expect(SEQUENCE).children(), 0).expect(SEQUENCE).children(), 0)
    parts = first.expect(SEQUENCE).children()
    kind = default
    if _at(parts, 0).tag == SEQUENCE:
        kind = _hash(parts[0]).name
        parts = parts[1:]
    own = hashlib.new(kind, _encoded(signer), usedforsecurity=False).digest()
    if _at(parts, 0).expect(OCTETS).content != own:
        raise _wrong("the signature names another certificate")


def _check_signature(token: Token, signer: x509.Certificate) -> None:
    message = bytes([SET]) + token.attributes.raw[1:]  # RFC 5652 section 5.4
    try:
        key = signer.public_key()
        if isinstance(key, rsa.RSAPublicKey):
            scheme: padding.AsymmetricPadding = padding.PKCS1v15()
            if token.algorithm == _PSS:
                scheme = padding.PSS(padding.MGF1(token.digest), padding.PSS.AUTO)
            key.verify(token.signature, message, scheme, token.digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(token.signature, message, ec.ECDSA(token.digest))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(token.signature, message)
        else:
            raise _wrong("the signer's key is of a kind that is not known")
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise _wrong("the signature is wrong") from error


def _check_purpose(signer: x509.Certificate) -> None:
    """A certificate for time-stamps and nothing else (RFC 3161 section 2.3)."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError) as error:
        raise _wrong("the signer's certificate is not for time-stamps") from error
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise _wrong("the signer's certificate is not for time-stamps alone")


def _leads(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    time: datetime,
    depth: int = 0,
) -> bool:
    """Whether a chain of valid certificates leads from one to a root."""
    trusted = {_encoded(root) for root in roots}
    if _encoded(certificate) in trusted:
        return True
    if depth == MAX_CHAIN:
        return False
    issuers = [
        each
        for each in (*roots, *others)
        if each.subject == certificate.issuer and _encoded(each) != _encoded(certificate)
    ]
    return any(
        _issued(certificate, issuer)
        and _valid(issuer, time)
        and _leads(issuer, [x for x in others if x is not issuer], roots, time, depth + 1)
        for issuer in issuers
    )


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints)
        usage = [each.value for each in issuer.extensions if isinstance(each.value, x509.KeyUsage)]
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return constraints.value.ca and all(each.key_cert_sign for each in usage)


def _valid(certificate: x509.Certificate, time: datetime) -> bool:
    return certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc


def _encoded(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _hash(algorithm: Element) -> _Hash:
    made = _HASHES.get(_at(algorithm.expect(SEQUENCE).children(), 0).oid())
    if made is None:
        raise _wrong("the time-stamp uses a hash that is not known")
    return made()


def _at(elements: Sequence[Element], place: int) -> Element:
    if place >= len(elements):
        raise _malformed()
    return elements[place]


def _malformed() -> Refused:
    return Refused("timestamp_malformed", "the bytes are no time-stamp")


def _wrong(message: str) -> Refused:
    return Refused("timestamp_wrong", message)

"""Time-stamps of an authority (RFC 3161): what to ask it, and whether its answer is one.

In: bytes to be stamped, trusted certificates, bytes of an answer. Out: a request, or the time that was stamped.
Must not: take an answer that was granted to another question, or whose certificates lead to nobody who is trusted.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Final

from cryptography import x509
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from common.errors import RemoteError

MAX_ANSWER: Final = 64 * 1024  # bytes; with a chain of four certificates it has eight thousand
_UNREADABLE: Final = (  # what certificates raise when a field is asked for that cannot be read
    ValueError,
    TypeError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_GRANTED: Final = 0
_SHA256: Final = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")


class TimestampError(RemoteError):
    """The answer is no time-stamp for the question: timestamp_malformed, timestamp_refused, timestamp_wrong."""


class Authorities:
    """Certificates that chains of time-stamps must lead to."""

    def __init__(self, pem: bytes) -> None:
        """Raises ValueError if there is no certificate in it."""
        self._roots = x509.load_pem_x509_certificates(pem)

    def check(self, question: Question, answer: bytes) -> datetime:
        """The time in an answer to a question. Raises TimestampError."""
        if len(answer) > MAX_ANSWER:
            raise TimestampError("timestamp_malformed", "the answer is too long")
        try:
            response = decode_timestamp_response(_sort_certificates(answer))
            status = response.status
        except _UNREADABLE as error:
            raise TimestampError("timestamp_malformed", "the answer is no time-stamp") from error
        if status != _GRANTED:
            raise TimestampError(
                "timestamp_refused", f"the authority declines with status {status}"
            )
        builder = VerifierBuilder(roots=list(self._roots), nonce=question.request.nonce)
        try:
            builder.build().verify(response, question.digest)
            info = response.tst_info
            algorithm, time = info.message_imprint.hash_algorithm, info.gen_time
        except (VerificationError, ValueError) as error:
            raise TimestampError(
                "timestamp_wrong", f"the time-stamp proves nothing: {error}"
            ) from error
        if algorithm != _SHA256:
            raise TimestampError("timestamp_wrong", "the time-stamp is over another kind of hash")
        return time


class Question:
    """A request for a time-stamp over some bytes: their SHA-256, a nonce, the wish for certificates."""

    def __init__(self, message: bytes) -> None:
        self.digest = hashlib.sha256(message).digest()
        builder = TimestampRequestBuilder().data(message).hash_algorithm(HashAlgorithm.SHA256)
        self.request: TimeStampRequest = (
            builder.nonce(nonce=True).cert_request(cert_request=True).build()
        )

    def encode(self) -> bytes:
        """The body of the request."""
        return self.request.as_bytes()


# From the answer to the certificates of its token: the tag at each step, and the children passed over first.
_WAY: Final = ((0x30, 0), (0x30, 1), (0xA0, 1), (0x30, 0), (0xA0, 3))


def _sort_certificates(answer: bytes) -> bytes:
    """The answer with its certificates in the order that DER asks for, which many authorities don't keep.

    Nothing signed covers that order. Raises ValueError for what is no answer.
    """
    begin, end = 0, len(answer)
    for tag, passed in _WAY:
        for _ in range(passed):
            begin = _element(answer, begin, end)[2]
        if begin >= end or answer[begin] != tag:
            return answer  # a refusal has no token, some tokens have no certificates
        _, begin, end = _element(answer, begin, end)
    elements = []
    position = begin
    while position < end:
        first, _, position = _element(answer, position, end)
        elements.append(answer[first:position])
    return answer[:begin] + b"".join(sorted(elements)) + answer[end:]


def _element(data: bytes, begin: int, end: int) -> tuple[int, int, int]:
    """Where an element, its content and what follows it begin. Raises ValueError."""
    content = begin + 2
    if content > end:
        raise ValueError("the element is cut")
    length = data[begin + 1]
    if length & 0x80:
        content += length & 0x7F
        length = int.from_bytes(data[begin + 2 : content], "big")
    if content + length > end:
        raise ValueError("the element is longer than what it is in")
    return begin, content, content + length

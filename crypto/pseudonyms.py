"""Names that mean nothing without a key: pseudonyms of people, commitments to documents, references to records.

In: keys and what is to be hidden. Out: text for audit entries. Must not: make anything that can still be linked to
a person once the person's key is destroyed.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from crypto.sealing import Key, derive

HALF: Final = 8  # bytes: of a subject's index and of a record's number in a reference


def pseudonym(period: Key, subject: Key) -> str:
    """A person within a tenant and period; needs both keys, so destroying either makes it unlinkable."""
    inner = derive(subject, b"conclave pseudonym").reveal()
    return "p_" + hmac.digest(period.reveal(), b"pseudonym\x00" + inner, hashlib.sha256)[:16].hex()


def commitment(period: Key, document: bytes) -> str:
    """HMAC-SHA256 over a document that holds a random salt: shows nothing, and fits no other document."""
    return hmac.digest(period.reveal(), b"commitment\x00" + document, hashlib.sha256).hex()


def passing_name(secret: bytes, text: str) -> str:
    """A room in metrics and logs: the same for as long as `secret` is, and nothing without it."""
    return "r_" + hmac.digest(secret, b"passing\x00" + text.encode(), hashlib.sha256)[:6].hex()


def subject_index(master: Key, tenant: str, identity: str) -> bytes:
    """Where a person's records are; eight bytes that only the holder of the master key can compute."""
    message = len(tenant.encode()).to_bytes(4, "big") + tenant.encode() + identity.encode()
    return hmac.digest(derive(master, b"conclave index").reveal(), message, hashlib.sha256)[:HALF]


class Locator:
    """Hides where a record is in its reference: a permutation of 128-bit blocks, AES-256."""

    def __init__(self, master: Key) -> None:
        """References can be resolved with the same master key only."""
        # One block under a key of its own, half of it random: no mode is needed, and none is used.
        self._cipher = Cipher(
            algorithms.AES(derive(master, b"conclave reference").reveal()),
            modes.ECB(),  # noqa: S305 - see above
        )

    def hide(self, index: bytes, record: bytes) -> str:
        """The reference of a record: `v_` and 32 hexadecimal digits."""
        if len(index) != HALF or len(record) != HALF:
            raise ValueError("both halves have eight bytes")
        return "v_" + self._cipher.encryptor().update(index + record).hex()

    def find(self, reference: str) -> tuple[bytes, bytes]:
        """Index and record. Any reference leads somewhere; only true ones lead to a record."""
        block = self._cipher.decryptor().update(bytes.fromhex(reference.removeprefix("v_")))
        return block[:HALF], block[HALF:]

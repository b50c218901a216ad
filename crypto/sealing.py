"""Sealed bytes: AES-256-GCM (NIST SP 800-38D) under a key, bound to a context; derived and stored keys.

In: keys, plaintext, the context it belongs to. Out: sealed bytes that say their version, or the plaintext again;
any doubt raises SealError. Must not: take a nonce from outside, or show a key.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from common.errors import LocalError, RemoteError
from common.redact import Redacted

KEY_SIZE: Final = 32
VERSION: Final = b"\x01"
_NONCE: Final = 12
_TAG: Final = 16

Key = Redacted[bytes]


class SealError(RemoteError):
    """Sealed bytes do not open: changed, cut, of another context or another key."""

    def __init__(self) -> None:
        """There is one reason only: telling more would help who tries."""
        super().__init__("seal_broken", "the sealed bytes do not open")


def new_key() -> Key:
    """A random 256-bit key."""
    return Redacted(secrets.token_bytes(KEY_SIZE))


def seal(key: Key, plaintext: bytes, context: bytes) -> bytes:
    """Version, nonce, ciphertext and tag. Random nonces allow 2^32 messages under one key."""
    nonce = secrets.token_bytes(_NONCE)
    return VERSION + nonce + AESGCM(key.reveal()).encrypt(nonce, plaintext, VERSION + context)


def unseal(key: Key, sealed: bytes, context: bytes) -> bytes:
    """The plaintext. Raises SealError."""
    if len(sealed) < 1 + _NONCE + _TAG or sealed[:1] != VERSION:
        raise SealError
    nonce, ciphertext = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
    try:
        return AESGCM(key.reveal()).decrypt(nonce, ciphertext, VERSION + context)
    except InvalidTag as error:
        raise SealError from error


def derive(key: Key, purpose: bytes) -> Key:
    """Another key for one purpose (HKDF-SHA256, RFC 5869)."""
    return Redacted(HKDF(SHA256(), KEY_SIZE, None, purpose).derive(key.reveal()))


def key_file(path: Path) -> Key:
    """The key in a file, made on first use with mode 0600.

    Raises LocalError: key_exposed if others may read the file, key_malformed, and OSError.
    """
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read_key(path)
    key = new_key()
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key.reveal().hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _read_key(path: Path) -> Key:
    if path.stat().st_mode & 0o077:
        raise LocalError("key_exposed", f"{path} must have mode 0600")
    try:
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise LocalError("key_malformed", f"{path} holds no hexadecimal key") from error
    if len(key) != KEY_SIZE:
        raise LocalError("key_malformed", f"{path} holds no key of {KEY_SIZE} bytes")
    return Redacted(key)

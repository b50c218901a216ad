"""Signed notes and checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature) with Ed25519.

In: text and keys. Out: signed text, or the verified signatures of one. Must not: accept a note whose text could
be read in two ways; a key that is not known is ignored, a known key with a wrong signature is an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from common.errors import RemoteError

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_NOTE = (
    1_000_000  # bytes; a checkpoint with a hundred cosignatures stays below a hundredth of it
)
MAX_SIGNATURES = 100
SIGNATURE_PREFIX = "\u2014 "
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


class NoteError(RemoteError):
    """A note is malformed, or a signature on it is wrong. The code tells which."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with its name, as a log or a witness publishes it."""

    name: str
    public_key: bytes  # 32 bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        """Raises NoteError `key_malformed`."""
        if not _NAME.fullmatch(self.name) or len(self.public_key) != 32:
            raise NoteError(
                "key_malformed", "a key needs a name without spaces or '+', and 32 bytes"
            )

    @property
    def key_hash(self) -> bytes:
        """The four bytes that name the key on signature lines."""
        text = self.name.encode() + b"\n" + bytes([self.kind]) + self.public_key
        return hashlib.sha256(text).digest()[:4]

    def encode(self) -> str:
        """`name+hash+key`, the form in which keys are handed out."""
        key = base64.b64encode(bytes([self.kind]) + self.public_key).decode()
        return f"{self.name}+{self.key_hash.hex()}+{key}"

    @classmethod
    def decode(cls, text: str) -> Verifier:
        """Reads the form that `encode` writes. Raises NoteError `key_malformed`."""
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            raise NoteError("key_malformed", "a key is written name+hash+key")
        raw = _base64(parts[2], "key_malformed")
        if len(raw) != 33 or raw[0] not in (ED25519, COSIGNATURE):
            raise NoteError("key_malformed", "the key has an unknown type or length")
        verifier = cls(parts[0], raw[1:], raw[0])
        if verifier.key_hash.hex() != parts[1]:
            raise NoteError("key_malformed", "the key's hash does not belong to it")
        return verifier


class Signer:
    """A private key with its name. Never printed."""

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        """`seed` is the 32-byte Ed25519 private key (RFC 8032 section 5.1.5)."""
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier = Verifier(name, self._key.public_key().public_bytes_raw(), kind)

    def sign(self, text: str) -> str:
        """The signature line for a note's text."""
        return _line(self.verifier, self._key.sign(_check_text(text)))

    def cosign(self, text: str, timestamp: int) -> str:
        """The cosignature line of a witness that saw the text at `timestamp` (seconds since the epoch)."""
        message = _cosigned(text, timestamp)
        return _line(self.verifier, struct.pack("!Q", timestamp) + self._key.sign(message))


@dataclass(frozen=True, slots=True)
class Signature:
    """A verified signature."""

    verifier: Verifier
    timestamp: int | None = None  # of a cosignature, seconds since the epoch


def assemble(text: str, lines: Sequence[str]) -> str:
    """The note: text, blank line, signature lines."""
    _check_text(text)
    return text + "\n" + "".join(f"{line}\n" for line in lines)


def open_note(note: str, known: Iterable[Verifier]) -> tuple[str, list[Signature]]:
    """Text and verified signatures of a note.

    Raises NoteError: note_malformed, signature_wrong, signature_missing (none by a known key).
    """
    if len(note.encode("utf-8", "replace")) > MAX_NOTE:
        raise NoteError("note_malformed", "the note is too long")
    head, separator, tail = note.rpartition("\n\n")
    text = head + "\n"
    if not separator or not tail.endswith("\n"):
        raise NoteError("note_malformed", "a note is text, a blank line and signature lines")
    _check_text(text)
    lines = tail.removesuffix("\n").split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteError("note_malformed", "the note has too many signatures")
    keys = {(verifier.name, verifier.key_hash): verifier for verifier in known}
    signatures: list[Signature] = []
    for line in lines:
        name, raw = _parse_line(line)
        verifier = keys.get((name, raw[:4]))
        if verifier is not None and all(verifier != s.verifier for s in signatures):
            signatures.append(_verify(verifier, text, raw[4:]))
    if not signatures:
        raise NoteError("signature_missing", "no known key has signed the note")
    return text, signatures


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's claim about its whole content (C2SP tlog-checkpoint)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def encode(self) -> str:
        """The note's text."""
        lines = [
            self.origin,
            str(self.size),
            base64.b64encode(self.root).decode(),
            *self.extensions,
        ]
        return "\n".join(lines) + "\n"

    @classmethod
    def decode(cls, text: str) -> Checkpoint:
        """Reads a note's text. Raises NoteError `checkpoint_malformed`."""
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] != "" or not lines[0] or any(not x for x in lines[3:-1]):
            raise NoteError("checkpoint_malformed", "a checkpoint has an origin, a size and a root")
        if not _SIZE.fullmatch(lines[1]):
            raise NoteError("checkpoint_malformed", "the size is no decimal number")
        root = _base64(lines[2], "checkpoint_malformed")
        if len(root) != 32:
            raise NoteError("checkpoint_malformed", "the root is no SHA-256 hash")
        return cls(lines[0], int(lines[1]), root, tuple(lines[3:-1]))


def _check_text(text: str) -> bytes:
    if not text.endswith("\n") or any(c < " " and c != "\n" for c in text):
        raise NoteError(
            "note_malformed", "a note's text ends with a newline and has no control characters"
        )
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NoteError("note_malformed", "a note's text is no Unicode text") from error


def _line(verifier: Verifier, signature: bytes) -> str:
    encoded = base64.b64encode(verifier.key_hash + signature).decode()
    return f"{SIGNATURE_PREFIX}{verifier.name} {encoded}"


def _parse_line(line: str) -> tuple[str, bytes]:
    if not line.startswith(SIGNATURE_PREFIX):
        raise NoteError("note_malformed", "a signature line starts with an em dash")
    name, separator, encoded = line.removeprefix(SIGNATURE_PREFIX).partition(" ")
    raw = _base64(encoded, "note_malformed")
    if not separator or not _NAME.fullmatch(name) or len(raw) < 5:
        raise NoteError("note_malformed", "a signature line has a name and a signature")
    return name, raw


def _verify(verifier: Verifier, text: str, signature: bytes) -> Signature:
    key = Ed25519PublicKey.from_public_bytes(verifier.public_key)
    timestamp: int | None = None
    message = text.encode()
    if verifier.kind == COSIGNATURE:
        if len(signature) != 72:
            raise NoteError("signature_wrong", "a cosignature has the wrong length")
        (timestamp,) = struct.unpack("!Q", signature[:8])
        message, signature = _cosigned(text, timestamp), signature[8:]
    try:
        key.verify(signature, message)
    except InvalidSignature as error:
        raise NoteError("signature_wrong", f"the signature of {verifier.name} is wrong") from error
    return Signature(verifier, timestamp)


def _cosigned(text: str, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n".encode() + _check_text(text)


def _base64(text: str, code: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(code, "not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise NoteError(code, "not canonical base64")
    return raw

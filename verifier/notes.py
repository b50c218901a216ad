"""Public keys, signed notes, checkpoints (C2SP signed-note, tlog-checkpoint, tlog-cosignature) with Ed25519.

In: bytes of files, keys. Out: checkpoints whose signatures were checked. Must not: take a note that could be read
in two ways; a signature of a key that is not known says nothing, a wrong one of a known key is an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from verifier.report import Refused
from verifier.trees import HASH

LOG_KEY: Final = 1
WITNESS_KEY: Final = 4
MAX_NOTE: Final = 1_000_000  # bytes
MAX_SIGNATURES: Final = 100
MAX_SIZE: Final = 10**16 - 1  # entries; sixteen digits
_NAME: Final = re.compile(r"[^\s+]+")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_DASH: Final = "\u2014 "


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key as logs and witnesses hand it out: `name+hash+key`."""

    name: str
    kind: int
    raw: bytes

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Reads the text form. Raises Refused `key_malformed`."""
        name, _, rest = text.strip(" \n").partition("+")
        printed, _, encoded = rest.partition("+")
        data = unbase64(encoded, "key_malformed")
        if not _NAME.fullmatch(name) or len(data) != 33 or data[0] not in (LOG_KEY, WITNESS_KEY):
            raise Refused("key_malformed", "the text is no public key of a known type")
        key = cls(name, data[0], data[1:])
        if key.id.hex() != printed:
            raise Refused("key_malformed", "the public key does not have the hash beside it")
        return key

    @property
    def id(self) -> bytes:
        """Four bytes that name the key in signatures."""
        named = self.name.encode("utf-8", "replace") + b"\n" + bytes([self.kind]) + self.raw
        return hashlib.sha256(named).digest()[:4]

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's (RFC 8032)."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log signed."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart, its signatures not looked at."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]  # name, id of the key, the rest

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Takes a note apart. Raises Refused `note_malformed`."""
        if len(data) > MAX_NOTE:
            raise _malformed("the note is too long")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise _malformed("the note is no UTF-8 text") from error
        if any(c < " " and c != "\n" for c in whole):
            raise _malformed("the note has control characters")
        head, blank, tail = whole.rpartition("\n\n")
        lines = tail.split("\n")
        if not blank or lines.pop() != "" or not 0 < len(lines) <= MAX_SIGNATURES:
            raise _malformed("a note is text, a blank line and lines of signatures")
        return cls(head + "\n", tuple(_signature(line) for line in lines))

    def checkpoint(self) -> Checkpoint:
        """The text as a checkpoint. Raises Refused `checkpoint_malformed`."""
        lines = self.text.split("\n")[:-1]
        if len(lines) < 3 or "" in lines or not _DECIMAL.fullmatch(lines[1]):
            raise Refused("checkpoint_malformed", "the text has no origin, size and root")
        root = unbase64(lines[2], "checkpoint_malformed")
        if len(root) != HASH:
            raise Refused("checkpoint_malformed", "the root is no hash")
        return Checkpoint(lines[0], int(lines[1]), root)

    def check(self, key: PublicKey) -> int | None:
        """Checks the key's signature; the time of a cosignature (seconds since the epoch).

        Raises Refused: signature_missing, signature_wrong.
        """
        mine = [
            rest for name, key_id, rest in self.signatures if (name, key_id) == (key.name, key.id)
        ]
        if not mine:
            raise Refused("signature_missing", f"the key {key.name} has not signed")
        message, time = self.text.encode(), None
        signature = mine[0]
        if key.kind == WITNESS_KEY:
            if len(signature) != 72:
                raise Refused(
                    "signature_wrong", f"the cosignature of {key.name} has a wrong length"
                )
            time = int.from_bytes(signature[:8], "big")
            message = b"cosignature/v1\ntime %d\n" % time + message
            signature = signature[8:]
        if not key.signed(message, signature):
            raise Refused("signature_wrong", f"the signature of {key.name} is wrong")
        return time


def open_checkpoint(data: bytes, keys: Sequence[PublicKey]) -> Checkpoint:
    """The checkpoint that one of the keys signed, under its own name. Raises Refused."""
    note = Note.parse(data)
    missing: Refused | None = None
    for key in keys:
        try:
            note.check(key)
        except Refused as error:
            if error.code != "signature_missing":
                raise
            missing = error
            continue
        checkpoint = note.checkpoint()
        if checkpoint.origin != key.name:
            raise Refused("origin_differs", "the checkpoint is of another log than the key")
        return checkpoint
    raise missing or Refused("signature_missing", "no key was given")


def unbase64(text: str, code: str) -> bytes:
    """Bytes of base64 in its one canonical form. Raises Refused with the code."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(code, "something is no base64") from error
    if base64.b64encode(data).decode() != text:
        raise Refused(code, "the base64 is not in its canonical form")
    return data


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not _NAME.fullmatch(name):
        raise _malformed("a line of a signature is no dash, name and base64")
    data = unbase64(encoded, "note_malformed")
    if len(data) < 5:
        raise _malformed("a signature is too short")
    return name, data[:4], data[4:]


def _malformed(message: str) -> Refused:
    return Refused("note_malformed", message)

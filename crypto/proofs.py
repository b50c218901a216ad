"""Receipts: that an entry is in a log, as text that anybody can check offline (C2SP tlog-proof).

In: an index, hashes, a signed checkpoint. Out: text, or the checked checkpoint. Must not: call a receipt good
whose entry, path and signature do not belong together.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from common.errors import RemoteError
from crypto.merkle import check_inclusion, leaf_hash
from crypto.notes import Checkpoint, Signature, Verifier, open_note

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63  # a tree cannot be higher
MAX_RECEIPT: Final = 64 * 1024  # characters; with ten cosignatures it has four thousand
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")


class ReceiptError(RemoteError):
    """The text is no receipt."""

    def __init__(self) -> None:
        """Any departure from the format has the same code."""
        super().__init__("receipt_malformed", "the text is no receipt")


@dataclass(frozen=True, slots=True)
class InclusionReceipt:
    """Index, path and checkpoint."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str  # a signed note

    def encode(self, extra: bytes = b"") -> str:
        """The text; `extra` may be the entry itself, so that nothing else has to be kept beside it."""
        lines = [HEADER, f"index {self.index}"]
        if extra:
            lines.insert(1, f"extra {base64.b64encode(extra).decode()}")
        lines += [base64.b64encode(node).decode() for node in self.path]
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def decode(cls, text: str) -> InclusionReceipt:
        """Reads the text; an `extra` line is skipped, it proves nothing. Raises ReceiptError."""
        head, separator, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if len(text) > MAX_RECEIPT or not separator or lines[0] != HEADER:
            raise ReceiptError
        if len(lines) > 1 and lines[1].startswith("extra "):
            _decode(lines.pop(1).removeprefix("extra "))
        match = _INDEX.fullmatch(lines[1]) if len(lines) > 1 else None
        if match is None or len(lines) > 2 + MAX_HASHES:
            raise ReceiptError
        path = tuple(_decode(line) for line in lines[2:])
        if any(len(node) != 32 for node in path):
            raise ReceiptError
        return cls(int(match[1]), path, checkpoint)

    def check(self, entry: bytes, known: Iterable[Verifier]) -> tuple[Checkpoint, list[Signature]]:
        """That the entry is in the log that one of `known` signed for. Raises NoteError, ProofError."""
        text, signatures = open_note(self.checkpoint, known)
        checkpoint = Checkpoint.decode(text)
        leaf = leaf_hash(entry)
        check_inclusion(leaf, self.index, checkpoint.size, self.path, checkpoint.root)
        return checkpoint, signatures


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptError from error
    if base64.b64encode(raw).decode() != text:
        raise ReceiptError
    return raw

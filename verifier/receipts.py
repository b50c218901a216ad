"""Single proofs: that an entry is in a log (C2SP tlog-proof), that one checkpoint extends another.

In: files, public keys. Out: a report. Must not: call an entry proven without having seen it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from verifier import entries as entry_format
from verifier.folder import Folder, read_file
from verifier.notes import MAX_NOTE, Checkpoint, PublicKey, open_checkpoint, unbase64
from verifier.report import Misused, Refused, Report
from verifier.trees import EMPTY, HASH, MAX_PATH, extended, included, leaf

MAX_ENTRY: Final = 65_535  # bytes; the length of an entry is written in two
HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_RECEIPT: Final = 64 * 1024  # bytes
MAX_RECEIPTS: Final = 64 * 1024 * 1024  # bytes of a file of several
_INDEX: Final = re.compile(r"index (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt taken apart; nothing is checked."""

    index: int
    path: tuple[bytes, ...]
    note: bytes
    extra: bytes

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Takes a receipt apart. Raises Refused `receipt_malformed`."""
        head, blank, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError as error:
            raise _malformed("the head is no ASCII text") from error
        if len(data) > MAX_RECEIPT or not blank or lines.pop(0) != HEADER or not lines:
            raise _malformed("the text is no receipt")
        extra = b""
        if lines[0].startswith("extra "):
            extra = unbase64(lines.pop(0).removeprefix("extra "), "receipt_malformed")
        index = _INDEX.fullmatch(lines.pop(0)) if lines else None
        if index is None or len(lines) > MAX_PATH:
            raise _malformed("the receipt has no index, or too many hashes")
        path = tuple(unbase64(line, "receipt_malformed") for line in lines)
        if any(len(each) != HASH for each in path):
            raise _malformed("a line is no hash")
        return cls(int(index[1]), path, note, extra)

    def check(self, entry: bytes, checkpoint: Checkpoint) -> None:
        """That the entry is in the tree. Raises Refused."""
        if included(leaf(entry), self.index, checkpoint.size, self.path) != checkpoint.root:
            raise Refused(
                "entry_changed", "entry and proof lead to another root than the signed one"
            )


def check_receipt(
    data: bytes, entry: bytes | None, log: Folder | None, keys: Sequence[PublicKey], report: Report
) -> None:
    """Checks a receipt for an entry, which may also be in the receipt or in a log. Raises Misused."""
    try:
        receipt = Receipt.parse(data)
        checkpoint = open_checkpoint(receipt.note, keys)
        if entry is None and log is not None:
            entry = log.entry(receipt.index, checkpoint.size)
        if entry is None and receipt.extra:
            entry = receipt.extra
        if entry is None:
            raise Misused(
                "the receipt alone shows no entry: give it with --entry, or the log with --log"
            )
        receipt.check(entry, checkpoint)
    except Refused as error:
        report.broken(error.code, error.message)
        return
    report.facts |= {"origin": checkpoint.origin, "size": checkpoint.size, "index": receipt.index}
    report.lines.append(
        f"Entry {receipt.index} of {checkpoint.origin} is among the first {checkpoint.size:,}"
    )
    _describe(entry, report)


def check_receipts(
    data: bytes, log: Folder | None, keys: Sequence[PublicKey], report: Report
) -> None:
    """Checks receipts as the server hands them out: one JSON object with `receipt`, or with `receipts`."""
    try:
        document = json.loads(data)
        items = document.get("receipts", [document])
        pairs = [(item["receipt"].encode(), item.get("entry")) for item in items]
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        report.broken("receipt_malformed", "the file is no JSON with receipts")
        return
    for text, shown in pairs:
        # Beside a receipt stands the entry it is for; the bytes that were hashed are its canonical form.
        entry = None if shown is None else entry_format.canonical(shown)
        check_receipt(text, entry, log, keys, report)
    report.facts["receipts"] = len(pairs)


def check_consistency(
    old: bytes,
    new: bytes,
    proof: Sequence[bytes] | None,
    log: Folder | None,
    keys: Sequence[PublicKey],
    report: Report,
) -> None:
    """Checks that one checkpoint extends another, by a proof or by the log's tiles. Raises Misused."""
    try:
        older, newer = open_checkpoint(old, keys), open_checkpoint(new, keys)
        if older.origin != newer.origin:
            raise Refused("origin_differs", "the checkpoints are of different logs")
        if older.size > newer.size:
            raise Refused("order_wrong", "the first checkpoint is the larger one")
        _compare(older, newer, proof, log)
    except Refused as error:
        report.broken(error.code, error.message)
        return
    report.facts |= {"origin": newer.origin, "old": older.size, "new": newer.size}
    report.lines.append(
        f"{newer.origin}: the {newer.size:,} entries begin with the {older.size:,} signed for before"
    )


def parse_proof(data: bytes) -> list[bytes]:
    """The hashes of a proof: base64, one a line, a line `old N` before them is skipped. Raises Refused."""
    lines = data.partition(b"\n\n")[0].decode("ascii", "replace").split("\n")
    lines = [line for line in lines if line and not line.startswith("old ")]
    hashes = [unbase64(line, "proof_malformed") for line in lines[: MAX_PATH + 1]]
    if len(lines) > MAX_PATH or any(len(each) != HASH for each in hashes):
        raise Refused("proof_malformed", "the file is no proof")
    return hashes


def read_given(path: Path, limit: int) -> bytes:
    """A file that the call names. Raises Misused."""
    try:
        return read_file(path, limit)
    except Refused as error:
        raise Misused(f"{path}: {error.message}") from error


def read_entry(path: Path) -> bytes:
    """An entry's file; a newline after it is none of it."""
    return read_given(path, MAX_ENTRY + 1).removesuffix(b"\n")


def read_note(path: Path) -> bytes:
    """A checkpoint, or the one within a receipt."""
    data = read_given(path, MAX_NOTE)
    return data.partition(b"\n\n")[2] if data.startswith(HEADER.encode() + b"\n") else data


def _compare(
    older: Checkpoint, newer: Checkpoint, proof: Sequence[bytes] | None, log: Folder | None
) -> None:
    if older.size == newer.size:
        if older.root != newer.root:
            raise Refused("split_view", "two different logs of one size were signed for")
        return
    if older.size == 0:
        if older.root != EMPTY:
            raise Refused("split_view", "the root over no entries is wrong")
        return
    if proof is not None:
        roots = extended(older.size, newer.size, proof, older.root)
    elif log is not None:
        roots = (
            log.subtree(0, older.size, newer.size),
            log.subtree(0, newer.size, newer.size),
        )
    else:
        raise Misused("give a proof with --proof, or the log with --log")
    if roots[1] != newer.root:
        raise Refused("root_differs", "proof or log lead to another root than the newer one")
    if roots[0] != older.root:
        raise Refused("split_view", "the newer log does not begin with the older one")


def _describe(entry: bytes, report: Report) -> None:
    try:
        heading, problem = entry_format.read(entry)
    except entry_format.Unreadable as error:
        report.warnings.append(f"the entry says nothing: {error}")
        return
    if problem:
        report.warnings.append(f"the entry says nothing: {problem}")
    report.facts |= {"kind": heading.kind, "source": heading.source, "time": heading.time}
    report.lines.append(
        f"It says {heading.kind} at {heading.time}, number {heading.sequence} of {heading.source}"
    )


def _malformed(message: str) -> Refused:
    return Refused("receipt_malformed", message)

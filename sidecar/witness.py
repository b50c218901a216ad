"""A witness for logs of others: cosigns only growth (C2SP tlog-witness). Pure.

In: the body of an `add-checkpoint` request, the last checkpoint seen of each log, the time. Out: what to remember
and what to answer. Must not: cosign two checkpoints of a log of which neither extends the other, or cosign before
the shell has made the new one durable.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from crypto.merkle import EMPTY_ROOT, ProofError, check_consistency
from crypto.notes import Checkpoint, NoteError, Signer, Verifier, open_note

MAX_REQUEST: Final = 64 * 1024  # bytes
MAX_PROOF: Final = 63  # hashes
SIZE_TYPE: Final = "text/x.tlog.size"
TEXT_TYPE: Final = "text/plain; charset=utf-8"
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,15})")


@dataclass(frozen=True, slots=True)
class Cosigned:
    """The checkpoint is new and consistent: remember it durably, then answer with `body`."""

    checkpoint: Checkpoint
    body: str
    outcome: str = "cosigned"


@dataclass(frozen=True, slots=True)
class Declined:
    """Not cosigned. `outcome` names why; a `split_view` is proof of misbehaviour and must be kept."""

    status: int
    outcome: str
    body: str = ""
    content_type: str = TEXT_TYPE


@dataclass(frozen=True, slots=True)
class Request:
    """An `add-checkpoint` request."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    def encode(self) -> str:
        """The body."""
        lines = [f"old {self.old}", *(base64.b64encode(node).decode() for node in self.proof)]
        return "\n".join(lines) + "\n\n" + self.note

    @classmethod
    def decode(cls, body: str) -> Request:
        """Reads a body. Raises ValueError."""
        head, separator, note = body.partition("\n\n")
        old, *lines = head.split("\n")
        match = _OLD.fullmatch(old)
        if match is None or not separator or len(lines) > MAX_PROOF:
            raise ValueError("no request")
        proof = []
        for line in lines:
            node = _decode(line)
            if len(node) != len(EMPTY_ROOT):
                raise ValueError("no hash")
            proof.append(node)
        return cls(int(match[1]), tuple(proof), note)


class Witness:
    """Decides about checkpoints of the logs that it knows."""

    def __init__(self, signer: Signer, logs: Mapping[str, Sequence[Verifier]]) -> None:
        """`logs` maps origins to the keys trusted for them; `signer` is of kind COSIGNATURE."""
        self._signer = signer
        self._logs = dict(logs)

    def consider(
        self, body: bytes, seen: Mapping[str, Checkpoint], *, wall: float
    ) -> Cosigned | Declined:
        """Decides about a request; `seen` holds the last checkpoint cosigned by origin."""
        try:
            request = Request.decode(body.decode())
            origin = request.note.split("\n", 1)[0]
        except ValueError:
            return Declined(400, "request_malformed")
        if origin not in self._logs:
            return Declined(404, "log_unknown")
        try:
            text, _ = open_note(request.note, self._logs[origin])
            checkpoint = Checkpoint.decode(text)
        except NoteError as error:
            known = error.code in ("signature_wrong", "signature_missing")
            return Declined(403, error.code) if known else Declined(400, error.code)
        if request.old > checkpoint.size:
            return Declined(400, "request_malformed")
        last = seen.get(origin, Checkpoint(origin, 0, EMPTY_ROOT))
        return self._compare(request, checkpoint, last, text, wall)

    def _compare(
        self, request: Request, checkpoint: Checkpoint, last: Checkpoint, text: str, wall: float
    ) -> Cosigned | Declined:
        if request.old != last.size:
            return Declined(409, "size_conflict", f"{last.size}\n", SIZE_TYPE)
        if checkpoint.size == last.size and checkpoint.root != last.root:
            return Declined(409, "split_view", f"{last.size}\n", SIZE_TYPE)
        try:
            check_consistency(last.size, checkpoint.size, request.proof, last.root, checkpoint.root)
        except ProofError:
            return Declined(422, "growth_unproven")
        return Cosigned(checkpoint, self._signer.cosign(text, int(wall)) + "\n")


def _decode(line: str) -> bytes:
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error

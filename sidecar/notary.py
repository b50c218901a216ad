"""Signs checkpoints, and only such that extend the last one. Pure.

In: a checkpoint with the proof that it extends the last one signed. Out: the signed note. Must not: ever sign two
checkpoints of which neither extends the other; a log that does is worthless.
"""

from __future__ import annotations

from collections.abc import Sequence

from common.errors import LocalError
from crypto.merkle import EMPTY_ROOT, ProofError, check_consistency
from crypto.notes import Checkpoint, Signer, assemble, open_note


class Inconsistent(LocalError):  # noqa: N818 - a verdict
    """The tree does not extend what was signed: `checkpoint_inconsistent`. Nothing is signed any more."""

    def __init__(self, message: str) -> None:
        """`message` names the sizes."""
        super().__init__("checkpoint_inconsistent", message)


class Notary:
    """A log's signing key and the last checkpoint that it signed."""

    def __init__(self, signer: Signer, last: Checkpoint | None = None) -> None:
        """`last` is what an earlier run signed, if there was one."""
        self._signer = signer
        self.last = last or Checkpoint(signer.verifier.name, 0, EMPTY_ROOT)

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._signer.verifier.name

    def sign(self, size: int, root: bytes, proof: Sequence[bytes]) -> str:
        """The note; `proof` leads from the last checkpoint to this one. Raises Inconsistent."""
        last = self.last
        try:
            check_consistency(last.size, size, proof, last.root, root)
        except ProofError as error:
            message = f"a tree of {size} entries does not extend the one of {last.size}"
            raise Inconsistent(message) from error
        checkpoint = Checkpoint(self.origin, size, root)
        text = checkpoint.encode()
        note = assemble(text, [self._signer.sign(text)])
        self.last = checkpoint
        return note

    def open(self, note: str) -> Checkpoint:
        """A checkpoint that this key signed. Raises NoteError."""
        text, _ = open_note(note, [self._signer.verifier])
        return Checkpoint.decode(text)

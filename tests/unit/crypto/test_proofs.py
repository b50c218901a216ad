"""Receipts: good ones hold, and no other text does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from crypto.merkle import inclusion_proof, leaf_hash, root_of
from crypto.notes import Checkpoint, Signer, assemble
from crypto.proofs import HEADER, InclusionReceipt, ReceiptError

ENTRIES = [b"entry %d" % number for number in range(13)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
LOG = Signer("conclave.example/log", bytes(32))
TEXT = Checkpoint("conclave.example/log", 13, root_of(LEAVES)).encode()
NOTE = assemble(TEXT, [LOG.sign(TEXT)])


def receipt(index: int) -> InclusionReceipt:
    path = inclusion_proof(
        index, 13, lambda level, i: root_of(LEAVES[i << level : (i + 1) << level])
    )
    return InclusionReceipt(index, tuple(path), NOTE)


@pytest.mark.parametrize("index", range(13))
def test_a_receipt_holds_for_its_entry_only(index: int) -> None:
    decoded = InclusionReceipt.decode(receipt(index).encode())
    assert decoded == receipt(index)
    checkpoint, signatures = decoded.check(ENTRIES[index], [LOG.verifier])
    assert checkpoint.size == 13
    assert [signature.verifier for signature in signatures] == [LOG.verifier]
    with pytest.raises(RemoteError):
        decoded.check(b"another", [LOG.verifier])
    with pytest.raises(RemoteError):
        decoded.check(ENTRIES[index], [Signer("other", bytes(32)).verifier])


def test_an_extra_line_is_skipped() -> None:
    text = receipt(3).encode()
    assert InclusionReceipt.decode(text.replace("\nindex", "\nextra AAAA\nindex")) == receipt(3)
    assert InclusionReceipt.decode(receipt(3).encode(ENTRIES[3])) == receipt(3)


@given(st.integers(0, len(receipt(5).encode()) - 1), st.characters())
def test_a_changed_character_is_noticed(position: int, character: str) -> None:
    text = receipt(5).encode()
    changed = text[:position] + character + text[position + 1 :]
    if changed == text:
        return
    with pytest.raises(RemoteError):
        InclusionReceipt.decode(changed).check(ENTRIES[5], [LOG.verifier])


@pytest.mark.parametrize("length", range(0, len(receipt(5).encode()), 7))
def test_a_truncated_receipt_is_refused(length: int) -> None:
    with pytest.raises(RemoteError):
        InclusionReceipt.decode(receipt(5).encode()[:length]).check(ENTRIES[5], [LOG.verifier])


@pytest.mark.parametrize(
    "head",
    ["", HEADER, f"{HEADER}\nindex", f"{HEADER}\nindex 01", f"{HEADER}\nindex -1", f"{HEADER}\nindex 1\nAAAA",
     f"{HEADER}\nextra !\nindex 1", f"{HEADER}\nindex 1" + ("\n" + "A" * 43 + "=") * 64, "other\nindex 1",
     f"{HEADER}\nindex 1\n" + "A" * 42 + "B="],
)  # fmt: skip
def test_malformed_receipts_are_refused(head: str) -> None:
    with pytest.raises(ReceiptError):
        InclusionReceipt.decode(f"{head}\n\n{NOTE}")


@given(st.text(max_size=200))
def test_arbitrary_text_is_refused(text: str) -> None:
    with pytest.raises(ReceiptError):
        InclusionReceipt.decode(text)

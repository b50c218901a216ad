"""Signed notes: what was signed opens, what was touched does not."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.notes import (
    COSIGNATURE,
    Checkpoint,
    NoteError,
    Signer,
    Verifier,
    assemble,
    open_note,
)

LOG = Signer("conclave.example/log", bytes(range(32)))
WITNESS = Signer("witness.example", bytes(range(1, 33)), COSIGNATURE)
CHECKPOINT = Checkpoint("conclave.example/log", 42, bytes(32))
TEXT = CHECKPOINT.encode()
NOTE = assemble(TEXT, [LOG.sign(TEXT), WITNESS.cosign(TEXT, 1_700_000_000)])
KNOWN = [LOG.verifier, WITNESS.verifier]

# The example of the signed-note specification.
PUBLISHED_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PUBLISHED_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6"
    "KE6RyyBwJnAM=\n"
)


def code(note: str, known: list[Verifier] | None = None) -> str:
    with pytest.raises(NoteError) as caught:
        open_note(note, KNOWN if known is None else known)
    return caught.value.code


def test_the_published_example_opens() -> None:
    verifier = Verifier.decode(PUBLISHED_KEY)
    assert verifier.encode() == PUBLISHED_KEY
    text, (signature,) = open_note(PUBLISHED_NOTE, [verifier])
    assert text.startswith("If you think")
    assert signature.verifier == verifier


def test_a_note_opens_with_both_signatures() -> None:
    text, signatures = open_note(NOTE, KNOWN)
    assert Checkpoint.decode(text) == CHECKPOINT
    assert [signature.verifier.name for signature in signatures] == [
        LOG.verifier.name,
        "witness.example",
    ]
    assert signatures[1].timestamp == 1_700_000_000


def test_unknown_keys_are_ignored() -> None:
    _, signatures = open_note(NOTE, [LOG.verifier])
    assert len(signatures) == 1
    assert code(NOTE, [Signer("other", bytes(32)).verifier]) == "signature_missing"


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_any_changed_character_is_noticed(position: int, character: str) -> None:
    changed = NOTE[:position] + character + NOTE[position + 1 :]
    if changed == NOTE:
        return
    try:
        _, signatures = open_note(changed, KNOWN)
    except NoteError:
        return
    # A change on one signature line can at most turn it into a stranger's.
    assert len(signatures) < 2


@pytest.mark.parametrize("length", range(len(NOTE)))
def test_a_truncated_note_never_opens_with_all_signatures(length: int) -> None:
    try:
        _, signatures = open_note(NOTE[:length], KNOWN)
    except NoteError:
        return
    assert len(signatures) < 2


@given(st.text())
def test_arbitrary_text_is_refused_by_name(text: str) -> None:
    assert code(text) in ("note_malformed", "signature_missing")


def test_a_wrong_signature_of_a_known_key_is_an_error() -> None:
    assert code(NOTE.replace("\n42\n", "\n43\n")) == "signature_wrong"


def test_a_cosignature_does_not_pass_for_another_time() -> None:
    line = WITNESS.cosign(TEXT, 5)
    name, encoded = line[2:].split(" ")
    raw = bytearray(base64.b64decode(encoded))
    raw[11] ^= 1
    forged = f"\u2014 {name} {base64.b64encode(bytes(raw)).decode()}"
    assert code(assemble(TEXT, [forged])) == "signature_wrong"


@pytest.mark.parametrize("text", ["no newline", "tab\there\n", "bell\x07\n", "\ud800\n"])
def test_ambiguous_text_is_not_signed(text: str) -> None:
    with pytest.raises(NoteError, match="text"):
        LOG.sign(text)


def test_too_many_signatures_are_refused() -> None:
    assert code(assemble(TEXT, [LOG.sign(TEXT)] * 101)) == "note_malformed"


@pytest.mark.parametrize(
    "text",
    ["", "log\n", "log\n1\n", "log\n01\nAAAA\n", "log\n-1\n" + "A" * 43 + "=\n", "log\n1\nAAAA\n",
     "\n1\n" + "A" * 43 + "=\n", "log\n1\n" + "A" * 43 + "=\n\nmore\n", "log\n1\n" + "A" * 43 + "=",
     "log\n1\n" + "A" * 42 + "B=\n", "log\n99999999999999999\n" + "A" * 43 + "=\n"],
)  # fmt: skip
def test_malformed_checkpoints_are_refused(text: str) -> None:
    with pytest.raises(NoteError) as caught:
        Checkpoint.decode(text)
    assert caught.value.code == "checkpoint_malformed"


def test_extension_lines_survive() -> None:
    checkpoint = Checkpoint("log", 1, bytes(32), ("region eu",))
    assert Checkpoint.decode(checkpoint.encode()) == checkpoint


@pytest.mark.parametrize(
    "key",
    ["", "a+b", "a b+00000000+AAAA", PUBLISHED_KEY.replace("c74f", "c74e"), PUBLISHED_KEY[:-4]],
)
def test_malformed_keys_are_refused(key: str) -> None:
    with pytest.raises(NoteError) as caught:
        Verifier.decode(key)
    assert caught.value.code == "key_malformed"

"""A witness cosigns growth and nothing else, and says by status why."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock import ManualClock
from crypto.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, root_of
from crypto.notes import COSIGNATURE, Checkpoint, Signer, assemble, open_note
from sidecar.metrics import Metrics
from sidecar.witness import Cosigned, Declined, Request, Witness
from sidecar.witnessing import WitnessDesk
from tests.support.disk import Disk, always

LOG = Signer("conclave.example/audit", bytes(range(32)))
SIGNER = Signer("witness.example", bytes(range(1, 33)), COSIGNATURE)
WITNESS = Witness(SIGNER, {"conclave.example/audit": [LOG.verifier]})
WALL = 1_700_000_000.9


def history(name: str) -> list[bytes]:
    return [leaf_hash(f"{name} {number}".encode()) for number in range(40)]


MAIN, FORK = history("main"), history("main")[:10] + history("fork")[10:]


def note(size: int, leaves: list[bytes] = MAIN, signer: Signer = LOG) -> str:
    text = Checkpoint("conclave.example/audit", size, root_of(leaves[:size])).encode()
    return assemble(text, [signer.sign(text)])


def request(old: int, size: int, leaves: list[bytes] = MAIN) -> bytes:
    def subtree(level: int, index: int) -> bytes:
        return root_of(leaves[index << level : (index + 1) << level])

    proof = consistency_proof(old, size, subtree) if 0 < old <= size else []
    return Request(old, tuple(proof), note(size, leaves)).encode().encode()


def seen(size: int) -> dict[str, Checkpoint]:
    root = root_of(MAIN[:size]) if size else EMPTY_ROOT
    return {LOG.verifier.name: Checkpoint(LOG.verifier.name, size, root)}


def declined(body: bytes, last: int = 20) -> Declined:
    decision = WITNESS.consider(body, seen(last), wall=WALL)
    assert isinstance(decision, Declined)
    return decision


@pytest.mark.parametrize(("old", "new"), [(0, 1), (0, 40), (1, 2), (20, 21), (20, 20), (7, 39)])
def test_growth_is_cosigned(old: int, new: int) -> None:
    decision = WITNESS.consider(request(old, new), seen(old), wall=WALL)
    assert isinstance(decision, Cosigned)
    assert decision.checkpoint.size == new
    text, (signature,) = open_note(note(new) + decision.body, [SIGNER.verifier])
    assert signature.timestamp == 1_700_000_000
    assert Checkpoint.decode(text) == decision.checkpoint


def test_a_log_never_seen_begins_at_zero() -> None:
    assert isinstance(WITNESS.consider(request(0, 5), {}, wall=WALL), Cosigned)


def test_a_wrong_old_size_is_told_the_right_one() -> None:
    for old in (0, 10, 25):
        answer = declined(request(old, 30))
        assert (answer.status, answer.outcome) == (409, "size_conflict")
        assert (answer.body, answer.content_type) == ("20\n", "text/x.tlog.size")


def test_the_same_size_under_another_root_is_a_split_view() -> None:
    answer = declined(request(20, 20, FORK))
    assert (answer.status, answer.outcome) == (409, "split_view")


def test_a_fork_is_not_cosigned() -> None:
    assert declined(request(20, 30, FORK)).outcome == "growth_unproven"
    assert declined(request(20, 30, FORK)).status == 422


def test_an_old_size_beyond_the_checkpoint_is_malformed() -> None:
    assert declined(request(20, 19)).status == 400


def test_an_unknown_log_and_a_wrong_signature_are_told_apart() -> None:
    stranger = Signer("stranger.example", bytes(32))
    text = Checkpoint("stranger.example", 1, MAIN[0]).encode()
    unknown = Request(20, (), assemble(text, [stranger.sign(text)])).encode().encode()
    assert declined(unknown).status == 404
    unsigned = Request(20, (), note(30, signer=stranger)).encode().encode()
    assert (declined(unsigned).status, declined(unsigned).outcome) == (403, "signature_missing")
    forged = request(20, 30).replace(b"\n30\n", b"\n31\n")
    assert (declined(forged).status, declined(forged).outcome) == (403, "signature_wrong")


@pytest.mark.parametrize(
    "body",
    [b"", b"old\n\n", b"old 01\n\n", b"old -1\n\n", b"old 1\nAAAA\n\n", b"old 1\n!\n\n", b"new 1\n\n", b"\xff",
     b"old 1\n" + b"A" * 43 + b"=\n" * 1, b"old 1\n" + (b"A" * 43 + b"=\n") * 64 + b"\n"],
)  # fmt: skip
def test_malformed_requests_are_refused(body: bytes) -> None:
    assert declined(body + note(30).encode()).status == 400


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused(body: bytes) -> None:
    assert declined(body).status in (400, 404)


@given(st.integers(0, len(request(20, 30)) - 1), st.integers(0, 255))
def test_no_changed_request_leads_to_another_checkpoint(position: int, byte: int) -> None:
    body = bytearray(request(20, 30))
    body[position] = byte
    decision = WITNESS.consider(bytes(body), seen(20), wall=WALL)
    if isinstance(decision, Cosigned):
        assert decision.checkpoint == Checkpoint(LOG.verifier.name, 30, root_of(MAIN[:30]))


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 40), st.booleans()), max_size=12))
def test_whatever_is_asked_all_that_is_cosigned_is_one_history(
    questions: list[tuple[int, int, bool]],
) -> None:
    memory: dict[str, Checkpoint] = {}
    signed: list[Checkpoint] = []
    for old, size, forked in questions:
        body = request(old, size, FORK if forked else MAIN)
        decision = WITNESS.consider(body, memory, wall=WALL)
        if isinstance(decision, Cosigned):
            memory[LOG.verifier.name] = decision.checkpoint
            signed.append(decision.checkpoint)
    assert signed == sorted(signed, key=lambda each: each.size)
    for leaves in (MAIN, FORK):
        if all(each.root == root_of(leaves[: each.size]) for each in signed):
            return
    raise AssertionError("two histories were cosigned")


def test_the_desk_remembers_before_it_answers() -> None:
    disk = Disk()
    desk = WitnessDesk(WITNESS, disk, ManualClock(), Metrics())
    assert isinstance(asyncio.run(desk.answer(request(0, 20))), Cosigned)
    desk.close()
    again = WitnessDesk(WITNESS, disk.crash(always(answer=False)), ManualClock(), Metrics())
    answer = asyncio.run(again.answer(request(0, 5, FORK)))
    assert isinstance(answer, Declined)
    assert answer.outcome == "size_conflict"
    again.close()


def test_the_desk_does_not_answer_if_it_cannot_remember() -> None:
    disk = Disk()
    desk = WitnessDesk(WITNESS, disk, ManualClock(), Metrics())
    disk.capacity = disk.used()
    with pytest.raises(OSError, match="space"):
        asyncio.run(desk.answer(request(0, 20)))
    disk.capacity = None
    assert isinstance(asyncio.run(desk.answer(request(0, 20, FORK))), Cosigned)
    desk.close()


def test_the_desk_keeps_evidence_of_a_split_view() -> None:
    disk = Disk()
    metrics = Metrics()
    desk = WitnessDesk(WITNESS, disk, ManualClock(), metrics)
    for body in (
        request(0, 20),
        request(20, 20, FORK),
        request(20, 30, FORK),
        request(20, 30, FORK),
    ):
        asyncio.run(desk.answer(body))
    desk.close()
    kept = [bytes(i.data) for name, i in disk.names.items() if name.startswith("evidence/")]
    assert sorted(kept) == sorted([request(20, 20, FORK), request(20, 30, FORK)])
    assert b'conclave_audit_witnessed_total{outcome="split_view"} 1.0' in metrics.exposition()[0]

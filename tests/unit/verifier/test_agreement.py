"""Two programs with no line in common say the same of the same bytes."""

from __future__ import annotations

import copy
import json
import shutil
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConclaveError
from compliance.envelope import decode, encode, peek
from compliance.events import KINDS, data_fields
from compliance.files import PosixFiles
from crypto.notes import NoteError, open_note
from crypto.proofs import InclusionReceipt, ReceiptError
from sidecar.journal import encode_group
from sidecar.store import open_store
from tests.support.audit import ONE_OF_EACH, record, records
from tests.support.evidence import KEY, SIGNER, entries, examine, filled, leaf, signed, wrong
from tests.support.logs import Log, arrival
from verifier import entries as own
from verifier.kinds import KINDS as OWN_KINDS
from verifier.notes import Note, PublicKey
from verifier.receipts import Receipt
from verifier.report import Refused
from verifier.sequences import Digest

pytestmark = pytest.mark.timeout(240)  # thousands of cases, on a busy machine


def theirs(entry: bytes) -> bool:
    try:
        decode(entry)
    except ConclaveError:
        return False
    return True


def ours(entry: bytes) -> bool:
    try:
        return own.read(entry)[1] == ""
    except own.Unreadable:
        return False


def test_the_kinds_are_the_same() -> None:
    letters = {"str": "s", "int": "n", "bool": "b", "tuple[str, ...]": "l"}
    expected = {
        kind: {name: letters[event.__dataclass_fields__[name].type] for name in data_fields(event)}
        for kind, event in KINDS.items()
    }
    assert expected == OWN_KINDS


@given(records)
@settings(deadline=None)
def test_every_entry_that_can_be_written_is_read(made: object) -> None:
    assert ours(encode(made))  # type: ignore[arg-type]


GOOD = [json.loads(encode(record(event, sequence=5))) for event in ONE_OF_EACH]
ODD = st.sampled_from(
    ["", " ", "a b", "10.0.0.1", "::1", "a" * 128, "a" * 129, "p_" + "0" * 32, "v_" + "0" * 32, "é", "1.2.3.4:5",
     "2026-02-30T00:00:00.000000Z", "2026-02-28T00:00:00.000000Z", "2026-02-28T00:00:00Z", "0" * 64, "\ud800",
     "\x7f", "granted", "system", "admit", 0, 1, -1, 2**53, 2**53 - 1, 1.5, 1.0, -0.0, 10**30, True, False,
     None, [], {}, [""], ["a"] * 65, ["a"] * 64, {"a": {}}, [1],
     {"role": "system"}, {"role": "system", "key": ""}, {"pop": "a"}]
)  # fmt: skip


Place = tuple[Any, str | int]  # an object or list, and where in it


def places(document: Any) -> Iterator[Place]:
    """Every value of a document, at any depth."""
    for name in document if isinstance(document, dict) else range(len(document)):
        yield document, name
        if isinstance(document[name], dict | list):
            yield from places(document[name])


def written(document: object, separators: tuple[str, str] = (",", ":")) -> bytes:
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=separators)
    return text.encode("utf-8", "surrogatepass")


@given(st.sampled_from(GOOD), st.data())
@settings(max_examples=1000, deadline=None)
def test_changed_entries_are_judged_alike(good: dict[str, object], data: st.DataObject) -> None:
    document = json.loads(json.dumps(good))
    for _ in range(data.draw(st.integers(1, 2))):
        part, name = data.draw(st.sampled_from(list(places(document))))
        if isinstance(part, dict) and data.draw(st.booleans()):
            name = data.draw(st.sampled_from(["unknown", "extra", "tenant", "private", "where"]))
        if data.draw(st.booleans()):
            part[name] = copy.deepcopy(data.draw(ODD))
        elif isinstance(part, list) or name in part:
            del part[name]
        if not document:
            break
    spaced = data.draw(st.sampled_from([(",", ":"), (",", ":"), (", ", ":")]))
    entry = written(document, spaced)
    assert ours(entry) == theirs(entry), entry


@pytest.mark.parametrize("good", GOOD, ids=lambda each: each["kind"])
def test_both_refuse_a_number_and_a_truth_in_each_others_place(good: dict[str, object]) -> None:
    for part, name in places(good):
        value = part[name]
        if part is good.get("extra") or not isinstance(value, int):
            continue
        twins = [int(value)] if isinstance(value, bool) else [bool(value), float(value), str(value)]
        for twin in twins:
            part[name] = twin
            entry = written(good)
            part[name] = value
            assert not ours(entry), entry
            assert not theirs(entry), entry
            if part is good and name == "sequence":
                with pytest.raises(ConclaveError):
                    peek(entry)


@given(st.sampled_from(GOOD), st.data())
@settings(max_examples=300, deadline=None)
def test_entries_with_changed_bytes_are_judged_alike(
    good: dict[str, object], data: st.DataObject
) -> None:
    entry = bytearray(json.dumps(good, sort_keys=True, separators=(",", ":")).encode())
    position = data.draw(st.integers(0, len(entry) - 1))
    entry[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    assert ours(bytes(entry)) == theirs(bytes(entry))


NOTE = signed([leaf(b"x")]).encode()
RECEIPT = InclusionReceipt(0, (), NOTE.decode()).encode().encode()


@st.composite
def changed(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with some cut out and some put in."""
    position = draw(st.integers(0, len(data)))
    end = draw(st.integers(position, min(len(data), position + 3)))
    new = draw(
        st.binary(max_size=3) | st.sampled_from([b"\n", b"\n\n", b" ", "— ".encode(), b"+", b"="])
    )
    return data[:position] + new + data[end:]


@given(changed(NOTE))
@settings(max_examples=500, deadline=None)
def test_notes_are_judged_alike(note: bytes) -> None:
    try:
        open_note(note.decode(), [SIGNER.verifier])
        expected = True
    except (NoteError, UnicodeDecodeError):
        expected = False
    try:
        Note.parse(note).check(KEY)
        assert expected
    except Refused:
        assert not expected


@given(changed(RECEIPT))
@settings(max_examples=500, deadline=None)
def test_receipts_are_taken_apart_alike(text: bytes) -> None:
    try:
        expected = InclusionReceipt.decode(text.decode())
    except (ReceiptError, UnicodeDecodeError):
        with pytest.raises(Refused):
            Note.parse(Receipt.parse(text).note)
        return
    try:
        receipt = Receipt.parse(text)
    except Refused:
        assert not text.isascii()
        return
    assert (receipt.index, receipt.path) == (expected.index, expected.path)


@given(changed(KEY.name.encode() + SIGNER.verifier.encode()[len(KEY.name) :].encode()))
@settings(max_examples=300, deadline=None)
def test_a_changed_key_is_another_or_none(text: bytes) -> None:
    try:
        key = PublicKey.parse(text.decode("utf-8", "replace"))
    except Refused:
        return
    assert key == KEY


@given(st.binary(max_size=600))
@settings(max_examples=300, deadline=None)
def test_no_bytes_do_harm(data: bytes) -> None:
    for parse in (Note.parse, Receipt.parse):
        try:
            parse(data)
        except Refused:
            continue
    try:
        Digest().take(0, own.read(data)[0])
    except own.Unreadable:
        return


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a stopped sidecar leaves: tiles, journal, checkpoints, its state."""
    root = tmp_path_factory.mktemp("store")
    with closing(PosixFiles(root / "log")) as files, closing(PosixFiles(root / "state")) as state:
        log = Log(files, state)
        for first in range(0, 300, 50):
            log.commit([arrival(each) for each in entries(filled(300))[first : first + 50]])
            log.publish()
        log.writer.close()
    return root


def opens(root: Path) -> bool:
    """Whether the sidecar would work on it."""
    with closing(PosixFiles(root / "log")) as files, closing(PosixFiles(root / "state")) as state:
        try:
            writer, _ = open_store(files, state, SIGNER)
        except ConclaveError:
            return False
        writer.close()
        return True


def test_both_accept_what_was_left(store: Path, tmp_path: Path) -> None:
    assert examine(store / "log", state=store / "state").code == 0
    shutil.copytree(store, tmp_path / "copy")
    assert opens(tmp_path / "copy")


CORPUS = [
    "log/checkpoint",
    "state/signed",
    "log/tile/0/000",
    "log/wal/0000000000000000.wal",
    "log/tile/entries/000",
]


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
@pytest.mark.parametrize("at", [0.0, 0.3, 0.77])
def test_what_stops_the_sidecar_is_found_by_the_verifier(
    store: Path, tmp_path: Path, name: str, change: str, at: float
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(store, root)
    path = root / name
    data = bytearray(path.read_bytes())
    position = int(len(data) * at)
    if change == "flip":
        data[position] ^= 0x10
        path.write_bytes(data)
    elif change == "cut":
        path.write_bytes(data[:position])
    else:
        path.unlink()
    report = examine(root / "log", state=root / "state")
    journal_alone = any("journal ends" in warning for warning in report.warnings)
    assert report.integrity.count or journal_alone or opens(root)
    if name != "log/wal/0000000000000000.wal" and not name.startswith("state"):
        assert report.integrity.count, wrong(report)


@pytest.mark.parametrize("byte", [4, 5, 6, 7])
def test_neither_takes_a_flipped_length_for_a_torn_end(tmp_path: Path, byte: int) -> None:
    for folder in ("log", "state"):
        PosixFiles(tmp_path / folder).close()
    (tmp_path / "log/wal").mkdir()
    items = entries(filled(20))
    groups = [encode_group(0, items[:10]), encode_group(10, items[10:])]
    data = bytearray(struct.pack("!8sQ", b"CNCLWAL1", 0) + b"".join(groups))
    data[16 + byte] ^= 1
    (tmp_path / "log/wal/0000000000000000.wal").write_bytes(data)
    (tmp_path / "log/checkpoint").write_text(signed([]))
    assert wrong(examine(tmp_path / "log")) == ["journal_damaged"]
    assert not opens(tmp_path)

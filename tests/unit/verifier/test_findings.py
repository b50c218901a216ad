"""Every finding has a name that is documented, and those that are rare are made here."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

import pytest

from crypto.notes import Checkpoint, assemble
from sidecar.journal import encode_group
from tests.support.evidence import (
    KEY,
    SIGNER,
    entries,
    examine,
    filled,
    leaf,
    missing,
    naive_root,
    signed,
    write_log,
    wrong,
)
from verifier.notes import open_checkpoint
from verifier.report import INCOMPLETE, OK, Refused

ROOT = Path(__file__).resolve().parents[3]
CODE = re.compile(r'(?:Refused|Finding|broken|incomplete|_find)\(\s*"([a-z_]+)"')
OTHERS = {"file_missing", "split_view", "log_rewritten"}  # chosen by an expression
ITEMS = entries(filled(600))


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "verifier").glob("*.py"))
    used = set(CODE.findall(sources)) | OTHERS
    used |= set(re.findall(r'unbase64\([^()]*(?:\([^()]*\))?[^()]*"([a-z_]+)"\)', sources))
    table = (ROOT / "docs/audit-format.md").read_text().partition("| code of a finding |")[2]
    documented = set()
    for line in table.split("\n\n")[0].splitlines():
        documented |= set(re.findall(r"`([a-z_]+)`", line.partition("|")[2].partition("|")[0]))
    assert used == documented


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "log", ITEMS)


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def test_where_nothing_tells_which_view_is_right_both_are_named(log: Path) -> None:
    flip(log / "tile/0/001", 5)
    flip(log / "tile/1/000.p/2", 40)
    flip(log / "tile/entries/001", 100)
    report = examine(log)
    assert set(wrong(report)) == {"hash_differs", "root_differs"}
    assert {finding.where.get("entry") for finding in report.integrity.findings} == {256, None}


def test_a_tile_of_a_wrong_length_is_named(log: Path) -> None:
    path = log / "tile/0/000"
    path.write_bytes(path.read_bytes()[:-1])
    (finding,) = examine(log).integrity.findings
    assert (finding.code, finding.where["tile"]) == ("tile_unreadable", "tile/0/000")
    assert "8191 bytes instead of 8192" in finding.message


def test_a_known_checkpoint_that_cannot_be_compared_is_told(log: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text(signed([leaf(each) for each in ITEMS[:100]]))
    (log / "tile/0/000").unlink()
    assert wrong(examine(log, known=[kept])) == ["tile_unreadable", "checkpoint_unproven"]


def test_a_checkpoint_of_another_log_under_the_same_key_is_refused() -> None:
    text = Checkpoint("another.example/log", 1, naive_root([leaf(b"x")])).encode()
    with pytest.raises(Refused) as caught:
        open_checkpoint(assemble(text, [SIGNER.sign(text)]).encode(), [KEY])
    assert caught.value.code == "origin_differs"


def segment(log: Path, first: int, *groups: bytes) -> Path:
    path = log / f"wal/{first:016d}.wal"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(struct.pack("!8sQ", b"CNCLWAL1", first) + b"".join(groups))
    return path


MORE = entries(filled(700))[600:640]


def test_unsigned_entries_count_for_completeness_and_are_told_apart(tmp_path: Path) -> None:
    log = write_log(tmp_path, entries(filled(700))[:600])
    segment(log, 600, encode_group(600, MORE[:10]), encode_group(610, MORE[10:]))
    report = examine(log)
    assert report.code == OK
    assert report.facts["unsigned"] == {"first": 600, "entries": 40, "torn": False}
    segment(log, 600, encode_group(600, MORE[:10]), encode_group(610, MORE[11:]))
    report = examine(log)
    assert (report.code, missing(report)) == (INCOMPLETE, ["sequence_gap"])


def test_entries_between_log_and_journal_are_missed(log: Path) -> None:
    segment(log, 605, encode_group(605, MORE[5:]))
    assert wrong(examine(log)) == ["journal_gap"]


def test_a_missing_segment_is_damage(log: Path) -> None:
    segment(log, 590, encode_group(590, ITEMS[590:595]))
    segment(log, 596, encode_group(596, ITEMS[596:600]))
    (finding,) = examine(log).integrity.findings
    assert (finding.code, finding.where["entry"]) == ("journal_damaged", 595)


def test_a_flipped_length_with_a_group_behind_it_is_damage_and_no_torn_end(log: Path) -> None:
    first = encode_group(590, ITEMS[590:600])
    path = segment(log, 590, first, encode_group(600, MORE[:3]))
    flip(path, 16 + 5)
    assert wrong(examine(log)) == ["journal_damaged"]
    path = segment(log, 590, first)
    flip(path, 16 + 5)  # the only group: nobody can say that it was ever whole
    assert examine(log).integrity.name == "intact"


def test_segments_that_a_running_log_removes_meanwhile_are_no_damage(log: Path) -> None:
    path = segment(log, 100, encode_group(100, ITEMS[100:110]))
    path.rename(path.with_name("gone"))
    path.symlink_to("nothing")  # listed, and gone when it is opened
    segment(log, 595, encode_group(595, ITEMS[595:]))
    assert examine(log).code == OK


@pytest.mark.parametrize("size", [10**9, 10**15])
def test_a_log_that_signs_for_more_than_it_could_hold_keeps_nobody_waiting(
    log: Path, size: int
) -> None:
    text = Checkpoint(SIGNER.verifier.name, size, bytes(32)).encode()
    (log / "checkpoint").write_text(assemble(text, [SIGNER.sign(text)]))
    report = examine(log)
    found = [f.where["entry"] for f in report.integrity.findings if f.code == "entries_missing"]
    assert found == [65_536 * n for n in (1, 2, 3, 4, 5)]
    assert "entries_unreadable" in missing(report)


def test_a_log_of_which_nothing_is_left_is_told_in_one_sentence(log: Path) -> None:
    shutil.rmtree(log / "tile")
    report = examine(log)
    assert wrong(report)[0] == "entries_missing"
    assert missing(report) == ["entries_unreadable"]

"""Whatever is changed in a log is found, and named with the entry or tile that it is in."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.merkle import inclusion_proof
from crypto.notes import COSIGNATURE, Signer, assemble
from crypto.proofs import InclusionReceipt
from tests.support.evidence import (
    KEY,
    SIGNER,
    entries,
    examine,
    filled,
    judged,
    leaf,
    meeting,
    missing,
    naive_root,
    signed,
    write_log,
    wrong,
)
from verifier.cli import main, show_progress
from verifier.notes import PublicKey
from verifier.report import BROKEN, OK, USAGE, Misused, Report

pytestmark = pytest.mark.timeout(240)  # thousands of cases, on a busy machine


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three bundles, the last of them partial."""
    return write_log(tmp_path / "log", entries(filled(600)))


@pytest.fixture(scope="module")
def tall(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with full tiles of level 1 and a tile of level 2."""
    return write_log(tmp_path_factory.mktemp("tall"), entries(filled(65_536 + 700)))


@pytest.mark.parametrize("count", [2, 3, 255, 256, 257, 511, 512, 513, 600])
def test_an_untouched_log_is_intact_and_complete(tmp_path: Path, count: int) -> None:
    report = judged(tmp_path, filled(count))
    assert (report.code, report.facts["size"], report.facts["open"]) == (OK, count, [])


def test_an_empty_log_is_intact(tmp_path: Path) -> None:
    assert judged(tmp_path, []).code == OK


def test_a_tall_log_is_intact(tall: Path) -> None:
    assert examine(tall).code == OK


def flips(path: Path, step: int = 1) -> Iterator[int]:
    """Flips each byte of a file in turn, then puts it back."""
    data = path.read_bytes()
    for position in range(0, len(data), step):
        changed = bytearray(data)
        changed[position] ^= 1
        path.write_bytes(changed)
        yield position
    path.write_bytes(data)


def test_every_byte_of_every_file_counts(tmp_path: Path) -> None:
    log = write_log(tmp_path, entries(meeting(1)))
    files = [path for path in log.rglob("*") if path.is_file() and path.name != "key.pub"]
    assert len(files) == 3
    for path in files:
        for position in flips(path):
            assert examine(log).code == BROKEN, (path, position)
    for position in flips(log / "key.pub"):
        assert examine(log, keys=[]).code == BROKEN, position


def test_a_flipped_byte_of_an_entry_names_the_entry(tmp_path: Path) -> None:
    items = entries(meeting(1))
    log = write_log(tmp_path, items)
    owner = [n for n, entry in enumerate(items) for _ in range(2 + len(entry))]
    for position in flips(log / "tile/entries/000.p" / str(len(items))):
        places = [finding.where["entry"] for finding in examine(log).integrity.findings]
        assert owner[position] in places, position


@pytest.mark.parametrize(
    "name",
    ["entries/000", "entries/001", "0/000", "0/001", "0/002.p/88", "1/000.p/2", "checkpoint"],
)
def test_a_file_cut_anywhere_is_found(log: Path, name: str) -> None:
    path = log / ("" if name == "checkpoint" else "tile") / name
    data = path.read_bytes()
    step = 1 if len(data) < 1000 else 997
    for length in range(0, len(data), step):
        path.write_bytes(data[:length])
        assert examine(log).code == BROKEN, length
    path.unlink()
    assert examine(log).code == BROKEN


def change(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 0x40
    path.write_bytes(data)


def test_a_changed_hash_in_an_old_tile_names_the_tile(log: Path) -> None:
    change(log / "tile/0/001", 32 * 7 + 3)
    report = examine(log)
    (finding,) = report.integrity.findings
    assert (finding.code, finding.where) == (
        "tile_changed",
        {"entry": 256 + 7, "tile": "tile/0/001"},
    )


def test_a_changed_hash_in_a_partial_tile_names_the_tile(log: Path) -> None:
    change(log / "tile/0/002.p/88", 32 * 9)
    (finding,) = examine(log).integrity.findings
    assert finding.where == {"entry": 512 + 9, "tile": "tile/0/002.p/88"}


def test_a_changed_entry_in_an_old_bundle_names_the_entry(log: Path) -> None:
    size = len((log / "tile/entries/000").read_bytes()) // 256
    change(log / "tile/entries/000", size * 100)
    (finding,) = examine(log).integrity.findings
    assert finding.code == "entry_changed"
    assert abs(int(finding.where["entry"]) - 100) <= 1


@pytest.mark.parametrize(
    ("tile", "position", "entry"),
    [("1/000", 40, 256), ("1/001.p/2", 40, 65_536 + 256), ("2/000.p/1", 8, 0)],
)
def test_a_changed_hash_higher_up_names_the_tile(
    tall: Path, tmp_path: Path, tile: str, position: int, entry: int
) -> None:
    log = tmp_path / "copy"
    shutil.copytree(tall, log, copy_function=os.link)
    path = log / "tile" / tile
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.unlink()
    path.write_bytes(data)
    (finding,) = examine(log).integrity.findings
    assert finding.code == "tile_changed"
    assert finding.where == {"entry": entry, "tile": f"tile/{tile}"}


def test_an_entry_changed_with_its_tile_is_found_one_level_up(log: Path, tmp_path: Path) -> None:
    items = entries(filled(600))
    items[300] = items[300].replace(b'"name":"x"', b'"name":"y"')
    forged = write_log(tmp_path / "forged", items)
    for name in ("tile/entries/001", "tile/0/001"):
        shutil.copy(forged / name, log / name)
    (finding,) = examine(log).integrity.findings
    assert (finding.code, finding.where["entry"]) == ("entries_changed", 256)


def test_a_forged_log_under_the_signed_checkpoint_is_found(log: Path, tmp_path: Path) -> None:
    items = entries(filled(600))
    items[300] = items[301]
    forged = write_log(tmp_path / "forged", items)
    shutil.copy(log / "checkpoint", forged / "checkpoint")
    assert wrong(examine(forged)) == ["root_differs"]


def test_swapped_entries_are_both_named(log: Path) -> None:
    items = entries(filled(600))
    items[10], items[11] = items[11], items[10]
    bundle = b"".join(len(e).to_bytes(2, "big") + e for e in items[:256])
    (log / "tile/entries/000").write_bytes(bundle)
    report = examine(log)
    assert [finding.where["entry"] for finding in report.integrity.findings] == [10, 11]
    assert "sequence_repeated" in missing(report)


def test_entries_behind_the_last_of_a_bundle_are_found(log: Path) -> None:
    path = log / "tile/entries/000"
    path.write_bytes(path.read_bytes() + b"\0\2{}")
    assert wrong(examine(log)) == ["bundle_unreadable"]


def test_another_key_signed(log: Path) -> None:
    other = Signer(SIGNER.verifier.name, bytes(32))
    stranger = PublicKey.parse(other.verifier.encode())
    assert wrong(examine(log, keys=[stranger])) == ["signature_missing"]
    renamed = Signer("conclave.example/other", bytes(range(32)))
    assert wrong(examine(log, keys=[PublicKey.parse(renamed.verifier.encode())])) == [
        "signature_missing"
    ]


def test_a_key_of_the_same_place_is_used_with_a_warning(log: Path) -> None:
    report = examine(log, keys=[])
    assert report.code == OK
    assert "beside the log" in report.warnings[0]
    assert not examine(log).warnings


def test_no_log_and_no_key_are_wrong_calls(log: Path, tmp_path: Path) -> None:
    with pytest.raises(Misused):
        examine(tmp_path / "nothing")
    (log / "key.pub").unlink()
    with pytest.raises(Misused):
        examine(log, keys=[])
    assert main(["log", str(log)]) == USAGE
    assert main(["log", str(log), "--key", KEY.name + "+00+00"]) == USAGE


def leaves(count: int) -> list[bytes]:
    return [leaf(each) for each in entries(filled(600))[:count]]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 300, 512, 599, 600])
def test_earlier_checkpoints_are_the_beginning_of_the_log(
    log: Path, tmp_path: Path, count: int
) -> None:
    kept = tmp_path / "kept"
    kept.write_text(signed(leaves(count)))
    assert examine(log, known=[kept]).code == OK
    kept.write_text(signed(leaves(count), root=bytes(32)))
    expected = "split_view" if count == 600 else "log_rewritten"
    assert wrong(examine(log, known=[kept])) == [expected]


def test_a_receipt_that_somebody_kept_is_held_against_the_log(log: Path, tmp_path: Path) -> None:
    kept = tmp_path / "receipt"
    nodes = leaves(400)

    def subtree(level: int, index: int) -> bytes:
        return naive_root(nodes[index << level : (index + 1) << level])

    for index in (0, 255, 256, 399):
        path = tuple(inclusion_proof(index, 400, subtree))
        kept.write_text(InclusionReceipt(index, path, signed(nodes)).encode())
        assert examine(log, known=[kept]).code == OK
    nodes[7] = leaf(b"what was said at first")
    path = tuple(inclusion_proof(7, 400, subtree))
    kept.write_text(InclusionReceipt(7, path, signed(nodes)).encode())
    assert wrong(examine(log, known=[kept])) == ["log_rewritten", "entry_changed"]


def test_a_removed_tail_is_found_by_what_was_kept_elsewhere(tmp_path: Path) -> None:
    items = entries(filled(600))
    short = write_log(tmp_path / "short", items[:500])
    assert examine(short).integrity.name == "intact"
    kept = tmp_path / "kept"
    kept.write_text(signed([leaf(each) for each in items]))
    assert wrong(examine(short, known=[kept])) == ["log_shortened"]
    (tmp_path / "signed").write_text(kept.read_text())
    assert examine(short, state=tmp_path).code == BROKEN


def test_a_store_that_was_rolled_back_is_found_by_the_state(log: Path, tmp_path: Path) -> None:
    (tmp_path / "signed").write_text(signed(leaves(600)))
    assert examine(log, state=tmp_path).code == OK
    (log / "checkpoint").write_text(signed(leaves(500)))  # signed, not yet published: no damage
    assert examine(log, state=tmp_path).code == OK


def cosigned(count: int, *signers: Signer) -> str:
    note = signed(leaves(count))
    text = note.split("\n\n")[0] + "\n"
    return note + "".join(signer.cosign(text, 1_700_000_000) + "\n" for signer in signers)


def test_cosignatures_of_witnesses_are_checked(log: Path) -> None:
    witness = Signer("witness.example", bytes([7]) * 32, COSIGNATURE)
    key = PublicKey.parse(witness.verifier.encode())
    assert missing(examine(log, witnesses=[key])) == ["cosignature_missing"]
    path = log / "checkpoint.cosigned"
    path.write_text(cosigned(512, witness))
    report = examine(log, witnesses=[key])
    assert (report.code, report.facts["cosignatures"]) == (OK, {"witness.example": 1_700_000_000})
    assert "not checked" in examine(log).warnings[0]
    for _position in flips(path, step=3):
        assert examine(log, witnesses=[key]).code != OK
    path.write_text(cosigned(512))
    assert missing(examine(log, witnesses=[key])) == ["cosignature_missing"]


def test_a_cosigned_checkpoint_ahead_of_the_log_shows_the_removed_tail(log: Path) -> None:
    short = write_log(log.parent / "short", entries(filled(600))[:599])
    (short / "checkpoint.cosigned").write_text(cosigned(600))
    assert wrong(examine(short)) == ["log_shortened"]


def test_a_partial_tile_that_became_full_is_read_from_the_full_one(log: Path) -> None:
    items = entries(filled(600))
    older = write_log(log.parent / "older", items[:300])
    for kind in ("0", "entries"):  # what a running log does between two looks
        shutil.rmtree(older / f"tile/{kind}/001.p")
        shutil.copy(log / f"tile/{kind}/001", older / f"tile/{kind}/001")
    assert examine(older).integrity.name == "intact"


def test_an_older_partial_tile_that_says_something_else_is_found(log: Path) -> None:
    path = log / "tile/0/002.p/5"
    path.write_bytes((log / "tile/0/002.p/88").read_bytes()[: 5 * 32])
    assert examine(log).code == OK
    change(path, 3)
    assert wrong(examine(log)) == ["tile_changed"]


def hostile() -> dict[str, Callable[[Path], object]]:
    def replace(path: Path, make: Callable[[Path], object]) -> object:
        path.unlink()
        return make(path)

    return {
        "a pipe": lambda path: replace(path, os.mkfifo),
        "a folder": lambda path: replace(path, Path.mkdir),
        "a loop": lambda path: replace(path, lambda p: p.symlink_to(p)),
        "a device": lambda path: replace(path, lambda p: p.symlink_to("/dev/zero")),
        "a hole of a terabyte": lambda path: os.truncate(path, 1 << 40),
        "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
        "nothing": lambda path: path.write_bytes(b""),
    }


@pytest.mark.parametrize("what", hostile())
@pytest.mark.parametrize(
    "name",
    ["checkpoint", "tile/entries/001", "tile/0/000", "tile/1/000.p/2", "tile/entries/002.p/88"],
)
def test_a_file_that_is_none_is_told_and_nothing_hangs(log: Path, name: str, what: str) -> None:
    hostile()[what](log / name)
    assert examine(log).code == BROKEN


def test_the_text_obeys_no_terminal(tmp_path: Path) -> None:
    items = entries(filled(3))
    items[1] = items[1].replace(b"5f3a", b"\xc2\x9b\\u001b[2J")
    report = examine(write_log(tmp_path, items))
    assert report.code != OK
    assert "\x1b" not in report.text()
    assert "\x9b" not in report.text()


def test_findings_are_counted_beyond_what_is_listed(tall: Path, tmp_path: Path) -> None:
    report = Report("log", completeness=True)
    for number in range(5000):
        report.broken("entry_changed", "x", entry=number)
    assert report.integrity.document()["count"] == 5000
    assert len(report.integrity.findings) == 1000
    assert naive_root([b"x" * 32]) == b"x" * 32


def test_several_processes_find_what_one_finds(
    tall: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from verifier import logs

    outputs = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logs, "PARALLEL", 1)
        for jobs in ("1", "2"):
            assert (
                main(
                    ["log", str(tall), "--key", SIGNER.verifier.encode(), "--jobs", jobs, "--json"]
                )
                == OK
            )
            outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_a_note_with_more_lines_than_one_signature_is_read(log: Path) -> None:
    note = (log / "checkpoint").read_text()
    text = note.split("\n\n")[0] + "\n"
    other = Signer("somebody.example", bytes([9]) * 32)
    (log / "checkpoint").write_text(assemble(text, [other.sign(text), SIGNER.sign(text)]))
    assert examine(log).code == OK


@given(st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_written_over_a_log_it_is_judged(small: Path, data: st.DataObject) -> None:
    paths = sorted(path for path in small.rglob("*") if path.is_file())
    path = data.draw(st.sampled_from(paths))
    before = path.read_bytes()
    begin = data.draw(st.integers(0, len(before)))
    end = data.draw(st.integers(begin, min(len(before), begin + 50)))
    path.write_bytes(before[:begin] + data.draw(st.binary(max_size=60)) + before[end:])
    try:
        code = main(["log", str(small), "--json"])
        assert (code == OK) == (path.read_bytes() == before)
    finally:
        path.write_bytes(before)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("small"), entries(meeting(1)))


def test_progress_is_shown_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    show_progress(500_000, 1_000_000)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show_progress(500, 1000)
    assert capsys.readouterr().err == ""
    show_progress(500_000, 1_000_000)
    assert "500,000 of 1,000,000 entries" in capsys.readouterr().err


def test_a_process_that_dies_is_told(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("verifier.cli.check_log", dying)
    assert main(["log", str(small)]) == USAGE
    assert "before its work was done" in capsys.readouterr().err


def dying(*_: object) -> None:
    raise BrokenExecutor

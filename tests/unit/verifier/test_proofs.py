"""Receipts, growth, exports: good ones pass, whatever is changed or cut is refused by name."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compliance.exports import checkpoint_line, json_line, range_line, ranged_line
from crypto.merkle import consistency_proof, inclusion_proof, range_proof
from crypto.proofs import InclusionReceipt
from tests.support.evidence import (
    SIGNER,
    entries,
    filled,
    leaf,
    meeting,
    naive_root,
    signed,
    write_log,
)
from verifier.cli import main
from verifier.report import BROKEN, INCOMPLETE, OK, USAGE

pytestmark = pytest.mark.timeout(240)  # thousands of cases, on a busy machine

KEY = ["--key", SIGNER.verifier.encode()]
ITEMS = entries(filled(40))
LEAVES = [leaf(each) for each in ITEMS]


def subtree(level: int, index: int) -> bytes:
    return naive_root(LEAVES[index << level : (index + 1) << level])


def receipt(index: int, size: int = 40) -> str:
    path = inclusion_proof(index, size, subtree)
    return InclusionReceipt(index, tuple(path), signed(LEAVES[:size])).encode()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A receipt, its entry, the log, two checkpoints and their proof, with the key beside."""
    (tmp_path / "receipt").write_text(receipt(17))
    (tmp_path / "entry").write_bytes(ITEMS[17])
    (tmp_path / "old").write_text(signed(LEAVES[:13]))
    (tmp_path / "new").write_text(signed(LEAVES))
    proof = consistency_proof(13, 40, subtree)
    (tmp_path / "proof").write_text(
        "".join(base64.b64encode(each).decode() + "\n" for each in proof)
    )
    (tmp_path / "key").write_text(SIGNER.verifier.encode() + "\n")
    write_log(tmp_path / "log", ITEMS)
    return tmp_path


def broken_forms(data: bytes) -> Iterator[bytes]:
    """Every byte flipped, every length cut to."""
    for position in range(len(data)):
        yield data[:position]
        yield data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def test_a_receipt_shows_its_entry_in_the_log(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["inclusion", str(files / "receipt"), str(files / "entry"), *KEY]) == OK
    assert main(["receipt", str(files / "receipt"), "--entry", str(files / "entry"), *KEY]) == OK
    assert main(["receipt", str(files / "receipt"), "--log", str(files / "log"), *KEY]) == OK
    assert main(["receipt", str(files / "receipt"), "--log", str(files / "log")]) == OK
    assert "custom_recorded" in capsys.readouterr().out
    assert main(["receipt", str(files / "receipt"), *KEY]) == USAGE
    assert main(["inclusion", str(files / "receipt"), str(files / "entry")]) == USAGE
    assert main(["inclusion", str(files / "nothing"), str(files / "entry"), *KEY]) == USAGE


def test_a_receipt_may_carry_its_entry(files: Path) -> None:
    text = receipt(17)
    extra = base64.b64encode(ITEMS[17]).decode()
    (files / "receipt").write_text(text.replace("index 17", f"extra {extra}\nindex 17", 1))
    assert main(["receipt", str(files / "receipt"), *KEY]) == OK
    wrong = base64.b64encode(ITEMS[18]).decode()
    (files / "receipt").write_text(text.replace("index 17", f"extra {wrong}\nindex 17", 1))
    assert main(["receipt", str(files / "receipt"), *KEY]) == BROKEN


def test_receipts_as_the_server_hands_them_out_are_checked_together(files: Path) -> None:
    path = files / "receipts.json"
    each = [{"index": n, "entry": json.loads(ITEMS[n]), "receipt": receipt(n)} for n in (3, 17)]
    path.write_text(json.dumps({"receipts": each, "key": "not believed"}))
    assert main(["receipt", str(path), *KEY]) == OK
    path.write_text(json.dumps(each[0]))
    assert main(["receipt", str(path), *KEY]) == OK
    each[1]["entry"]["sequence"] = 19
    path.write_text(json.dumps({"receipts": each}))
    assert main(["receipt", str(path), *KEY]) == BROKEN
    for text in (
        "{",
        "{}",
        '{"receipts":1}',
        '{"receipts":[1]}',
        '{"receipt":1}',
        '{"receipts":[{"receipt":"x"}]}',
    ):
        path.write_text(text)
        assert main(["receipt", str(path), *KEY]) == BROKEN


def test_every_changed_or_cut_receipt_is_refused(files: Path) -> None:
    for data in broken_forms((files / "receipt").read_bytes()):
        (files / "receipt").write_bytes(data)
        assert main(["inclusion", str(files / "receipt"), str(files / "entry"), *KEY]) == BROKEN


def test_every_changed_or_cut_entry_is_refused(files: Path) -> None:
    for data in broken_forms(ITEMS[17]):
        (files / "entry").write_bytes(data)
        assert main(["inclusion", str(files / "receipt"), str(files / "entry"), *KEY]) == BROKEN


def grown(files: Path, *more: str) -> int:
    return main(["consistency", str(files / "old"), str(files / "new"), *KEY, *more])


def test_growth_is_shown_by_a_proof_or_by_the_log(files: Path) -> None:
    assert grown(files, "--proof", str(files / "proof")) == OK
    assert grown(files, "--log", str(files / "log")) == OK
    assert grown(files) == USAGE
    assert main(["consistency", str(files / "receipt"), str(files / "new"), *KEY]) == OK
    assert main(["consistency", str(files / "new"), str(files / "old"), *KEY]) == BROKEN


@pytest.mark.parametrize("name", ["old", "new", "proof"])
def test_every_changed_or_cut_part_of_growth_is_refused(files: Path, name: str) -> None:
    data = (files / name).read_bytes()
    for form in broken_forms(data):
        if form != data[:-1] or name != "proof":  # a newline at its end is none of the proof
            (files / name).write_bytes(form)
            assert grown(files, "--proof", str(files / "proof")) == BROKEN, form


def test_a_split_view_of_two_logs_with_one_key_is_found(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = [leaf(each) for each in entries(meeting(9))]
    for count, places in ((13, "--proof"), (40, ""), (13, "--log")):
        (files / "old").write_text(signed(other[:count] if count == 13 else [*other, *other][:40]))
        more = [places, str(files / places.removeprefix("--"))] if places else []
        assert grown(files, *more, "--json") == BROKEN
        report = json.loads(capsys.readouterr().out)
        codes = {each["code"] for each in report["integrity"]["findings"]}
        assert codes <= {"split_view", "root_differs"}, codes


def export(first: int, end: int, size: int = 40) -> list[str]:
    lines = [ranged_line(index, ITEMS[index]) for index in range(first, end)]
    proof = range_proof(first, end, size, subtree)
    return [*lines, range_line(signed(LEAVES[:size]), first, end, proof)]


def selected(*indexes: int) -> list[str]:
    lines = [json_line(n, ITEMS[n], inclusion_proof(n, 40, subtree)) for n in indexes]
    return [*lines, checkpoint_line(signed(LEAVES))]


def exported(folder: Path, lines: list[str]) -> int:
    path = folder / "export.jsonl"
    path.write_text("".join(line + "\n" for line in lines))
    return main(["export", str(path), *KEY])


@pytest.mark.parametrize(("first", "end"), [(0, 40), (0, 1), (39, 40), (13, 31), (16, 32)])
def test_a_range_proves_itself(tmp_path: Path, first: int, end: int) -> None:
    assert exported(tmp_path, export(first, end)) == OK


def test_an_empty_range_proves_nothing_and_is_whole(tmp_path: Path) -> None:
    last = range_line(signed([]), 0, 0, [])
    assert exported(tmp_path, [last]) == OK
    assert exported(tmp_path, [json_line(0, ITEMS[0]), last]) == BROKEN


def test_a_selection_proves_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exported(tmp_path, selected(0, 7, 39)) == OK
    assert "not examined" in capsys.readouterr().out
    assert exported(tmp_path, selected()) == OK


CHANGED: dict[str, list[str]] = {
    "one left out": [line for n, line in enumerate(export(3, 20)) if n != 5],
    "the first left out": export(3, 20)[1:],
    "the last left out": [line for n, line in enumerate(export(3, 20)) if n != 16],
    "two swapped": [export(3, 20)[n] for n in (1, 0, *range(2, 18))],
    "one repeated": [export(3, 20)[n] for n in (0, 0, *range(1, 18))],
    "one renumbered": [export(3, 20)[0].replace(":3,", ":4,"), *export(3, 20)[1:]],
    "no end": export(3, 20)[:-1],
    "something after the end": [*export(3, 20), "{}"],
    "the end of another range": [*export(3, 20)[:-1], export(3, 21)[-1]],
    "no proof in a selection": [json_line(3, ITEMS[3]), *selected(5)],
    "another's proof": [json_line(3, ITEMS[3], inclusion_proof(5, 40, subtree)), *selected(5)],
    "a selection out of order": [*selected(7, 5)],
    "proofs in a range": [*selected(3)[:1], *export(4, 20)],
    "nothing": [],
    "no JSON": ["x", *export(3, 20)],
    "a longer proof": [json_line(3, ITEMS[3], [bytes(32)] * 70), *selected(5)],
}


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_export_is_refused(tmp_path: Path, name: str) -> None:
    assert exported(tmp_path, CHANGED[name]) == BROKEN


@pytest.mark.parametrize("kind", ["range", "selection"])
def test_every_changed_or_cut_export_is_refused(tmp_path: Path, kind: str) -> None:
    lines = export(3, 5) if kind == "range" else selected(3, 7)
    data = "".join(line + "\n" for line in lines).encode()
    path = tmp_path / "export.jsonl"
    for form in broken_forms(data):
        if form != data[:-1]:
            path.write_bytes(form)
            assert main(["export", str(path), *KEY]) == BROKEN, form


def test_a_gap_within_a_proven_range_is_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.verifier import test_proofs as here

    items = [each for n, each in enumerate(entries(filled(41))) if n != 20]
    monkeypatch.setattr(here, "ITEMS", items)
    monkeypatch.setattr(here, "LEAVES", [leaf(each) for each in items])
    assert exported(tmp_path, here.export(0, 40)) == INCOMPLETE
    assert exported(tmp_path, here.export(21, 40)) == OK


def test_an_export_without_a_key_or_a_file_is_a_wrong_call(tmp_path: Path) -> None:
    assert main(["export", str(tmp_path / "nothing"), *KEY]) == USAGE
    (tmp_path / "export").write_text("\n".join(export(0, 3)))
    assert main(["export", str(tmp_path / "export")]) == USAGE
    assert main(["export", str(tmp_path), *KEY]) == USAGE


def findings(folder: Path, lines: list[str], capsys: pytest.CaptureFixture[str]) -> list[Any]:
    """Code and entry of each finding against integrity."""
    (folder / "export.jsonl").write_text("".join(line + "\n" for line in lines))
    main(["export", str(folder / "export.jsonl"), *KEY, "--json"])
    found = json.loads(capsys.readouterr().out)["integrity"]["findings"]
    return [(each["code"], each.get("entry")) for each in found]


def test_any_changed_byte_of_an_entry_in_a_range_is_located_to_the_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = export(3, 20)
    good = lines[6]
    for position in range(good.index('"entry":') + 8, len(good) - 1):
        lines[6] = good[:position] + chr(ord(good[position]) ^ 1) + good[position + 1 :]
        found = findings(tmp_path, lines, capsys)
        assert found in ([("entry_changed", 9)], [("line_malformed", 9)]), lines[6]


def test_several_changed_entries_of_a_range_are_all_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.replace('"custom_recorded"', '"custom_repealed"') for line in export(3, 20)]
    kept = export(3, 20)
    changed = [n for n, line in enumerate(lines) if line != kept[n]]
    assert len(changed) > 1
    assert findings(tmp_path, lines, capsys) == [("entry_changed", 3 + n) for n in changed]


def test_a_changed_hash_in_a_range_is_told_from_a_changed_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = export(3, 20)
    lines[4] = ranged_line(7, ITEMS[8]).partition('"entry"')[0] + f'"entry":{ITEMS[7].decode()}}}'
    assert findings(tmp_path, lines, capsys) == [("hash_differs", 7)]
    lines[9] = lines[9].replace('"sequence":', '"sequence":1', 1)
    assert findings(tmp_path, lines, capsys) == [
        ("root_differs", 3),
        ("hash_differs", 7),
        ("hash_differs", 12),
    ]


def test_an_entry_changed_together_with_its_hash_is_not_believed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = export(3, 20)
    lines[4] = ranged_line(7, ITEMS[8])
    assert findings(tmp_path, lines, capsys) == [("root_differs", 3)]


def test_a_range_without_hashes_beside_its_entries_proves_itself_too(tmp_path: Path) -> None:
    lines = [json_line(index, ITEMS[index]) for index in range(3, 20)]
    assert exported(tmp_path, [*lines, export(3, 20)[-1]]) == OK
    lines[2] = json_line(5, ITEMS[6])
    assert exported(tmp_path, [*lines, export(3, 20)[-1]]) == BROKEN


def test_a_line_that_is_no_entry_is_named_and_the_others_are_still_proven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = export(3, 20)
    lines[5] = lines[5].replace('"entry":{', '"entry":[')
    assert findings(tmp_path, lines, capsys) == [("line_malformed", 8)]
    lines[11] = lines[11].replace('"sequence":', '"sequence":1', 1)
    assert findings(tmp_path, lines, capsys) == [("line_malformed", 8), ("entry_changed", 14)]

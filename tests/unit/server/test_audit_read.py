"""`conclave audit tail|show|export` on a stopped server's folder: what is shown, what is refused, exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.audit import text
from server.cli import app
from server.terminal import Exit
from tests.support.logs import SIGNER
from tests.support.reading import PEOPLE, Growing, entries_of, growing, many_facts
from verifier.cli import main as verifier

SIZE = 600


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a stopped server."""
    with running(tmp_path) as log:
        log.add(entries_of(many_facts(SIZE)))
    return tmp_path


@contextmanager
def running(data: Path) -> Iterator[Growing]:
    with growing(data / "audit" / "log") as log:
        yield log


def call(*arguments: str) -> int:
    try:
        return int(app(["audit", *arguments]) or 0)
    except SystemExit as stop:
        return int(stop.code or 0)


def test_tail_shows_the_last_entries_that_fit(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("tail", "--data", str(data), "--lines", "3") == Exit.OK
    shown = capsys.readouterr().out.splitlines()
    assert [int(line.split()[0]) for line in shown] == [SIZE - 3, SIZE - 2, SIZE - 1]
    arguments = ("--kind", "room_created", "--subject", PEOPLE[1], "--subject", PEOPLE[2])
    assert call("tail", "--data", str(data), "--json", *arguments) == Exit.OK
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(found) == 10
    assert {each["entry"]["kind"] for each in found} == {"room_created"}
    assert all(PEOPLE[1] in str(each) or PEOPLE[2] in str(each) for each in found)
    assert call("tail", "--data", str(data / "audit"), "--lines", "1") == Exit.OK
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert call("tail", "--data", str(data), "--lines", "0") == Exit.OK
    assert capsys.readouterr().out == ""


def test_show_prints_every_fact_and_proves_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("show", "300", "--data", str(data)) == Exit.OK
    shown = capsys.readouterr().out
    assert "entry 300" in shown
    assert f"proven: among the first {SIZE} entries of conclave.example/audit" in shown
    assert "compare with --key" in shown
    key = SIGNER.verifier.encode()
    assert call("show", "300", "--data", str(data), "--key", key, "--json") == Exit.OK
    document = json.loads(capsys.readouterr().out)
    assert document["proven"] is True
    for name, value in text.facts_of(document["entry"]):
        assert name in shown
        assert str(value) in shown or isinstance(value, list | bool)
    file = data / "kept.key"
    file.write_text(key + "\n")
    assert call("show", "300", "--data", str(data), "--key", str(file)) == Exit.OK
    assert "compare with" not in capsys.readouterr().out


def test_show_says_so_when_the_proof_does_not_hold(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = data / "audit/log/tile/entries/001"
    content = bundle.read_bytes()
    bundle.write_bytes(content.replace(b"room_created", b"room_crepted"))
    index = next(n for n in range(256, 512) if many_facts(SIZE)[n][0] == 0)
    assert call("show", str(index), "--data", str(data)) == Exit.FAILED
    assert "NOT PROVEN" in capsys.readouterr().out
    other = "conclave.example/audit+00000000+AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
    assert call("show", "0", "--data", str(data), "--key", other) == Exit.USAGE
    assert "neither a public key nor a file" in capsys.readouterr().err


@pytest.mark.parametrize("select", [(), ("--kind", "room_created")])
def test_an_export_proves_itself(data: Path, select: tuple[str, ...]) -> None:
    out = data / "export.jsonl"
    assert call("export", "--data", str(data), "--out", str(out), *select) == Exit.OK
    assert out.stat().st_mode & 0o077 == 0
    key = SIGNER.verifier.encode()
    assert verifier(["export", str(out), "--key", key]) in (0, 3)
    out.write_text(out.read_text().replace("room_created", "room_crepted", 1))
    assert verifier(["export", str(out), "--key", key]) == 1


@pytest.mark.parametrize("form", ["ocsf", "cef"])
def test_exports_for_other_systems_hold_every_entry(
    data: Path, form: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert call("export", "--data", str(data), "--format", form) == Exit.OK
    lines = capfdbinary.readouterr().out.splitlines()
    assert len(lines) == SIZE
    assert all(line.startswith(b"{" if form == "ocsf" else b"CEF:0|") for line in lines)


REFUSED = {
    "no purpose": (["tail"], Exit.USAGE, "--purpose"),
    "no log": (["tail", "--data", "/nonexistent"], Exit.FAILED, "no audit log"),
    "no server": (
        ["tail", "--purpose", "x", "--url", "http://127.0.0.1:9"], Exit.FAILED, "no server answers"),
    "a weird URL": (["tail", "--purpose", "x", "--url", "http://[x"], Exit.FAILED, "cannot be read"),
    "an identity": (["tail", "--data", "DATA", "--identity", "bob"], Exit.USAGE, "pseudonyms"),
    "a kind that is none": (["tail", "--data", "DATA", "--kind", "x"], Exit.FAILED, "no such kind"),
    "no pseudonym": (["export", "--data", "DATA", "--subject", "bob"], Exit.FAILED, "subject"),
    "no time": (["export", "--data", "DATA", "--from", "noon"], Exit.FAILED, "from"),
    "no entry": (["show", "9999", "--data", "DATA"], Exit.FAILED, "no such entry"),
    "negative lines": (["tail", "--data", "DATA", "--lines", "-1"], Exit.USAGE, "lines"),
    "no folder for it": (["export", "--data", "DATA", "--out", "/nonexistent/x"], Exit.FAILED, "/nonexistent/x"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_said(
    data: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code, words = REFUSED[name]
    assert call(*(str(data) if each == "DATA" else each for each in arguments)) == code
    assert words in capsys.readouterr().err


def test_the_folder_of_a_running_server_is_not_read_past_the_record(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(data):
        assert call("tail", "--data", str(data)) == Exit.FAILED
    assert "so that it is on record who reads" in capsys.readouterr().err


def test_text_for_people_has_no_control_characters() -> None:
    entry = {"kind": "x\x1b[2J", "time": "\n", "actor": {"role": "a\r"}, "data": {"n": ["\x07"]}}
    for shown in (text.line(1, entry), text.block(entry)):
        assert all(each.isprintable() for each in shown.replace("\n", ""))
    assert len(text.line(1, entry).splitlines()) == 1

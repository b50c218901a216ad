"""Time-stamps made by openssl pass; whatever is changed, cut, old, or of somebody else is refused by name."""

from __future__ import annotations

import contextlib
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.timestamps import Authorities, Question, TimestampError
from tests.support.authority import KINDS, Authority
from tests.support.evidence import SIGNER, entries, examine, filled, leaf, signed, write_log, wrong
from verifier.cli import main
from verifier.report import BROKEN, OK, USAGE, Refused
from verifier.timestamps import check_timestamp, read_roots

pytestmark = pytest.mark.timeout(240)  # thousands of cases, on a busy machine

ITEMS = entries(filled(40))
NOTE = signed([leaf(each) for each in ITEMS]).encode()
ECDSA = bytes.fromhex("06082a8648ce3d04")
ECDSA_WITH_SHA256 = ECDSA + b"\x03\x02"
KEY = ["--key", SIGNER.verifier.encode()]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def answer(authority: Authority) -> bytes:
    return authority.stamp(NOTE)


def roots(authority: Authority) -> list[x509.Certificate]:
    return read_roots([authority.root])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("digest", "ess"), [("sha256", "sha256"), ("sha512", "sha1"), ("sha384", "sha384")]
)
def test_stamps_of_every_kind_of_key_pass(tmp_path: Path, kind: str, digest: str, ess: str) -> None:
    authority = Authority(tmp_path, kind, digest=digest, ess=ess)
    time = check_timestamp(authority.stamp(NOTE), NOTE, roots(authority))
    assert abs(datetime.now(UTC) - time) < timedelta(minutes=5)


def test_a_stamp_is_over_one_note_only(authority: Authority, answer: bytes) -> None:
    with pytest.raises(Refused) as caught:
        check_timestamp(answer, NOTE + b"\n", roots(authority))
    assert caught.value.code == "timestamp_wrong"


def test_a_stranger_is_not_trusted_but_without_roots_nobody_is_asked(
    answer: bytes, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    with pytest.raises(Refused) as caught:
        check_timestamp(answer, NOTE, roots(stranger))
    assert caught.value.code == "timestamp_untrusted"
    assert check_timestamp(answer, NOTE, []) == check_timestamp(answer, NOTE, roots(authority))
    middle = read_roots([authority.folder / "middle.pem"])
    assert check_timestamp(answer, NOTE, middle)


def test_every_cut_and_almost_every_flip_is_refused(authority: Authority, answer: bytes) -> None:
    trusted = roots(authority)
    for length in range(len(answer)):
        with pytest.raises(Refused):
            check_timestamp(answer[:length], NOTE, trusted)
    covered = spans(authority, answer)
    for position in range(len(answer)):
        changed = answer[:position] + bytes([answer[position] ^ 1]) + answer[position + 1 :]
        try:
            check_timestamp(changed, NOTE, trusted)
        except Refused:
            continue
        assert not any(position in span for span in covered), position


def spans(authority: Authority, answer: bytes) -> list[range]:
    """Where everything is that is signed, and the certificates that the chain needs.

    Of the certificate that nothing signs whole, one octet says how many bits of its signature do not
    count: as long as those are zero, the certificate means the same.
    """
    start = answer.index(bytes.fromhex("060b2a864886f70d0109100104")) + 13 + 4
    info = range(start, answer.index(b"\xa0\x82", start))
    parts = [range(start, info.stop)]
    for name in ("tsa", "middle"):
        pem = (authority.folder / f"{name}.pem").read_bytes()
        encoded = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
        begin = answer.index(encoded)
        end = begin + len(encoded)
        unused = answer.index(ECDSA_WITH_SHA256, end - 100) + len(ECDSA_WITH_SHA256) + 2
        parts += [range(begin, unused), range(unused + (name == "middle"), end)]
    after = max(part.stop for part in parts)
    attributes = answer.index(bytes.fromhex("06092a864886f70d010903"), after)
    return [*parts, range(attributes, answer.index(b"0\x0a" + ECDSA, attributes))]


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_bytes_do_harm(authority: Authority, answer: bytes, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(answer)))
    end = data.draw(st.integers(begin, min(len(answer), begin + 40)))
    changed = answer[:begin] + data.draw(st.binary(max_size=40)) + answer[end:]
    with contextlib.suppress(Refused):
        check_timestamp(changed, NOTE, roots(authority))
    with contextlib.suppress(TimestampError):
        Authorities(authority.root.read_bytes()).check(Question(NOTE), changed)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_random_bytes_are_no_stamp(data: bytes) -> None:
    with pytest.raises(Refused):
        check_timestamp(data, NOTE, [])


def test_both_programs_judge_changed_stamps_alike(authority: Authority) -> None:
    question = Question(NOTE)
    answer = authority.answer(question.encode())
    theirs, trusted = Authorities(authority.root.read_bytes()), roots(authority)
    differences = []
    for position in range(0, len(answer), 7):
        changed = answer[:position] + bytes([answer[position] ^ 4]) + answer[position + 1 :]
        verdicts = []
        for check in (
            lambda data: theirs.check(question, data),
            lambda data: check_timestamp(data, NOTE, trusted),
        ):
            try:
                check(changed)
                verdicts.append(True)
            except (TimestampError, Refused):
                verdicts.append(False)
        if verdicts == [False, True]:
            differences.append(position)
    covered = spans(authority, answer)
    assert not [place for place in differences if any(place in span for span in covered)]


def test_openssl_agrees(authority: Authority, answer: bytes) -> None:
    (authority.folder / "kept").write_bytes(answer)
    (authority.folder / "note").write_bytes(NOTE)
    command = ["openssl", "ts", "-verify", "-data", "note", "-in", "kept", "-CAfile", "root.pem"]
    done = subprocess.run(command, cwd=authority.folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_command_shows_the_time(
    tmp_path: Path, authority: Authority, answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "40.tsr").write_bytes(answer)
    (tmp_path / "40.checkpoint").write_bytes(NOTE)
    call = ["timestamp", str(tmp_path / "40.tsr"), str(tmp_path / "40.checkpoint"), *KEY]
    assert main([*call, "--ca", str(authority.root)]) == OK
    assert "the first 40 entries existed at 20" in capsys.readouterr().out
    assert main([*call, "--ca", str(tmp_path / "40.tsr")]) == USAGE
    (tmp_path / "40.checkpoint").write_bytes(NOTE.replace(b"40", b"41", 1))
    assert main([*call, "--ca", str(authority.root)]) == BROKEN


def test_stamps_beside_a_log_are_checked_with_it(
    tmp_path: Path, authority: Authority, answer: bytes
) -> None:
    log = write_log(tmp_path / "log", ITEMS)
    stamps = log / "timestamps"
    stamps.mkdir()
    (stamps / "40.tsr").write_bytes(answer)
    (stamps / "40.checkpoint").write_bytes(NOTE)
    report = examine(log, roots=roots(authority))
    assert (report.code, report.facts["timestamps"]["count"]) == (OK, 1)  # type: ignore[index]
    assert "nobody vouches" in examine(log).warnings[0]
    (stamps / "40.tsr").write_bytes(answer[:-1] + bytes([answer[-1] ^ 1]))
    assert wrong(examine(log, roots=roots(authority))) == ["timestamp_wrong"]
    (stamps / "40.tsr").write_bytes(answer)
    (stamps / "40.checkpoint").unlink()
    assert wrong(examine(log, roots=roots(authority))) == ["file_missing"]


def test_a_stamp_shows_a_removed_tail(tmp_path: Path, answer: bytes) -> None:
    log = write_log(tmp_path / "log", ITEMS[:30])
    (log / "timestamps").mkdir()
    (log / "timestamps/40.tsr").write_bytes(answer)
    (log / "timestamps/40.checkpoint").write_bytes(NOTE)
    assert wrong(examine(log)) == ["log_shortened"]

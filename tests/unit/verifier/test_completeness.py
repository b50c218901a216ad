"""What is missing, repeated, unended or out of order is told apart from what was changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compliance.envelope import Record
from compliance.events import PAIRS, ActAbandoned
from tests.support.audit import ONE_OF_EACH, SYSTEM, TIME
from tests.support.evidence import (
    SOURCE,
    STARTED,
    STOPPED,
    entries,
    examine,
    filled,
    judged,
    meeting,
    missing,
    moved,
    peer,
    room,
    told,
    track,
    write_log,
)
from verifier import sequences
from verifier.entries import read
from verifier.kinds import CLOSES, OPENS
from verifier.report import INCOMPLETE, OK
from verifier.sequences import Digest, Story

Change = Callable[[list[Record]], list[Record]]


def without(*places: int) -> Change:
    return lambda records: [each for n, each in enumerate(records) if n not in places]


def twice(place: int) -> Change:
    return lambda records: [*records[: place + 1], *records[place:]]


def earlier(place: int) -> Change:
    def change(records: list[Record]) -> list[Record]:
        return [moved(r, time=TIME) if n == place else r for n, r in enumerate(records)]

    return change


# A meeting of two: 0 started, 1 room, 2-5 peers and tracks begin, 6-9 end, 10 room ended, 11 stopped.
CHANGES: dict[str, tuple[Change, list[str]]] = {
    "nothing": (lambda records: records, []),
    "an entry is missing": (without(4), ["sequence_gap", "never_began"]),
    "two gaps": (without(4, 5, 8, 9), ["sequence_gap", "sequence_gap"]),
    "the first is missing": (without(0), ["source_unannounced", "sequence_gap"]),
    "an entry is repeated": (twice(1), ["sequence_repeated", "began_twice"]),
    "the start is repeated": (twice(0), ["source_started_twice", "sequence_repeated"]),
    "the time falls": (earlier(5), ["time_backwards"]),
    "something follows the stop": (
        lambda records: [*records, moved(records[1], sequence=13, time=TIME + 50)],
        ["never_ended", "event_after_stop"],
    ),
    "an end is missing": (
        lambda records: told([r.event for n, r in enumerate(records) if n != 8]),
        ["never_ended"],
    ),
    "a beginning is missing": (
        lambda records: told([r.event for n, r in enumerate(records) if n != 2]),
        ["never_began"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    change, codes = CHANGES[name]
    report = judged(tmp_path, change(meeting()))
    assert report.integrity.name == "intact"
    assert sorted(missing(report)) == sorted(codes)
    assert report.code == (INCOMPLETE if codes else OK)


def test_a_gap_is_located(tmp_path: Path) -> None:
    report = judged(tmp_path, without(7)(filled(12)))
    (finding,) = report.completeness.findings
    assert finding.where == {"entry": 7, "source": SOURCE}
    assert "7 is followed by 9" in finding.message


def test_a_source_that_still_runs_is_open_and_no_damage(tmp_path: Path) -> None:
    report = judged(tmp_path, told([STARTED, room(True), peer(True), track(True)]))
    assert report.code == OK
    (still,) = report.facts["open"]  # type: ignore[misc]
    assert (still["rooms"], still["participants"], still["tracks"]) == (1, 1, 1)
    assert still["last_sequence"] == 4


def test_a_source_that_was_followed_by_another_run_without_a_stop_vanished(tmp_path: Path) -> None:
    first = told([STARTED, room(True)], "pop-1/server/aaaa")
    second = told([STARTED, STOPPED], "pop-1/server/bbbb")
    elsewhere = told([STARTED], "pop-2/server/cccc")
    report = judged(tmp_path / "1", [*first, *second, *elsewhere])
    assert missing(report) == ["source_vanished"]
    assert report.completeness.findings[0].where["source"] == "pop-1/server/aaaa"
    overlapping = judged(tmp_path / "2", [first[0], *second, first[1]])
    assert overlapping.code == OK  # two that run at the same time


def test_an_abandoned_act_needs_no_end(tmp_path: Path) -> None:
    given_up = ActAbandoned(actor=SYSTEM, sequence=3)
    good = told([STARTED, room(True), peer(True), given_up, room(False), STOPPED])
    assert judged(tmp_path / "1", good).code == OK
    other = ActAbandoned(actor=SYSTEM, sequence=1)
    bad = told([STARTED, room(True), peer(True), other, room(False), STOPPED])
    assert missing(judged(tmp_path / "2", bad)) == ["never_ended"]


def test_an_abandoned_end_is_none(tmp_path: Path) -> None:
    given_up = ActAbandoned(actor=SYSTEM, sequence=3)
    good = told([STARTED, room(True), room(False), given_up, room(False), STOPPED])
    assert judged(tmp_path / "1", good).code == OK
    bad = told([STARTED, room(True), room(False), given_up, STOPPED])
    assert missing(judged(tmp_path / "2", bad)) == ["never_ended"]


def test_two_sources_do_not_disturb_each_other(tmp_path: Path) -> None:
    one, two = meeting(2, "pop-1/server/aaaa"), meeting(3, "pop-2/server/bbbb")
    mixed = [record for pair in zip(one, two, strict=False) for record in pair] + two[len(one) :]
    assert judged(tmp_path, mixed).code == OK


@pytest.mark.parametrize(
    "entry",
    [b"", b"{}", b"[]", b"\xff", b"[" * 50_000, b'{"kind":1}', b'{"a":NaN}', b"1" * 5000],
    ids=lambda entry: repr(entry[:10]),
)
def test_an_entry_that_says_nothing_is_named(tmp_path: Path, entry: bytes) -> None:
    report = examine(write_log(tmp_path, [*entries(told([STARTED])), entry]))
    assert report.integrity.name == "intact"
    assert missing(report) == ["entry_unreadable"]
    assert report.completeness.findings[0].where["entry"] == 1


def test_an_entry_of_a_newer_kind_keeps_its_place_in_the_sequence(tmp_path: Path) -> None:
    items = entries(filled(5))
    items[2] = items[2].replace(b"custom_recorded", b"quite_new")
    assert missing(examine(write_log(tmp_path, items))) == ["entry_unreadable"]


def test_the_tables_are_those_of_the_events() -> None:
    assert {(o, c, f) for o, c, f in PAIRS if f} == {
        (opens, next(c for c, p in CLOSES.items() if p == part), part)
        for opens, part in OPENS.items()
    }


def test_where_chunks_begin_makes_no_difference() -> None:
    records: list[Record] = []
    for change, _ in CHANGES.values():
        records += change(meeting(3, f"pop-1/server/{len(records)}"))
    given_up = [ActAbandoned(actor=SYSTEM, sequence=n) for n in (3, 5, 9)]
    begun = [STARTED, room(True), room(False), given_up[0], peer(True), given_up[1], peer(False)]
    ended = [track(True), track(False), given_up[2], track(False), room(False), STOPPED]
    records += told([*begun, *ended], "x/y/z")
    headings = [read(each)[0] for each in entries(records)]
    stories = []
    for width in (1, 2, 3, 7, 11, len(headings)):
        story = Story(whole=True)
        for first in range(0, len(headings), width):
            digest = Digest()
            for index in range(first, min(first + width, len(headings))):
                digest.take(index, headings[index])
            story.add(digest.close())
        still = story.end()
        found = sorted((f.code, str(f.where), f.message) for f in story.findings)
        stories.append((still, found))
    assert all(story == stories[0] for story in stories)


def test_memory_is_bounded_and_said_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sequences, "MAX_SOURCES", 3)
    monkeypatch.setattr(sequences, "MAX_OPEN", 2)
    many = [record for n in range(5) for record in told([STARTED], f"pop-{n}/server/a")]
    assert missing(judged(tmp_path / "1", many)) == ["too_many"]
    opened = told([STARTED, room(True), peer(True), track(True)])
    assert missing(judged(tmp_path / "2", opened)) == ["too_many"]


def test_findings_of_a_chunk_are_bounded_and_counted(tmp_path: Path) -> None:
    records = [moved(each, sequence=3 * n + 1) for n, each in enumerate(filled(3000))]
    report = judged(tmp_path, records)
    assert report.completeness.count == 2999
    assert len(report.completeness.findings) == 1000


def test_every_kind_has_a_place_in_a_log(tmp_path: Path) -> None:
    records = told(
        [
            STARTED,
            *(
                each
                for each in ONE_OF_EACH
                if each.kind not in ("server_started", "server_stopped")
            ),
        ]
    )
    report = judged(tmp_path, [replace(record) for record in records])
    assert "entry_unreadable" not in missing(report)

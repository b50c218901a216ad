"""The index finds what a look at every entry finds, is made again at any doubt, and works within bounds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from compliance.published import PublishedLog
from compliance.questions import Filter
from sidecar import index as index_module
from sidecar.index import NAME, SCAN, Index
from tests.support.logs import entry
from tests.support.reading import (
    PEOPLE,
    ROOMS,
    SECOND,
    TIME,
    Growing,
    entries_of,
    expected,
    growing,
    many_facts,
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Growing]:
    with growing(tmp_path / "log") as made:
        made.add(entries_of(many_facts(1200)))
        yield made


@contextmanager
def opened(log: Growing) -> Iterator[tuple[Index, bool]]:
    """The index of the log, as it was found, and whether it was usable."""
    index = Index(log.root.parent / "index", PublishedLog(log.root))
    usable = index.open(len(log.entries))
    yield index, usable
    index.close()


def catch_up(index: Index, log: Growing) -> None:
    while index.size < len(log.entries):
        index.advance(len(log.entries))


def find_all(index: Index, wanted: Filter, end: int, *, newest_first: bool = False) -> list[int]:
    start, found, more = None, [], True
    while more:
        page = index.find(wanted, start, end, newest_first=newest_first, limit=50)
        found += page.entries
        start, more = page.next, page.more
    return found


def test_it_is_made_in_bounded_steps_and_found_again(log: Growing) -> None:
    with opened(log) as (index, _):
        index.advance(len(log.entries), 500)
        assert index.size == 500
        catch_up(index, log)
        before = find_all(index, Filter(subject=(PEOPLE[1],)), len(log.entries))
    with opened(log) as (index, usable):
        assert usable
        assert index.size == len(log.entries)
        assert find_all(index, Filter(subject=(PEOPLE[1],)), len(log.entries)) == before
        assert before == expected(log.entries, Filter(subject=(PEOPLE[1],)))


WANTED = {
    "a person": Filter(subject=(PEOPLE[2],)),
    "people": Filter(subject=(PEOPLE[0], PEOPLE[3])),
    "a room": Filter(room=(ROOMS[1],)),
    "a person in rooms": Filter(subject=(PEOPLE[2],), room=(ROOMS[0], ROOMS[1])),
    "a time": Filter(since=TIME + 30 * SECOND, until=TIME + 70 * SECOND),
    "a kind in a time": Filter(kind=("room_created",), since=TIME + 100 * SECOND),
    "an API key": Filter(actor=("key-1",), role=("api",)),
    "nobody": Filter(subject=("p_" + "f" * 32,)),
    "no time": Filter(until=1),
}


@pytest.mark.parametrize("name", WANTED)
@pytest.mark.parametrize("newest_first", [False, True])
def test_it_finds_what_a_look_at_every_entry_finds(
    log: Growing, name: str, newest_first: bool
) -> None:
    with opened(log) as (index, _):
        catch_up(index, log)
        found = find_all(index, WANTED[name], len(log.entries), newest_first=newest_first)
    wanted = expected(log.entries, WANTED[name])
    assert found == (wanted[::-1] if newest_first else wanted)
    assert found or name.startswith("no")


def damage_by_garbage(path: Path) -> None:
    path.write_bytes(b"no database" * 1000)


def damage_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for position in range(8192, len(data), 4096):
        data[position : position + 64] = b"\xff" * 64
    path.write_bytes(data)


def change(path: Path, statement: str) -> None:
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(statement)
    database.close()


DAMAGES = {
    "garbage": damage_by_garbage,
    "pages overwritten": damage_in_the_middle,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:9000]),
    "emptied": lambda path: path.write_bytes(b""),
    "another version": lambda path: change(path, "UPDATE meta SET version = 99"),
    "ahead of the log": lambda path: change(path, "UPDATE meta SET size = 999999"),
    "of another log": lambda path: change(path, "UPDATE meta SET last = x'00'"),
    "no number": lambda path: change(path, "UPDATE meta SET size = 'many'"),
    "without a table": lambda path: change(path, "DROP TABLE times"),
    "with lost rows": lambda path: change(path, "DELETE FROM times WHERE entry = 7"),
    "without its facts": lambda path: change(path, "DELETE FROM meta"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_index_is_made_again(log: Growing, name: str) -> None:
    with opened(log) as (index, _):
        catch_up(index, log)
    DAMAGES[name](log.root.parent / "index" / NAME)
    with opened(log) as (index, _):
        catch_up(index, log)
        wanted = Filter(room=(ROOMS[0],))
        assert find_all(index, wanted, len(log.entries)) == expected(log.entries, wanted)


def test_a_missing_index_is_made_again_and_one_that_is_behind_goes_on(log: Growing) -> None:
    with opened(log) as (index, _):
        index.advance(len(log.entries), 300)
    more = [entry(number, "pop-1/server/c") for number in range(1, 30)]
    log.add(more)
    wanted = Filter(source=("pop-1/server/c",))
    with opened(log) as (index, usable):
        assert usable
        assert index.size == 300
        catch_up(index, log)
        assert find_all(index, wanted, len(log.entries)) == list(range(1200, 1229))
    (log.root.parent / "index" / NAME).unlink()
    with opened(log) as (index, _):
        assert index.size == 0
        catch_up(index, log)
        assert find_all(index, wanted, len(log.entries)) == list(range(1200, 1229))


def test_a_question_that_fits_little_is_answered_in_bounded_pieces(tmp_path: Path) -> None:
    with growing(tmp_path / "log") as log:
        log.add([entry(number) for number in range(1, SCAN + 200)])
        with opened(log) as (index, _):
            while index.size < len(log.entries):
                index.advance(len(log.entries), 4096)
            rare = Filter(source=("pop-1/server/5f3a",), since=TIME + SCAN + 100)
            first = index.find(rare, None, len(log.entries), newest_first=False, limit=10)
            assert first.next >= SCAN
            assert find_all(index, rare, len(log.entries)) == expected(log.entries, rare)


WORST = {
    "two that never meet": Filter(room=(ROOMS[0],), kind=("flying",)),
    "a time at the end": Filter(source=("pop-1/server/a",), since=TIME + 2_500 * SECOND),
    "an early time among late ones": Filter(until=TIME + SECOND),
    "many alternatives": Filter(kind=("room_created", "custom_recorded"), role=("nobody",)),
}


def test_the_work_for_one_answer_does_not_grow_with_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted in steps of SQLite's machine, which no busy test machine changes."""
    monkeypatch.setattr(index_module, "SCAN", 1024)
    steps: dict[str, list[int]] = {name: [] for name in WORST}
    with growing(tmp_path / "log") as log, opened(log) as (index, _):
        for _ in range(2):
            facts = many_facts(len(log.entries) + 10_000)
            log.add(entries_of(facts)[len(log.entries) :])
            while index.size < len(log.entries):
                index.advance(len(log.entries), 5000)
            for name, wanted in WORST.items():
                steps[name].append(count_steps(index, wanted, len(log.entries)))
    for name, (ten_thousand, twenty_thousand) in steps.items():
        assert twenty_thousand < 1.2 * ten_thousand + 1000, name
        assert twenty_thousand < 100 * 1024, name


def count_steps(index: Index, wanted: Filter, end: int) -> int:
    """Of SQLite, in hundreds, for the first page."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    database = index._opened()
    database.set_progress_handler(count, 100)
    index.find(wanted, None, end, newest_first=False, limit=100)
    database.set_progress_handler(None, 0)
    return counted * 100


def test_the_index_is_for_its_owner_only(log: Growing) -> None:
    with opened(log) as (index, _):
        catch_up(index, log)
        folder = log.root.parent / "index"
        assert folder.stat().st_mode & 0o077 == 0
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())

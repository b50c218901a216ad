"""Logs to be read in tests: many kinds of entries of few people and rooms, published in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from compliance.envelope import Record, encode
from compliance.events import (
    Actor,
    CustomRecorded,
    RoomCreated,
    SubscriptionPermissionChanged,
    Target,
)
from compliance.files import PosixFiles
from compliance.questions import Filter
from compliance.words import Pseudonym, Role
from tests.support.audit import TIME
from tests.support.logs import SIGNER, Log, arrival

PEOPLE = [Pseudonym(f"p_{number:032x}") for number in range(4)]
ROOMS = [f"RM_room{number}" for number in range(3)]
SOURCES = ["pop-1/server/a", "pop-1/server/b"]
SECOND = 1_000_000


@st.composite
def fact_lists(draw: st.DrawFn, max_size: int = 60) -> list[tuple[int, ...]]:
    """Facts from which `entries_of` makes entries."""
    fact = st.tuples(
        st.integers(0, 2), st.integers(0, 4), st.integers(0, 3), st.integers(0, 4), st.integers(0, 1),
        st.integers(0, 50),
    )  # fmt: skip
    return draw(st.lists(fact, max_size=max_size))


def entries_of(facts: Sequence[tuple[int, ...]]) -> list[bytes]:
    """Entries by kind, subject (4: nobody), room (3: none), actor (4: an API key), source, and seconds."""
    sequences = dict.fromkeys(SOURCES, 0)
    made = []
    for kind, subject, room, actor, source, seconds in facts:
        who = Actor(Role.API, key="key-1") if actor == 4 else Actor(Role.MODERATOR, PEOPLE[actor])
        on = Target(
            room=ROOMS[room] if room < 3 else "",
            subject=PEOPLE[subject] if subject < 4 else Pseudonym(""),
        )
        name = SOURCES[source]
        sequences[name] += 1
        event = (
            RoomCreated(actor=who, on=on),
            CustomRecorded(actor=who, on=on, name="x"),
            SubscriptionPermissionChanged(
                actor=who, on=on, everyone=False, allowed=tuple(PEOPLE[:subject])
            ),
        )[kind]
        time = TIME + seconds * SECOND
        made.append(encode(Record(name, sequences[name], time, "pop-1", "eu", event)))
    return made


def many_facts(count: int) -> list[tuple[int, ...]]:
    """Facts of a long log: everything takes turns with its own period."""
    return [(n % 3, n % 5, n % 4, n % 7 % 5, n % 2, n // 10) for n in range(count)]


def some(values: Sequence[str]) -> st.SearchStrategy[tuple[str, ...]]:
    """No alternative, some, or one that nobody has."""
    return st.lists(st.sampled_from([*values, "nobody"]), max_size=2, unique=True).map(tuple)


filters = st.builds(
    Filter,
    subject=some(PEOPLE),
    room=some(ROOMS),
    actor=some([*PEOPLE, "key-1"]),
    role=some(["api", "moderator"]),
    kind=some(["room_created", "custom_recorded", "subscription_permission_changed"]),
    source=some(SOURCES),
    since=st.sampled_from([0, TIME, TIME + 20 * SECOND]),
    until=st.sampled_from([2**53 - 1, TIME + 20 * SECOND, TIME + 40 * SECOND]),
)


class Growing:
    """A log in a folder, to which entries are added."""

    def __init__(self, root: Path, files: PosixFiles) -> None:
        self.root = root
        self.entries: list[bytes] = []
        self.log = Log(files)
        (root / "key.pub").write_text(SIGNER.verifier.encode() + "\n")

    def add(self, entries: Sequence[bytes]) -> None:
        """Commits and publishes; sequence numbers have to go on where they were."""
        for first in range(0, len(entries), 500):
            outcomes = self.log.commit([arrival(each) for each in entries[first : first + 500]])
            assert all(isinstance(outcome, int) for outcome in outcomes)
        self.log.publish()
        self.entries += entries


@contextmanager
def growing(root: Path) -> Iterator[Growing]:
    """An empty log below `root`."""
    files = PosixFiles(root)
    try:
        yield Growing(root, files)
    finally:
        files.close()


def expected(entries: Sequence[bytes], wanted: Filter) -> list[int]:
    """What a filter means, told by reading the JSON and nothing of ours."""
    return [index for index, entry in enumerate(entries) if _fits(json.loads(entry), wanted)]


def _fits(document: dict[str, object], wanted: Filter) -> bool:
    text = json.dumps(document)
    on = document.get("on", {})
    actor = document["actor"]
    assert isinstance(on, dict)
    assert isinstance(actor, dict)
    moment = TIME // SECOND
    checks = [
        not wanted.subject or any(f'"{each}"' in text for each in wanted.subject),
        not wanted.room or on.get("room") in wanted.room,
        not wanted.actor or bool({actor.get("subject"), actor.get("key")} & set(wanted.actor)),
        not wanted.role or actor["role"] in wanted.role,
        not wanted.kind or document["kind"] in wanted.kind,
        not wanted.source or document["source"] in wanted.source,
    ]
    from datetime import datetime

    time = datetime.fromisoformat(str(document["time"]).replace("Z", "+00:00"))
    micros = int(time.timestamp()) * SECOND + time.microsecond
    assert micros // SECOND >= moment
    return all(checks) and wanted.since <= micros < wanted.until

"""The account of a room: whoever could have received a track is told, for exactly as long as it could."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from compliance.account import Account, account_of, document_of
from compliance.envelope import Record
from compliance.events import (
    ActAbandoned,
    Actor,
    AdmissionGranted,
    Event,
    ParticipantLeft,
    ParticipantUpdated,
    RoomCreated,
    RoomEnded,
    SubscriptionPermissionChanged,
    Target,
    TrackPublished,
    TrackUnpublished,
)
from compliance.words import MAX_ITEMS, Role
from tests.support.audit import SYSTEM
from tests.support.reading import PEOPLE

SECOND = 1_000_000
ALICE, BOB, CAROL = PEOPLE[:3]
Told = tuple[int, Event]  # at a second


def on(peer: str = "", track: str = "", room: str = "RM_1", subject: str = "") -> Target:
    return Target(room=room, peer=peer, track=track, subject=subject)  # type: ignore[arg-type]


def comes(second: int, peer: str, subject: str, *rights: str, room: str = "RM_1") -> Told:
    actor = Actor(Role.PARTICIPANT)
    return second, AdmissionGranted(
        actor=actor, on=on(peer, room=room, subject=subject), rights=rights
    )


def leaves(second: int, peer: str) -> Told:
    return second, ParticipantLeft(actor=SYSTEM, on=on(peer), seconds=1)


def publishes(second: int, peer: str, track: str = "TR_1") -> Told:
    event = TrackPublished(
        actor=SYSTEM,
        on=on(peer, track),
        medium="video",
        purpose="camera",
        end_to_end_encrypted=False,
    )
    return second, event


def rule(second: int, peer: str, *allowed: str, everyone: bool = False, absent: int = 0) -> Told:
    extra = {"absent": absent} if absent else {}
    event = SubscriptionPermissionChanged(
        actor=SYSTEM, on=on(peer), everyone=everyone, allowed=allowed, extra=extra
    )
    return second, event


def account(told: Iterable[Told]) -> Account:
    records = [
        (index, Record("pop/server/a", index + 1, second * SECOND, "pop", "eu", event))
        for index, (second, event) in enumerate(told)
    ]
    return account_of("RM_1", records)


def viewers(told: Iterable[Told]) -> dict[str, list[tuple[int, int]]]:
    """Of the first track, in seconds; -1 for what has no end."""
    [track, *_] = account(told).tracks.values()
    return {
        stay.peer: [
            (begin // SECOND, -1 if end > 10**15 else end // SECOND) for begin, end in spans
        ]
        for stay, spans in track.viewers
    }


MEETING: Sequence[Told] = (
    (1, RoomCreated(actor=SYSTEM, on=on())),
    comes(2, "PA_a", ALICE, "publish", "subscribe"),
    publishes(5, "PA_a"),
)
ENDS: Told = (50, TrackUnpublished(actor=SYSTEM, on=on("PA_a", "TR_1"), seconds=45))
RIGHTS = {"actor": SYSTEM, "on": on("PA_b")}
CASES: dict[str, tuple[list[Told], dict[str, list[tuple[int, int]]]]] = {
    "nobody else": ([ENDS], {}),
    "who was there before and stays": ([comes(3, "PA_b", BOB, "subscribe"), ENDS], {"PA_b": [(5, 50)]}),
    "who comes late and leaves early": (
        [comes(10, "PA_b", BOB, "subscribe"), leaves(20, "PA_b"), ENDS], {"PA_b": [(10, 20)]}),
    "who left before": ([comes(3, "PA_b", BOB, "subscribe"), leaves(4, "PA_b"), ENDS], {}),
    "who came after the end": ([ENDS, comes(60, "PA_b", BOB, "subscribe")], {}),
    "who may not receive": ([comes(10, "PA_b", BOB, "publish"), ENDS], {}),
    "what has no end": ([comes(10, "PA_b", BOB, "subscribe")], {"PA_b": [(10, -1)]}),
    "who hides": ([comes(10, "PA_b", BOB, "subscribe", "hidden"), ENDS], {"PA_b": [(10, 50)]}),
    "the same person twice": (
        [comes(10, "PA_a2", ALICE, "subscribe"), ENDS], {"PA_a2": [(10, 50)]}),
    "a right that is given and taken": (
        [comes(10, "PA_b", BOB), (20, ParticipantUpdated(**RIGHTS, granted=("subscribe",))),
         (30, ParticipantUpdated(**RIGHTS, withdrawn=("subscribe",))),
         (40, ParticipantUpdated(**RIGHTS, granted=("subscribe",))), ENDS],
        {"PA_b": [(20, 30), (40, 50)]}),
    "a rule for one": (
        [comes(3, "PA_b", BOB, "subscribe"), comes(4, "PA_c", CAROL, "subscribe"),
         rule(20, "PA_a", BOB), ENDS], {"PA_b": [(5, 50)], "PA_c": [(5, 20)]}),
    "a rule for nobody, and everybody again": (
        [comes(3, "PA_b", BOB, "subscribe"), rule(20, "PA_a"), rule(30, "PA_a", everyone=True), ENDS],
        {"PA_b": [(5, 20), (30, 50)]}),
    "a rule of somebody else": (
        [comes(3, "PA_b", BOB, "subscribe"), rule(20, "PA_b"), ENDS], {"PA_b": [(5, 50)]}),
    "a rule that names somebody who is yet to come": (
        [rule(6, "PA_a", CAROL, absent=1), comes(10, "PA_b", BOB, "subscribe"), ENDS], {"PA_b": [(10, 50)]}),
    "a recorder is exempt from rules": (
        [rule(6, "PA_a"), comes(10, "PA_b", BOB, "subscribe", "recorder"), ENDS], {"PA_b": [(10, 50)]}),
    "a rule longer than an entry": (
        [comes(3, "PA_b", BOB, "subscribe"),
         rule(20, "PA_a", *(f"p_{n:032x}" for n in range(100, 100 + MAX_ITEMS))),
         rule(20, "PA_a", BOB), ENDS], {"PA_b": [(5, 50)]}),
    "an admission of which nothing came": (
        [comes(10, "PA_b", BOB, "subscribe"), (11, ActAbandoned(actor=SYSTEM, sequence=4)), ENDS], {}),
    "somebody in another room": ([comes(10, "PA_b", BOB, "subscribe", room="RM_2"), ENDS], {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_who_could_receive_a_track_is_told_for_as_long_as_it_could(name: str) -> None:
    told, expected = CASES[name]
    assert viewers([*MEETING, *told]) == expected


def test_a_document_has_durations_and_no_end_where_none_is_on_record() -> None:
    told = [*MEETING, comes(3, "PA_b", BOB, "subscribe"), leaves(9, "PA_b")]
    open_end: Any = document_of(account(told))
    assert open_end["from"] == "1970-01-01T00:00:01.000000Z"
    assert "to" not in open_end
    alice, bob = open_end["participants"]
    assert "to" not in alice
    assert (bob["seconds"], bob["admission"]) == (6, 3)
    assert open_end["tracks"][0]["viewers"][0]["spans"][0]["seconds"] == 4
    closed: Any = document_of(
        account([*told, (70, RoomEnded(actor=SYSTEM, on=on(), seconds=69, participants=2))])
    )
    assert closed["seconds"] == 69

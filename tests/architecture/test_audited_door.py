"""No audit, no action: every message and call says what is on record first, and nobody changes rooms beside that.

Whoever adds a message, a call, or a line that changes a room or a participant has to say here why that is right.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from signalling.acts import Unrecorded
from signalling.session import TABLE, Rule, State
from signalling.twirp import Rpc
from tests.support.stage import Stage

ROOT = Path(__file__).resolve().parents[2]
# What changes rooms, participants and tracks, by the names of `sfu.ports` and `signalling.ports`.
CHANGES = frozenset(
    {"join", "create_room", "delete_room", "leave", "set_muted", "update", "announce", "unpublish",
     "set_metadata", "set_track_grants", "update_publication", "subscribe", "unsubscribe"}
)  # fmt: skip
# Receivers that are no rooms, participants or tracks, but have methods of these names.
OTHERS = frozenset(
    {"acts", "member.session", "message", "messages", "presence", "relay", "request", "response.headers",
     "self", "self._followers", "self._hub", "self._sessions", "session", "spec", "video"}
)  # fmt: skip

# Lines that run only once their act is on record: function -> the entry of a table that says so.
RECORDED = {
    "signalling/handlers/presence.py:update_metadata": "update_metadata",
    "signalling/handlers/publishing.py:add_track": "add_track",
    "signalling/handlers/subscribing.py:subscription_permission": "subscription_permission",
    "signalling/room_service.py:RoomService.mute_published_track": "MutePublishedTrack",
    "signalling/room_service.py:RoomService.remove_participant": "RemoveParticipant",
    "signalling/room_service.py:RoomService.update_participant": "UpdateParticipant",
    "signalling/room_service.py:RoomService.update_room_metadata": "UpdateRoomMetadata",
    "signalling/room_service.py:RoomService.update_subscriptions": "UpdateSubscriptions",
}
# Lines that record by themselves, in the same function, before them.
DOORS = frozenset(
    {
        "signalling/door.py:Door.admit",
        "signalling/door.py:Door._create",
        "signalling/door.py:Door.change_room",
        "signalling/door.py:Door.end_room",
        "signalling/http_sessions.py:HttpSessions.announce",
    }
)
# Lines whose consequence is noted as it happens: a participant goes by its own will, or because it has to.
OBSERVED = frozenset(
    {
        "signalling/handlers/presence.py:leave:leave",
        "signalling/handlers/presence.py:simulate:leave",
        "signalling/http_sessions.py:HttpSessions.close:leave",
        "signalling/http_sessions.py:HttpSessions.handle_event:leave",
        "signalling/session.py:Session.handle_disconnect:leave",
        "signalling/whep.py:Whep._patch:leave",
        "signalling/whep.py:Whep._watch:leave",
        "signalling/whip.py:Whip._publish:leave",
    }
)
# Lines by which somebody says what is its own, or takes of what it may have.
OWN = frozenset(
    {
        "signalling/handlers/publishing.py:_add_codecs:update_publication",
        "signalling/handlers/publishing.py:mute:set_muted",
        "signalling/handlers/publishing.py:update_audio_track:update_publication",
        "signalling/handlers/publishing.py:update_video_track:update_publication",
        "signalling/handlers/subscribing.py:_apply:subscribe",
        "signalling/handlers/subscribing.py:_apply:unsubscribe",
        "signalling/viewers.py:Viewers.follow:subscribe",
        "signalling/viewers.py:Viewers.handle_event:subscribe",
    }
)


def services() -> Mapping[str, Rpc]:
    return {
        method: rpc
        for table in Stage().signalling.twirp.services.values()
        for method, rpc in table.items()
    }


RULES = [(state, kind, rule) for state, rules in TABLE.items() for kind, rule in rules.items()]
ENTRIES: dict[str, Rule | Rpc] = {**dict(TABLE[State.JOINED]), **services()}


@pytest.mark.parametrize(("state", "kind", "rule"), RULES)
def test_every_message_says_what_is_on_record_first(state: State, kind: str, rule: Rule) -> None:
    assert isinstance(rule.record, Unrecorded) or callable(rule.record), (state, kind)


@pytest.mark.parametrize("method", services())
def test_every_call_says_what_is_on_record_first(method: str) -> None:
    record = services()[method].record
    assert isinstance(record, Unrecorded) or callable(record)


def test_what_governs_others_is_always_on_record() -> None:
    unrecorded = {
        name
        for name, entry in ENTRIES.items()
        if isinstance(entry.record, Unrecorded) and entry.record is not Unrecorded.REFUSED
    }
    assert unrecorded == {
        "offer", "answer", "trickle", "mute", "subscription", "track_setting", "leave", "simulate", "ping",
        "ping_req", "update_audio_track", "update_video_track",
        "CreateRoom", "DeleteRoom", "ListRooms", "ListParticipants", "GetParticipant", "SendData",
    }  # fmt: skip


def changes() -> Iterator[tuple[str, str]]:
    """Function and method of every call that may change something, in signalling and in what builds on it."""
    for package in ("signalling", "server", "recorder", "mesh"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = str(path.relative_to(ROOT))
            for function, call in calls_in(ast.parse(path.read_text()), ()):
                yield f"{name}:{function}", call


def calls_in(node: ast.AST, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from calls_in(child, (*within, child.name))
            continue
        # A method that is only handed on is as good as called: functions are looked for as well.
        if isinstance(child, ast.Attribute) and child.attr in CHANGES:
            of = child.value
            if not isinstance(of, ast.Constant) and ast.unparse(of) not in OTHERS:
                yield ".".join(within), child.attr
        yield from calls_in(child, within)


def test_nobody_changes_rooms_beside_the_door() -> None:
    allowed = OBSERVED | OWN
    undeclared = [
        f"{function}:{call}"
        for function, call in changes()
        if function not in RECORDED
        and function not in DOORS
        and f"{function}:{call}" not in allowed
    ]
    assert not undeclared


def test_what_is_declared_here_is_still_there() -> None:
    found = set(changes())
    functions = {function for function, _ in found}
    assert functions >= RECORDED.keys() | DOORS
    assert {f"{function}:{call}" for function, call in found} >= OBSERVED | OWN


@pytest.mark.parametrize("function", RECORDED)
def test_what_runs_after_its_entry_is_declared_so_in_its_table(function: str) -> None:
    entry = ENTRIES[RECORDED[function]]
    assert callable(entry.record)
    assert not isinstance(entry.record, Unrecorded)
    if isinstance(entry, Rule):
        assert entry.handler.__name__ == function.rpartition(":")[2]


@pytest.mark.parametrize("door", sorted(DOORS))
def test_a_door_records_before_it_changes_anything(door: str) -> None:
    path, _, name = door.partition(":")
    method = name.rpartition(".")[2]
    tree = ast.parse((ROOT / path).read_text())
    (function,) = (
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name == method
    )
    recorded = [
        node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Await) and ".record(" in ast.unparse(node)
    ]
    changed = [
        node.lineno
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and node.attr in CHANGES
        and ast.unparse(node.value) not in OTHERS
    ]
    assert recorded
    assert min(recorded) < min(changed)

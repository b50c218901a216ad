"""Every state with every message: what has no rule is refused by name and changes nothing."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import rtc

from common.errors import LocalError
from scripts.session_states import document
from signalling.effects import CloseCode
from signalling.session import COMMANDS, TABLE, Session, State
from signalling.wire import REQUEST_KINDS
from tests.support.rooms_double import PeerDouble
from tests.support.stage import Client, Stage

KINDS = (*REQUEST_KINDS, "unknown")
UNKNOWN_REQUEST = b"\xfa\x7f\x03abc"


def request_of(kind: str) -> rtc.SignalRequest:
    if kind == "unknown":
        return rtc.SignalRequest.FromString(UNKNOWN_REQUEST)
    request = rtc.SignalRequest()
    if kind == "ping":
        request.ping = 1
    else:
        getattr(request, kind).SetInParent()
    return request


def client_in(state: State) -> Client:
    stage = Stage()
    client = stage.active("alice")
    if state is State.OPENING:
        session = Session(client.session.member, stage.hub, stage.clock.now())
        client.session.member.session = client.session = session
    elif state is State.RESUMED:
        client = stage.resume(client)
    elif state is State.LEAVING:
        client.session.end(CloseCode.DONE)
    elif state is State.CLOSED:
        client.disconnect()
    client.frames()
    stage.hub.refusals.clear()
    assert client.session.state is state
    return client


def facts(peer: PeerDouble) -> tuple[Any, ...]:
    """Everything about a peer that a message could change."""
    return (
        peer.state,
        peer.version,
        peer.name,
        peer.metadata,
        dict(peer.attributes),
        peer.permissions,
        set(peer.subscribed_tracks),
        dict(peer.publications),
        list(peer.calls),
    )


def test_the_table_knows_every_state_and_every_message() -> None:
    assert set(TABLE) == set(State)
    assert {kind for rules in TABLE.values() for kind in rules} == set(KINDS)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", KINDS)
def test_every_message_in_every_state_has_a_defined_outcome(state: State, kind: str) -> None:
    client = client_in(state)
    before = facts(client.double)
    client.session.handle_request(request_of(kind), client.stage.clock.now())
    client.stage.rooms.flush()
    if kind in TABLE[state]:
        assert f"{kind}_in_{state}" not in client.stage.refusals
        return
    assert client.stage.refusals == {f"{kind}_in_{state}": 1}
    assert client.session.state is state
    assert client.frames() == []
    assert facts(client.double) == before


@pytest.mark.parametrize("state", [State.OPENING, State.LEAVING, State.CLOSED])
def test_frames_before_the_greeting_and_after_the_end_are_refused_unread(state: State) -> None:
    client = client_in(state)
    client.session.handle_frame(b"\xff\xff\xff", client.stage.clock.now())
    assert client.stage.refusals == {f"frame_in_{state}": 1}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_every_state_moves_as_the_table_says_or_raises(
    state: State, command: str
) -> None:
    session = client_in(state).session
    target = COMMANDS[command].get(state)
    if target is None:
        with pytest.raises(LocalError):
            session._move(command)
        assert session.state is state
    else:
        session._move(command)
        assert session.state is target


def test_garbage_closes_the_socket_and_is_counted() -> None:
    client = client_in(State.JOINED)
    client.session.handle_frame(b"\xff\xff\xff", client.stage.clock.now())
    client.frames()
    assert client.closed == CloseCode.MALFORMED
    assert client.stage.refusals == {"signal_malformed": 1}


def test_a_flood_of_messages_closes_the_socket() -> None:
    client = client_in(State.JOINED)
    for _ in range(1_001):
        client.send(ping=1)
    client.frames()
    assert client.closed == CloseCode.TOO_MANY_MESSAGES
    assert client.stage.refusals["message_rate_exceeded"] == 1


def test_a_reader_that_reads_nothing_is_closed_not_buffered_for() -> None:
    client = client_in(State.JOINED)
    for _ in range(5_000):
        client.session.send(rtc.SignalResponse(pong=1))
    frames = client.frames()
    assert client.closed == CloseCode.SLOW_READER
    assert frames == []
    assert client.stage.refusals == {"outbox_overflow": 1}


def test_few_but_long_messages_overflow_the_outbox_as_well() -> None:
    client = client_in(State.JOINED)
    for _ in range(10):
        client.session.send(rtc.SignalResponse(refresh_token="t" * 1_000_000))
    assert client.frames() == []
    assert client.closed == CloseCode.SLOW_READER


def test_one_message_may_be_longer_than_the_outbox_is_wide() -> None:
    client = client_in(State.JOINED)
    client.session.send(rtc.SignalResponse(refresh_token="t" * 9_000_000))
    assert client.kinds() == ["refresh_token"]


def test_a_flood_of_news_for_everybody_is_refused_with_a_reply() -> None:
    client = client_in(State.JOINED)
    other = client.stage.active("bob")
    for _ in range(101):
        client.send(simulate=rtc.SimulateScenario(speaker_update=1))
    assert len(other.all("speakers_changed")) == 100
    client.frames()
    client.send(mute=rtc.MuteTrackRequest(sid="TR_x"))
    reply = client.only("request_response")
    assert reply.reason == rtc.RequestResponse.Reason.LIMIT_EXCEEDED
    assert client.stage.refusals == {"limit_exceeded": 2}
    client.send(ping=1)
    assert client.kinds() == ["pong"]


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_frames_leave_the_session_in_a_state_of_the_table(frames: list[bytes]) -> None:
    client = client_in(State.JOINED)
    for frame in frames:
        client.session.handle_frame(frame, client.stage.clock.now())
        client.stage.rooms.flush()
    assert client.session.state in TABLE


def test_the_document_is_rendered_from_the_table() -> None:
    written = Path("docs/signalling-states.md").read_text()
    assert written.endswith(document())

"""Offers and answers."""

import pytest
from livekit.protocol import models, rtc

from common.errors import RemoteError
from sfu import events
from tests.support.stage import Client, Stage


@pytest.fixture
def alice() -> Client:
    return Stage().active("alice")


def offer_needed(client: Client) -> None:
    client.stage.rooms.emit(events.OfferNeeded, client.double.room, client.double)
    client.stage.rooms.flush()


def answer(number: int) -> rtc.SessionDescription:
    return rtc.SessionDescription(type="answer", sdp=f"v=0 {number}", id=number)


@pytest.mark.parametrize("number", [0, 1, 7])
def test_an_answer_carries_the_number_of_its_offer(alice: Client, number: int) -> None:
    alice.send(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=number))
    reply = alice.only("answer")
    assert (reply.type, reply.id, reply.sdp) == ("answer", number, "answer to v=0")


def test_an_identical_offer_is_answered_again(alice: Client) -> None:
    for _ in range(2):
        alice.send(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=2))
        assert alice.only("answer").id == 2


def test_offers_wait_for_the_answer_to_the_one_before(alice: Client) -> None:
    offer_needed(alice)
    offer_needed(alice)
    assert alice.all("offer") == []  # the one of the join is still open
    alice.send(answer=answer(1))
    assert alice.only("offer").id == 2
    alice.send(answer=answer(0))  # clients without numbers
    assert alice.all("offer") == []
    offer_needed(alice)
    assert alice.only("offer").id == 3


def test_answers_that_nothing_waits_for_are_refused_by_name(alice: Client) -> None:
    alice.send(answer=answer(7))
    alice.send(answer=answer(1))
    alice.send(answer=answer(1))
    handled = [call for call in alice.double.calls if call[0] == "handle_answer"]
    assert handled == [("handle_answer", "v=0 1")]
    assert alice.stage.refusals == {"answer_outdated": 1, "answer_without_offer": 1}


def test_an_offer_that_cannot_be_answered_makes_the_client_join_anew(alice: Client) -> None:
    alice.double.refuse_offer = RemoteError("sdp_profile", "plaintext")
    alice.send(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=1))
    leave = alice.only("leave")
    assert leave.action == rtc.LeaveRequest.Action.RECONNECT
    assert leave.reason == models.DisconnectReason.MEDIA_FAILURE
    assert alice.stage.refusals == {"sdp_profile": 1}


def test_candidates_are_read_and_nothing_follows_from_them(alice: Client) -> None:
    before = list(alice.double.calls)
    line = '{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}'
    alice.send(trickle=rtc.TrickleRequest(candidateInit=line))
    alice.send(trickle=rtc.TrickleRequest(final=True))
    assert alice.frames() == []
    assert alice.double.calls == before
    assert alice.stage.refusals == {}


@pytest.mark.parametrize("line", ["", "null", "[]", "{}", "{", "[" * 100_000])
def test_malformed_candidates_are_refused_by_name(alice: Client, line: str) -> None:
    alice.send(trickle=rtc.TrickleRequest(candidateInit=line))
    assert alice.stage.refusals == {"trickle_malformed": 1}


def test_no_candidate_is_ever_trickled_by_us(alice: Client) -> None:
    alice.send(offer=rtc.SessionDescription(type="offer", sdp="v=0", id=1))
    assert alice.all("trickle") == []


def test_sections_are_asked_for_and_zero_means_offer_again(alice: Client) -> None:
    room, peer = alice.double.room, alice.double
    alice.stage.rooms.emit(events.SectionsNeeded, room, peer, 0, 0)
    alice.stage.rooms.flush()
    frames = alice.frames()
    assert frames[0].WhichOneof("message") == "media_sections_requirement"

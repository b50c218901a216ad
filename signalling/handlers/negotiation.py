"""Offers, answers and candidates."""

from __future__ import annotations

import json

from livekit.protocol import rtc

from common.errors import RemoteError
from signalling import messages
from signalling.handlers.ports import SessionPort


def offer(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The client's offer on its publisher connection: answered at once, under its own number."""
    description = session.member.peer.handle_offer(request.offer.sdp)
    session.send(messages.answer(description, request.offer.id))


def answer(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """The answer to our offer. Clients that don't number their answers send 0."""
    member = session.member
    if not member.offer_open:
        session.refuse("answer_without_offer")
        return
    if request.answer.id not in (0, member.offer_number):
        session.refuse("answer_outdated")
        return
    member.offer_open = False
    member.peer.handle_answer(request.answer.sdp)
    if member.offer_wanted:
        send_offer(session)


def send_offer(session: SessionPort) -> None:
    """Makes an offer, or remembers that one is wanted while another is open."""
    member = session.member
    if member.offer_open:
        member.offer_wanted = True
        return
    member.offer_wanted = False
    member.offer_open = True
    member.offer_number += 1
    session.send(messages.offer(member.peer.create_offer(), member.offer_number))


def trickle(session: SessionPort, request: rtc.SignalRequest, now: float) -> None:
    """A candidate of the client. Nothing follows from it.

    We are ICE-lite (RFC 8445 section 2.5): we send no checks, so the client's addresses are learnt from its
    authenticated checks alone and never from what it says.
    """
    try:
        candidate = json.loads(request.trickle.candidateInit or "null")
    except (ValueError, RecursionError):
        candidate = None
    if not isinstance(candidate, dict) or not isinstance(candidate.get("candidate"), str):
        if not request.trickle.final:
            raise RemoteError("trickle_malformed", "the candidate is no JSON object")

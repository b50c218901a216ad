"""Sending on the connection where the client makes the offers (LiveKit's single connection).

In come subscriptions and offered sections, out go plans for our answers, legs, and requests for more sections.
"""

from __future__ import annotations

from collections.abc import Mapping

from common.ids import TrackSid
from sfu.connection import Connection
from sfu.context import Context
from sfu.dataplane import Kind
from sfu.events import SectionsNeeded
from sfu.negotiation.answer import NOTHING, Agreement, SectionPlan, agree
from sfu.negotiation.sdp import Section, Session
from sfu.negotiation.transport import carried
from sfu.ports import PeerPort
from sfu.renegotiation import Renegotiation
from sfu.slots import Slot, SlotTable
from sfu.subscriber import Subscriber, outgoing
from sfu.subscription import Subscription

KINDS: tuple[Kind, Kind] = ("audio", "video")


class AnsweringSender:
    """The receiving sections that a client offers."""

    def __init__(self, context: Context, peer: PeerPort, subscriber: Subscriber) -> None:
        """Waits for the first offer."""
        self._context = context
        self._peer = peer
        self._subscriber = subscriber
        self._slots = SlotTable(reuse=True)
        self._waiting: dict[Subscription, None] = {}  # in order
        self._requested: dict[Kind, int] = dict.fromkeys(KINDS, 0)
        self._rounds = Renegotiation(
            context, ("sections", peer.sid), due=self._ask, expired=self._retry
        )
        self._offered = False

    def bind(self, subscription: Subscription) -> None:
        """Waits for the client's next offer; asks for one, unless the first is still to come."""
        self._waiting[subscription] = None
        if self._offered:
            self._rounds.request()

    def release(self, subscription: Subscription) -> None:
        """The section sends nothing from the next answer on."""
        self._waiting.pop(subscription, None)
        if subscription.slot is not None:
            subscription.slot.release()
            self._rounds.request()

    def plan(self, offer: Session, connection: Connection) -> dict[str, SectionPlan]:
        """What we send in which section of this offer."""
        sections = {section.mid: section for section in _receiving(offer)}
        for slot in [slot for slot in self._slots if slot.mid not in sections]:
            self._lose(slot)
        for mid, section in sections.items():
            if self._slots.get(mid) is None:
                kind: Kind = "audio" if section.kind == "audio" else "video"
                self._slots.add(mid, kind)
                self._requested[kind] = max(0, self._requested[kind] - 1)
        for subscription in list(self._waiting):
            self._place(subscription, sections, connection)
        return {
            slot.mid: SectionPlan(send=slot.outgoing)
            for slot in self._slots
            if slot.outgoing is not None
        }

    def apply(
        self, agreements: Mapping[str, Agreement], connection: Connection
    ) -> dict[str, TrackSid]:
        """The answer is made: starts what is new in it; returns the track of each section in use."""
        self._offered = True
        self._rounds.finish()
        for slot in self._slots:
            slot.sending = slot.subscription is not None
            if slot.subscription is not None and slot.subscription.leg is None:
                slot.subscription.start(agreements[slot.mid], connection.transport)
                self._subscriber.started(slot.subscription)
        if self._waiting:
            self._rounds.request()
        return {
            slot.mid: slot.subscription.publication.sid
            for slot in self._slots
            if slot.subscription is not None
        }

    def ask_again(self) -> None:
        """What was asked for may have been lost on the way to the client."""
        self._requested = dict.fromkeys(KINDS, 0)
        self._rounds.abandon()
        if self._waiting:
            self._rounds.request()

    def close(self) -> None:
        """The peer leaves."""
        self._rounds.close()

    def _place(
        self, subscription: Subscription, sections: Mapping[str, Section], connection: Connection
    ) -> None:
        slot = self._slots.find_free(subscription.publication.kind)
        if slot is None:
            return
        if not subscription.receivable(agree(sections[slot.mid], NOTHING)):
            self._subscriber.fail(subscription, "codec_unsupported")
            return
        del self._waiting[subscription]
        slot.take(subscription, outgoing(subscription, connection))
        subscription.slot = slot

    def _lose(self, slot: Slot) -> None:
        """The client took the section away; its track needs another."""
        self._slots.remove(slot.mid)
        subscription = slot.subscription
        if subscription is not None:
            subscription.stop_leg()
            subscription.slot = None
            self._waiting[subscription] = None

    def _ask(self) -> None:
        """Asks for the sections that are missing beyond those asked for; with none missing, for an offer."""
        missing = {kind: self._missing(kind) for kind in KINDS}
        if any(missing.values()) or not any(self._requested.values()):
            for kind in KINDS:
                self._requested[kind] += missing[kind]
            event = SectionsNeeded(self._peer.room, self._peer, missing["audio"], missing["video"])
            self._context.emit(event)
        self._rounds.begin()

    def _missing(self, kind: Kind) -> int:
        waiting = sum(one.publication.kind == kind for one in self._waiting)
        released = sum(
            slot.kind == kind and slot.sending and slot.subscription is None for slot in self._slots
        )
        at_hand = self._slots.count_free(kind) + released + self._requested[kind]
        return max(0, waiting - at_hand)

    def _retry(self) -> None:
        """The client did not offer: whatever was asked for is forgotten and asked for again."""
        self._requested = dict.fromkeys(KINDS, 0)
        self._rounds.request()


def _receiving(offer: Session) -> list[Section]:
    return [
        section
        for section in offer.sections
        if section.is_rtp and section.direction == "recvonly" and carried(offer, section)
    ]

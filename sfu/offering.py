"""Sending on a connection of its own, where we make the offers (LiveKit's dual connections).

In come subscriptions and the client's answers, out go offers and legs. One offer waits for its answer at a time.
"""

from __future__ import annotations

from typing import Protocol

from common.errors import RemoteError
from sfu.connection import ConnectedPeer, Connection
from sfu.context import Context
from sfu.events import OfferNeeded
from sfu.model import Description
from sfu.negotiation.answer import Agreement
from sfu.negotiation.codecs import offered
from sfu.negotiation.offer import OfferedSection, build_offer, read_answer
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Session
from sfu.negotiation.transport import read_transport
from sfu.renegotiation import Renegotiation
from sfu.slots import Slot, SlotTable
from sfu.subscriber import Subscriber, outgoing
from sfu.subscription import Subscription

CHANNELS: tuple[tuple[str, bool, int | None], ...] = (  # label, ordered, retransmissions
    ("_reliable", True, None),
    ("_lossy", False, 0),
    ("_data_track", False, 0),
)


class OfferedPeer(ConnectedPeer, Protocol):
    """The peer that gets our offers, as we see it."""

    @property
    def takes_red(self) -> bool:
        """Whether redundant audio may be offered to it."""


class OfferingSender:
    """The subscriber connection of one peer."""

    def __init__(self, context: Context, peer: OfferedPeer, subscriber: Subscriber) -> None:
        """Opens the connection and its data channels; asks for the first offer, even with nothing to send."""
        self._context = context
        self._peer = peer
        self._subscriber = subscriber
        self.connection = Connection(context, peer, offers=True)
        self._slots = SlotTable(reuse=peer.client.browser.lower() != "safari")
        self._offer: Session | None = None
        self._rounds = Renegotiation(
            context, ("offer", peer.sid), due=self._ask, expired=self._expire
        )
        for label, ordered, retransmits in CHANNELS:
            self.connection.open_channel(label, ordered=ordered, max_retransmits=retransmits)
        self._rounds.request()

    def bind(self, subscription: Subscription) -> None:
        """Gives the subscription a section of the next offer."""
        publication = subscription.publication
        formats = offered(
            publication.sources, red=self._peer.takes_red, stereo=publication.spec.stereo
        )
        if not formats:
            self._subscriber.fail(subscription, "codec_unsupported")
            return
        slot = self._slots.find_free(publication.kind) or self._slots.create(publication.kind)
        if slot is None:
            self._context.refuse("section_limit")
            self._subscriber.fail(subscription, "unknown")
            return
        slot.take(subscription, outgoing(subscription, self.connection), formats)
        subscription.slot = slot
        self._rounds.request()

    def release(self, subscription: Subscription) -> None:
        """The section sends nothing from the next offer on."""
        if subscription.slot is not None:
            subscription.slot.release()
            self._rounds.request()

    def create_offer(self) -> Description:
        """Describes every section, in the order in which they came to be."""
        sections = [
            OfferedSection(slot.mid, slot.kind, slot.formats, slot.outgoing, slot.ended)
            for slot in self._slots
        ]
        for slot in self._slots:
            slot.offered = slot.subscription
        self._offer = build_offer(sections, self.connection.local(), self.connection.next_version())
        self._rounds.begin()
        return Description("offer", self._offer.serialise())

    def handle_answer(self, sdp: str) -> None:
        """Starts the legs of what the client accepted."""
        offer = self._offer
        if offer is None or not self._rounds.running:
            self._context.refuse("answer_unexpected")
            return
        answer = parse(sdp)
        remote = read_transport(answer)
        if remote is None:
            raise RemoteError("sdp_malformed", "the answer refuses everything")
        agreements = read_answer(offer, answer)
        self.connection.apply_remote(remote)
        self._offer = None
        for mid, agreement in agreements.items():
            slot = self._slots.get(mid)
            if slot is not None:
                section = answer.section(mid)
                slot.ended = slot.ended or section is None or section.rejected
                self._settle(slot, agreement)
        self._rounds.finish()

    def restart_ice(self) -> None:
        """New credentials; an offer that waits is void, its answer may have been lost."""
        self.connection.restart_ice()
        self._offer = None
        for slot in self._slots:
            slot.sending = slot.sending or slot.offered is not None
            slot.offered = None
        self._rounds.abandon()
        self._rounds.request()

    def close(self) -> None:
        """The peer leaves."""
        self._rounds.close()
        self.connection.close()

    def _settle(self, slot: Slot, agreement: Agreement) -> None:
        """One section is negotiated: what was offered in it starts, if it is still wanted there."""
        subscription, slot.offered = slot.offered, None
        slot.sending = subscription is not None and bool(agreement.formats)
        if slot.subscription is not subscription:
            self._rounds.request()
        elif subscription is not None:
            if subscription.start(agreement, self.connection.transport):
                self._subscriber.started(subscription)
            else:
                self._subscriber.fail(subscription, "codec_unsupported")

    def _ask(self) -> None:
        self._context.emit(OfferNeeded(self._peer.room, self._peer))

    def _expire(self) -> None:
        self._peer.fail("negotiation_timeout")

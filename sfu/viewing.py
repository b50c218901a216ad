"""Sending to a viewer that negotiates once (WHEP): its sections stay, the tracks in them come and go.

In come the sections of the one description and subscriptions, out go legs. Every section says from the start that
we send, and under which SSRCs: whatever track takes it is sent under them, so that viewers that go by the
description find retransmissions too. The data plane goes on counting where the track before stopped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from common.errors import RemoteError
from common.ids import PeerSid, TrackSid
from sfu.connection import Connection
from sfu.context import Context
from sfu.dataplane import Kind
from sfu.model import View
from sfu.negotiation.answer import Agreement, Outgoing, SectionPlan
from sfu.negotiation.codecs import NAMES, TABLE, offered
from sfu.negotiation.offer import OfferedSection, build_offer, read_answer
from sfu.negotiation.parse import parse
from sfu.negotiation.sdp import Session
from sfu.negotiation.transport import carried, read_transport
from sfu.ports import PeerPort
from sfu.slots import Slot
from sfu.subscriber import Subscriber
from sfu.subscription import Subscription

# Pictures choose first: sound then prefers whoever is seen.
KINDS: Final[tuple[Kind, Kind]] = ("video", "audio")
OFFERED: Final[tuple[tuple[str, Kind], ...]] = (("0", "audio"), ("1", "video"))


class ViewingSender:
    """The sections of one viewer."""

    def __init__(self, context: Context, peer: PeerPort, subscriber: Subscriber) -> None:
        """Waits for the viewer's offer, or to be asked for ours."""
        self._context = context
        self._peer = peer
        self._subscriber = subscriber
        self._connection: Connection | None = None
        self._offer: Session | None = None  # ours, until it is answered
        self._order: tuple[str, ...] = ()  # every section's mid
        self._slots: dict[str, Slot] = {}
        self._described: dict[str, Outgoing] = {}
        self._agreements: dict[str, Agreement] = {}
        self._waiting: dict[Subscription, None] = {}  # in order

    @property
    def views(self) -> Mapping[int, View]:
        """What each section that can carry media shows now, by its place in the description."""
        return {
            index: View(slot.kind, _track_of(slot))
            for index, mid in enumerate(self._order)
            if (slot := self._slots.get(mid)) is not None and mid in self._agreements
        }

    def bind(self, subscription: Subscription) -> None:
        """Shows the track where there is room, now or later."""
        self._waiting[subscription] = None
        self._fill()

    def release(self, subscription: Subscription) -> None:
        """A track is over; another may take its place."""
        self._waiting.pop(subscription, None)
        if subscription.slot is not None:
            subscription.slot.release()
            subscription.slot = None
            self._fill()

    def plan(self, offer: Session, connection: Connection) -> dict[str, SectionPlan]:
        """Sends in every section in which this viewer receives."""
        self._order = tuple(section.mid for section in offer.sections)
        for section in offer.sections:
            receives = section.direction in ("recvonly", "sendrecv")
            if section.is_rtp and receives and carried(offer, section):
                kind: Kind = "audio" if section.kind == "audio" else "video"
                if section.mid not in self._slots:
                    self._add(section.mid, kind, connection)
        return {mid: SectionPlan(send=described) for mid, described in self._described.items()}

    def apply(
        self, agreements: Mapping[str, Agreement], connection: Connection
    ) -> dict[str, TrackSid]:
        """The one description has its answer: what waits is shown; returns the track of each section in use."""
        self._connection = connection
        self._agreements = {
            mid: agreement
            for mid, agreement in agreements.items()
            if agreement.formats and mid in self._slots
        }
        self._fill()
        tracks = {mid: _track_of(slot) for mid, slot in self._slots.items()}
        return {mid: track for mid, track in tracks.items() if track is not None}

    def create_offer(self, connection: Connection) -> Session:
        """Our own offer, for a viewer that has none: a section of each kind, with every codec."""
        self._connection = connection
        self._order = tuple(mid for mid, _ in OFFERED)
        for mid, kind in OFFERED:
            self._add(mid, kind, connection)
        sections = [
            OfferedSection(
                mid,
                kind,
                offered([one for one in TABLE if one.codec in NAMES[kind]], red=False, stereo=True),
                self._described[mid],
            )
            for mid, kind in OFFERED
        ]
        version = connection.next_version()
        self._offer = build_offer(sections, connection.local(), version, data=False, mux_only=True)
        return self._offer

    def handle_answer(self, sdp: str) -> None:
        """The viewer's answer to our offer. Raises RemoteError: answer_unexpected, and as offers do."""
        connection, offer = self._connection, self._offer
        if connection is None or offer is None:
            raise RemoteError("answer_unexpected", "no offer waits for an answer")
        answer = parse(sdp)
        remote = read_transport(answer)
        if remote is None:
            raise RemoteError("sdp_malformed", "the answer refuses everything")
        agreements = read_answer(offer, answer)
        connection.apply_remote(remote)
        self._offer = None
        self.apply(agreements, connection)

    def close(self) -> None:
        """The viewer leaves."""
        self._waiting.clear()
        self._connection = None

    def _fill(self) -> None:
        """Gives free sections to tracks that wait for one."""
        if self._connection is None or not self._agreements:
            return
        for kind in KINDS:
            for subscription in self._candidates(kind):
                free = [slot for slot in self._negotiated(kind) if slot.subscription is None]
                if not free:
                    break
                self._show(subscription, free, self._connection)

    def _candidates(self, kind: Kind) -> Sequence[Subscription]:
        """Tracks that wait, those of publishers that are shown already before others."""
        shown = self._shown()
        waiting = [one for one in self._waiting if one.publication.kind == kind]
        return sorted(waiting, key=lambda one: one.publication.peer.sid not in shown)

    def _shown(self) -> set[PeerSid]:
        return {
            slot.subscription.publication.peer.sid
            for slot in self._slots.values()
            if slot.subscription is not None
        }

    def _show(
        self, subscription: Subscription, free: Sequence[Slot], connection: Connection
    ) -> None:
        slot = next(
            (slot for slot in free if subscription.receivable(self._agreements[slot.mid])), None
        )
        del self._waiting[subscription]
        if slot is None:
            self._subscriber.fail(subscription, "codec_unsupported")
            return
        slot.take(subscription, self._described[slot.mid])
        subscription.slot = slot
        subscription.start(self._agreements[slot.mid], connection.transport)
        self._subscriber.started(subscription)

    def _negotiated(self, kind: Kind) -> Sequence[Slot]:
        return [
            slot
            for mid, slot in self._slots.items()
            if slot.kind == kind and mid in self._agreements
        ]

    def _add(self, mid: str, kind: Kind, connection: Connection) -> None:
        """A section, and how it shows in a description: all belong to one MediaStream, that of the room.

        Stereo in any case, before we know: whoever expects it plays mono as well.
        """
        room = self._peer.room.sid
        self._slots[mid] = Slot(mid, kind)
        self._described[mid] = Outgoing(
            stream=room,
            track=f"section-{mid}",
            ssrc=connection.next_ssrc(),
            rtx_ssrc=connection.next_ssrc() if kind == "video" else None,
            cname=room,
            stereo=True,
        )


def _track_of(slot: Slot) -> TrackSid | None:
    return slot.subscription.publication.sid if slot.subscription is not None else None

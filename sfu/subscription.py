"""One track on its way to one subscriber: its leg, and which layer that should carry."""

from __future__ import annotations

from typing import Protocol

from common.ids import LegId, TransportId
from sfu import allocation
from sfu.context import Context
from sfu.dataplane import Kind, LegSpec
from sfu.model import Quality, TrackKind, TrackSettings
from sfu.negotiation import extensions
from sfu.negotiation.answer import Agreement, Outgoing
from sfu.negotiation.codecs import payload_maps
from sfu.publication import Publication


class Receiver(Protocol):
    """Whoever receives the track, as the subscription sees it."""

    def restart(self, subscription: Subscription) -> None:
        """The track changed its codecs."""

    def handle_media(self) -> None:
        """Media is on its way."""


class Place(Protocol):
    """The section in which the track is sent, as the subscription sees it."""

    @property
    def mid(self) -> str:
        """Of the section."""

    @property
    def kind(self) -> Kind:
        """Audio or video."""

    @property
    def outgoing(self) -> Outgoing | None:
        """How the section shows in our descriptions while a track has it."""

    def release(self) -> None:
        """The track needs it no more."""


class Subscription:
    """Waits for a place, then for its negotiation, then has a leg."""

    def __init__(
        self,
        context: Context,
        receiver: Receiver,
        publication: Publication,
        settings: TrackSettings,
    ) -> None:
        """`receiver` gets `publication`."""
        self._context = context
        self._receiver = receiver
        self.publication = publication
        self.settings = settings
        self.slot: Place | None = None
        self.leg: LegId | None = None
        self.current: int | None = None  # layer on the wire
        self.failed = False  # no common codec; waits for the track to change
        self._target: tuple[int, int] | None = None
        self._quality = Quality.OFF  # what dynacast counts for it
        self.retarget()

    @property
    def track_kind(self) -> TrackKind:
        """Audio or video."""
        return self.publication.spec.kind

    def start(self, agreement: Agreement, transport: TransportId) -> bool:
        """Its section is negotiated: adds the leg. False if the subscriber has no codec of the track."""
        slot, track = self.slot, self.publication.track
        if slot is None or slot.outgoing is None or track is None or self.leg is not None:
            return True
        if not self.receivable(agreement):
            return False
        payloads = payload_maps(self.publication.formats, agreement.formats)
        repaired = any(payload.rtx is not None for payload in payloads)
        outgoing: Outgoing = slot.outgoing
        self.leg = self._context.plane.add_leg(
            LegSpec(
                track=track,
                transport=transport,
                kind=slot.kind,
                mid=slot.mid,
                ssrc=outgoing.ssrc,
                rtx_ssrc=outgoing.rtx_ssrc if repaired else None,
                cname=outgoing.cname,
                payloads=payloads,
                extensions=extensions.written(slot.kind, agreement.extensions),
            )
        )
        self._context.legs[self.leg] = self
        self._target = None
        self.retarget()
        return True

    def receivable(self, agreement: Agreement) -> bool:
        """Whether the subscriber decodes what the track is sent in."""
        return bool(payload_maps(self.publication.sources, agreement.formats))

    def apply_settings(self, settings: TrackSettings) -> None:
        """Other wishes of the subscriber."""
        self.settings = settings
        self.retarget()

    def retarget(self) -> None:
        """Chooses the layer anew, for the leg and for dynacast."""
        publication = self.publication
        options = publication.options
        wanted = allocation.wanted_layer(self.settings, options)
        self._count(Quality.OFF if wanted is None or self.failed else options[wanted].quality)
        if self.leg is None:
            return
        target = allocation.target(wanted, self.settings, publication.streams_alive)
        if target != self._target:
            self._target = target
            self._context.plane.set_leg(self.leg, target)

    def restart(self) -> None:
        """The track changed its codecs: negotiates it anew."""
        self._receiver.restart(self)

    def handle_layer(self, layer: int | None) -> None:
        """What the leg carries now."""
        self.current = layer
        if layer is not None:
            self._receiver.handle_media()

    def fail(self) -> None:
        """The subscriber can't decode the track."""
        self.failed = True
        self.stop_leg()
        self.retarget()

    def stop_leg(self) -> None:
        """Removes the leg, if there is one."""
        if self.leg is not None:
            self._context.legs.pop(self.leg, None)
            self._context.plane.remove_leg(self.leg)
            self.leg = None
            self.current = None

    def end(self) -> None:
        """Removes the leg and takes back its wish."""
        self.stop_leg()
        self._count(Quality.OFF)

    def _count(self, quality: Quality) -> None:
        if quality is not self._quality:
            self.publication.dynacast.change(self._quality, quality)
            self._quality = quality

"""A track of a peer: what was announced, what its media turned out to be, and who receives it.

In come agreements about its section and what the data plane sees arrive, out go commands about the track.
"""

from __future__ import annotations

from typing import Protocol

from common.ids import PeerSid, TrackId, TrackSid, TransportId
from sfu.allocation import LayerOption, layer_options
from sfu.context import Context
from sfu.dataplane import CodecName, Kind, StreamSpec, TrackSpec
from sfu.dynacast import Dynacast
from sfu.events import MediaStarted, QualityWanted
from sfu.limits import JOIN_WINDOW, MAX_STREAMS_PER_TRACK
from sfu.model import LayerSpec, PublicationSpec, Quality, TrackKind, TrackSource
from sfu.negotiation.answer import Agreement
from sfu.negotiation.codecs import SCALABLE, Format
from sfu.negotiation.sdp import Section
from sfu.ports import PeerPort

RID_FAMILIES = (("q", "h", "f"), ("2", "1", "0"), ("l", "m", "h"), ("low", "mid", "high"))
STREAMS = {  # LiveKit's sync groups
    TrackSource.CAMERA: "camera",
    TrackSource.MICROPHONE: "camera",
    TrackSource.SCREEN_SHARE: "screen",
    TrackSource.SCREEN_SHARE_AUDIO: "screen",
}


class PublishingPeer(PeerPort, Protocol):
    """The peer, as its tracks and their subscribers see it."""

    def touch(self) -> None:
        """What others may know of it changed."""

    def allows(self, peer: PeerPort, track: TrackSid) -> bool:
        """Whether its rules let `peer` subscribe to that track."""


class Delivery(Protocol):
    """A subscription, as its track sees it."""

    def retarget(self) -> None:
        """The layers changed: chooses again."""

    def restart(self) -> None:
        """The codecs changed: negotiates anew."""


class Publication:
    """One announced track; `published` once its media is negotiated and everybody may know of it."""

    def __init__(
        self, context: Context, peer: PublishingPeer, sid: TrackSid, spec: PublicationSpec
    ) -> None:
        """Starts announced; a section of an offer completes it."""
        self._context = context
        self.peer = peer
        self.sid = sid
        self.spec = spec
        self.mid = ""
        self.mime_type = ""
        self.sdp_cid = ""
        self.muted = spec.muted
        self.layers: tuple[LayerSpec, ...] = _resolved(spec)
        self.rids: tuple[str, ...] = ()
        self.stream_count = 1
        self.published = False
        self._announced_at: float | None = None if spec.muted else context.clock.now()
        self.watched = False  # its publisher was told of a subscription
        self.track: TrackId | None = None
        self.formats: tuple[Format, ...] = ()
        self.alive: set[int] = set()
        self.subscriptions: dict[PeerSid, Delivery] = {}  # by who receives
        self._described: TrackSpec | None = None
        self.dynacast = Dynacast(
            schedule=self._schedule_dynacast,
            cancel=lambda: context.timers.disarm(("dynacast", sid)),
            tell=self._tell_quality,
        )

    @property
    def kind(self) -> Kind:
        """Audio or video."""
        return "audio" if self.spec.kind is TrackKind.AUDIO else "video"

    @property
    def codec(self) -> str:
        """The codec's short name, empty until known."""
        return self.mime_type.partition("/")[2]

    @property
    def stream(self) -> str:
        """Its sync group."""
        return self.spec.stream or STREAMS.get(self.spec.source, self.sid)

    @property
    def bitrates(self) -> tuple[int, ...]:
        """Bit/s of each stream, low to high, as last measured; empty while unknown."""
        latest = self._context.measured
        stats = latest.tracks.get(self.track) if latest and self.track is not None else None
        return tuple(stats.stream_bps) if stats is not None else ()

    @property
    def sources(self) -> tuple[Format, ...]:
        """The payload types that its media comes in: its codec, and RED around it."""
        return tuple(one for one in self.formats if one.codec in (self.codec, "red"))

    @property
    def options(self) -> tuple[LayerOption, ...]:
        """The layers that a subscriber may choose from, low to high."""
        count = self.stream_count
        if count <= 1 and self.codec in SCALABLE:
            count = min(len(self.layers), MAX_STREAMS_PER_TRACK)
        return layer_options(self.layers, count, self.spec.width, self.spec.height)

    @property
    def streams_alive(self) -> set[int]:
        """Streams that arrive, for choosing among simulcast streams; empty where layers are inside one stream.

        Some clients negotiate simulcast and then send all spatial layers in the first stream.
        """
        layered = self.codec in SCALABLE and not self.spec.one_stream_per_layer
        inside = self.stream_count <= 1 or (layered and self.alive <= {0})
        return set() if inside else self.alive

    def attach(self, section: Section, agreement: Agreement, transport: TransportId) -> bool:
        """Its section was negotiated (again): whether its payload types changed under its subscribers."""
        cid = track_id_of(section)
        codecs = {one for one in self.spec.codecs if one[1] == cid}
        self.sdp_cid = cid if cid and cid != self.spec.cid and not codecs else ""
        self.mid = section.mid
        streams = _streams(section, agreement)
        self.rids = tuple(stream.rid for stream in streams if stream.rid is not None)
        self.stream_count = len(streams)
        changed = bool(self.formats) and self.formats != agreement.formats
        self.formats = agreement.formats
        if not self.codec or not any(one.codec == self.codec for one in self.formats):
            self.mime_type = self._negotiated_mime()
        spec = TrackSpec(
            transport=transport,
            kind=self.kind,
            mid=self.mid,
            codecs=tuple(one.for_track() for one in self.formats),
            streams=streams,
            screen=self.spec.source is TrackSource.SCREEN_SHARE,
        )
        if self.track is None:
            self.track = self._context.plane.add_track(spec, open=not self.muted)
            self._context.tracks[self.track] = self
        elif spec != self._described:
            self._context.plane.replace_track(self.track, spec)
        self._described = spec
        return changed

    def set_muted(self, muted: bool) -> bool:
        """Opens or closes the gate; whether that changed anything."""
        if muted == self.muted:
            return False
        self.muted = muted
        self._announced_at = None
        if self.track is not None:
            self._context.plane.set_track_open(self.track, not muted)
            if not muted and self.kind == "video":
                for stream in range(self.stream_count):
                    self._context.plane.request_keyframe(self.track, stream)
        return True

    def update(self, spec: PublicationSpec) -> None:
        """Other facts of the same track."""
        self.spec = spec
        self.layers = _resolved(spec)
        self.retarget()

    def handle_stream(self, stream: int, active: bool, codec: CodecName) -> None:
        """A stream started or stopped, perhaps in another codec than everybody thought."""
        if active:
            self._note_start()
            self.alive.add(stream)
        else:
            self.alive.discard(stream)
        other = active and codec not in ("red", self.codec)
        if other:
            self.mime_type = f"{self.kind}/{codec}"
        self.retarget()
        if other:
            self.restart_subscriptions()

    def _note_start(self) -> None:
        """Tells how long the first packet took, unless its publisher had muted the track meanwhile."""
        since, self._announced_at = self._announced_at, None
        if since is not None and not self.muted:
            seconds = self._context.clock.now() - since
            if seconds <= JOIN_WINDOW:
                self._context.emit(MediaStarted(self.peer.room, self.peer, self, seconds))

    def retarget(self) -> None:
        """The layers changed: lets each subscription choose again."""
        for subscription in self.subscriptions.values():
            subscription.retarget()

    def restart_subscriptions(self) -> None:
        """It comes in other codecs than its subscribers negotiated."""
        self.peer.touch()
        for subscription in list(self.subscriptions.values()):
            subscription.restart()

    def close(self) -> None:
        """Ends the track in the data plane; its subscriptions have ended before."""
        self.published = False
        self._context.timers.disarm(("dynacast", self.sid))
        if self.track is not None:
            self._context.speaking.forget(self.track)
            self._context.tracks.pop(self.track, None)
            self._context.plane.remove_track(self.track)
            self.track = None

    def _negotiated_mime(self) -> str:
        first = next((one.codec for one in self.formats if one.codec != "red"), "")
        return f"{self.kind}/{first}" if first else ""

    def _schedule_dynacast(self, delay: float) -> None:
        at = self._context.clock.now() + delay
        self._context.timers.arm(("dynacast", self.sid), at, self.dynacast.handle_timeout)

    def _tell_quality(self, quality: Quality) -> None:
        if self.published and self.kind == "video":
            codecs = ((self.codec, quality),)
            self._context.emit(QualityWanted(self.peer.room, self.peer, self, codecs))


def track_id_of(section: Section) -> str:
    """The track id that a client gave its section: in `a=msid`, or the older way in `a=ssrc`."""
    for _, track in section.msids:
        if track:
            return track
    for _, attributes in section.ssrcs:
        for name, value in attributes:
            if name == "msid" and " " in value:
                return value.split()[1]
    return ""


def ordered_rids(rids: tuple[str, ...]) -> tuple[str, ...]:
    """From low to high where the names tell, else as listed."""
    for family in RID_FAMILIES:
        if set(rids) <= set(family):
            return tuple(sorted(rids, key=family.index))
    return rids


def _streams(section: Section, agreement: Agreement) -> tuple[StreamSpec, ...]:
    """The RTP streams of a section: by RID, by an old SIM group, or a single one."""
    if agreement.rids:
        return tuple(StreamSpec(rid=rid) for rid in ordered_rids(agreement.rids))
    repairs = {
        group.ssrcs[0]: group.ssrcs[1]
        for group in section.ssrc_groups
        if group.semantics == "FID" and len(group.ssrcs) == 2
    }
    simulcast = next((group.ssrcs for group in section.ssrc_groups if group.semantics == "SIM"), ())
    if len(simulcast) > 1:
        chosen = simulcast[:MAX_STREAMS_PER_TRACK]
        return tuple(StreamSpec(None, ssrc, repairs.get(ssrc)) for ssrc in chosen)
    first = next((ssrc for ssrc, _ in section.ssrcs if ssrc not in repairs.values()), None)
    return (StreamSpec(None, first, repairs.get(first) if first is not None else None),)


def _resolved(spec: PublicationSpec) -> tuple[LayerSpec, ...]:
    if spec.kind is not TrackKind.VIDEO:
        return ()
    if spec.layers:
        return tuple(sorted(spec.layers, key=lambda layer: layer.quality))
    return (LayerSpec(Quality.HIGH, spec.width, spec.height),)

"""What the sfu tells the world: a closed list of frozen classes, delivered in order to one listener by `flush`.

Every rise of a peer's version comes with `PeerUpdated` (tracks published, muted or ended, facts, permissions,
state), so it alone decides when others are told; it precedes `TrackPublished` and `PeerActive`.

Each names the room and, where there is one, the peer it is for or about. Levels are linear 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.ids import TrackSid
from sfu.model import LeaveReason, Quality
from sfu.ports import PeerPort, PublicationPort, RoomPort


@dataclass(frozen=True, slots=True)
class RoomStarted:
    """A room came to be."""

    room: RoomPort


@dataclass(frozen=True, slots=True)
class RoomUpdated:
    """Metadata, counts or the recording flag of a room changed."""

    room: RoomPort


@dataclass(frozen=True, slots=True)
class RoomEnded:
    """A room is gone; its peers have left before."""

    room: RoomPort
    reason: LeaveReason


@dataclass(frozen=True, slots=True)
class PeerJoined:
    """A peer entered (state joining); others see it once it is active or publishes."""

    room: RoomPort
    peer: PeerPort


@dataclass(frozen=True, slots=True)
class PeerUpdated:
    """Something that others may know of a peer changed; its version has risen."""

    room: RoomPort
    peer: PeerPort


@dataclass(frozen=True, slots=True)
class PeerActive:
    """A peer's primary connection is up."""

    room: RoomPort
    peer: PeerPort


@dataclass(frozen=True, slots=True)
class PeerLeft:
    """A peer is gone; `was_active` tells whether it ever got in."""

    room: RoomPort
    peer: PeerPort
    reason: LeaveReason
    was_active: bool


@dataclass(frozen=True, slots=True)
class TrackPublished:
    """Media of an announced track arrived: it can be subscribed to."""

    room: RoomPort
    peer: PeerPort
    publication: PublicationPort


@dataclass(frozen=True, slots=True)
class TrackUnpublished:
    """A track ended; `by_server` when its publisher did not ask for it."""

    room: RoomPort
    peer: PeerPort
    publication: PublicationPort
    by_server: bool


@dataclass(frozen=True, slots=True)
class TrackSubscribed:
    """The first visible subscription of a track came to be (told to its publisher once)."""

    room: RoomPort
    peer: PeerPort
    publication: PublicationPort


@dataclass(frozen=True, slots=True)
class SubscriptionFailed:
    """A wish of `peer` can't be met: code `codec_unsupported`, `track_not_found` or `unknown`."""

    room: RoomPort
    peer: PeerPort
    track: TrackSid
    code: str


@dataclass(frozen=True, slots=True)
class SubscriptionAllowed:
    """A publisher's rules changed what `peer` may receive."""

    room: RoomPort
    peer: PeerPort
    publisher: PeerPort
    track: TrackSid
    allowed: bool


@dataclass(frozen=True, slots=True)
class OfferNeeded:
    """Dual connections: the subscriber connection of `peer` wants `create_offer` (debounced)."""

    room: RoomPort
    peer: PeerPort


@dataclass(frozen=True, slots=True)
class SectionsNeeded:
    """Single connection: `peer` should add this many receiving sections and offer again; 0 and 0: just offer."""

    room: RoomPort
    peer: PeerPort
    audios: int
    videos: int


@dataclass(frozen=True, slots=True)
class QualityWanted:
    """Dynacast: the highest quality of a publication that anybody wants, per codec; `OFF` for nobody."""

    room: RoomPort
    peer: PeerPort
    publication: PublicationPort
    codecs: tuple[tuple[str, Quality], ...]


@dataclass(frozen=True, slots=True)
class SpeakersChanged:
    """Active speakers that changed, with their level; level 0 means silent now."""

    room: RoomPort
    speakers: tuple[tuple[PeerPort, float], ...]


@dataclass(frozen=True, slots=True)
class ConnectionQuality:
    """Quality of a peer's connection: "lost", "poor", "good" or "excellent", and a score from 0 to 5."""

    room: RoomPort
    peer: PeerPort
    quality: str
    score: float


@dataclass(frozen=True, slots=True)
class DataReceived:
    """A message on a data channel of `peer`."""

    room: RoomPort
    peer: PeerPort
    label: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ChannelsReady:
    """`peer` can be reached on the data channel `label`."""

    room: RoomPort
    peer: PeerPort
    label: str


@dataclass(frozen=True, slots=True)
class ConnectionFailed:
    """A connection of `peer` ended by itself: code is the data plane's close reason or `negotiation_timeout`."""

    room: RoomPort
    peer: PeerPort
    code: str


@dataclass(frozen=True, slots=True)
class JoinProgressed:
    """A join reached a stage of `sfu.progress`, so many seconds after `peer` asked to be let in."""

    room: RoomPort
    peer: PeerPort
    stage: str
    seconds: float


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """The first packet of a track arrived, so many seconds after it was announced."""

    room: RoomPort
    peer: PeerPort
    publication: PublicationPort
    seconds: float


SfuEvent = (
    RoomStarted
    | RoomUpdated
    | RoomEnded
    | PeerJoined
    | PeerUpdated
    | PeerActive
    | PeerLeft
    | TrackPublished
    | TrackUnpublished
    | TrackSubscribed
    | SubscriptionFailed
    | SubscriptionAllowed
    | OfferNeeded
    | SectionsNeeded
    | QualityWanted
    | SpeakersChanged
    | ConnectionQuality
    | DataReceived
    | ChannelsReady
    | ConnectionFailed
    | JoinProgressed
    | MediaStarted
)

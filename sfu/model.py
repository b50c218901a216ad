"""Plain values that rooms, peers and tracks are made of. No behaviour, no I/O; every field says its unit.

The names follow LiveKit's protocol where it has one; numbers and messages of its wire stay in `signalling`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from common.ids import Identity, TrackSid


class PeerKind(StrEnum):
    """What a participant is."""

    STANDARD = "standard"
    INGRESS = "ingress"
    EGRESS = "egress"
    SIP = "sip"
    AGENT = "agent"
    CONNECTOR = "connector"
    BRIDGE = "bridge"


class PeerState(StrEnum):
    """How far a participant has come."""

    JOINING = "joining"
    JOINED = "joined"
    ACTIVE = "active"
    DISCONNECTED = "disconnected"


class LeaveReason(StrEnum):
    """Why a participant left or had to."""

    CLIENT_INITIATED = "client_initiated"
    DUPLICATE_IDENTITY = "duplicate_identity"
    SERVER_SHUTDOWN = "server_shutdown"
    PARTICIPANT_REMOVED = "participant_removed"
    ROOM_DELETED = "room_deleted"
    ROOM_CLOSED = "room_closed"
    STATE_MISMATCH = "state_mismatch"
    JOIN_FAILURE = "join_failure"
    SIGNAL_CLOSE = "signal_close"
    CONNECTION_TIMEOUT = "connection_timeout"
    MEDIA_FAILURE = "media_failure"
    USER_UNAVAILABLE = "user_unavailable"
    USER_REJECTED = "user_rejected"
    AGENT_ERROR = "agent_error"


class TrackKind(StrEnum):
    """Audio or video."""

    AUDIO = "audio"
    VIDEO = "video"


class TrackSource(StrEnum):
    """Where a track comes from."""

    UNKNOWN = "unknown"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SCREEN_SHARE = "screen_share"
    SCREEN_SHARE_AUDIO = "screen_share_audio"


class Quality(IntEnum):
    """LiveKit's three qualities and off."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2
    OFF = 3


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a participant may do; absent grants have been resolved to their defaults already."""

    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool = True
    can_publish_sources: frozenset[TrackSource] = frozenset()  # empty: all
    can_update_metadata: bool = False
    can_subscribe_metrics: bool = False
    hidden: bool = False
    recorder: bool = False


@dataclass(frozen=True, slots=True)
class ClientFacts:
    """What a client said about itself; untrusted, bounded by the edge."""

    sdk: str = ""
    version: str = ""
    protocol: int = 0
    client_protocol: int = 0
    os: str = ""
    browser: str = ""
    browser_version: str = ""
    device_model: str = ""
    capabilities: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PeerSpec:
    """A participant about to join."""

    identity: Identity
    name: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    kind: PeerKind = PeerKind.STANDARD
    permissions: Permissions = Permissions()
    client: ClientFacts = ClientFacts()
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    single_connection: bool = False  # one PeerConnection for both directions
    renegotiates: bool = True  # False: its first description stays its last one (WHIP, WHEP)
    asked_at: float | None = None  # when its request came, monotonic seconds; None: when it joins


@dataclass(frozen=True, slots=True)
class RoomOptions:
    """Settings of a room; times in seconds, 0 participants means no limit."""

    empty_timeout: int = 300
    departure_timeout: int = 20
    max_participants: int = 0
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """One simulcast or spatial layer as announced by its publisher."""

    quality: Quality
    width: int = 0  # pixels
    height: int = 0  # pixels
    bitrate: int = 0  # bit/s


@dataclass(frozen=True, slots=True)
class PublicationSpec:
    """A track that a publisher announces before its media arrives."""

    cid: str
    kind: TrackKind
    name: str = ""
    source: TrackSource = TrackSource.UNKNOWN
    width: int = 0
    height: int = 0
    muted: bool = False
    layers: tuple[LayerSpec, ...] = ()
    codecs: tuple[
        tuple[str, str], ...
    ] = ()  # (codec as "vp8" or "video/VP8", cid); first is preferred
    stream: str = ""
    encryption: int = 0  # opaque: echoed, never interpreted
    stereo: bool = False
    disable_dtx: bool = False
    disable_red: bool = False
    audio_features: tuple[int, ...] = ()
    packet_trailer_features: tuple[int, ...] = ()
    backup_codec_policy: int = 0
    one_stream_per_layer: bool = False  # VP9/AV1 as rid simulcast rather than SVC


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """What a subscriber wants of one track."""

    disabled: bool = False
    quality: Quality = Quality.HIGH
    width: int = 0  # pixels; 0: `quality` decides
    height: int = 0
    fps: int = 0
    priority: int = 0


@dataclass(frozen=True, slots=True)
class TrackGrant:
    """A rule of a publisher about who may subscribe."""

    identity: Identity
    all_tracks: bool = False
    tracks: frozenset[TrackSid] = frozenset()


@dataclass(frozen=True, slots=True)
class View:
    """A section of a viewer that negotiates once."""

    kind: str  # "audio" or "video"
    track: TrackSid | None  # what it shows now


@dataclass(frozen=True, slots=True)
class Description:
    """A session description that we made, with our sections' track assignment (single PeerConnection)."""

    kind: str  # "offer" or "answer"
    sdp: str
    mid_to_track: Mapping[str, TrackSid] = field(default_factory=dict)

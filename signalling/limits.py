"""Every bound of signalling in one place, each with its reason. Sizes in bytes, times in seconds."""

from dataclasses import dataclass
from typing import Final

# -- what a client may send -------------------------------------------------------------------------
MAX_SIGNAL_MESSAGE: Final = (
    2 * 1024 * 1024
)  # LiveKit's default; an SDP of 100 tracks is a fifth of it
MAX_JSON_DEPTH: Final = 64  # the deepest message of the protocol nests 6 levels
MAX_REQUEST_LINE: Final = (
    64 * 1024
)  # a join request with a Chromium offer takes 2.4 KiB, a token more
MAX_BODY: Final = 10 * 1024 * 1024  # LiveKit's default for API calls
MAX_JOIN_REQUEST: Final = (
    1024 * 1024
)  # after decompression: an offer and pending tracks fit many times
MAX_QUERY_PARAMETERS: Final = 64  # a v0 join has 20
MAX_ATTRIBUTES_QUERY: Final = 64 * 1024  # as many attributes as a participant may have
MAX_DATA_PACKET: Final = 65_535  # one SCTP message of the size that we advertise
MAX_TRACKS_NAMED: Final = 2_000  # track sids in one request: a full room twice over
MAX_PENDING_TRACKS_AT_JOIN: Final = 20  # LiveKit's bound of unpublished tracks
MAX_QUEUED_TRACKS: Final = (
    3  # announcements that wait for an earlier one of the same cid (LiveKit's)
)
MAX_SIMULATED_SPEECH: Final = 60  # a faked speaker has to stop some day

# -- facts about rooms and participants (LiveKit's defaults) ---------------------------------------
MAX_NAME: Final = 256  # identity, display name, room name
MAX_METADATA: Final = 512 * 1024
MAX_ATTRIBUTES: Final = 64 * 1024  # all keys and values together
MAX_CLIENT_FACT: Final = 256  # any string that a client says about itself
MAX_CAPABILITIES: Final = 32  # the enumeration has 3 members today

# -- what we send -----------------------------------------------------------------------------------
MAX_UPDATE: Final = 120 * 1024  # participant updates stay below 128 KiB with their framing
MAX_OUTBOX: Final = (
    4_096  # messages waiting for a slow reader: it resumes and gets a fresh snapshot
)
MAX_MISSED_DEPARTURES: Final = (
    1_000  # told on resume; whoever missed more learns it from the snapshot
)
BATCH_FROM_PEERS: Final = 50  # rooms above this size get changes of mere subscribers in batches
BATCH_INTERVAL: Final = 3.0  # how long such changes wait (LiveKit's)
ROOM_UPDATE_INTERVAL: Final = 5.0  # counts of a room are told at most this often (LiveKit's)
QUALITY_GATHER: Final = 0.1  # reports of all peers of a room come together: one message for all
REFRESH_INTERVAL: Final = 300.0  # a fresh token every 5 minutes (LiveKit's)
REFRESH_LIFE: Final = 600.0  # least life of a refreshed token (LiveKit's)
PING_INTERVAL: Final = 5  # told to clients; 0 would crash the Rust SDK
PING_TIMEOUT: Final = 15  # told to clients
SOCKET_PING_INTERVAL: Final = 10.0  # WebSocket pings find clients that vanished
SOCKET_PING_TIMEOUT: Final = 20.0  # a phone that changes networks may be silent this long

# -- data packets -----------------------------------------------------------------------------------
RECENT_DATA_AGE: Final = 2.0  # reliable packets kept for those who join or resume (LiveKit's)
RECENT_DATA_BYTES: Final = 100_000  # of them, per room (LiveKit's)
MAX_NONCES: Final = 1_024  # remembered per room, against repeats of SendData
NONCE_LENGTH: Final = 16

# -- rates ------------------------------------------------------------------------------------------
MAX_ADDRESSES: Final = 10_000  # token buckets kept; the least recently used one is forgotten first


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `burst` at once, then `per_second`."""

    per_second: float
    burst: float


JOIN_RATE: Final = Rate(
    20.0, 200.0
)  # per address: an office behind one address arrives at nine o'clock
MESSAGE_RATE: Final = Rate(
    100.0, 1_000.0
)  # per session: 50 tracks' settings after each layout change
API_RATE: Final = Rate(200.0, 1_000.0)  # per address: a backend polling every room it has

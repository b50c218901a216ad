"""Every bound of signalling in one place, each with its reason. Sizes in bytes, times in seconds."""

from dataclasses import dataclass
from typing import Final

# -- what a client may send ------------------------------------------------------------------------

# LiveKit's default; an SDP of a hundred tracks is a fifth of it.
MAX_SIGNAL_MESSAGE: Final = 2 * 1024 * 1024
# The deepest message of the protocol nests six levels.
MAX_JSON_DEPTH: Final = 64
# A join request with a browser's offer takes 2.4 KiB, a token with metadata more.
MAX_REQUEST_LINE: Final = 64 * 1024
# LiveKit's default for API calls.
MAX_BODY: Final = 10 * 1024 * 1024
# An offer over HTTP: an SDP of a hundred sections fits.
MAX_OFFER: Final = 256 * 1024
# The names of some events, or a wish for a layer.
MAX_WISH: Final = 4 * 1024
# A fragment with candidates: twenty interfaces of a well-connected host take 4 KiB.
MAX_FRAGMENT: Final = 64 * 1024
# After decompression: an offer and pending tracks fit many times.
MAX_JOIN_REQUEST: Final = 1024 * 1024
# A v0 join has twenty.
MAX_QUERY_PARAMETERS: Final = 64
# As many attributes as a participant may have.
MAX_ATTRIBUTES_QUERY: Final = 64 * 1024
# One SCTP message of the size that we advertise.
MAX_DATA_PACKET: Final = 65_535
# Track sids in one request: a full room twice over.
MAX_TRACKS_NAMED: Final = 2_000
# LiveKit's bound of unpublished tracks.
MAX_PENDING_TRACKS_AT_JOIN: Final = 20
# Announcements that wait for an earlier one of the same cid (LiveKit's).
MAX_QUEUED_TRACKS: Final = 3
# A faked speaker has to stop some day.
MAX_SIMULATED_SPEECH: Final = 60

# -- facts about rooms and participants (LiveKit's defaults) ---------------------------------------

# Identity, display name, room name, in characters.
MAX_NAME: Final = 256
MAX_METADATA: Final = 512 * 1024
# All keys and values together.
MAX_ATTRIBUTES: Final = 64 * 1024
# Any string that a client says about itself, in characters.
MAX_CLIENT_FACT: Final = 256
# The enumeration has three members today.
MAX_CAPABILITIES: Final = 32

# -- what we send ----------------------------------------------------------------------------------

# Participant updates stay below 128 KiB with their framing.
MAX_UPDATE: Final = 120 * 1024
# Messages waiting for a slow reader: it resumes and gets a fresh snapshot.
MAX_OUTBOX: Final = 4_096
# Bytes of them; one message alone may be longer.
MAX_OUTBOX_BYTES: Final = 8 * 1024 * 1024
# Told on resume; whoever missed more learns it from the snapshot.
MAX_MISSED_DEPARTURES: Final = 1_000
# States kept for a resume, of each kind: tracks or speakers of a full room.
MAX_STATES_TOLD: Final = 2_000
# Own tracks that the server ended: more than a client has.
MAX_TRACKS_ENDED: Final = 100
# Participants whose end a client may ask about when it resumes.
MAX_FAREWELLS: Final = 10_000
# Rooms from this size on get changes of mere subscribers in batches.
BATCH_FROM_PEERS: Final = 50
# How long such changes wait (LiveKit's).
BATCH_INTERVAL: Final = 3.0
# Counts of a room are told at most this often (LiveKit's).
ROOM_UPDATE_INTERVAL: Final = 5.0
# Reports of all peers of a room come together: one message for all.
QUALITY_GATHER: Final = 0.1
# A fresh token every five minutes, with this least life (LiveKit's).
REFRESH_INTERVAL: Final = 300.0
REFRESH_LIFE: Final = 600.0
# Told to clients; an interval of 0 would crash the Rust SDK.
PING_INTERVAL: Final = 5
PING_TIMEOUT: Final = 15
# WebSocket pings find clients that vanished; a phone that changes networks may be silent for a while.
SOCKET_PING_INTERVAL: Final = 10.0
SOCKET_PING_TIMEOUT: Final = 20.0

# -- data packets ----------------------------------------------------------------------------------

# Reliable packets kept per room for those who join or resume: whoever has to fall back to TCP needs some five
# seconds until its channels are open, and a resume may take as long.
RECENT_DATA_AGE: Final = 10.0
RECENT_DATA_BYTES: Final = 100_000
# Remembered per room, against repeats of SendData.
MAX_NONCES: Final = 1_024
NONCE_LENGTH: Final = 16

# -- rates -----------------------------------------------------------------------------------------

# Token buckets kept; the least recently used one is forgotten first.
MAX_ADDRESSES: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket: `burst` at once, then `per_second`."""

    per_second: float
    burst: float


# Per address: an office behind one address arrives at nine o'clock.
JOIN_RATE: Final = Rate(20.0, 200.0)
# Per session: the settings of fifty tracks after each change of layout.
MESSAGE_RATE: Final = Rate(100.0, 1_000.0)
# Per session, of what everybody in the room has to hear: each costs as many messages as there are people.
BROADCAST_RATE: Final = Rate(10.0, 100.0)
# Per code, of refusals that stand one by one in the audit log; beyond it they are told as a number.
REFUSAL_RATE: Final = Rate(1.0, 50.0)
# How long such a number may wait.
REFUSALS_INTERVAL: Final = 60.0
# What a client said while its act was being recorded: as many messages as it may say at once,
MAX_INBOX: Final = 1_000
# and the longest two of them.
MAX_INBOX_BYTES: Final = 2 * MAX_SIGNAL_MESSAGE
# A token that could not be recorded is made again.
REFRESH_RETRY: Final = 10.0
# Per address: a backend that asks for every room it has.
API_RATE: Final = Rate(200.0, 1_000.0)

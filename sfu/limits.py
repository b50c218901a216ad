"""Every bound of rooms and negotiation in one place, each with its reason. Sizes are bytes unless said."""

# -- session descriptions --
MAX_SDP_LENGTH = 256 * 1024  # characters; 200 sections of 1.2 kB, which is what browsers write
MAX_SECTIONS = 200  # twice a hundred received tracks; a browser is unusable long before
MAX_LINE_LENGTH = 8192  # characters; the longest legitimate line is a base64 blob of a few kB
MAX_STREAMS_PER_TRACK = 3  # the data plane keeps three streams per track, as LiveKit's clients send
MAX_MID_LENGTH = 16  # characters; a one-byte header extension carries no more (RFC 8285)
MAX_MESSAGE_SIZE = 65_535  # largest data message we take, as LiveKit does

# -- peers --
MAX_PENDING_TRACKS = 20  # announced without media; LiveKit's bound
MAX_PUBLICATIONS = (
    48  # tracks of one peer: 16 sections x 3 streams is what an ingress transport serves
)
MAX_WISHES = 2_000  # tracks that a subscriber asks for or refuses by name, known or not
MAX_TRACK_SETTINGS = 2_000  # settings kept for tracks that are not subscribed yet
MAX_TRACK_GRANTS = 2_000  # rules of a publisher about its subscribers
MAX_CHANNELS = 16  # data channels that a client may open; LiveKit's clients open three
MAX_CHANNEL_LABEL = 256  # characters
MAX_NAME_LENGTH = 256  # characters, as LiveKit
MAX_METADATA_SIZE = 512 * 1024  # as LiveKit
MAX_ATTRIBUTES_SIZE = 64 * 1024  # keys and values together, as LiveKit

# -- times, seconds --
OFFER_DELAY_FIRST = 0.010  # a burst of changes becomes one offer
OFFER_DELAY_NEXT = 0.150  # further bursts; a joining crowd must not make an offer each
NEGOTIATION_TIMEOUT = 15.0  # an offer without answer; the client starts over
ACTIVE_TIMEOUT = 60.0  # join to active, else the peer is removed
JOIN_WINDOW = 60.0  # what a peer or track does later is not counted as part of its start
RESUME_GRACE = 5.0  # a failed connection keeps its peer this long
TRACK_WAIT = 60.0  # a wish for a track that does not appear
QUALITY_LOWER_DELAY = 5.0  # dynacast: nobody wants the layer any more
QUALITY_UNWATCHED_DELAY = 10.0  # dynacast: a new track that nobody subscribed to yet
SPEAKER_INTERVAL = 0.4  # window and cadence of active speakers
CONNECTION_QUALITY_INTERVAL = 5.0
ROOM_COUNTS_DELAY = 5.0  # counts of a room are told at most this often
MAX_OVER_TCP = 1_000  # identities of a room that asked for TCP alone; the first one is forgotten

"""One PeerConnection of a participant, as far as it is a transport: credentials, role, channels, SSRCs.

In come the facts of the peer's descriptions and the data plane's news, out go commands, messages, and to its peer
what that has to know. It knows no tracks.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from common.errors import RemoteError
from common.ids import TransportId
from sfu.context import Context
from sfu.dataplane import ChannelSpec, RemoteSpec
from sfu.events import DataReceived
from sfu.limits import MAX_CHANNEL_LABEL, MAX_CHANNELS, MAX_MESSAGE_SIZE
from sfu.negotiation.transport import LocalTransport, RemoteTransport, dtls_client
from sfu.ports import PeerPort

SSRC_STEP = (
    0x9E37_79B1  # odd, so that its multiples visit every 32-bit number once; 2^32 / golden ratio
)
MAX_SESSION_ID = 2**62  # fits the 63 bits that RFC 9429 section 5.2.1 asks for


class ConnectedPeer(PeerPort, Protocol):
    """The peer, as its connections see it."""

    @property
    def only_tcp(self) -> bool:
        """Whether its descriptions show only candidates over TCP."""

    def handle_validated(self) -> None:
        """The first authenticated connectivity check arrived."""

    def handle_connected(self, connection: Connection) -> None:
        """DTLS is up."""

    def fail(self, code: str) -> None:
        """The connection is lost for good."""

    def handle_channel_opened(self, connection: Connection, stream: int, label: str) -> None:
        """A data channel that we take is open."""


class Connection:
    """A transport on one lane, from its first description to its end."""

    def __init__(self, context: Context, peer: ConnectedPeer, *, offers: bool) -> None:
        """`offers`: we make the offers on this connection."""
        self._context = context
        self._peer = peer
        self.lane = context.take_lane()
        self._ufrag, self._pwd = context.credentials()
        self.transport: TransportId = context.plane.add_transport(
            lane=self.lane, ufrag=self._ufrag, pwd=self._pwd
        )
        context.transports[self.transport] = self
        self.connected = False
        self.profile = ""  # SRTP protection profile, once connected
        self._offers = offers
        self._remote: RemoteTransport | None = None
        self._client: bool | None = None
        self._session_id = context.choose(MAX_SESSION_ID)
        self._version = 0
        self._ssrc = context.choose(2**32)
        self._labels: dict[int, str] = {}
        self._streams: dict[str, int] = {}

    @property
    def ufrag(self) -> str:
        """Our ICE user name: another one with every restart."""
        return self._ufrag

    @property
    def negotiated(self) -> bool:
        """Whether the peer's description has ever been applied."""
        return self._remote is not None

    def local(self) -> LocalTransport:
        """Our end for the next description."""
        return LocalTransport(
            self._ufrag,
            self._pwd,
            self._context.fingerprint,
            self.candidates(),
            self._session_id,
        )

    def candidates(self) -> tuple[str, ...]:
        """Candidate lines of our end."""
        return self._context.candidates(self.lane, only_tcp=self._peer.only_tcp)

    def next_version(self) -> int:
        """The version of the next description (RFC 8866 section 5.2)."""
        self._version += 1
        return self._version

    def setup(self) -> str:
        """Our answer's `setup`: the role that was chosen, kept for life."""
        return "active" if self._client else "passive"

    def next_ssrc(self) -> int:
        """A random-looking SSRC that this transport never had: keys and numbers must not meet twice."""
        self._ssrc = (self._ssrc + SSRC_STEP) % 2**32
        return self._ssrc or self.next_ssrc()

    def check_remote(self, remote: RemoteTransport) -> None:
        """Refuses another certificate in the middle of an association; changes nothing."""
        known = self._remote
        if known is not None and set(known.fingerprints).isdisjoint(remote.fingerprints):
            raise RemoteError(
                "sdp_fingerprint_changed", "another certificate needs another connection"
            )

    def apply_remote(self, remote: RemoteTransport) -> None:
        """Takes over the peer's description.

        New credentials in its offer restart ICE (RFC 8839 section 4.4.1.1.1).
        """
        self.check_remote(remote)
        known = self._remote
        if known == remote:
            return
        if known is not None and not self._offers and known.ufrag != remote.ufrag:
            self.restart_ice()
        self._take(remote)

    def _take(self, remote: RemoteTransport) -> None:
        self._client = self._role(remote)
        self._remote = remote
        fingerprints = tuple((one.algorithm, one.digest) for one in remote.fingerprints)
        self._context.plane.set_remote(
            self.transport,
            RemoteSpec(remote.ufrag, fingerprints, self._client, remote.sctp, remote.pwd),
        )

    def apply_credentials(self, ufrag: str, pwd: str) -> bool:
        """The peer's ICE credentials, told apart from a description; whether they are new and restarted ICE."""
        known = self._remote
        if known is None or (ufrag == known.ufrag) != (pwd == known.pwd):
            raise RemoteError("sdp_malformed", "ICE credentials change together")
        if ufrag == known.ufrag:
            return False
        self.restart_ice()
        self._take(replace(known, ufrag=ufrag, pwd=pwd))
        return True

    def restart_ice(self) -> None:
        """New credentials of our end, for the next description."""
        self._ufrag, self._pwd = self._context.credentials()
        self._context.plane.restart_ice(self.transport, ufrag=self._ufrag, pwd=self._pwd)

    def open_channel(self, label: str, *, ordered: bool, max_retransmits: int | None) -> None:
        """Opens a channel of ours as soon as the association is up."""
        channel = ChannelSpec(label, ordered, max_retransmits)
        self._context.plane.open_channel(self.transport, channel)

    def handle_validated(self) -> None:
        """The first authenticated connectivity check arrived."""
        self._peer.handle_validated()

    def handle_connected(self, profile: str) -> None:
        """DTLS is up and the fingerprint matched."""
        self.profile = profile
        self.connected = True
        self._peer.handle_connected(self)

    def handle_closed(self, reason: str) -> None:
        """It ended by itself."""
        self.close()
        self._peer.fail(reason)

    def handle_channel_opened(self, stream: int, label: str) -> None:
        """A data channel is open; too many, or too long a name, are refused and counted."""
        if len(label) > MAX_CHANNEL_LABEL or len(self._labels) >= MAX_CHANNELS:
            self._context.refuse("channel_limit")
            return
        self._labels[stream] = label
        self._streams[label] = stream
        self._peer.handle_channel_opened(self, stream, label)

    def handle_channel_message(self, stream: int, data: bytes) -> None:
        """A message arrived; one of an unknown channel, or too long, is dropped and counted."""
        label = self._labels.get(stream)
        if label is None:
            self._context.refuse("data_unknown_channel")
        elif len(data) > MAX_MESSAGE_SIZE:
            self._context.refuse("data_too_large")
        else:
            self._context.emit(DataReceived(self._peer.room, self._peer, label, data))

    def handle_channel_closed(self, stream: int) -> None:
        """A channel ended."""
        label = self._labels.pop(stream, None)
        if label is not None and self._streams.get(label) == stream:
            del self._streams[label]

    def channel_stream(self, label: str) -> int | None:
        """The open stream of a label."""
        return self._streams.get(label)

    def close(self) -> None:
        """Ends the transport. Idempotent."""
        if self._context.transports.pop(self.transport, None) is None:
            return
        self.connected = False
        self._context.leave_lane(self.lane)
        self._context.plane.remove_transport(self.transport)

    def _role(self, remote: RemoteTransport) -> bool:
        """An answer's `active` makes us the server, its `passive` the client; offers are the other way about."""
        return dtls_client(remote.setup, self._client)

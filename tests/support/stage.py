"""A signalling server without sockets: rooms in memory, a clock by hand, clients that are their sessions."""

from __future__ import annotations

from typing import Any

from livekit.protocol import rtc

from common.clock import ManualClock
from common.ids import RoomName
from common.redact import Redacted
from crypto.tokens import SigningKeys, issue
from sfu.model import ClientFacts
from signalling.admission import Admission, Attempt
from signalling.app import Signalling, SignallingDeps, create_app
from signalling.effects import Close, Send
from signalling.joining import JoinParams
from signalling.session import Session
from tests.support.rooms_double import PeerDouble, RoomsDouble
from tests.support.trail import TrailDouble, let_in

KEY = "APIkey"
SECRET = "a secret of at least thirty-two characters"
KEYS = SigningKeys({KEY: Redacted(SECRET)})
ROOM = RoomName("room")
JS = ClientFacts(sdk="js", version="2.23.0", protocol=17, client_protocol=2, capabilities=(1,))


class Client:
    """One participant's socket."""

    def __init__(self, stage: Stage, session: Session) -> None:
        self.stage = stage
        self.session = session
        self.peer = session.member.peer
        assert isinstance(self.peer, PeerDouble)
        self.double: PeerDouble = self.peer
        self.closed: int | None = None

    def send(self, **message: Any) -> None:
        """Sends one request, such as `send(ping=1)`."""
        frame = rtc.SignalRequest(**message).SerializeToString()
        self.session.handle_frame(frame, self.stage.clock.now())
        self.stage.rooms.flush()

    def frames(self) -> list[rtc.SignalResponse]:
        """What was sent since the last look; remembers the close code."""
        found = []
        for effect in self.session.drain():
            if isinstance(effect, Send):
                found.append(effect.outbound.message)
            else:
                assert isinstance(effect, Close)
                self.closed = effect.code
        return found

    def kinds(self) -> list[str]:
        """Names of what was sent since the last look."""
        return [frame.WhichOneof("message") or "" for frame in self.frames()]

    def only(self, kind: str) -> Any:
        """The one message of that kind among what was sent since the last look."""
        found = [frame for frame in self.frames() if frame.WhichOneof("message") == kind]
        assert len(found) == 1, found
        return getattr(found[0], kind)

    def all(self, kind: str) -> list[Any]:
        """Messages of that kind among what was sent since the last look."""
        return [getattr(f, kind) for f in self.frames() if f.WhichOneof("message") == kind]

    def disconnect(self) -> None:
        """The socket breaks."""
        self.session.handle_disconnect()
        self.stage.rooms.flush()


class Stage:
    """The server."""

    def __init__(self, **options: Any) -> None:
        self.rooms = RoomsDouble()
        self.trail = TrailDouble()
        self.clock = ManualClock()
        self.signalling: Signalling = create_app(
            SignallingDeps(
                rooms=self.rooms,
                trail=self.trail,
                keys=KEYS,
                clock=self.clock,
                entropy=lambda length: bytes(range(length)),
                **options,
            )
        )
        self.hub = self.signalling.hub
        self.rooms.listener = self.hub.handle_event

    @property
    def refusals(self) -> dict[str, int]:
        """How often each refusal happened."""
        return dict(self.hub.refusals)

    def token(self, identity: str, room: str = ROOM, *, video: Any = None, **claims: Any) -> str:
        """A token for joining."""
        return make_token(identity, room, self.clock.wall(), video=video, **claims)

    def join(
        self,
        identity: str,
        params: JoinParams | None = None,
        *,
        client: ClientFacts = JS,
        video: Any = None,
        **claims: Any,
    ) -> Client:
        """A participant whose join answer waits in `frames()`."""
        params = params or JoinParams(client=client)
        ticket = self.ticket(identity, video=video, **claims)
        permissions = ticket.spec
        spec = type(permissions)(
            identity=permissions.identity,
            name=permissions.name,
            metadata=permissions.metadata,
            attributes=permissions.attributes,
            kind=permissions.kind,
            permissions=permissions.permissions,
            client=params.client,
            auto_subscribe=params.auto_subscribe,
            single_connection=params.single_connection,
        )
        peer = let_in(self.hub, ticket.room, spec, ticket.options)
        session = self.hub.join(self.rooms.rooms[ticket.room], peer, ticket.grants, params)
        self.rooms.flush()
        return Client(self, session)

    def active(self, identity: str, **options: Any) -> Client:
        """A participant that is connected; what it was sent so far is forgotten."""
        client = self.join(identity, **options)
        client.double.activate()
        self.rooms.flush()
        client.frames()
        return client

    def resume(self, client: Client, params: JoinParams | None = None) -> Client:
        """The same participant on a new socket."""
        ticket = self.ticket(client.peer.identity)
        params = params or JoinParams(client=client.peer.client, reconnect=True)
        session = self.hub.resume(client.session.member, ticket.grants, params)
        self.rooms.flush()
        return Client(self, session)

    def ticket(self, identity: str, *, video: Any = None, **claims: Any) -> Any:
        """What admission makes of a token."""
        admission = Admission(self.rooms, self.signalling.authorizer)
        token = self.token(identity, video=video, **claims)
        return admission.check(Attempt(f"access_token={token}".encode(), None))

    def advance(self, seconds: float) -> None:
        """Time passes."""
        self.clock.advance(seconds)
        self.hub.handle_timeout()
        self.rooms.flush()


def make_token(
    identity: str,
    room: str,
    now: float,
    *,
    video: Any = None,
    life: float = 3600.0,
    **claims: Any,
) -> str:
    """A token as server SDKs make them."""
    grants = {"roomJoin": True, "room": room, **(video or {})}
    body = {"sub": identity, "video": grants, **claims}
    return issue(body, KEYS, issuer=KEY, expires_at=now + life, now=now)

"""Viewers of rooms: whom each follows, which layers it chose, and what it is told as tracks come and go.

In: sessions, wishes, events of the sfu. Out: subscriptions and their settings, events for players. Must not: do
I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from common.errors import RemoteError
from common.ids import Identity, PeerSid, RoomSid, TrackSid
from sfu import events
from sfu.ports import PublicationPort
from signalling.http_sessions import HttpSession
from signalling.hub import Hub
from signalling.whep_events import MAX_STREAMS, EventStream
from signalling.whep_layers import LayerWish, describe, section_of, settings_of

OFFER_SECONDS: Final = 30.0  # how long ours waits for an answer (WHEP draft section 4.3.2)


@dataclass(slots=True, eq=False)
class Viewer:
    """One session's state."""

    session: HttpSession
    wanted: Identity  # the participant that it follows; empty: everybody
    offer_until: float | None = None  # monotonic seconds, while our offer waits for its answer
    live: bool = False
    failed: set[TrackSid] = field(default_factory=set)  # tracks that it cannot decode
    wishes: dict[int, LayerWish] = field(default_factory=dict)  # by section
    streams: dict[str, EventStream] = field(default_factory=dict)
    _opened: int = 0

    @property
    def undecodable(self) -> bool:
        """Whether something is published, and nothing of it can be shown."""
        return bool(self.failed) and not self.shows_anything

    @property
    def shows_anything(self) -> bool:
        """Whether any section carries a track."""
        return any(view.track is not None for view in self.session.peer.views.values())

    def stream(self, name: str) -> EventStream:
        """An event stream by the last part of its URL. Raises RemoteError `stream_unknown`."""
        try:
            return self.streams[name]
        except KeyError:
            raise RemoteError("stream_unknown", "there is no such event stream") from None

    def add_stream(self, stream: EventStream) -> str:
        """Names a new one. Raises RemoteError `limit_exceeded`."""
        if len(self.streams) >= MAX_STREAMS:
            raise RemoteError("limit_exceeded", "too many event streams")
        self._opened += 1
        name = str(self._opened)
        self.streams[name] = stream
        return name

    def close_stream(self, name: str) -> None:
        """Ends one. Raises RemoteError `stream_unknown`."""
        self.stream(name).end()
        del self.streams[name]

    def push(self, name: str, data: object, *, once: bool = False) -> None:
        """An event for every stream that wants it."""
        for stream in self.streams.values():
            stream.push(name, data, once=once)

    def publication(self, track: TrackSid | None) -> PublicationPort | None:
        """A published track of its room."""
        if track is None:
            return None
        for peer in self.session.room.peers.values():
            if track in peer.publications:
                return peer.publications[track]
        return None


class Viewers:
    """All of them."""

    def __init__(self, hub: Hub) -> None:
        """Hears what the hub hears."""
        self._rooms: dict[RoomSid, dict[PeerSid, Viewer]] = {}
        self._hub = hub
        hub.observers.append(self.handle_event)

    def add(self, session: HttpSession, wanted: Identity) -> Viewer:
        """A session that is about to negotiate."""
        viewer = Viewer(session, wanted)
        room = self._rooms.setdefault(session.room.sid, {})
        room[session.peer.sid] = viewer
        self._tell_count(session.room.sid)
        return viewer

    def of(self, session: HttpSession) -> Viewer:
        """The viewer of a session. Raises RemoteError `session_unknown` for one that is just leaving."""
        viewer = self._rooms.get(session.room.sid, {}).get(session.peer.sid)
        if viewer is None:
            raise RemoteError("session_unknown", "there is no such session")
        return viewer

    def follow(self, viewer: Viewer) -> None:
        """Wishes for everything that the participant whom it follows has published so far."""
        peer = viewer.session.room.peers.get(viewer.wanted) if viewer.wanted else None
        if peer is not None:
            published = [sid for sid, one in peer.publications.items() if one.published]
            viewer.session.peer.subscribe(published)
        self.refresh(viewer)

    def choose(self, viewer: Viewer, wish: LayerWish) -> None:
        """A wish for a layer, kept for the tracks to come. Raises RemoteError."""
        views = viewer.session.peer.views
        section = section_of(wish, views)
        track = views[section].track
        publication = viewer.publication(track)
        if track is None or publication is None:
            raise RemoteError("not_live", "nothing is shown there now")
        viewer.session.peer.set_track_settings(track, settings_of(wish, publication))
        viewer.wishes[section] = wish

    def open_stream(self, viewer: Viewer, names: frozenset[str]) -> str:
        """A new event stream, with what holds already."""
        stream = EventStream(names, self._dropped)
        name = viewer.add_stream(stream)
        if viewer.live:
            stream.push("active", {})
        stream.push("viewercount", self._count(viewer.session.room.sid))
        self.tell_layers(viewer)
        return name

    def tell_layers(self, viewer: Viewer) -> None:
        """The layers of every video section, to whoever does not know them yet."""
        layers = {}
        for index, view in viewer.session.peer.views.items():
            publication = viewer.publication(view.track)
            if view.kind == "video" and publication is not None:
                layers[str(index)] = describe(publication)
        if layers:
            viewer.push("layers", layers, once=True)

    def refresh(self, viewer: Viewer) -> None:
        """Tracks came or went."""
        live = viewer.shows_anything
        if live != viewer.live:
            viewer.live = live
            viewer.push("active" if live else "inactive", {})
        self._apply_wishes(viewer)
        self.tell_layers(viewer)

    def reconnect(self) -> None:
        """The server goes down: players shall start over elsewhere."""
        for room in self._rooms.values():
            for viewer in room.values():
                viewer.push("reconnect", {})
                self._end_streams(viewer)

    def handle_event(self, event: events.SfuEvent) -> None:
        """What happened in the rooms."""
        if isinstance(event, events.TrackPublished):
            for viewer in self._watching(event.room.sid):
                if viewer.wanted == event.peer.identity:
                    viewer.session.peer.subscribe([event.publication.sid])
                self.refresh(viewer)
        elif isinstance(event, events.TrackUnpublished):
            for viewer in self._watching(event.room.sid):
                viewer.failed.discard(event.publication.sid)
                self.refresh(viewer)
        elif isinstance(event, events.SubscriptionFailed) and event.code == "codec_unsupported":
            known = self._rooms.get(event.room.sid, {}).get(event.peer.sid)
            if known is not None:
                known.failed.add(event.track)
        elif isinstance(event, events.PeerLeft):
            self._forget(event.room.sid, event.peer.sid)

    def _watching(self, room: RoomSid) -> Iterator[Viewer]:
        return iter(list(self._rooms.get(room, {}).values()))

    def _apply_wishes(self, viewer: Viewer) -> None:
        """A track that took a section gets the layer that was chosen there, if it has it."""
        views = viewer.session.peer.views
        for section, wish in viewer.wishes.items():
            track = views[section].track
            publication = viewer.publication(track)
            if track is not None and publication is not None:
                with suppress(RemoteError):
                    settings = settings_of(wish, publication)
                    viewer.session.peer.set_track_settings(track, settings)

    def _forget(self, room: RoomSid, peer: PeerSid) -> None:
        viewers = self._rooms.get(room, {})
        viewer = viewers.pop(peer, None)
        if viewer is None:
            return
        self._end_streams(viewer)
        if viewers:
            self._tell_count(room)
        else:
            del self._rooms[room]

    def _end_streams(self, viewer: Viewer) -> None:
        for stream in viewer.streams.values():
            stream.end()
        viewer.streams.clear()

    def _dropped(self) -> None:
        self._hub.refusals["whep_event_dropped"] += 1

    def _count(self, room: RoomSid) -> dict[str, int]:
        return {"viewercount": len(self._rooms.get(room, {}))}

    def _tell_count(self, room: RoomSid) -> None:
        for viewer in self._watching(room):
            viewer.push("viewercount", self._count(room), once=True)

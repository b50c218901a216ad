"""A room: its peers and the tracks that they published."""

from collections.abc import Mapping

from common.ids import Identity, RoomName, RoomSid
from sfu.model import RoomOptions
from sfu.peer import Peer


class Room:
    """A room and everybody in it."""

    def __init__(
        self, sid: RoomSid, name: RoomName, options: RoomOptions, created_at: float
    ) -> None:
        """`created_at` is in seconds since the epoch."""
        self.sid = sid
        self.name = name
        self.options = options
        self.metadata = options.metadata
        self.created_at = created_at
        self.recording = False
        self._peers: dict[Identity, Peer] = {}

    @property
    def peers(self) -> Mapping[Identity, Peer]:
        """Everybody, hidden ones too."""
        return self._peers

    def set_metadata(self, metadata: str) -> None:
        """Replaces the metadata. Raises RemoteError: limit_exceeded."""
        raise NotImplementedError

    def set_recording(self, recording: bool) -> None:
        """Whether anything in the room is being recorded."""
        raise NotImplementedError

"""Rules of data packets, pure: one packet in, what to send and to whom out.

A packet that may not travel raises RemoteError with the name of the drop. Fields that we don't know survive.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf.message import DecodeError
from livekit.protocol import models

from common.errors import RemoteError
from common.ids import Identity, PeerSid
from sfu.model import PeerKind, Permissions
from signalling.limits import (
    MAX_DATA_PACKET,
    MAX_NONCES,
    RECENT_DATA_AGE,
    RECENT_DATA_BYTES,
)

RELIABLE: Final = "_reliable"
LOSSY: Final = "_lossy"
DATA_TRACK: Final = "_data_track"

# Packets in which an agent may speak for somebody else (it transcribes a person's words, for example).
_AGENT_SPEAKS_FOR_OTHERS: Final = frozenset({"chat_message", "stream_header"})


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a packet."""

    sid: PeerSid
    identity: Identity
    kind: PeerKind
    permissions: Permissions
    last_sequence: int  # of its reliable packets; 0 before the first


@dataclass(frozen=True, slots=True)
class Routed:
    """A packet ready to travel."""

    data: bytes
    label: str
    sender: PeerSid
    sequence: int = 0  # 0: not numbered
    nonce: bytes = b""
    identities: frozenset[str] = frozenset()  # empty with empty `sids`: everybody
    sids: frozenset[str] = frozenset()
    metrics: bool = False  # only for those who may see metrics

    def reaches(self, sid: PeerSid, identity: Identity, permissions: Permissions) -> bool:
        """Whether it is meant for this participant; never for its own sender."""
        if sid == self.sender or (self.metrics and not permissions.can_subscribe_metrics):
            return False
        if not self.identities and not self.sids:
            return True
        return identity in self.identities or sid in self.sids


def route(data: bytes, label: str, sender: Sender) -> Routed:
    """Applies the rules to a message that arrived on the channel `label`.

    Raises RemoteError: data_too_long, data_track_unsupported, data_not_allowed, data_malformed, data_repeated,
    data_speaker_ignored, data_transcription_not_allowed.
    """
    if len(data) > MAX_DATA_PACKET:
        raise RemoteError("data_too_long", "the data packet is too long")
    if label == DATA_TRACK:
        raise RemoteError("data_track_unsupported", "data tracks are not supported")
    if not sender.permissions.can_publish_data:
        raise RemoteError("data_not_allowed", "no permission to publish data")
    packet = _parse(data, label)
    reliable = label != LOSSY
    packet.kind = models.DataPacket.Kind.RELIABLE if reliable else models.DataPacket.Kind.LOSSY
    value = packet.WhichOneof("value")
    _check_value(value, sender)
    if reliable and packet.sequence and packet.sequence <= sender.last_sequence:
        raise RemoteError("data_repeated", "the data packet came before")
    _sign(packet, value, sender)
    identities = frozenset(packet.destination_identities)
    return Routed(
        data=packet.SerializeToString(),
        label=RELIABLE if reliable else LOSSY,
        sender=sender.sid,
        sequence=packet.sequence if reliable else 0,
        nonce=packet.user.nonce if value == "user" else b"",
        identities=identities,
        sids=frozenset(packet.user.destination_sids) if value == "user" else frozenset(),
        metrics=value == "metrics",
    )


def server_packet(user: models.UserPacket, *, reliable: bool) -> Routed:
    """A packet of the server's API: it has no sender."""
    kind = models.DataPacket.Kind.RELIABLE if reliable else models.DataPacket.Kind.LOSSY
    identities = user.destination_identities
    packet = models.DataPacket(kind=kind, user=user, destination_identities=identities)
    return Routed(
        data=packet.SerializeToString(),
        label=RELIABLE if reliable else LOSSY,
        sender=PeerSid(""),
        nonce=user.nonce,
        identities=frozenset(identities),
        sids=frozenset(user.destination_sids),
    )


def _parse(data: bytes, label: str) -> models.DataPacket:
    if label not in (RELIABLE, LOSSY):  # an application's own channel
        return models.DataPacket(user=models.UserPacket(payload=data))
    try:
        return models.DataPacket.FromString(data)
    except DecodeError as error:
        raise RemoteError("data_malformed", "the data packet cannot be read") from error


def _check_value(value: str | None, sender: Sender) -> None:
    if value == "speaker":
        raise RemoteError("data_speaker_ignored", "speakers are the server's to tell")
    if value == "transcription" and sender.kind is not PeerKind.AGENT:
        raise RemoteError("data_transcription_not_allowed", "only agents transcribe")


def _sign(packet: models.DataPacket, value: str | None, sender: Sender) -> None:
    """Puts the true sender in, at both levels of user packets."""
    hidden = sender.permissions.hidden
    speaks_for_other = (
        sender.kind is PeerKind.AGENT
        and value in _AGENT_SPEAKS_FOR_OTHERS
        and packet.participant_identity != ""
    )
    packet.participant_sid = "" if hidden else sender.sid
    if not speaks_for_other:
        packet.participant_identity = "" if hidden else sender.identity
    if value == "user":
        packet.user.participant_sid = packet.participant_sid
        packet.user.participant_identity = packet.participant_identity
        wanted = list(packet.destination_identities) or list(packet.user.destination_identities)
        packet.destination_identities[:] = wanted
        packet.user.destination_identities[:] = wanted


class RecentData:
    """Reliable packets of a room's last seconds, for those who join or resume."""

    def __init__(self) -> None:
        """Empty."""
        self._packets: deque[tuple[float, Routed]] = deque()
        self._bytes = 0

    def add(self, packet: Routed, now: float) -> None:
        """Remembers a packet; the oldest ones go."""
        self._packets.append((now, packet))
        self._bytes += len(packet.data)
        while self._packets and (
            self._bytes > RECENT_DATA_BYTES or self._packets[0][0] < now - RECENT_DATA_AGE
        ):
            self._bytes -= len(self._packets.popleft()[1].data)

    def since(self, start: float, now: float) -> Iterator[Routed]:
        """Packets that came at or after `start` and are still fresh, in order."""
        oldest = max(start, now - RECENT_DATA_AGE)
        return (packet for at, packet in self._packets if at >= oldest)


class Nonces:
    """The nonces that were seen last."""

    def __init__(self) -> None:
        """Empty."""
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def is_new(self, nonce: bytes) -> bool:
        """Remembers `nonce`; false if it was there already. An absent one is always new."""
        if not nonce:
            return True
        if nonce in self._seen:
            return False
        self._seen[nonce] = None
        if len(self._seen) > MAX_NONCES:
            self._seen.popitem(last=False)
        return True

"""How far a participant has come, as a table: state and step in, next state or a refusal out."""

from enum import StrEnum

from common.errors import LocalError
from sfu.model import PeerState


class Step(StrEnum):
    """What moves a participant on."""

    JOIN_SENT = "join_sent"  # it was told that it is in
    MEDIA_UP = "media_up"  # its primary connection is up
    LEAVE = "leave"


TABLE: dict[tuple[PeerState, Step], PeerState] = {
    (PeerState.JOINING, Step.JOIN_SENT): PeerState.JOINED,
    (PeerState.JOINING, Step.MEDIA_UP): PeerState.ACTIVE,  # WHIP: media before any word
    (PeerState.JOINING, Step.LEAVE): PeerState.DISCONNECTED,
    (PeerState.JOINED, Step.JOIN_SENT): PeerState.JOINED,
    (PeerState.JOINED, Step.MEDIA_UP): PeerState.ACTIVE,
    (PeerState.JOINED, Step.LEAVE): PeerState.DISCONNECTED,
    (PeerState.ACTIVE, Step.JOIN_SENT): PeerState.ACTIVE,
    (PeerState.ACTIVE, Step.MEDIA_UP): PeerState.ACTIVE,
    (PeerState.ACTIVE, Step.LEAVE): PeerState.DISCONNECTED,
    (PeerState.DISCONNECTED, Step.LEAVE): PeerState.DISCONNECTED,
}


def advance(state: PeerState, step: Step) -> PeerState:
    """The next state. Raises LocalError `illegal_step` for what cannot happen."""
    try:
        return TABLE[state, step]
    except KeyError:
        raise LocalError("illegal_step", f"{step} can't happen to a {state} peer") from None

"""Identities as types: a peer's sid is never a bare `str` in a signature.

Public sids are a prefix and twelve characters of an alphabet without look-alikes, as LiveKit's clients expect
them (`PA_`, `TR_`, `RM_` are load-bearing there). Randomness is an argument.
"""

from collections.abc import Callable
from typing import NewType

RoomName = NewType("RoomName", str)
RoomSid = NewType("RoomSid", str)
Identity = NewType("Identity", str)
PeerSid = NewType("PeerSid", str)
TrackSid = NewType("TrackSid", str)

# Numbers that the data plane knows.
TransportId = NewType("TransportId", int)
TrackId = NewType("TrackId", int)
LegId = NewType("LegId", int)

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
SID_LENGTH = 12


def new_sid(prefix: str, choose: Callable[[int], int]) -> str:
    """Returns `prefix` and twelve random characters; `choose(n)` yields a uniform integer in [0, n)."""
    return prefix + "".join(ALPHABET[choose(len(ALPHABET))] for _ in range(SID_LENGTH))

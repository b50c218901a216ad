"""Rooms, peers, publications and subscriptions. The surface: this, `sfu.model`, `sfu.events` and `sfu.ports`.

The native data plane is `sfu.plane.Plane`, which only the composition root opens.
"""

from sfu.dataplane import DataPlanePort, PlaneSnapshot
from sfu.engine import Engine
from sfu.negotiation.codecs import ENABLED_MIME_TYPES
from sfu.negotiation.ingest import OfferedTrack, read_ingest
from sfu.negotiation.playback import check_playback
from sfu.negotiation.sdp import Fingerprint
from sfu.peer import Peer
from sfu.publication import Publication
from sfu.room import Room

__all__ = [
    "ENABLED_MIME_TYPES",
    "DataPlanePort",
    "Engine",
    "Fingerprint",
    "OfferedTrack",
    "Peer",
    "PlaneSnapshot",
    "Publication",
    "Room",
    "check_playback",
    "read_ingest",
]

"""A track of a peer: what was announced, what its media turned out to be, and who receives it."""

from common.ids import TrackSid
from sfu.model import LayerSpec, PublicationSpec


class Publication:
    """One announced track; `published` once its media is negotiated and everybody may know of it."""

    def __init__(self, sid: TrackSid, spec: PublicationSpec) -> None:
        """Starts announced; the section of an offer completes it."""
        self.sid = sid
        self.spec = spec
        self.mid = ""
        self.mime_type = ""
        self.sdp_cid = ""
        self.muted = spec.muted
        self.layers: tuple[LayerSpec, ...] = spec.layers
        self.rids: tuple[str, ...] = ()
        self.published = False

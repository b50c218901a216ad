"""Codecs that are forwarded: their payload types in a section, when two are the same, what we offer.

In come sections of a description, out go `Format`s and the maps between two sides' payload types.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from sfu.dataplane import CodecName, PayloadMap, TrackCodec
from sfu.negotiation.sdp import RtpCodec, Section

NAMES: dict[str, frozenset[CodecName]] = {
    "audio": frozenset[CodecName]({"opus", "red", "pcmu", "pcma"}),
    "video": frozenset[CodecName]({"vp8", "vp9", "h264", "h265", "av1"}),
}
ENABLED_MIME_TYPES = (  # video first, as clients pick the first of a kind
    "video/vp8",
    "video/h264",
    "video/vp9",
    "video/av1",
    "video/h265",
    "audio/opus",
    "audio/red",
    "audio/pcmu",
    "audio/pcma",
)
SCALABLE: frozenset[str] = frozenset({"vp9", "av1"})
VIDEO_FEEDBACK = ("transport-cc", "ccm fir", "nack", "nack pli")
REMB = "goog-remb"
H264_BASELINE = frozenset({"42"})
H264_MAIN = frozenset({"4d"})


class Format(NamedTuple):
    """A codec under its payload type on one side, with the payload type of its retransmissions."""

    codec: CodecName
    description: RtpCodec
    rtx: int | None = None

    @property
    def payload_type(self) -> int:
        """Payload type of the media itself."""
        return self.description.payload_type

    def for_track(self) -> TrackCodec:
        """As the data plane wants to know it."""
        nack = "nack" in self.description.feedback
        return TrackCodec(
            self.payload_type, self.codec, self.description.clock_rate, self.rtx, nack
        )


def parameters_of(codec: RtpCodec) -> dict[str, str]:
    """The format parameters, keys in lower case."""
    pairs = (part.strip().partition("=") for part in codec.parameters.split(";"))
    return {key.lower(): value for key, _, value in pairs if key}


def formats_of(section: Section) -> tuple[Format, ...]:
    """The payload types of a section that we can forward, in the section's order of preference."""
    return _formats(section.kind, section.codecs)


@lru_cache(maxsize=256)  # clients repeat their codecs in every section of every offer
def _formats(kind: str, codecs: tuple[RtpCodec, ...]) -> tuple[Format, ...]:
    allowed = NAMES.get(kind, frozenset())
    repairs = _repairs(codecs)
    found = [
        Format(name, codec, repairs.get(codec.payload_type))
        for codec in codecs
        if (name := codec.name.lower()) in allowed and _forwardable(name, codec)
    ]
    opus = {one.payload_type for one in found if one.codec == "opus"}
    return tuple(one for one in found if one.codec != "red" or _red_of(one) & opus)


def same(ours: Format, theirs: Format) -> bool:
    """Whether a stream of one may be sent as the other."""
    if ours.codec != theirs.codec:
        return False
    left, right = parameters_of(ours.description), parameters_of(theirs.description)
    if ours.codec == "h264":
        return _h264_profile(left) == _h264_profile(right)
    if ours.codec == "h265":
        return left.get("profile-id", "1") == right.get("profile-id", "1")
    if ours.codec == "vp9":
        return left.get("profile-id", "0") == right.get("profile-id", "0")
    if ours.codec == "av1":
        return left.get("profile", "0") == right.get("profile", "0")
    return True


@lru_cache(maxsize=1024)  # pairs of what publishers send and what subscribers take
def payload_maps(
    sources: tuple[Format, ...], targets: tuple[Format, ...]
) -> tuple[PayloadMap, ...]:
    """How each payload type of a publisher reaches a subscriber; what it can't receive is absent.

    RED towards a subscriber that takes only Opus is reduced to its primary block.
    """
    maps = []
    for source in sources:
        target = next((one for one in targets if same(source, one)), None)
        strip = target is None and source.codec == "red"
        if strip:
            target = next((one for one in targets if one.codec == "opus"), None)
        if target is None and source.codec == "h264":
            target = _constrained_baseline(source, targets)
        if target is not None:
            maps.append(PayloadMap(source.payload_type, target.payload_type, target.rtx, strip))
    return tuple(maps)


def offered(sources: Sequence[Format], *, red: bool, stereo: bool) -> tuple[Format, ...]:
    """Our formats for a server offer of a track that arrives in `sources`, best first."""
    wanted = [
        one
        for source in sources
        for one in TABLE
        if same(one, source) and (red or one.codec != "red")
    ]
    if any(one.codec == "red" for one in wanted):
        wanted.sort(key=lambda one: one.codec != "red")
    unique = dict.fromkeys(wanted)
    return tuple(_with_stereo(one) if stereo else one for one in unique)


def stereo_parameters(parameters: str) -> str:
    """Opus parameters that also announce that we send stereo (RFC 7587 section 6.1)."""
    return ";".join(part for part in (parameters, "stereo=1", "sprop-stereo=1") if part)


def rtx_codec(payload_type: int, media: int) -> RtpCodec:
    """The description of a retransmission payload type (RFC 4588)."""
    return RtpCodec(payload_type, "rtx", 90_000, parameters=f"apt={media}")


def _repairs(codecs: Iterable[RtpCodec]) -> dict[int, int]:
    repairs: dict[int, int] = {}
    for codec in codecs:
        if codec.name.lower() == "rtx":
            apt = parameters_of(codec).get("apt", "")
            if apt.isascii() and apt.isdigit():
                repairs.setdefault(int(apt), codec.payload_type)
    return repairs


def _forwardable(name: str, codec: RtpCodec) -> bool:
    """Clock rates as registered; H.264 non-interleaved and of a profile that every receiver decodes."""
    if name in NAMES["video"] and codec.clock_rate != 90_000:
        return False
    if name in ("opus", "red") and codec.clock_rate != 48_000:
        return False
    if name in ("pcmu", "pcma") and codec.clock_rate != 8_000:
        return False
    if name == "h264":
        parameters = parameters_of(codec)
        profile = parameters.get("profile-level-id", "42e01f")[:2].lower()
        mode = parameters.get("packetization-mode", "0")
        return mode == "1" and profile in H264_BASELINE | H264_MAIN
    return True


def _red_of(red: Format) -> set[int]:
    """Payload types inside RED; Chromium always writes them (`111/111`), nothing means the first Opus."""
    blocks = red.description.parameters.split("/")
    return {int(block) for block in blocks if block.isascii() and block.isdigit()}


def _h264_profile(parameters: dict[str, str]) -> str:
    """profile_idc, with the constraint flag that tells constrained baseline from baseline."""
    level = parameters.get("profile-level-id", "42e01f").lower()
    profile, constraints = level[:2], level[2:4]
    if profile == "42" and constraints.startswith(("c", "d", "e", "f", "4", "5", "6", "7")):
        return "constrained"
    return profile


def _constrained_baseline(source: Format, targets: Sequence[Format]) -> Format | None:
    """Any H.264 decoder takes constrained baseline, and what browsers send as baseline is that."""
    profile = _h264_profile(parameters_of(source.description))
    if profile not in ("constrained", "42"):
        return None
    return next((one for one in targets if one.codec == "h264"), None)


def _with_stereo(one: Format) -> Format:
    if one.codec != "opus":
        return one
    parameters = stereo_parameters(one.description.parameters)
    return one._replace(description=one.description._replace(parameters=parameters))


def _video(codec: CodecName, name: str, payload_type: int, parameters: str = "") -> Format:
    description = RtpCodec(payload_type, name, 90_000, 1, parameters, VIDEO_FEEDBACK)
    return Format(codec, description, payload_type + 1)


def _h264(payload_type: int, profile: str) -> Format:
    parameters = f"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"
    return _video("h264", "H264", payload_type, parameters)


# What a server offer may contain; LiveKit's numbers, the same in every section of every offer.
TABLE: tuple[Format, ...] = (
    # No `nack`: sound has no retransmission stream; RED and in-band FEC cover its losses.
    Format("opus", RtpCodec(111, "opus", 48_000, 2, "minptime=10;useinbandfec=1")),
    Format("red", RtpCodec(63, "red", 48_000, 2, "111/111")),
    Format("pcmu", RtpCodec(0, "PCMU", 8_000)),
    Format("pcma", RtpCodec(8, "PCMA", 8_000)),
    _video("vp8", "VP8", 96),
    _video("vp9", "VP9", 98, "profile-id=0"),
    _video("vp9", "VP9", 100, "profile-id=2"),
    _h264(125, "42e01f"),
    _h264(108, "42001f"),
    _h264(102, "4d001f"),
    _video("av1", "AV1", 35, "level-idx=5;profile=0;tier=0"),
    _video("h265", "H265", 116, "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"),
)

"""Reads a session description: untrusted text in, a `Session` or a `RemoteError` out.

Codes: `sdp_limits` for what is too large, `sdp_malformed` for what is not SDP. Unknown lines and attributes are
ignored; the size of the whole text bounds every list in it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from common.errors import RemoteError
from sfu.limits import MAX_LINE_LENGTH, MAX_MID_LENGTH, MAX_SDP_LENGTH, MAX_SECTIONS
from sfu.negotiation.sdp import (
    DIRECTIONS,
    Direction,
    Extension,
    Fingerprint,
    Rid,
    RtpCodec,
    Section,
    Session,
    SimulcastList,
    SimulcastStream,
    SsrcGroup,
    TransportFacts,
)

MAX_SSRC = 2**32 - 1
MAX_INTEGER = 2**64 - 1
STATIC_CODECS = {0: ("PCMU", 8000), 8: ("PCMA", 8000)}  # RFC 3551 table 4, as far as we forward it
DIGEST_LENGTHS = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}
SETUPS = ("actpass", "active", "passive", "holdconn")
TOKEN = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+")  # RFC 8866 section 9, `token`
ICE_TEXT = re.compile(r"[A-Za-z0-9+/=\-_#]+")  # ice-char (RFC 8839) and what clients really send
NEXT_SECTION = re.compile(r"\n(?=m=)")
CODEC_LINE = re.compile(r"^a=(?:rtpmap|fmtp|rtcp-fb):[^\n]*$", re.MULTILINE)
MAX_REMEMBERED = 16 * 1024  # characters of codec lines; browsers write 6,000
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
RID = re.compile(r"[A-Za-z0-9\-_]{1,32}")


def parse(text: str) -> Session:
    """Parses a whole description."""
    head, chunks = _divided(text)
    if head[:1] != ["v=0"]:
        raise _malformed("it does not start with a version line")
    return _assembled(head[1:], chunks)


def parse_fragment(text: str) -> Session:
    """Parses what travels of a description while ICE goes on (RFC 8840 section 4.4): attributes and sections."""
    return _assembled(*_divided(text))


def _divided(text: str) -> tuple[list[str], list[str]]:
    """The lines before the first section, and the text of each section."""
    if len(text) > MAX_SDP_LENGTH:
        raise RemoteError("sdp_limits", "the description is too long")
    text = text.replace("\r\n", "\n").rstrip("\n")
    lines = text.split("\n")
    if max(map(len, lines)) > MAX_LINE_LENGTH:
        raise RemoteError("sdp_limits", "a line is too long")
    if CONTROL.search("".join(lines)):
        raise _malformed("a line has control characters")
    head, *chunks = NEXT_SECTION.split("\n" + text)
    if len(chunks) > MAX_SECTIONS:
        raise RemoteError("sdp_limits", "the description has too many sections")
    return head.split("\n")[1:], chunks


def _assembled(head: list[str], chunks: list[str]) -> Session:
    session = _SessionBuilder()
    for line in head:
        name, value = _split(line)
        if name == "o":
            session.read_origin(value)
        elif name == "a":
            _apply(session, value)
    sections = tuple(_section(chunk, session) for chunk in chunks)
    mids = [section.mid for section in sections]
    if len(set(mids)) != len(mids):
        raise _malformed("two sections share a mid")
    return session.build(sections)


def _section(chunk: str, session: "_SessionBuilder") -> Section:
    """One section; its codec lines, most of the text, are read apart because clients repeat them word by word."""
    first, _, body = chunk.partition("\n")
    section = _media_line(first[2:])
    section.codec_lines = "\n".join(CODEC_LINE.findall(body))
    rest = CODEC_LINE.sub("", body)
    for line in rest.split("\n"):
        if line:
            name, value = _split(line)
            if name == "a":
                _apply(section, value)
    return section.build(session)


@dataclass(slots=True)
class _TransportBuilder:
    ufrag: str = ""
    pwd: str = ""
    options: tuple[str, ...] = ()
    fingerprints: list[Fingerprint] = field(default_factory=list)
    setup: str = ""
    extmap_allow_mixed: bool = False
    direction: Direction | None = None

    def facts(self) -> TransportFacts:
        return TransportFacts(
            self.ufrag, self.pwd, self.options, tuple(self.fingerprints), self.setup
        )


@dataclass(slots=True)
class _SessionBuilder(_TransportBuilder):
    session_id: int = 0
    version: int = 0
    ice_lite: bool = False
    bundle: tuple[str, ...] = ()

    def read_origin(self, value: str) -> None:
        parts = value.split(" ")
        if len(parts) != 6:
            raise _malformed("origin line")
        self.session_id = _number(parts[1], MAX_INTEGER)
        self.version = _number(parts[2], MAX_INTEGER)

    def build(self, sections: tuple[Section, ...]) -> Session:
        return Session(
            session_id=self.session_id,
            version=self.version,
            ice_lite=self.ice_lite,
            extmap_allow_mixed=self.extmap_allow_mixed,
            bundle=self.bundle,
            transport=self.facts(),
            sections=sections,
        )


@dataclass(slots=True)
class _SectionBuilder(_TransportBuilder):
    kind: str = ""
    port: int = 0
    profile: str = ""
    formats: tuple[str, ...] = ()
    mid: str = ""
    codec_lines: str = ""
    extensions: list[Extension] = field(default_factory=list)
    msids: list[tuple[str, str]] = field(default_factory=list)
    ssrcs: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    ssrc_groups: list[SsrcGroup] = field(default_factory=list)
    rids: list[Rid] = field(default_factory=list)
    simulcast: dict[str, SimulcastList] = field(default_factory=dict)
    candidates: list[str] = field(default_factory=list)
    flags: set[str] = field(default_factory=set)
    sctp_port: int | None = None
    max_message_size: int | None = None

    def build(self, session: _SessionBuilder) -> Section:
        if not self.mid:
            raise _malformed("a section has no mid")
        codecs: tuple[RtpCodec, ...] = ()
        if self.kind in ("audio", "video"):
            short = len(self.codec_lines) <= MAX_REMEMBERED
            read = _read_codecs if short else _read_codecs.__wrapped__
            codecs = read(self.formats, self.codec_lines)
        return Section(
            kind=self.kind,
            mid=self.mid,
            port=self.port,
            profile=self.profile,
            formats=() if codecs else self.formats,
            direction=self.direction or session.direction or "sendrecv",
            transport=self.facts(),
            codecs=codecs,
            extensions=tuple(self.extensions),
            msids=tuple(self.msids),
            ssrcs=tuple((ssrc, tuple(lines)) for ssrc, lines in self.ssrcs.items()),
            ssrc_groups=tuple(self.ssrc_groups),
            rids=tuple(self.rids),
            simulcast_send=self.simulcast.get("send", ()),
            simulcast_recv=self.simulcast.get("recv", ()),
            candidates=tuple(self.candidates),
            end_of_candidates="end-of-candidates" in self.flags,
            bundle_only="bundle-only" in self.flags,
            rtcp_mux="rtcp-mux" in self.flags,
            rtcp_mux_only="rtcp-mux-only" in self.flags,
            rtcp_rsize="rtcp-rsize" in self.flags,
            extmap_allow_mixed=self.extmap_allow_mixed,
            sctp_port=self.sctp_port,
            max_message_size=self.max_message_size,
        )


@dataclass(slots=True)
class _CodecBuilder:
    maps: dict[int, tuple[str, int, int]] = field(default_factory=dict)
    parameters: dict[int, str] = field(default_factory=dict)
    feedback: list[tuple[int | None, str]] = field(default_factory=list)

    def build(self, formats: tuple[str, ...]) -> tuple[RtpCodec, ...]:
        feedback: dict[int | None, list[str]] = {}
        for target, text in self.feedback:
            feedback.setdefault(target, []).append(text)
        everywhere = feedback.get(None, [])
        codecs: dict[int, RtpCodec] = {}
        for written in formats:
            number = _number(written, 127)
            static = STATIC_CODECS.get(number)
            name, rate, channels = self.maps.get(number) or (*(static or ("", 0)), 1)
            if name:
                own = tuple(everywhere + feedback.get(number, []))
                codecs[number] = RtpCodec(
                    number, name, rate, channels, self.parameters.get(number, ""), own
                )
        return tuple(codecs.values())


@lru_cache(maxsize=256)
def _read_codecs(formats: tuple[str, ...], lines: str) -> tuple[RtpCodec, ...]:
    """The codecs of a section. All sections of a browser version say the same, and it names nobody."""
    builder = _CodecBuilder()
    for line in filter(None, lines.split("\n")):
        attribute, _, value = line[2:].partition(":")
        _CODEC[attribute](builder, value.strip())
    return builder.build(formats)


def _split(line: str) -> tuple[str, str]:
    if len(line) < 2 or line[1] != "=" or not ("a" <= line[0] <= "z"):
        raise _malformed("a line is not of the form x=...")
    return line[0], line[2:]


def _media_line(value: str) -> _SectionBuilder:
    parts = value.split(" ")
    if len(parts) < 4 or not all(TOKEN.fullmatch(part) for part in (parts[0], *parts[3:])):
        raise _malformed("media line")
    if not all(TOKEN.fullmatch(part) for part in parts[2].split("/")):
        raise _malformed("media line")
    port = _number(parts[1].partition("/")[0], 65_535)
    return _SectionBuilder(kind=parts[0], port=port, profile=parts[2], formats=tuple(parts[3:]))


def _apply(target: _TransportBuilder, line: str) -> None:
    attribute, _, value = line.partition(":")
    value = value.strip()
    shared = _SHARED.get(attribute)
    if shared is not None:
        shared(target, value)
    elif attribute in DIRECTIONS:
        target.direction = DIRECTIONS[DIRECTIONS.index(attribute)]
    elif isinstance(target, _SessionBuilder):
        _apply_session(target, attribute, value)
    elif isinstance(target, _SectionBuilder):
        handler = _SECTION.get(attribute)
        if handler is not None:
            handler(target, value)
        elif attribute in _FLAGS:
            target.flags.add(attribute)


def _apply_session(session: _SessionBuilder, attribute: str, value: str) -> None:
    if attribute == "ice-lite":
        session.ice_lite = True
    elif attribute == "group" and value.startswith("BUNDLE") and not session.bundle:
        session.bundle = tuple(value.split()[1:])


def _read_ufrag(target: _TransportBuilder, value: str) -> None:
    target.ufrag = _ice_text(value, 4)


def _read_pwd(target: _TransportBuilder, value: str) -> None:
    target.pwd = _ice_text(value, 22)


def _read_options(target: _TransportBuilder, value: str) -> None:
    target.options = tuple(value.split())


def _read_fingerprint(target: _TransportBuilder, value: str) -> None:
    algorithm, _, digits = value.partition(" ")
    algorithm = algorithm.lower()
    octets = digits.strip().split(":")
    if not all(re.fullmatch("[0-9A-Fa-f]{2}", octet) for octet in octets):
        raise _malformed("fingerprint")
    digest = bytes.fromhex("".join(octets))
    expected = DIGEST_LENGTHS.get(algorithm)
    if not TOKEN.fullmatch(algorithm) or (expected is not None and len(digest) != expected):
        raise _malformed("fingerprint")
    target.fingerprints.append(Fingerprint(algorithm, digest))


def _read_setup(target: _TransportBuilder, value: str) -> None:
    if value not in SETUPS:
        raise _malformed("setup")
    target.setup = value


def _read_allow_mixed(target: _TransportBuilder, _value: str) -> None:
    target.extmap_allow_mixed = True


def _read_mid(section: _SectionBuilder, value: str) -> None:
    if not TOKEN.fullmatch(value) or len(value) > MAX_MID_LENGTH:
        raise _malformed("mid")
    section.mid = value


def _read_rtpmap(codecs: _CodecBuilder, value: str) -> None:
    number, _, encoding = value.partition(" ")
    name, _, rest = encoding.strip().partition("/")
    rate, _, channels = rest.partition("/")
    if not TOKEN.fullmatch(name):
        raise _malformed("rtpmap")
    codecs.maps[_number(number, 127)] = (
        name,
        _number(rate, MAX_SSRC),
        _number(channels, 255) if channels else 1,
    )


def _read_fmtp(codecs: _CodecBuilder, value: str) -> None:
    number, _, parameters = value.partition(" ")
    codecs.parameters[_number(number, 127)] = parameters.strip()


def _read_feedback(codecs: _CodecBuilder, value: str) -> None:
    number, _, feedback = value.partition(" ")
    if feedback.strip():
        target = None if number == "*" else _number(number, 127)
        codecs.feedback.append((target, feedback.strip()))


def _read_extmap(section: _SectionBuilder, value: str) -> None:
    parts = value.split()
    if len(parts) < 2:
        raise _malformed("extmap")
    number, _, direction = parts[0].partition("/")
    identity = _number(number, 255)
    if identity == 0 or (direction and direction not in DIRECTIONS):
        raise _malformed("extmap")
    section.extensions.append(Extension(identity, parts[1], direction))


def _read_msid(section: _SectionBuilder, value: str) -> None:
    parts = value.split()
    if parts:
        section.msids.append((parts[0], parts[1] if len(parts) > 1 else ""))


def _read_ssrc(section: _SectionBuilder, value: str) -> None:
    number, _, attribute = value.partition(" ")
    name, _, text = attribute.strip().partition(":")
    lines = section.ssrcs.setdefault(_number(number, MAX_SSRC), [])
    if name:
        lines.append((name, text.strip()))


def _read_ssrc_group(section: _SectionBuilder, value: str) -> None:
    semantics, *ssrcs = value.split() or [""]
    if not TOKEN.fullmatch(semantics) or not ssrcs:
        raise _malformed("ssrc-group")
    group = SsrcGroup(semantics, tuple(_number(ssrc, MAX_SSRC) for ssrc in ssrcs))
    section.ssrc_groups.append(group)


def _read_rid(section: _SectionBuilder, value: str) -> None:
    parts = value.split(maxsplit=2)
    if len(parts) < 2 or not RID.fullmatch(parts[0]):
        raise _malformed("rid")
    if parts[1] == "send":
        section.rids.append(Rid(parts[0], "send", " ".join(parts[2:]).strip()))
    elif parts[1] == "recv":
        section.rids.append(Rid(parts[0], "recv", " ".join(parts[2:]).strip()))
    else:
        raise _malformed("rid")


def _read_simulcast(section: _SectionBuilder, value: str) -> None:
    parts = value.split()
    if len(parts) not in (2, 4):
        raise _malformed("simulcast")
    for direction, streams in zip(parts[::2], parts[1::2], strict=True):
        if direction not in ("send", "recv"):
            raise _malformed("simulcast")
        section.simulcast[direction] = tuple(
            tuple(_simulcast_stream(one) for one in stream.split(","))
            for stream in streams.split(";")
        )


def _simulcast_stream(text: str) -> SimulcastStream:
    rid = text.removeprefix("~")
    if not RID.fullmatch(rid):
        raise _malformed("simulcast")
    return SimulcastStream(rid, paused=rid != text)


def _read_candidate(section: _SectionBuilder, value: str) -> None:
    section.candidates.append("candidate:" + value.strip())


def _read_sctp_port(section: _SectionBuilder, value: str) -> None:
    section.sctp_port = _number(value, 65_535)


def _read_max_message_size(section: _SectionBuilder, value: str) -> None:
    section.max_message_size = _number(value, MAX_INTEGER)


def _ice_text(value: str, shortest: int) -> str:
    if not shortest <= len(value) <= 256 or not ICE_TEXT.fullmatch(value):
        raise _malformed("ICE credentials")
    return value


def _number(text: str, largest: int) -> int:
    text = text.strip()
    if len(text) <= 20 and text.isascii() and text.isdigit():
        number = int(text)
        if number <= largest:
            return number
    raise _malformed("a number is out of range")


def _malformed(what: str) -> RemoteError:
    return RemoteError("sdp_malformed", f"the description is malformed: {what}")


_SHARED: dict[str, Callable[[_TransportBuilder, str], None]] = {
    "ice-ufrag": _read_ufrag,
    "ice-pwd": _read_pwd,
    "ice-options": _read_options,
    "fingerprint": _read_fingerprint,
    "setup": _read_setup,
    "extmap-allow-mixed": _read_allow_mixed,
}
_SECTION: dict[str, Callable[[_SectionBuilder, str], None]] = {
    "mid": _read_mid,
    "extmap": _read_extmap,
    "msid": _read_msid,
    "ssrc": _read_ssrc,
    "ssrc-group": _read_ssrc_group,
    "rid": _read_rid,
    "simulcast": _read_simulcast,
    "candidate": _read_candidate,
    "sctp-port": _read_sctp_port,
    "max-message-size": _read_max_message_size,
}
_CODEC: dict[str, Callable[[_CodecBuilder, str], None]] = {
    "rtpmap": _read_rtpmap,
    "fmtp": _read_fmtp,
    "rtcp-fb": _read_feedback,
}
_FLAGS = frozenset({"end-of-candidates", "bundle-only", "rtcp-mux", "rtcp-mux-only", "rtcp-rsize"})

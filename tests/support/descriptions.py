"""Descriptions as clients write them, in text and without the code under test: offers, and answers to ours."""

import re
from dataclasses import dataclass, replace

FINGERPRINT = ":".join(["AB"] * 32)
AUDIO_CODECS = """\
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=rtpmap:9 G722/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:13 CN/8000
a=rtpmap:110 telephone-event/48000
"""
VIDEO_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
VIDEO_CODECS = {  # as Chromium numbers them
    96: ("VP8", ""),
    103: ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    107: ("H264", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f"),
    109: ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    115: ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"),
    45: ("AV1", "level-idx=5;profile=0;tier=0"),
    98: ("VP9", "profile-id=0"),
    100: ("VP9", "profile-id=2"),
}
EXTENSIONS = {
    "audio": (
        (1, "urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
        (2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        (3, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
        (4, "urn:ietf:params:rtp-hdrext:sdes:mid"),
    ),
    "video": (
        (14, "urn:ietf:params:rtp-hdrext:toffset"),
        (2, "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
        (13, "urn:3gpp:video-orientation"),
        (3, "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
        (4, "urn:ietf:params:rtp-hdrext:sdes:mid"),
        (10, "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
        (11, "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
        (
            12,
            "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
        ),
    ),
}


@dataclass(frozen=True)
class Media:
    """One section of a client's offer."""

    kind: str
    mid: str
    direction: str = "sendonly"
    track: str = ""  # the client's track id
    rids: str = ""  # "q;h;f", `~` for paused
    only: tuple[str, ...] = ()  # video codecs by name; none: all
    profile: str = "UDP/TLS/RTP/SAVPF"
    red: bool = True
    ssrc: int = 0


@dataclass
class Client:
    """Writes offers and answers with one set of credentials."""

    ufrag: str = "Cufr"
    pwd: str = "client-password-of-some-length".replace("-", "")
    fingerprint: str = FINGERPRINT
    setup: str = "actpass"

    def offer(self, *sections: Media, data: str = "") -> str:
        """An offer of these sections; `data` is the mid of the application section, which comes last."""
        mids = [section.mid for section in sections] + ([data] if data else [])
        text = (
            "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
            f"a=group:BUNDLE {' '.join(mids)}\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n"
        )
        text += "".join(self._media(section) for section in sections)
        if data:
            text += self._data(data)
        return text

    def answer(self, offer: str, *, codecs: tuple[str, ...] = (), refuse: str = "") -> str:
        """The answer of a client that takes what it is offered, or of video only `codecs`."""
        head, *sections = re.split(r"(?=^m=)", offer, flags=re.MULTILINE)
        text = re.sub(r"^o=.*\r\n", "o=- 77 2 IN IP4 127.0.0.1\r\n", head, flags=re.MULTILINE)
        text = text.replace("a=ice-lite\r\n", "")
        return text + "".join(self._answered(one, codecs, refuse) for one in sections)

    def restarted(self) -> "Client":
        """The same client after an ICE restart."""
        return replace(self, ufrag=self.ufrag + "2", pwd=self.pwd + "2")

    def _transport(self) -> str:
        return (
            f"a=ice-ufrag:{self.ufrag}\r\na=ice-pwd:{self.pwd}\r\n"
            "a=ice-options:trickle goog-sped-v1\r\n"
            f"a=fingerprint:sha-256 {self.fingerprint}\r\na=setup:{self.setup}\r\n"
        )

    def _media(self, section: Media) -> str:
        if section.kind == "audio":
            codecs = AUDIO_CODECS
            if not section.red:
                codecs = re.sub(r"^a=\w+:63 .*\n", "", codecs, flags=re.MULTILINE)
        else:
            codecs = _video_codecs(section.only)
        numbers = re.findall(r"^a=rtpmap:(\d+)", codecs, flags=re.MULTILINE)
        lines = [
            f"m={section.kind} 9 {section.profile} {' '.join(numbers)}",
            "c=IN IP4 0.0.0.0",
            "a=rtcp:9 IN IP4 0.0.0.0",
            *self._transport().splitlines(),
            f"a=mid:{section.mid}",
            *(f"a=extmap:{number} {uri}" for number, uri in EXTENSIONS[section.kind]),
            f"a={section.direction}",
        ]
        if section.track and section.direction in ("sendonly", "sendrecv"):
            lines.append(f"a=msid:9f1a-stream {section.track}")
        lines += ["a=rtcp-mux", "a=rtcp-rsize", *codecs.splitlines()]
        if section.rids:
            plain = section.rids.replace("~", "").split(";")
            lines += [f"a=rid:{rid} send" for rid in plain]
            lines.append(f"a=simulcast:send {section.rids}")
        if section.ssrc:
            ssrcs = (section.ssrc, section.ssrc + 1)
            lines.append(f"a=ssrc-group:FID {ssrcs[0]} {ssrcs[1]}")
            lines += [f"a=ssrc:{ssrc} cname:xyz" for ssrc in ssrcs]
        return "".join(line + "\r\n" for line in lines)

    def _data(self, mid: str) -> str:
        return (
            "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
            + self._transport()
            + f"a=mid:{mid}\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"
            "a=sctp-init:AQAAOGFiY2Rl\r\n"
        )

    def _answered(self, section: str, codecs: tuple[str, ...], refuse: str) -> str:
        mid = re.search(r"^a=mid:(\S+)", section, flags=re.MULTILINE)
        assert mid is not None
        if section.startswith("m=video") and codecs:
            section = _without_codecs(section, codecs)
        if refuse == mid[1] or re.match(r"m=\w+ \d+ \S+\s*$", section.splitlines()[0]):
            return f"m={section[2:].split(' ')[0]} 0 UDP/TLS/RTP/SAVPF 0\r\na=mid:{mid[1]}\r\na=inactive\r\n"
        if " 0 " in section.splitlines()[0][:16]:
            return section
        section = section.replace("a=sendonly", "a=recvonly")
        drop = r"^a=(ice-|fingerprint|setup|candidate|end-of|msid|ssrc).*\r\n"
        section = re.sub(drop, "", section, flags=re.MULTILINE)
        setup = replace(self, setup="active")._transport()
        return section + setup


def _video_codecs(only: tuple[str, ...]) -> str:
    lines = []
    for number, (name, parameters) in VIDEO_CODECS.items():
        if only and name not in only:
            continue
        lines.append(f"a=rtpmap:{number} {name}/90000")
        lines += [f"a=rtcp-fb:{number} {feedback}" for feedback in VIDEO_FEEDBACK]
        if parameters:
            lines.append(f"a=fmtp:{number} {parameters}")
        lines.append(f"a=rtpmap:{number + 1} rtx/90000")
        lines.append(f"a=fmtp:{number + 1} apt={number}")
    lines.append("a=rtpmap:120 ulpfec/90000")
    return "".join(line + "\n" for line in lines)


def _without_codecs(section: str, keep: tuple[str, ...]) -> str:
    maps = re.findall(r"^a=rtpmap:(\d+) ([\w-]+)/", section, flags=re.MULTILINE)
    apts = dict(re.findall(r"^a=fmtp:(\d+) apt=(\d+)", section, flags=re.MULTILINE))
    media = {number for number, name in maps if name in keep}
    gone = {number for number, _ in maps if number not in media and apts.get(number) not in media}
    for number in gone:
        section = re.sub(rf"^a=(rtpmap|fmtp|rtcp-fb):{number} .*\r\n", "", section, flags=re.M)
    first, rest = section.split("\r\n", 1)
    words = first.split(" ")
    return " ".join(words[:3] + [one for one in words[3:] if one not in gone]) + "\r\n" + rest

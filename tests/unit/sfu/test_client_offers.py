"""Offers in the manner of other clients than Chromium, written after what they are known to send."""

from sfu.model import PublicationSpec, TrackKind
from sfu.negotiation.parse import parse
from tests.support.descriptions import FINGERPRINT
from tests.support.world import World

FIREFOX = f"""\
v=0
o=mozilla...THIS_IS_SDPARTA-140.0 7298239 0 IN IP4 0.0.0.0
s=-
t=0 0
a=sendrecv
a=fingerprint:sha-256 {FINGERPRINT}
a=group:BUNDLE 0 1 2
a=ice-options:trickle
a=msid-semantic:WMS *
m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101
c=IN IP4 0.0.0.0
a=sendonly
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=fmtp:109 maxplaybackrate=48000;stereo=1;useinbandfec=1
a=fmtp:101 0-15
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:89abcdef
a=mid:0
a=msid:{{2d3ba4f3}} {{6a8f0b3e}}
a=rtcp-mux
a=rtpmap:109 opus/48000/2
a=rtpmap:9 G722/8000/1
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=rtpmap:101 telephone-event/8000/1
a=setup:actpass
a=ssrc:1111 cname:{{b5f0}}
m=video 9 UDP/TLS/RTP/SAVPF 120 124 121 125 126 127 97 98 123 122 119
c=IN IP4 0.0.0.0
a=sendonly
a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:4 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=extmap:5 urn:ietf:params:rtp-hdrext:toffset
a=extmap:6/recvonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay
a=extmap:7 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01
a=extmap:8/sendonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=extmap:9/sendonly urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id
a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1
a=fmtp:97 profile-level-id=42e01f;level-asymmetry-allowed=1
a=fmtp:120 max-fs=12288;max-fr=60
a=fmtp:124 apt=120
a=fmtp:121 max-fs=12288;max-fr=60
a=fmtp:125 apt=121
a=fmtp:127 apt=126
a=fmtp:98 apt=97
a=fmtp:119 apt=122
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:89abcdef
a=mid:1
a=msid:{{2d3ba4f3}} {{51c2de9c}}
a=rid:q send
a=rid:h send
a=rid:f send
a=rtcp-fb:120 nack
a=rtcp-fb:120 nack pli
a=rtcp-fb:120 ccm fir
a=rtcp-fb:120 goog-remb
a=rtcp-fb:120 transport-cc
a=rtcp-fb:121 nack
a=rtcp-fb:121 nack pli
a=rtcp-fb:121 transport-cc
a=rtcp-fb:126 nack
a=rtcp-fb:126 nack pli
a=rtcp-fb:126 transport-cc
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:120 VP8/90000
a=rtpmap:124 rtx/90000
a=rtpmap:121 VP9/90000
a=rtpmap:125 rtx/90000
a=rtpmap:126 H264/90000
a=rtpmap:127 rtx/90000
a=rtpmap:97 H264/90000
a=rtpmap:98 rtx/90000
a=rtpmap:123 ulpfec/90000
a=rtpmap:122 red/90000
a=rtpmap:119 rtx/90000
a=setup:actpass
a=simulcast:send q;h;f
a=ssrc:2222 cname:{{b5f0}}
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=sendrecv
a=ice-pwd:0123456789abcdef0123456789abcdef
a=ice-ufrag:89abcdef
a=mid:2
a=setup:actpass
a=sctp-port:5000
a=max-message-size:1073741823
"""

# A native SDK: no stream in msid, many idle sections, DTLS in STUN offered, session-level ICE options.
NATIVE = f"""\
v=0
o=- 3921430 3 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1 2
a=extmap-allow-mixed
a=msid-semantic: WMS
m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126
c=IN IP4 0.0.0.0
a=rtcp:9 IN IP4 0.0.0.0
a=ice-ufrag:Wq3X
a=ice-pwd:zk1e0hdk3oQ7iFtnHhVxk1zZ
a=ice-options:trickle goog-sped-v1
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:0
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=recvonly
a=rtcp-mux
a=rtcp-rsize
a=rtpmap:111 opus/48000/2
a=rtcp-fb:111 transport-cc
a=rtcp-fb:111 nack
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
m=audio 9 UDP/TLS/RTP/SAVPF 111 63
c=IN IP4 0.0.0.0
a=ice-ufrag:Wq3X
a=ice-pwd:zk1e0hdk3oQ7iFtnHhVxk1zZ
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:1
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid
a=sendrecv
a=msid:- mic-cid
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10;useinbandfec=1
a=rtpmap:63 red/48000/2
a=fmtp:63 111/111
a=ssrc:4040 cname:abc
a=ssrc:4040 msid:- mic-cid
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=ice-ufrag:Wq3X
a=ice-pwd:zk1e0hdk3oQ7iFtnHhVxk1zZ
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
a=mid:2
a=sctp-port:5000
a=max-message-size:262144
a=sctp-init:AQAAJAAAAAA
"""


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


def test_firefox_publishes_under_rewritten_ids_with_simulcast() -> None:
    world = World()
    alice = world.join("alice", browser="Firefox")
    microphone = alice.peer.announce(PublicationSpec("mic", TrackKind.AUDIO))
    camera = alice.peer.announce(PublicationSpec("cam", TrackKind.VIDEO, codecs=(("vp8", "cam"),)))
    answer = parse(alice.peer.handle_offer(crlf(FIREFOX)).sdp)
    assert microphone.sdp_cid == "{6a8f0b3e}"
    assert camera.sdp_cid == "{51c2de9c}"
    assert camera.rids == ("q", "h", "f")
    audio, video, data = answer.sections
    assert [codec.payload_type for codec in audio.codecs] == [109, 0, 8]
    assert [codec.payload_type for codec in video.codecs] == [120, 124, 121, 125, 126, 127]
    directions = {one.uri.rpartition(":")[2]: one.direction for one in video.extensions}
    assert directions["rtp-stream-id"] == "recvonly"
    assert directions["mid"] == ""
    assert data.sctp_port == 5000
    transport = alice.peer.connections[0].transport
    remote = world.plane.transports[transport].remote
    assert remote is not None
    assert remote.fingerprints == (("sha-256", b"\xab" * 32),)
    assert remote.sctp == (5000, 262_144)


def test_a_native_sdk_publishes_beside_an_idle_section() -> None:
    world = World()
    alice = world.join("alice", connect=False)
    microphone = alice.peer.announce(PublicationSpec("mic-cid", TrackKind.AUDIO))
    text = alice.peer.handle_offer(crlf(NATIVE)).sdp
    answer = parse(text)
    assert microphone.mid == "1"
    assert microphone.sdp_cid == ""
    assert [one.direction for one in answer.sections[:2]] == ["inactive", "recvonly"]
    assert answer.sections[1].codecs[0].name == "red"
    assert answer.sections[1].codecs[1].feedback == ("nack",)
    assert "goog-sped" not in text
    assert "sctp-init" not in text
    track = alice.track_of(microphone)
    assert [stream.ssrc for stream in track.spec.streams] == [4040]
    nacks = {codec.codec: codec.nack for codec in track.spec.codecs}
    assert nacks == {"red": False, "opus": True}

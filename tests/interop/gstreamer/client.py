"""GStreamer's webrtcbin as an encoder over WHIP and as a player over WHEP; prints a JSON object a line.

Runs with the system's Python, which has GStreamer's bindings: `client.py publish URL CODEC` or
`client.py play URL`, the token in the environment. Ends when its standard input does.
"""

# ruff: noqa: E402 - GStreamer's bindings want their versions before they are imported

import json
import os
import sys
import threading
import urllib.error
import urllib.request
from http import HTTPStatus

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC

WIDTH, HEIGHT, RATE = 640, 360, 20
COUNTER_BITS, COUNTER_BLOCK = 16, 16  # as the project's synthetic picture has it
PATIENCE = 20  # seconds
PICTURE = (
    f"appsrc name=picture is-live=true format=time do-timestamp=true caps=video/x-raw,format=GRAY8,"
    f"width={WIDTH},height={HEIGHT},framerate={RATE}/1 ! videoconvert ! video/x-raw,format=I420 ! queue"
)
SOUND = "audiotestsrc is-live=true wave=ticks freq=440 ! audio/x-raw,rate=48000,channels=2 ! queue"
ENCODERS = {
    "h264": (
        f"x264enc tune=zerolatency speed-preset=ultrafast bitrate=800 key-int-max={RATE * 60} ! "
        "video/x-h264,profile=constrained-baseline ! "
        "rtph264pay config-interval=-1 aggregate-mode=zero-latency pt=96 ! "
        "application/x-rtp,media=video,encoding-name=H264,payload=96"
    ),
    "vp8": (
        f"vp8enc deadline=1 target-bitrate=800000 keyframe-max-dist={RATE * 60} ! "
        "rtpvp8pay picture-id-mode=15-bit pt=97 ! "
        "application/x-rtp,media=video,encoding-name=VP8,payload=97"
    ),
}
PUBLISH = (
    "webrtcbin name=webrtc bundle-policy=max-bundle {picture} ! {encoder} ! webrtc. "
    "{sound} ! opusenc ! rtpopuspay pt=111 ! "
    "application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! webrtc."
)
RECEIVED = (
    ("audio", "encoding-name=OPUS,clock-rate=48000,payload=111,encoding-params=(string)2"),
    ("video", "encoding-name=VP8,clock-rate=90000,payload=97"),
    (
        "video",
        "encoding-name=H264,clock-rate=90000,payload=96,packetization-mode=(string)1,"
        "profile-level-id=(string)42e01f",
    ),
)
SINKS = {
    "video": "queue ! videoconvert ! video/x-raw,format=GRAY8 ! appsink name=sink sync=false",
    "audio": "queue ! audioconvert ! audio/x-raw,format=S16LE ! appsink name=sink sync=false",
}


SPEAKING = threading.Lock()


def say(**facts: object) -> None:
    with SPEAKING:
        print(json.dumps(facts), flush=True)


class Connection:
    """A pipeline with one webrtcbin, and its one exchange of descriptions."""

    def __init__(self, pipeline: Gst.Pipeline) -> None:
        self.pipeline = pipeline
        self.webrtc = pipeline.get_by_name("webrtc")
        self.needed = threading.Event()
        self.gathered = threading.Event()
        self.webrtc.connect("on-negotiation-needed", lambda _: self.needed.set())
        self.webrtc.connect("notify::ice-gathering-state", self._gathering)

    def _gathering(self, *_: object) -> None:
        if self.webrtc.props.ice_gathering_state == GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            self.gathered.set()

    def negotiate(self, url: str) -> str:
        """One POST of the whole offer; returns the session's address."""
        self.pipeline.set_state(Gst.State.PLAYING)
        assert self.needed.wait(PATIENCE), "nothing to negotiate"
        promised = Gst.Promise.new()
        self.webrtc.emit("create-offer", None, promised)
        promised.wait()
        reply = promised.get_reply()  # owns the description
        self._apply("set-local-description", reply.get_value("offer"))
        assert self.gathered.wait(PATIENCE), "no candidates"
        offer = self.webrtc.props.local_description.sdp.as_text()
        status, location, answer = post(url, offer)
        say(status=status, offer=offer, answer=answer)
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        described = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self._apply("set-remote-description", described)
        return location

    def _apply(self, signal: str, description: GstWebRTC.WebRTCSessionDescription) -> None:
        promise = Gst.Promise.new()
        self.webrtc.emit(signal, description, promise)
        promise.wait()


def post(url: str, offer: str) -> tuple[int, str, str]:
    """Status, session and answer; as long as there is nothing to watch, it asks again."""
    headers = {**authorization(), "Content-Type": "application/sdp"}
    request = urllib.request.Request(url, offer.encode(), headers, method="POST")
    for _ in range(PATIENCE):
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as response:
                return response.status, response.headers["Location"], response.read().decode()
        except urllib.error.HTTPError as refused:
            if refused.code != HTTPStatus.CONFLICT:
                raise
            threading.Event().wait(float(refused.headers["Retry-After"]))
    raise TimeoutError("nothing to watch")


def authorization() -> dict[str, str]:
    return {"Authorization": "Bearer " + os.environ["TOKEN"]}


def picture(count: int) -> bytes:
    """A grey picture with its number in a row of black and white blocks."""
    row = bytearray([96]) * WIDTH
    for bit in range(COUNTER_BITS):
        left = 8 + bit * COUNTER_BLOCK
        row[left : left + COUNTER_BLOCK] = bytes([255 * (count >> bit & 1)]) * COUNTER_BLOCK
    moving = bytearray([(count * 3) % 256]) * WIDTH
    grey = bytes([96]) * WIDTH
    return grey * 8 + bytes(row) * COUNTER_BLOCK + grey * 8 + bytes(moving) * (HEIGHT - 32)


def read_counter(data: memoryview, stride: int) -> int:
    """The number in a decoded picture of the original size."""
    middle = (8 + COUNTER_BLOCK // 2) * stride
    centres = (middle + 8 + bit * COUNTER_BLOCK + COUNTER_BLOCK // 2 for bit in range(COUNTER_BITS))
    return sum((data[centre] > 128) << bit for bit, centre in enumerate(centres))


def publish(url: str, codec: str) -> tuple[Gst.Pipeline, str]:
    encoder = ENCODERS[codec]
    pipeline = Gst.parse_launch(PUBLISH.format(picture=PICTURE, encoder=encoder, sound=SOUND))
    source = pipeline.get_by_name("picture")
    stopped = threading.Event()

    def draw() -> None:
        count = 0
        while not stopped.wait(1 / RATE):
            source.emit("push-buffer", Gst.Buffer.new_wrapped(picture(count)))
            count += 1

    connection = Connection(pipeline)
    threading.Thread(target=draw, daemon=True).start()
    location = connection.negotiate(url)
    sys.stdin.read()
    stopped.set()
    return pipeline, location


def play(url: str) -> tuple[Gst.Pipeline, str]:
    pipeline = Gst.Pipeline.new()
    pipeline.add(Gst.parse_launch("webrtcbin name=webrtc bundle-policy=max-bundle"))
    connection = Connection(pipeline)
    for kind in ("audio", "video"):
        formats = [
            f"application/x-rtp,media={kind},{codec}" for media, codec in RECEIVED if media == kind
        ]
        direction = GstWebRTC.WebRTCRTPTransceiverDirection.RECVONLY
        caps = Gst.Caps.from_string(";".join(formats))
        connection.webrtc.emit("add-transceiver", direction, caps)
    connection.webrtc.connect("pad-added", lambda _, pad: decode(pipeline, pad))
    location = connection.negotiate(url)
    sys.stdin.read()
    return pipeline, location


def decode(pipeline: Gst.Pipeline, pad: Gst.Pad) -> None:
    """Decodes what a new pad gives; says what it sees and hears."""
    kind = pad.get_current_caps().get_structure(0).get_string("media")
    decoder = Gst.ElementFactory.make("decodebin")
    decoder.connect("pad-added", lambda _, decoded: show(pipeline, decoded, kind))
    pipeline.add(decoder)
    decoder.sync_state_with_parent()
    pad.link(decoder.get_static_pad("sink"))


def show(pipeline: Gst.Pipeline, pad: Gst.Pad, kind: str) -> None:
    sink = Gst.parse_bin_from_description(SINKS[kind], True)
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.link(sink.get_static_pad("sink"))
    appsink = sink.get_by_name("sink")
    threading.Thread(target=watch, args=(appsink, kind), daemon=True).start()


def watch(appsink: Gst.Element, kind: str) -> None:
    while (sample := appsink.emit("pull-sample")) is not None:
        found, mapped = sample.get_buffer().map(Gst.MapFlags.READ)
        assert found
        structure = sample.get_caps().get_structure(0)
        if kind == "video":
            width = structure.get_value("width")
            height = structure.get_value("height")
            say(video=read_counter(mapped.data, width), width=width, height=height)
        else:
            samples = memoryview(mapped.data).cast("h")
            say(audio=max(samples, default=0))
        sample.get_buffer().unmap(mapped)


def main() -> None:
    Gst.init(None)
    command, url, *more = sys.argv[1:]
    pipeline, location = {"publish": publish, "play": play}[command](url, *more)
    pipeline.set_state(Gst.State.NULL)
    base = url.split("/wh", 1)[0]
    request = urllib.request.Request(base + location, headers=authorization(), method="DELETE")
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        say(ended=response.status)


main()

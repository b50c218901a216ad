"""Offers that name layers, and what the progress of publishing says of them."""

import io
import json
from dataclasses import replace

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

from server.commands.progress import LayerRate, Progress, Report
from server.probe.layers import ONE_LAYER, REPAIRED_RID, RID, THREE_LAYERS, _Stamp, with_layers
from server.terminal import Terminal
from sfu.negotiation.answer import simulcast_rids
from sfu.negotiation.parse import parse
from tests.support.descriptions import Client, Media

OFFER = Client().offer(
    Media("audio", "0", track="mic", ssrc=7), Media("video", "1", track="own", ssrc=100)
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def test_three_layers_are_offered_by_rid_under_the_tracks_id_and_without_ssrcs() -> None:
    offer = parse(with_layers(OFFER, "1", "cam", THREE_LAYERS))
    audio, video = offer.sections
    assert simulcast_rids(video) == ("q", "h", "f")
    assert [track for _, track in video.msids] == ["cam"]
    assert (video.ssrcs, video.ssrc_groups) == ((), ())
    assert audio.ssrcs
    assert [track for _, track in audio.msids] == ["mic"]


def test_extensions_of_layers_take_ids_that_no_section_uses() -> None:
    offer = parse(with_layers(OFFER.replace("stream-id", "other"), "1", "cam", THREE_LAYERS))
    ids = {one.uri: one.id for one in offer.sections[1].extensions}
    others = {one.id for section in offer.sections for one in section.extensions}
    assert ids[RID] not in others - {ids[RID]}
    assert ids[REPAIRED_RID] == ids[RID] + 1


def test_a_single_layer_is_no_simulcast() -> None:
    video = parse(with_layers(OFFER, "1", "cam", ONE_LAYER)).sections[1]
    assert simulcast_rids(video) == ()
    assert [track for _, track in video.msids] == ["cam"]


class Wire:
    """Takes what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)


@pytest.mark.anyio
async def test_media_names_its_layer_repairs_name_what_they_repair_and_rtcp_passes() -> None:
    wire = Wire()
    stamp = _Stamp(wire, "h")
    stamp.repair_ssrc = 2
    extensions = [
        RTCRtpHeaderExtensionParameters(id=10, uri=RID),
        RTCRtpHeaderExtensionParameters(id=20, uri=REPAIRED_RID),  # needs the two-byte form
    ]
    stamp.configure(extensions)
    names = HeaderExtensionsMap()
    names.configure(type("Parameters", (), {"headerExtensions": extensions})())
    for ssrc in (1, 2):
        packet = RtpPacket(payload_type=96, sequence_number=7, timestamp=9)
        packet.ssrc, packet.payload = ssrc, b"picture"
        await stamp._send_rtp(packet.serialize(HeaderExtensionsMap()))
    report = bytes.fromhex("80c9000100000001")
    await stamp._send_rtp(report)
    media, repair = (RtpPacket.parse(data, names) for data in wire.sent[:2])
    assert (media.extensions.rtp_stream_id, media.extensions.repaired_rtp_stream_id) == ("h", None)
    assert (repair.extensions.rtp_stream_id, repair.extensions.repaired_rtp_stream_id) == (
        None,
        "h",
    )
    assert media.payload == repair.payload == b"picture"
    assert wire.sent[2] == report


class Sender:
    """Counters as a sender has them."""

    def __init__(self, index: int) -> None:
        self.layer = THREE_LAYERS[index]
        self.width, self.height = 160 << index, 90 << index
        self.pictures = self.sent = 0
        self.position = 0.0
        self.keyframes_asked = index
        self.trip: float | None = None

    async def bytes_sent(self) -> int:
        return self.sent

    async def round_trip(self) -> float | None:
        return self.trip


@pytest.mark.anyio
async def test_a_report_has_rates_since_the_one_before() -> None:
    senders = [Sender(index) for index in range(3)]
    progress = Progress(senders, 100.0)  # type: ignore[arg-type]
    for sender in senders:
        sender.pictures, sender.sent = 20, 1000
    first = await progress.report(101.0)
    assert (first.elapsed, first.round_trip, first.keyframes_asked) == (1.0, None, 3)
    senders[2].pictures, senders[2].sent, senders[2].position = 60, 51_000, 3.0
    senders[1].trip, senders[2].trip = 0.2, 0.1
    second = await progress.report(103.0)
    assert second.layers[2] == LayerRate("f", 640, 360, pictures=20.0, bitrate=200_000.0)
    assert second.layers[0].bitrate == 0
    assert (second.elapsed, second.position, second.round_trip) == (3.0, 3.0, 0.1)


REPORT = Report(75.0, 12.3, 0.0123, 4, (LayerRate("", 640, 360, 20.0, 512_000.0),))


def test_people_read_a_line_and_machines_an_object() -> None:
    for part in ("1:15", "at 0:12", "20/s", "640x360 512 kbit/s", "round trip 12 ms", "asked 4"):
        assert part in REPORT.text
    out = io.StringIO()
    Terminal(as_json=True, out=out).progress(REPORT.text, **REPORT.facts)
    assert json.loads(out.getvalue()) == REPORT.facts
    assert REPORT.facts["layers"] == [
        {"rid": "", "width": 640, "height": 360, "pictures_per_second": 20.0, "bitrate": 512_000}
    ]


def test_a_publisher_of_sound_alone_says_how_long_it_sends() -> None:
    assert replace(REPORT, layers=(), round_trip=None).text == "1:15"


class Console(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal_and_nothing_in_a_file() -> None:
    console, file = Console(), io.StringIO()
    for out in (console, file):
        terminal = Terminal(as_json=False, out=out)
        terminal.progress("one", event="progress")
        terminal.progress("two", event="progress")
    assert console.getvalue() == "\r\x1b[2Kone\r\x1b[2Ktwo"
    assert file.getvalue() == ""

"""Encoders whose offers lack what browsers offer, or number it as no browser does: their pictures are decoded.

The descriptions have the shapes that libdatachannel (OBS Studio from version 30 on) and older stacks write.
"""

from collections.abc import Awaitable, Callable, Mapping

import pytest

from server.probe.layers import Layer
from tests.interop.conftest import Client, Server, until
from tests.support.http_clients import WhepClient
from tests.support.odd_encoder import MID, RID, OddEncoder, Shape
from tests.support.watching import assert_plays, by_kind

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
LOW, MIDDLE, HIGH = Layer("2", 4, 150_000), Layer("1", 2, 400_000), Layer("0", 1, 1_200_000)
OBS_HEAD = "a=group:LS 0 1\r\na=msid-semantic:WMS *\r\na=ice-options:ice2,trickle\r\n"
SHAPES: Mapping[str, Shape] = {
    "only_payload_types": Shape(ssrcs=False, feedback=(), payload_type=35),
    "numbered_at_the_end": Shape(rtx=126, payload_type=127, feedback=("transport-cc", "nack")),
    "video_first_two_byte_extensions": Shape(
        ssrcs=False,
        video_first=True,
        extensions=((15, RID), (16, MID), (200, "urn:example:unknown"), (3, TRANSPORT_CC)),
    ),
    "obs": Shape(codec="H264", head=OBS_HEAD),
}
SIMULCAST: Mapping[str, Shape] = {
    "sim_group_with_rtx": Shape(layers=(LOW, MIDDLE, HIGH), group=True, rtx=97),
    "obs": Shape(
        codec="H264",
        head=OBS_HEAD,
        layers=(HIGH, MIDDLE, LOW),
        extensions=((1, MID), (2, RID)),
        reports=False,
    ),
    "a_fourth_layer_and_two_byte_extensions": Shape(
        layers=(HIGH, MIDDLE, LOW, Layer("3", 8, 100_000)), extensions=((16, MID), (17, RID))
    ),
}
LONG = 45.0  # seconds; a browser that gets no processor decodes what it received seconds ago
HEIGHTS = (90, 180, 360)


@pytest.mark.parametrize("name", SHAPES)
async def test_an_odd_encoder_is_decoded(server: Server, name: str) -> None:
    room = f"odd-{name}"
    async with (
        OddEncoder(server.url, server.token("encoder", room), SHAPES[name]),
        WhepClient(server.url, server.token("eye", room)) as eye,
    ):
        await assert_plays(await by_kind(eye.arrived))


@pytest.mark.parametrize("name", SIMULCAST)
async def test_layers_of_an_odd_encoder_can_be_chosen(
    server: Server, new_client: Callable[[], Awaitable[Client]], name: str
) -> None:
    room = f"odd-{name}"
    viewer = await new_client()
    await viewer.call("join", server.ws, server.token("viewer", room))
    async with OddEncoder(server.url, server.token("encoder", room), SIMULCAST[name]):
        await until(lambda: viewer.decoded("video"), "the picture is decoded")
        for quality in (0, 2, 1):
            await viewer.call("setQuality", quality)

            async def chosen(height: int = HEIGHTS[quality]) -> bool:
                return [one["frameHeight"] for one in await viewer.decoded("video")] == [height]

            await until(chosen, f"a picture of {HEIGHTS[quality]} lines is shown", LONG)

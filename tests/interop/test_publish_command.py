"""`conclave publish --simulcast`: three layers arrive at a browser, which chooses; what the command tells."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.interop.conftest import ROOT, Client, Server, until
from tests.interop.programs import Facts, running

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(240)]
LONG = 45.0  # seconds; a browser that gets no processor decodes what it received seconds ago
HEIGHTS = {"q": 90, "h": 180, "f": 360}


async def test_a_viewer_chooses_among_the_layers_and_the_publisher_tells_of_each(
    server: Server, new_client: Callable[[], Awaitable[Client]], tmp_path: Path
) -> None:
    viewer = await new_client()
    await viewer.call("join", server.ws, server.token("viewer", "three-layers"))
    command = (
        ROOT / ".venv/bin/conclave", "publish", "--demo", "--simulcast", "--room", "three-layers",
        "--url", server.url, "--json",
    )  # fmt: skip
    async with running(tmp_path / "errors", *command) as publisher:
        await until(lambda: viewer.decoded("video"), "the picture is decoded")
        for quality, rid in ((0, "q"), (2, "f"), (1, "h")):
            await viewer.call("setQuality", quality)

            async def chosen(height: int = HEIGHTS[rid]) -> bool:
                return [one["frameHeight"] for one in await viewer.decoded("video")] == [height]

            await until(chosen, f"layer {rid} is shown", LONG)

        def every_layer_flows(facts: Facts) -> bool:
            return (
                {one["rid"]: one["height"] for one in facts.get("layers", ())} == HEIGHTS
                and all(one["bitrate"] > 10_000 for one in facts["layers"])
                and facts["round_trip"] is not None
                and facts["keyframes_asked"] >= 1  # a layer starts with a key frame
                and facts["position"] > 0
            )

        (told,) = await publisher.hear(every_layer_flows)
        rates = {one["rid"]: one["bitrate"] for one in told["layers"]}
        assert rates["q"] < rates["h"] < rates["f"]

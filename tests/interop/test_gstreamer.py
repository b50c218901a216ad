"""GStreamer's webrtcbin publishes by WHIP and plays from WHEP: other ICE, DTLS, SRTP and jitter buffers than ours.

Its ICE library gathers no candidate on the loopback device, so everybody lives on a host of their own.
"""

import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.interop.conftest import ROOT, Server
from tests.interop.programs import Facts, Program, running
from tests.support.networks import Host, needs_root

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120), needs_root]
SYSTEM_PYTHON = "/usr/bin/python3"  # which has the bindings
SCRIPT = Path(__file__).parent / "gstreamer/client.py"
OTHER_END = "tests.interop.gstreamer.other_end"
either_codec = pytest.mark.parametrize("codec", ["h264", "vp8"])


class Stage:
    """Starts programs on the host, with tokens of one room."""

    def __init__(self, host: Host, server: Server, room: str, folder: Path) -> None:
        self._host = host
        self._server = server
        self._room = room
        self._folder = folder

    def gstreamer(
        self, identity: str, command: str, path: str, *more: str
    ) -> AbstractAsyncContextManager[Program]:
        url = self._server.url + path
        return self._run(identity, SYSTEM_PYTHON, str(SCRIPT), command, url, *more)

    def other_end(
        self, identity: str, command: str, *more: str
    ) -> AbstractAsyncContextManager[Program]:
        url = self._server.url
        return self._run(identity, sys.executable, "-m", OTHER_END, command, url, *more)

    def _run(self, identity: str, *command: str) -> AbstractAsyncContextManager[Program]:
        return running(
            self._folder / identity,
            *command,
            prefix=self._host.prefix,
            TOKEN=self._server.token(identity, self._room),
            PYTHONPATH=str(ROOT),
        )


@either_codec
async def test_what_gstreamer_publishes_is_decoded_also_by_who_comes_late(
    island: Host, inside: Server, tmp_path: Path, codec: str
) -> None:
    """Its encoder makes a key frame a minute: a late player sees a picture only because one is asked for."""
    stage = Stage(island, inside, f"from-{codec}", tmp_path)
    async with stage.gstreamer("encoder", "publish", "/whip/v1", codec) as encoder:
        (answered,) = await encoder.hear(lambda facts: "status" in facts)
        assert answered["status"] == 201
        for identity in ("early", "late"):
            async with stage.other_end(identity, "watch") as player:
                (seen,) = await player.hear(lambda facts: "pictures" in facts)
                assert seen["pictures"] == sorted(seen["pictures"])
                assert len(set(seen["pictures"])) > 10
                (heard,) = await player.hear(lambda facts: "loudest" in facts)
                assert heard["loudest"] > 1000
                await player.finish()
        assert {"ended": 200} in await encoder.finish()


@either_codec
async def test_gstreamer_decodes_what_others_publish(
    island: Host, inside: Server, tmp_path: Path, codec: str
) -> None:
    stage = Stage(island, inside, f"to-{codec}", tmp_path)
    async with stage.other_end("encoder", "publish", codec):
        async with stage.gstreamer("player", "play", "/whep/v1") as player:
            await plays(player)


async def plays(player: Program) -> None:
    """Pictures with rising numbers, and sound; then a good end."""
    seen: list[Facts] = []
    loudest = 0

    def both(facts: Facts) -> bool:
        nonlocal loudest
        loudest = max(loudest, facts.get("audio", 0))
        if "video" in facts:
            seen.append(facts)
        return len(seen) >= 20 and loudest > 1000

    await player.hear(both)
    numbers = [facts["video"] for facts in seen]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 10
    assert {(facts["width"], facts["height"]) for facts in seen} == {(640, 360)}
    assert {"ended": 200} in await player.finish()

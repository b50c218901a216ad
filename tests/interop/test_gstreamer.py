"""GStreamer's webrtcbin publishes by WHIP and plays from WHEP: other ICE, DTLS, SRTP and jitter buffers than ours.

Its ICE library gathers no candidate on the loopback device, so everybody lives in a network namespace.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.interop.conftest import ROOT, Server
from tests.interop.namespaces import Namespace, namespace_for, server_in
from tests.interop.programs import Facts, Program, running

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces are made by root"),
]
SYSTEM_PYTHON = "/usr/bin/python3"  # which has the bindings
SCRIPT = Path(__file__).parent / "gstreamer/client.py"
OTHER_END = "tests.interop.gstreamer.other_end"
either_codec = pytest.mark.parametrize("codec", ["h264", "vp8"])


@pytest.fixture(scope="module")
def namespace() -> Iterator[Namespace]:
    with namespace_for("gstreamer") as made:
        yield made


@pytest.fixture(scope="module")
def inside(namespace: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with server_in(namespace, tmp_path_factory.mktemp("inside")) as server:
        yield server


class Stage:
    """Starts programs in the namespace, with tokens of one room."""

    def __init__(self, namespace: Namespace, server: Server, room: str, folder: Path) -> None:
        self._namespace = namespace
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
            prefix=self._namespace.prefix,
            TOKEN=self._server.token(identity, self._room),
            PYTHONPATH=str(ROOT),
        )


@either_codec
async def test_what_gstreamer_publishes_is_decoded_also_by_who_comes_late(
    namespace: Namespace, inside: Server, tmp_path: Path, codec: str
) -> None:
    """Its encoder makes a key frame a minute: a late player sees a picture only because one is asked for."""
    stage = Stage(namespace, inside, f"from-{codec}", tmp_path)
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
    namespace: Namespace, inside: Server, tmp_path: Path, codec: str
) -> None:
    stage = Stage(namespace, inside, f"to-{codec}", tmp_path)
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

"""Other SDKs, unmodified, with the current one for Python: for Node, and for Python as of two years ago."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from livekit import rtc

from tests.interop.conftest import PATIENCE, ROOT, Server, until
from tests.interop.programs import Facts, Program, running
from tests.interop.test_python_sdk import loudness, pictures, sdk_media, sdk_room, subscribed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120), pytest.mark.usefixtures("sdks")]
HERE = Path(__file__).parent
every_sdk = pytest.mark.parametrize("sdk", ["node", "python-2024"])


@asynccontextmanager
async def participant(
    server: Server, folder: Path, sdk: str, room: str, identity: str = "program"
) -> AsyncIterator[Program]:
    """A program that has joined."""
    node = shutil.which("node")
    assert node is not None
    command = {
        "node": (node, HERE / "node/participant.mjs"),
        "python-2024": (sys.executable, HERE / "sdks/participant.py"),
    }[sdk]
    path = f"{ROOT / '.cache/python-sdk-2024'}:{ROOT}"
    arguments = (server.ws, server.token(identity, room))
    async with running(folder / identity, *command, *arguments, PYTHONPATH=path) as program:
        (said,) = await program.hear(lambda facts: "joined" in facts)
        assert said["joined"].startswith("PA_")
        yield program


async def tell(program: Program, **command: object) -> None:
    await program.tell(json.dumps(command))


def test_the_old_sdk_is_the_one_that_runs() -> None:
    code = "from livekit.rtc.version import __version__; print(__version__)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / ".cache/python-sdk-2024")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "0.18.1"


@every_sdk
async def test_its_pictures_and_sound_are_decoded_and_it_decodes_those_of_others(
    server: Server, tmp_path: Path, sdk: str
) -> None:
    room = f"media-{sdk}"
    async with (
        participant(server, tmp_path, sdk, room) as program,
        sdk_room(server, room, "other") as other,
    ):
        await tell(program, publish=True)

        async def both() -> bool:
            return {"program audio", "program video"} <= set(subscribed(other))

        await until(both, "its tracks are subscribed")
        tracks = subscribed(other)
        frames = await asyncio.wait_for(pictures(tracks["program video"], 15), PATIENCE)
        assert {frame.width * 9 for frame in frames} == {frame.height * 16 for frame in frames}
        assert await asyncio.wait_for(loudness(tracks["program audio"]), PATIENCE) > 500
        async with sdk_media(other):
            await sees_and_hears(program)


async def sees_and_hears(program: Program) -> None:
    """Numbered pictures of the original size in their order, and sound."""
    numbers: list[int] = []
    loudest = 0

    def enough(facts: Facts) -> bool:
        nonlocal loudest
        loudest = max(loudest, facts.get("audio", 0))
        if facts.get("width") == 640:
            numbers.append(facts["video"])
        return len(set(numbers)) > 10 and loudest > 500

    await program.hear(enough)
    assert numbers == sorted(numbers)


@every_sdk
async def test_data_and_calls_go_both_ways_and_its_leaving_is_seen(
    server: Server, tmp_path: Path, sdk: str
) -> None:
    room = f"data-{sdk}"
    async with sdk_room(server, room, "other") as other:

        @other.local_participant.register_rpc_method("shout")  # type: ignore[untyped-decorator]
        async def shout(call: rtc.RpcInvocationData) -> str:
            return call.payload.upper()

        arrived: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        other.on(
            "data_received",
            lambda packet: arrived.put_nowait((packet.topic or "", packet.data.decode())),
        )
        async with participant(server, tmp_path, sdk, room) as program:

            async def seen() -> bool:
                return "program" in other.remote_participants

            await until(seen, "it is seen")
            await tell(program, data="from the program")
            assert await asyncio.wait_for(arrived.get(), PATIENCE) == ("t", "from the program")
            await other.local_participant.publish_data("from the other", topic="u")
            (got,) = await program.hear(lambda facts: "data" in facts)
            assert (got["topic"], got["data"]) == ("u", "from the other")
            await tell(program, call="other")
            assert await program.hear(lambda facts: "answer" in facts) == [{"answer": "QUIET"}]
            answer = await other.local_participant.perform_rpc(
                destination_identity="program", method="shout", payload="whisper"
            )
            assert answer == "WHISPER"
            await program.finish()

        async def gone() -> bool:
            return "program" not in other.remote_participants

        await until(gone, "it has left", 5)


@every_sdk
async def test_it_hears_of_another_that_leaves(server: Server, tmp_path: Path, sdk: str) -> None:
    room = f"leaves-{sdk}"
    async with participant(server, tmp_path, sdk, room) as program:
        async with sdk_room(server, room, "other") as other:

            async def seen() -> bool:
                return "program" in other.remote_participants

            await until(seen, "both are there")
        assert await program.hear(lambda facts: "gone" in facts) == [{"gone": "other"}]
        await program.finish()

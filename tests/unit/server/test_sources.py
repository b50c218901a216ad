"""Files to publish: what cannot be sent is refused by name."""

from pathlib import Path

import av
import pytest

from common.clock import ManualClock
from common.errors import LocalError
from server.probe.sources import DemoVideo, open_file, read_counter


def write(path: Path, form: str) -> None:
    """Half a second of numbered pictures."""
    painter = DemoVideo(160, 90, 10)
    with av.open(str(path), "w", format=form) as container:
        video = container.add_stream("libx264", rate=10)
        video.width, video.height, video.pix_fmt = 160, 90, "yuv420p"
        for count in range(5):
            frame = av.VideoFrame.from_ndarray(painter.draw(count), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_stream_that_cannot_be_wound_back_is_refused_by_name_and_played_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "clip.h264"
    write(path, "h264")
    with pytest.raises(LocalError) as refused:
        open_file(path, loop=True)
    assert refused.value.code == "file_not_seekable"
    audio, video = open_file(path, loop=False)
    assert audio is None
    assert video is not None
    video.stop()


@pytest.mark.anyio
async def test_a_picture_knows_its_size_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, "mp4")
    _, video = open_file(path, loop=True)
    assert video is not None
    assert (video.width, video.height) == (160, 90)  # type: ignore[attr-defined]
    video.stop()


@pytest.mark.anyio
async def test_a_picture_that_was_asked_for_late_is_the_one_that_is_due_then() -> None:
    clock = ManualClock()
    video = DemoVideo(320, 180, 10, clock)

    async def number() -> int:
        frame = await video.recv()
        assert frame.pts == read_counter(frame.to_ndarray(format="rgb24")) * 9_000
        return frame.pts // 9_000

    assert await number() == 0
    clock.advance(0.1)
    assert await number() == 1
    clock.advance(100.05)
    assert await number() == 1_001
    video.stop()

"""The connection on which the server asks: answers stay with their questions whatever breaks off."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from common.errors import RemoteError
from compliance import reader as reader_module
from compliance.questions import Answer, Found, Question
from compliance.reader import LogReader
from compliance.wire import Frame, FrameReader, FrameType

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]
Behaviour = Callable[[Question, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def scripted(path: Path, behave: Behaviour) -> AsyncIterator[LogReader]:
    """A sidecar that answers as it is told, and who asks it."""

    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        frames = FrameReader()
        while data := await reader.read(65_536):
            for frame in frames.feed(data):
                if frame.type is FrameType.ASK:
                    await behave(Question.decode(frame.body), writer)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    asking = LogReader(str(path))
    try:
        yield asking
    finally:
        await asking.close()
        server.close()
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def answer_to(question: Question) -> bytes:
    """An entry that says which question it belongs to."""
    found = Found(question.start or 0, b"entry of %d" % (question.start or 0))
    end = Answer((found,), 0, False, "note", 1, "key")
    frames = [Frame(FrameType.FOUND, found.encode()), Frame(FrameType.ANSWERED, end.encode_end())]
    return b"".join(frame.encode() for frame in frames)


async def honest(question: Question, writer: asyncio.StreamWriter) -> None:
    writer.write(answer_to(question))


async def test_many_questions_get_their_own_answers(tmp_path: Path) -> None:
    async with scripted(tmp_path / "socket", honest) as asking:
        answers = await asyncio.gather(*(asking.ask(Question(start=n)) for n in range(50)))
    assert [answer.found[0].entry for answer in answers] == [b"entry of %d" % n for n in range(50)]


async def test_an_answer_that_breaks_off_is_refused_and_the_next_is_whole(tmp_path: Path) -> None:
    async def dying(question: Question, writer: asyncio.StreamWriter) -> None:
        if question.start == 1:
            writer.write(answer_to(question)[:-5])
            writer.close()
        else:
            writer.write(answer_to(question))

    async with scripted(tmp_path / "socket", dying) as asking:
        for _ in range(3):
            with pytest.raises(RemoteError) as caught:
                await asking.ask(Question(start=1))
            assert caught.value.code == "audit_unavailable"
            assert (await asking.ask(Question(start=2))).found[0].index == 2


async def test_who_gives_up_does_not_leave_its_answer_to_the_next(tmp_path: Path) -> None:
    held = asyncio.Event()

    async def slow(question: Question, writer: asyncio.StreamWriter) -> None:
        if question.start == 1:
            writer.write(answer_to(question)[:10])
            held.set()
        else:
            writer.write(answer_to(question))

    async with scripted(tmp_path / "socket", slow) as asking:
        impatient = asyncio.create_task(asking.ask(Question(start=1)))
        await held.wait()
        impatient.cancel()
        await asyncio.gather(impatient, return_exceptions=True)
        assert (await asking.ask(Question(start=2))).found[0].index == 2


@pytest.mark.parametrize(
    "frame", [b"\xff" * 20, Frame(FrameType.FOUND, b"").encode() + Frame(FrameType.ANSWERED, b"{}").encode()]
)  # fmt: skip
async def test_what_is_no_answer_is_refused_by_name(tmp_path: Path, frame: bytes) -> None:
    async def babble(_question: Question, writer: asyncio.StreamWriter) -> None:
        writer.write(frame)

    async with scripted(tmp_path / "socket", babble) as asking:
        with pytest.raises(RemoteError) as caught:
            await asking.ask(Question())
    assert caught.value.code in ("frame_malformed", "question_malformed")


async def test_the_line_of_questions_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "MAX_WAITING", 2)
    monkeypatch.setattr(reader_module, "PATIENCE", 0.2)

    async def silent(_question: Question, _writer: asyncio.StreamWriter) -> None:
        pass

    async with scripted(tmp_path / "socket", silent) as asking:
        outcomes = await asyncio.gather(
            *(asking.ask(Question()) for _ in range(4)), return_exceptions=True
        )
    codes = sorted(each.code for each in outcomes if isinstance(each, RemoteError))
    assert codes == ["audit_unavailable"] * 2 + ["query_overloaded"] * 2

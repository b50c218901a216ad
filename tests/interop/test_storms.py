"""A client that offers without measure, or talks nonsense about ICE: its last offer counts, others go on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import pytest
import websockets
from livekit.protocol import rtc

from tests.interop.conftest import Server
from tests.support.descriptions import Client, Media
from tests.support.http_clients import WhepClient, WhipClient
from tests.support.watching import by_kind, counters

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
STORM, SECTIONS = 200, 25  # offers in a burst, and how many sections each of them has
ANSWERS = 60.0  # seconds for all answers, on two busy cores
CALM = 2.0  # seconds within which somebody else is answered, on two busy cores
CANDIDATES = (
    "candidate:1 1 udp 2122260223 7a6f4b5c-1f5e-4e0e-8a1e-3b6b1b0c9d2e.local 50000 typ host",
    "candidate:2 1 tcp 1518280447 192.0.2.7 9 typ host tcptype active",
    "candidate:3 1 udp 1 ::1 1 typ relay raddr 0.0.0.0 rport 0 generation 0 network-cost 999",
    "candidate:" + "9" * 4000,
    "",
    "nonsense",
    "candidate:\u0000 1 udp x y z typ host",
)
GARBAGE = ("", "null", "[]", "{", '"text"', "{}", '{"candidate": 7}', "\ud7ff" * 100)


class Raw:
    """A participant's socket that says whatever a test wants, and hears whatever comes."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    async def say(self, **message: object) -> None:
        await self._socket.send(rtc.SignalRequest(**message).SerializeToString())

    async def hear(self, kind: str) -> object:
        while True:
            frame = await self._socket.recv()
            assert isinstance(frame, bytes)
            message = rtc.SignalResponse.FromString(frame)
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)


@asynccontextmanager
async def raw(server: Server, room: str, identity: str) -> AsyncIterator[Raw]:
    # Nobody who may not subscribe is made offers that wait for an answer.
    token = server.token(identity, room, can_subscribe=False)
    query = urlencode({"access_token": token, "protocol": 16, "auto_subscribe": 0})
    async with websockets.connect(f"{server.ws}/rtc?{query}", max_size=None) as socket:
        client = Raw(socket)
        await client.hear("join")
        yield client


async def longest_wait(client: Raw, stopped: asyncio.Event) -> float:
    """The longest time, in seconds, that a ping of somebody else had to wait."""
    loop, worst = asyncio.get_running_loop(), 0.0
    while not stopped.is_set():
        started = loop.time()
        await client.say(ping_req=rtc.Ping(timestamp=1))
        await client.hear("pong_resp")
        worst = max(worst, loop.time() - started)
        await asyncio.sleep(0.05)
    return worst


async def last_answer(client: Raw) -> str:
    """The answer to the last offer of a storm."""
    while (answer := await client.hear("answer")).id != STORM:  # type: ignore[attr-defined]
        pass
    return str(answer.sdp)  # type: ignore[attr-defined]


async def test_a_storm_of_offers_is_answered_to_the_last_and_delays_nobody(server: Server) -> None:
    sdp = Client()
    kinds = ("audio", "video")
    offers = [
        sdp.offer(*[Media(kinds[n % 2], f"m{n}", "recvonly") for n in range(SECTIONS - (turn % 2))])
        for turn in range(2)
    ]
    room = "storm"
    async with (
        WhipClient(server.url, server.token("encoder", room)),
        WhepClient(server.url, server.token("eye", room)) as eye,
        raw(server, room, "other") as other,
        raw(server, room, "storm") as storm,
    ):
        picture = (await by_kind(eye.arrived))["video"]
        await counters(picture, 5)
        stopped = asyncio.Event()
        watching = asyncio.create_task(longest_wait(other, stopped))
        hearing = asyncio.create_task(last_answer(storm))
        for number in range(1, STORM + 1):
            offer = rtc.SessionDescription(type="offer", sdp=offers[number % 2], id=number)
            await storm.say(offer=offer)
        async with asyncio.timeout(ANSWERS):
            answer = await hearing
        stopped.set()
        assert await watching < CALM
        assert answer.count("\r\nm=") == SECTIONS
        seen = await counters(picture)
        assert seen == sorted(seen)
        assert len(set(seen)) > 10


async def test_candidates_before_offers_after_the_end_and_in_nonsense_do_no_harm(
    server: Server,
) -> None:
    async with raw(server, "candidates", "client") as client:
        for target in (0, 1):
            for line in CANDIDATES:
                init = json.dumps({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0})
                await client.say(trickle=rtc.TrickleRequest(candidateInit=init, target=target))
            await client.say(trickle=rtc.TrickleRequest(target=target, final=True))
        for text in GARBAGE:
            await client.say(trickle=rtc.TrickleRequest(candidateInit=text))
        offer = Client().offer(Media("audio", "0", "recvonly"))
        await client.say(offer=rtc.SessionDescription(type="offer", sdp=offer, id=7))
        async with asyncio.timeout(CALM):
            assert (await client.hear("answer")).id == 7  # type: ignore[attr-defined]
        late = json.dumps({"candidate": CANDIDATES[0], "sdpMid": "9", "sdpMLineIndex": 99})
        await client.say(trickle=rtc.TrickleRequest(candidateInit=late))
        await client.say(ping_req=rtc.Ping(timestamp=1))
        async with asyncio.timeout(CALM):
            await client.hear("pong_resp")


async def test_an_offer_of_too_many_sections_is_refused_and_others_go_on(server: Server) -> None:
    async with raw(server, "huge", "huge") as huge, raw(server, "huge", "other") as other:
        text = Client().offer(*[Media("audio", f"m{n}", "recvonly") for n in range(201)])
        await huge.say(offer=rtc.SessionDescription(type="offer", sdp=text, id=1))
        async with asyncio.timeout(CALM):
            leave = await huge.hear("leave")
            assert leave.action == rtc.LeaveRequest.Action.RECONNECT  # type: ignore[attr-defined]
            await other.say(ping_req=rtc.Ping(timestamp=1))
            await other.hear("pong_resp")

"""A call of two browsers over links that lose, repeat and reorder: what people get, and what each end counts.

The links are emulated and counted between the browsers and the server, so every claim is measured against what
was really lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.interop.conftest import Client, until
from tests.interop.lossy_path import Counts, Fate, LossyPath, lossy_path
from tests.interop.prometheus import Prometheus, prometheus_of, queries_of
from tests.support.exposition import Exposition, read

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]

DELAY = 0.02  # seconds, each way
CLEAN = "delay=20"
LOSSY = "loss=0.08 duplicate=0.02 reorder=0.01 delay=20 jitter=4"
ENOUGH = 30  # lost pictures' packets in each direction, before anything is said about shares
PATIENCE = 60.0  # seconds
SNAPSHOTS = 3  # of the server's, until all of what happened before shows
FRAMES_LOST = 6
REQUESTS = 6  # for a key frame, at most, until a decoder has one
REPAIR_PAGE = Path(__file__).parent / "pages/repair.js"
NACK_DROPS = ("miss", "dedupe", "tries", "late", "budget", "superseded", "no_rtx")
Stream = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """What the emulator, the server and the browsers have counted at one moment."""

    counts: Counts
    page: Exposition
    clients: tuple[dict[str, list[Stream]], ...]

    def total(self, name: str, **labels: str) -> float:
        return self.page.total(f"conclave_{name}", **labels)

    def streams(self, way: str, kind: str) -> list[Stream]:
        """Inbound or outbound, Alice's first."""
        return [stream for told in self.clients for stream in told[way] if stream["kind"] == kind]


@dataclass(frozen=True)
class Spell:
    """What happened between two looks."""

    before: Look
    after: Look

    def media(self, direction: str) -> Fate:
        """What became of all RTP."""
        return self.after.counts.media(direction) - self.before.counts.media(direction)

    def pictures(self, direction: str) -> Fate:
        """What became of the packets of pictures, without retransmissions."""
        (sort,) = {stream["payloadType"] for stream in self.before.streams("outbound", "video")}
        return self.after.counts.of(direction, sort) - self.before.counts.of(direction, sort)

    def counted(self, name: str, **labels: str) -> float:
        """Growth of a counter of the server's."""
        return self.after.total(name, **labels) - self.before.total(name, **labels)

    def dropped(self, reason: str) -> float:
        return self.counted("drops_total", reason=reason)

    def mean(self, histogram: str, **labels: str) -> float:
        """Of what the server observed."""
        count = self.counted(f"{histogram}_count", **labels)
        assert count > 0, histogram
        return self.counted(f"{histogram}_sum", **labels) / count

    def grown(self, way: str, kind: str, field: str) -> list[float]:
        """Growth of a figure of the browsers' streams; they leave out what is zero."""
        pairs = zip(self.before.streams(way, kind), self.after.streams(way, kind), strict=True)
        return [float(after.get(field, 0)) - float(before.get(field, 0)) for before, after in pairs]


class Call:
    """Two browsers that see and hear each other; Alice's sound is redundant (RED), Bob's is plain Opus."""

    def __init__(self, path: LossyPath, clients: list[Client]) -> None:
        self.path = path
        self.clients = clients
        self.latest: Look | None = None

    async def look(self) -> Look:
        """Everything, once the server has told what happened until now."""
        seen = (await self._page()).total("conclave_snapshots_received_total")

        async def told() -> Exposition | None:
            page = await self._page()
            enough = page.total("conclave_snapshots_received_total") >= seen + SNAPSHOTS
            return page if enough else None

        page = await until(told, "the server tells its numbers", PATIENCE)
        clients = tuple([await client.call("repairs") for client in self.clients])
        self.latest = Look(await self.path.counts(), page, clients)
        return self.latest

    async def pictures(self, figure: str) -> list[int]:
        """A figure of the pictures that each browser gets."""
        told = [await client.call("repairs") for client in self.clients]
        streams = [one for each in told for one in each["inbound"] if one["kind"] == "video"]
        return [int(stream.get(figure, 0)) for stream in streams]

    async def _page(self) -> Exposition:
        return await asyncio.to_thread(read, self.path.server.audit)


@pytest.fixture(scope="module")
async def call(
    chromium: Browser, pages: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Call]:
    """Joined while nothing was lost, and decoded both ways."""
    async with lossy_path(tmp_path_factory.mktemp("lossy")) as path, AsyncExitStack() as stack:
        await path.be(CLEAN, CLEAN)
        clients = []
        for name, red in (("alice", True), ("bob", False)):
            context = await chromium.new_context(permissions=["camera", "microphone"])
            stack.push_async_callback(context.close)
            client = Client(await context.new_page())
            await client.page.goto(pages)
            await client.page.add_script_tag(path=REPAIR_PAGE)
            await client.call("join", path.server.ws, path.server.token(name, "lossy"))
            await client.call("call", {"red": red})
            clients.append(client)
        for client in clients:
            await until(lambda c=client: c.decoded("video"), "pictures are decoded", PATIENCE)
            await until(lambda c=client: c.decoded("audio"), "sound is heard", PATIENCE)
        yield Call(path, clients)


@pytest.fixture(scope="module")
def watched(call: Call, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with prometheus_of(call.path.server, tmp_path_factory.mktemp("prometheus")) as prometheus:
        yield prometheus


@pytest.fixture(scope="module")
async def spell(call: Call, watched: Prometheus) -> Spell:
    """Until enough was lost in both directions, and then until everything about it is known."""
    before = await call.look()
    await call.path.be(LOSSY, LOSSY)

    async def enough() -> bool:
        so_far = Spell(before, Look(await call.path.counts(), before.page, before.clients))
        return min(so_far.pictures(way).missing for way in ("up", "down")) >= ENOUGH

    await until(enough, "enough is lost", PATIENCE)
    await call.path.be(CLEAN, CLEAN)
    return Spell(before, await call.look())


async def test_the_dashboard_shows_the_losses(spell: Spell, watched: Prometheus) -> None:
    """At once: it shows the last seconds."""
    assert spell.media("up").missing > 0
    silent: list[str] = []

    async def shown() -> bool:
        queries = [query for query in queries_of("quality") if "keyframe" not in query]
        answers = {query: watched.ask(query) for query in queries}
        silent[:] = [query for query, found in answers.items() if not any(_positive(found))]
        # What publishers' losses are after repair is nothing, as it should be.
        return all("upstream_loss" in query for query in silent)

    try:
        await until(shown, "every panel about losses shows some", 10.0)
    except AssertionError:
        raise AssertionError(f"without a value: {silent}") from None


def _positive(found: list[Any]) -> list[bool]:
    return [float(series["value"][1]) > 0 for series in found]


async def test_pictures_go_on_in_both_directions(spell: Spell) -> None:
    sent = spell.grown("outbound", "video", "framesSent")
    decoded = spell.grown("inbound", "video", "framesDecoded")
    for ours, theirs in zip(sent, reversed(decoded), strict=True):
        assert theirs >= 0.6 * ours > 0, (sent, decoded)


async def test_publishers_are_asked_for_what_was_lost_and_bring_it(spell: Spell) -> None:
    lost = spell.pictures("up").missing
    everything = spell.media("up")
    asked = spell.counted("nacked_packets_sent_total")
    repaired = spell.counted("repaired_packets_total")
    assert 0.7 * lost <= repaired <= everything.missing + everything.reordered
    # A request or its answer is lost, too; that takes a second one, and seldom a third.
    assert repaired <= asked <= 3 * (everything.missing + everything.reordered)
    assert all(count > 0 for count in spell.grown("outbound", "video", "nackCount"))
    assert all(count > 0 for count in spell.grown("outbound", "video", "retransmittedPacketsSent"))


async def test_subscribers_get_again_what_they_ask_for(spell: Spell) -> None:
    lost = spell.pictures("down").missing
    asked = spell.counted("nacked_packets_received_total")
    again = spell.counted("retransmitted_packets_total")
    refused = {reason: spell.dropped(f"nack_{reason}") for reason in NACK_DROPS}
    unfound = spell.dropped("feedback_unknown_stream")
    # A hole from the publisher's side that is filled as the receiver asks for it may be filled twice.
    late = spell.pictures("up").missing + spell.pictures("down").reordered
    assert 0.7 * lost <= again <= 2 * lost + late
    # Every packet that was asked for came again or was refused by name; few numbers are declared empty.
    assert 0.95 * asked <= again + sum(refused.values()) + unfound <= asked, (asked, again, refused)
    assert refused["no_rtx"] == 0, "nobody is told to ask for what never comes"
    assert refused["budget"] == 0
    assert all(count > 0 for count in spell.grown("inbound", "video", "nackCount"))
    received = sum(spell.grown("inbound", "video", "retransmittedPacketsReceived"))
    assert 0.7 * again <= received <= again


async def test_reported_losses_are_those_of_the_link(spell: Spell) -> None:
    """Holes from the publisher's side that are filled late are no losses of the subscriber's."""
    down = spell.pictures("down")
    told = spell.mean("downstream_loss_ratio", kind="video")
    assert 0.5 * down.missing / down.sent <= told <= 2 * down.missing / down.sent
    # Browsers report on sound every five seconds or so: their windows are not those of the link.
    assert 0 < spell.mean("downstream_loss_ratio", kind="audio") <= 0.4
    for kind in ("audio", "video"):
        assert all(count > 0 for count in spell.grown("inbound", kind, "packetsLost"))


async def test_losses_towards_the_server_are_told_after_repair(spell: Spell) -> None:
    raw = spell.media("up").missing / spell.media("up").sent
    assert spell.mean("upstream_loss_ratio", kind="video") <= 0.3 * raw
    # Opus is repaired, RED is not: it repairs itself at the listener.
    assert 0.1 * raw <= spell.mean("upstream_loss_ratio", kind="audio") <= 1.5 * raw


async def test_repetitions_are_counted_once_each(spell: Spell) -> None:
    repeated = spell.media("up").duplicated
    counted = spell.dropped("srtp_duplicate") + spell.dropped("srtp_replay")
    # Sound that was asked for without need, or twice, repeats itself as well.
    asked_for = sum(spell.grown("outbound", "audio", "retransmittedPacketsSent"))
    assert 0 < repeated <= counted <= repeated + asked_for
    rtcp = spell.after.counts.of("up", "rtcp") - spell.before.counts.of("up", "rtcp")
    assert spell.dropped("srtcp_replay") == rtcp.duplicated


async def test_the_round_trip_and_the_jitter_are_those_of_the_link(spell: Spell) -> None:
    assert 1.8 * DELAY <= spell.mean("round_trip_seconds") <= 20 * DELAY
    for kind in ("audio", "video"):
        for way in ("upstream", "downstream"):
            assert 0.0003 <= spell.mean(f"{way}_jitter_seconds", kind=kind) <= 0.1, (way, kind)


async def test_sound_is_asked_for_only_where_that_was_agreed_and_little_is_made_up(
    spell: Spell,
) -> None:
    red, plain = spell.grown("outbound", "audio", "nackCount")
    assert red == 0
    assert plain > 0
    assert spell.grown("inbound", "audio", "nackCount") == [0, 0]
    made_up = spell.grown("inbound", "audio", "concealedSamples")
    all_of_it = spell.grown("inbound", "audio", "totalSamplesReceived")
    assert all(some <= 0.5 * whole for some, whole in zip(made_up, all_of_it, strict=True))


@pytest.mark.parametrize("direction", ["down", "up"])
async def test_frames_that_nothing_brings_back_are_answered_by_a_key_frame(
    call: Call, spell: Spell, direction: str
) -> None:
    """Whole frames are lost with all that would repair them, in both browsers' streams at once."""
    (sort,) = {stream["payloadType"] for stream in spell.after.streams("outbound", "video")}
    before = call.latest
    assert before is not None
    keys, frames = await call.pictures("keyFramesDecoded"), await call.pictures("framesDecoded")
    await call.path.lose_frames(direction, sort, FRAMES_LOST)

    async def went_on() -> bool:
        now = await call.pictures("keyFramesDecoded"), await call.pictures("framesDecoded")
        grown = [
            [new - old for old, new in zip(*pair, strict=True)]
            for pair in zip((keys, frames), now, strict=True)
        ]
        return min(grown[0]) >= 1 and min(grown[1]) >= 2 * FRAMES_LOST

    await until(went_on, "pictures from a key frame on", PATIENCE)
    burst = Spell(before, await call.look())
    lost = burst.media(direction).burst
    assert lost >= 2 * FRAMES_LOST
    pleas = burst.grown("inbound", "video", "pliCount")
    assert all(1 <= count <= REQUESTS for count in pleas), pleas
    asked = burst.counted("keyframe_requests_received_total")
    assert 2 <= asked <= sum(pleas)
    assert 2 <= burst.counted("keyframe_requests_sent_total") <= 2 * REQUESTS
    # Ten times each is what a packet is sent again or asked for at most.
    assert burst.counted("retransmitted_packets_total") <= 10 * lost
    assert burst.counted("nacked_packets_sent_total") <= 10 * lost

"""WHEP's extensions: layer selection and server-sent events, over HTTP and real rooms."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from common.ids import TrackId
from sfu.dataplane import TrackStats, TransportStats
from sfu.model import LeaveReason
from signalling.whep_events import EVENTS, MAX_EVENTS, MAX_STREAMS
from tests.support.descriptions import Media
from tests.support.http_call import HttpCall, code_of, publish, watch

pytestmark = pytest.mark.anyio
SIMULCAST = Media("video", "1", track="cam", rids="q;h;f")
JSON = "application/json"


class Player:
    """A viewer with its session."""

    def __init__(self, call: HttpCall, response: Any) -> None:
        self.call = call
        self.url = response.headers["location"]
        self.links = response.headers.get_list("link")

    async def post(self, part: str, body: object = None, media_type: str = JSON) -> Any:
        content = b"" if body is None else json.dumps(body).encode()
        headers = self.call.bearer("viewer")
        path = f"{self.url}/{part}"
        return await self.call.post(path, content, headers=headers, media_type=media_type)

    async def request(self, method: str, path: str) -> Any:
        return await self.call.http.request(method, path, headers=self.call.bearer("viewer"))

    async def leave(self) -> None:
        assert (await self.request("DELETE", self.url)).status_code == 200


async def playing(*media: Media) -> Player:
    call = HttpCall()
    await publish(call, *(media or (SIMULCAST,)))
    response = await watch(call)
    assert response.status_code == 201
    return Player(call, response)


def target(player: Player) -> tuple[int, int] | None:
    """What the only video leg aims at: layer, temporal layer."""
    (leg,) = [one for one in player.call.world.plane.legs.values() if one.spec.kind == "video"]
    return leg.target


# -- advertisement (section 4.10) ------------------------------------------------------------------------


async def test_4_10_every_extension_is_linked_by_its_urn() -> None:
    player = await playing()
    urn = "urn:ietf:params:whep:ext:core:"
    assert player.links == [
        f'<{player.url}/layer>; rel="{urn}layer"',
        f'<{player.url}/sse>; rel="{urn}server-sent-events"; events="{",".join(EVENTS)}"',
    ]


# -- video layer selection ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "aim"),
    [
        ({}, (2, 3)),
        ({"rid": "q"}, (0, 3)),
        ({"mediaId": "1", "rid": "h"}, (1, 3)),
        ({"mediaId": 1, "rid": "f"}, (2, 3)),
        ({"maxSpatialLayerId": 1}, (1, 3)),
        ({"maxSpatialLayerId": 9}, (2, 3)),
        ({"temporalLayerId": 0}, (2, 0)),
        ({"maxTemporalLayerId": 1}, (2, 1)),
        ({"rid": "q", "temporalLayerId": 2, "unheardOf": [1]}, (0, 3)),
    ],
)
async def test_a_layer_is_chosen(wish: dict[str, object], aim: tuple[int, int]) -> None:
    player = await playing()
    assert (await player.post("layer", wish)).status_code == 200
    assert target(player) == aim


async def test_an_empty_wish_returns_to_the_servers_choice() -> None:
    player = await playing()
    await player.post("layer", {"mediaId": "1", "rid": "q"})
    assert target(player) == (0, 3)
    await player.post("layer", {"mediaId": "1"})
    assert target(player) == (2, 3)


async def test_a_choice_holds_for_the_next_track_of_the_section() -> None:
    player = await playing()
    await player.post("layer", {"rid": "q"})
    await publish(player.call, SIMULCAST)
    assert target(player) == (0, 3)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        ({"rid": "x"}, (422, "layer_unknown")),
        ({"spatialLayerId": 0}, (422, "layer_unknown")),  # streams of simulcast have rids
        ({"mediaId": "0", "rid": "q"}, (422, "section_unknown")),
        ({"mediaId": "7"}, (422, "section_unknown")),
        ({"mediaId": "video"}, (400, "wish_malformed")),
        ({"mediaId": True}, (400, "wish_malformed")),
        ({"rid": 1}, (400, "wish_malformed")),
        ({"maxWidth": "1"}, (400, "wish_malformed")),
        ({"maxWidth": -1}, (400, "wish_malformed")),
        ({"maxWidth": 1.5}, (400, "wish_malformed")),
        ([], (400, "wish_malformed")),
        (None, (400, "wish_malformed")),
    ],
)
async def test_a_wish_that_cannot_be_met_changes_nothing(
    wish: object, code: tuple[int, str]
) -> None:
    player = await playing()
    assert code_of(await player.post("layer", wish)) == code
    assert target(player) == (2, 3)


async def test_a_wish_is_json_and_short() -> None:
    player = await playing()
    assert code_of(await player.post("layer", {}, "text/plain")) == (415, "content_type")
    long = await player.post("layer", {"rid": "q" * 5000})
    assert code_of(long) == (413, "body_too_long")


async def test_a_wish_for_a_section_that_shows_nothing_is_refused() -> None:
    player = await playing(Media("audio", "0", track="mic"))
    assert code_of(await player.post("layer", {"rid": "q"})) == (409, "not_live")


# -- server-sent events ------------------------------------------------------------------------------------


class Stream:
    """A request that reads an event stream, below HTTP: what came so far can be looked at."""

    def __init__(self, player: Player, url: str) -> None:
        self.player = player
        self.url = url
        self.status = 0
        self.media_type = b""
        self._text = b""
        self._begun = asyncio.Event()
        self.task = asyncio.create_task(self._read())

    async def begun(self) -> None:
        """The first bytes are here: from now on it waits for events."""
        await self._begun.wait()

    async def rest(self) -> list[tuple[str, Any]]:
        """Everything until the server ends the stream."""
        await self.task
        assert (self.status, self.media_type) == (200, b"text/event-stream; charset=utf-8")
        return parse_stream(self._text.decode())

    async def said(self) -> list[tuple[str, Any]]:
        """Ends the session and reads everything."""
        await self.begun()
        await self.player.leave()
        return await self.rest()

    async def _read(self) -> None:
        token = self.player.call.bearer("viewer")["Authorization"].encode()
        scope = {
            "type": "http",
            "method": "GET",
            "path": self.url,
            "raw_path": self.url.encode(),
            "query_string": b"",
            "headers": [(b"authorization", token)],
            "client": ("192.0.2.9", 1),
        }
        await self.player.call.signalling.asgi(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()  # the client stays
        return {}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.media_type = dict(message["headers"])[b"content-type"]
        else:
            self._text += message.get("body", b"")
            self._begun.set()


def parse_stream(text: str) -> list[tuple[str, Any]]:
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            name, data = lines  # one line of data, as the draft demands
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def opened(player: Player, names: Sequence[str] | None = None) -> Stream:
    response = await player.post("sse", names)
    assert response.status_code == 201
    return Stream(player, response.headers["location"])


async def test_what_holds_already_is_told_first() -> None:
    player = await playing()
    stream = await opened(player)
    assert await stream.said() == [
        ("active", {}),
        ("viewercount", {"viewercount": 1}),
        ("layers", {"1": [{"rid": "f"}, {"rid": "h"}, {"rid": "q"}]}),
    ]


async def test_there_is_no_initial_inactive() -> None:
    call = HttpCall()
    call.world.join("alice")
    player = Player(call, await watch(call))
    stream = await opened(player, ["active", "inactive"])
    assert await stream.said() == []


async def test_only_the_events_that_were_asked_for_are_sent() -> None:
    player = await playing()
    stream = await opened(player, ["active", "inactive"])
    await stream.begun()
    call = player.call
    call.peer().leave(LeaveReason.CLIENT_INITIATED)
    call.world.engine.flush()
    await publish(call, SIMULCAST)
    assert [name for name, _ in await stream.said()] == ["active", "inactive", "active"]


async def test_viewers_are_counted() -> None:
    player = await playing()
    stream = await opened(player, ["viewercount"])
    second = Player(player.call, await watch(player.call))
    await second.leave()
    assert [data["viewercount"] for _, data in await stream.said()] == [1, 2, 1]


async def test_layers_have_sizes_and_measured_bit_rates() -> None:
    player = await playing()
    call = player.call
    (track,) = [sid for sid, one in call.world.plane.tracks.items() if one.spec.kind == "video"]
    for connection in call.peer().connections:
        call.world.engine.handle_transport_connected(connection.transport, "AES")
        call.world.plane.transport_stats[connection.transport] = TransportStats(None, 1, 1, 1, 1)
    call.world.plane.track_stats[TrackId(track)] = TrackStats(10, 10, 0, 0, (100_000, 0, 900_000))
    call.world.advance(5.1)
    stream = await opened(player, ["layers"])
    ((_, layers),) = await stream.said()
    assert layers == {
        "1": [{"rid": "f", "bitrate": 900_000}, {"rid": "h"}, {"rid": "q", "bitrate": 100_000}]
    }


async def test_an_event_that_is_not_advertised_creates_no_stream() -> None:
    player = await playing()
    assert code_of(await player.post("sse", ["active", "scte35"])) == (400, "event_unknown")
    assert code_of(await player.post("sse", {"a": 1})) == (400, "wish_malformed")
    assert code_of(await player.request("GET", f"{player.url}/sse/1")) == (404, "stream_unknown")


async def test_a_stream_that_was_deleted_is_gone_and_ends() -> None:
    player = await playing()
    stream = await opened(player, ["inactive"])
    await stream.begun()
    assert (await player.request("DELETE", stream.url)).status_code == 200
    assert code_of(await player.request("GET", stream.url)) == (404, "stream_unknown")
    assert code_of(await player.request("DELETE", stream.url)) == (404, "stream_unknown")
    assert await stream.rest() == []


async def test_streams_end_with_their_session() -> None:
    player = await playing()
    stream = await opened(player)
    await stream.said()
    assert code_of(await player.request("GET", stream.url)) == (404, "session_unknown")


async def test_a_session_has_a_few_streams_at_most() -> None:
    player = await playing()
    for _ in range(MAX_STREAMS):
        assert (await player.post("sse")).status_code == 201
    assert code_of(await player.post("sse")) == (400, "limit_exceeded")


async def test_events_that_nobody_comes_for_are_dropped_oldest_first_and_counted() -> None:
    player = await playing()
    url = (await player.post("sse", ["viewercount"])).headers["location"]
    for _ in range(MAX_EVENTS // 2):
        await Player(player.call, await watch(player.call)).leave()
    assert player.call.refusals["whep_event_dropped"] == 1
    said = await Stream(player, url).said()
    assert len(said) == MAX_EVENTS
    assert said[0] == ("viewercount", {"viewercount": 2})


async def test_a_server_that_goes_down_asks_players_to_reconnect() -> None:
    player = await playing()
    stream = await opened(player, ["reconnect"])
    await stream.begun()
    player.call.signalling.shut_down()
    assert await stream.rest() == [("reconnect", {})]


async def test_a_player_that_reads_anew_takes_the_stream_over() -> None:
    player = await playing()
    first = await opened(player, ["active", "inactive"])
    await first.begun()
    second = Stream(player, first.url)
    await second.begun()
    assert await first.rest() == [("active", {})]
    player.call.peer().leave(LeaveReason.CLIENT_INITIATED)
    player.call.world.engine.flush()
    assert await second.said() == [("inactive", {})]

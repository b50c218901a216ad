"""What clients are told about TURN, and when."""

from collections.abc import Sequence

import pytest

from common.clock import ManualClock
from common.errors import LocalError
from common.redact import Redacted
from sfu.ports import PeerPort
from signalling.joining import JoinParams
from signalling.messages import IceServer
from signalling.turn import TurnServers
from signalling.turn_url import TurnUrl
from tests.support.http_call import HttpCall, fragment, published
from tests.support.stage import JS, Stage

SECRET = Redacted("a secret that both servers know, and nobody else")
URLS = ["turn:turn.example:3478?transport=udp", "turns:turn.example:443?transport=tcp"]
LIFETIME = 600


def stage_with_turn() -> Stage:
    def servers(peer: PeerPort) -> Sequence[IceServer]:
        return TurnServers(URLS, SECRET, LIFETIME, stage.clock).servers_for(peer)

    stage = Stage(ice_servers=servers)
    return stage


@pytest.mark.parametrize("single", [True, False], ids=["one-connection", "two-connections"])
def test_join_and_resume_bring_credentials_of_that_moment(single: bool) -> None:
    stage = stage_with_turn()
    alice = stage.join("alice", JoinParams(client=JS, single_connection=single))
    (given,) = alice.only("join").ice_servers
    assert list(given.urls) == URLS
    assert given.username.startswith(f"{int(stage.clock.wall()) + LIFETIME}:")
    assert "alice" not in given.username
    assert alice.peer.sid not in given.username
    alice.double.activate()
    alice.disconnect()
    stage.clock.advance(500)
    (fresh,) = stage.resume(alice).only("reconnect").ice_servers
    assert int(fresh.username.split(":")[0]) == int(given.username.split(":")[0]) + 500
    assert fresh.username.split(":")[1] == given.username.split(":")[1]
    assert fresh.credential != given.credential


@pytest.mark.anyio
async def test_encoders_have_links_when_they_start_and_when_they_restart_ice() -> None:
    def servers(peer: PeerPort) -> Sequence[IceServer]:
        return TurnServers(URLS, SECRET, LIFETIME, call.world.clock).servers_for(peer)

    call = HttpCall(ice_servers=servers)
    location, tag = await published(call)
    restarted = await call.patch(location, fragment(call.sdp.restarted()), match=tag)
    assert restarted.status_code == 200
    links = restarted.headers.get_list("link")
    assert [link.partition(">")[0] for link in links] == [f"<{url}" for url in URLS]
    assert all('rel="ice-server"; username="' in link for link in links)


def test_without_urls_there_are_no_servers() -> None:
    stage = Stage(ice_servers=TurnServers([], Redacted(""), LIFETIME, ManualClock()).servers_for)
    assert not stage.join("alice").only("join").ice_servers


@pytest.mark.parametrize(
    ("text", "host", "port", "transport", "encrypted"),
    [
        ("turn:turn.example", "turn.example", 3478, "udp", False),
        ("turn:192.0.2.1:80?transport=tcp", "192.0.2.1", 80, "tcp", False),
        ("turns:turn.example", "turn.example", 5349, "tcp", True),
        ("turns:turn.example:443?transport=tcp", "turn.example", 443, "tcp", True),
        ("turn:[2001:db8::1]:3479", "2001:db8::1", 3479, "udp", False),
    ],
)
def test_urls_are_taken_apart(
    text: str, host: str, port: int, transport: str, encrypted: bool
) -> None:
    assert TurnUrl.parse(text) == TurnUrl(host, port, transport, encrypted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun:turn.example",
        "turn:",
        "turn://turn.example",
        "turn:turn.example:0",
        "turn:turn.example:65536",
        "turn:turn.example?transport=sctp",
        "turns:turn.example?transport=udp",
        "turn:[::1",
        "turn:[1:2]",
        "turn:user@turn.example",
    ],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    with pytest.raises(LocalError) as caught:
        TurnUrl.parse(text)
    assert caught.value.code == "turn_url_invalid"

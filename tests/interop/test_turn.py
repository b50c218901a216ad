"""Calls through Debian's coturn: the only way from a client's network to the media ports.

client -- firewall with coturn -- server. The firewall forwards TCP to the server's HTTP port and nothing else.
"""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.interop.conftest import Client, until
from tests.support.browsers import RemotePage, chromium_on, drive, open_page
from tests.support.certificates import Certificate, make_certificate
from tests.support.coturn import TURN_SECRET, Addresses, start_coturn
from tests.support.networks import Host, Network, needs_root, routed
from tests.support.servers import Server, at, configuration, publisher, serve

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150), needs_root]

OUTSIDE, INSIDE = "198.51.100", "203.0.113"
URLS = {
    "udp": f"turn:{OUTSIDE}.1:3478?transport=udp",
    "tcp": f"turn:{OUTSIDE}.1:3478?transport=tcp",
    "tls": f"turns:{OUTSIDE}.1:5349?transport=tcp",
}
RELAY = {"rtcConfig": {"iceTransportPolicy": "relay"}}
# How the browser got to its relay, for every connection that carries something.
RELAYS = """
(async () => {
  const manager = state.room.engine.pcManager;
  const all = [...await reports(manager.publisher?._pc), ...await reports(manager.subscriber?._pc)];
  const used = all.filter((r) => r.type === 'candidate-pair' && r.nominated && r.bytesReceived > 0);
  return used.map((pair) => {
    const local = all.find((r) => r.id === pair.localCandidateId);
    return [local.candidateType, local.relayProtocol];
  });
})()
"""


@dataclass(frozen=True)
class Place:
    """The network, up and running."""

    client: Host
    firewall: Host
    server: Host
    certificate: Certificate


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("turn")
    certificate = make_certificate(folder / "tls", f"{OUTSIDE}.1")
    with Network() as network:
        client, firewall, server = routed(network, INSIDE, OUTSIDE)
        firewall.must("iptables -P FORWARD DROP")
        firewall.must("iptables -A FORWARD -p tcp -j ACCEPT")
        addresses = Addresses(f"{OUTSIDE}.1", f"{INSIDE}.1", f"{INSIDE}.2")
        coturn = start_coturn(firewall, folder, addresses, certificate)
        yield Place(client, firewall, server, certificate)
        coturn.terminate()
        coturn.wait()


@pytest.fixture(scope="module")
async def browser(place: Place) -> AsyncIterator[Browser]:
    pin = f"--ignore-certificate-errors-spki-list={place.certificate.pin}"
    async with chromium_on(place.client, pin) as running:
        yield running


async def enter(browser: Browser, server: Server, identity: str, room: str) -> Client:
    """A page of the browser in a room, allowed to use relays only."""
    client = await open_page(browser)
    await client.call("join", server.ws, server.token(identity, room), {"connect": RELAY})
    return client


def serve_with_turn(place: Place, folder: Path, transport: str, port: int) -> Server:
    """A server that tells its clients of the relay by that transport."""
    turn = {"turn": {"urls": [URLS[transport]], "secret": TURN_SECRET}}
    sections = at(f"{INSIDE}.2", [f"{INSIDE}.2"], port=port)
    return serve(folder, configuration(folder, sections, turn), on=place.server)


@pytest.mark.parametrize("transport", list(URLS))
async def test_relayed_participants_see_and_hear_each_other(
    place: Place, browser: Browser, tmp_path: Path, transport: str
) -> None:
    server = serve_with_turn(place, tmp_path, transport, 7880 + 10 * list(URLS).index(transport))
    ada = await enter(browser, server, "ada", "relayed")
    ben = await enter(browser, server, "ben", "relayed")
    await ada.call("publish")
    await until(lambda: ben.decoded("video"), f"ben sees ada over {transport}", 60)
    await until(lambda: ben.decoded("audio"), f"ben hears ada over {transport}", 60)
    for client in (ada, ben):
        ways = await client.evaluate(RELAYS)
        assert ways
        assert {tuple(way) for way in ways} == {("relay", transport)}
    trust = {"SSL_CERT_FILE": str(place.certificate.certificate)}
    with publisher(place.client, server, "relayed", **trust):

        async def sees_both() -> bool:
            return len(await ada.decoded("video")) == 1 and len(await ben.decoded("video")) == 2

        await until(sees_both, f"what aiortc sends over {transport} is decoded", 60)
    for client in (ada, ben):
        await client.page.context.close()


async def test_firefox_sees_and_hears_through_the_relay(place: Place, tmp_path: Path) -> None:
    server = serve_with_turn(place, tmp_path, "udp", 7910)
    async with drive(place.client.prefix, tmp_path) as browsers:
        firefox = RemotePage(browsers, await browsers.ask(open="firefox"))
        token = server.token("firefox", "relayed")
        await firefox.call("join", server.ws, token, {"connect": RELAY})
        with publisher(place.client, server, "relayed"):
            await until(lambda: firefox.decoded("video"), "firefox sees what is relayed", 60)
            await until(lambda: firefox.decoded("audio"), "firefox hears what is relayed", 60)


def test_the_safe_configuration_relays_to_the_media_address_and_nowhere_else(place: Place) -> None:
    peers = {
        f"{INSIDE}.2": True,  # what allowed-peer-ip names
        "127.0.0.1": False,
        "127.8.8.8": False,
        "0.0.0.0": False,
        "10.1.2.3": False,
        "100.64.0.1": False,
        "169.254.169.254": False,
        "172.16.0.1": False,
        "192.168.1.1": False,
        f"{OUTSIDE}.1": False,  # itself
        f"{INSIDE}.1": False,  # its relay address
        "224.0.0.1": False,
        "255.255.255.255": False,
        "9.9.9.9": True,  # public addresses are what a relay is for
    }
    result = place.client.run(".venv/bin/python", "-m", "tests.support.coturn", URLS["udp"], *peers)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == peers

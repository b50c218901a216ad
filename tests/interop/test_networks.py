"""Networks as people have them: several interfaces, NAT, containers, browsers that hide their addresses."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from aiortc.sdp import SessionDescription

from tests.interop.conftest import Client, Server, until
from tests.support.browsers import chromium_on, open_page
from tests.support.http_clients import WhipClient
from tests.support.networks import Host, Network, needs_root, routed
from tests.support.servers import Sections, at, configuration, publisher, serve

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

OUTSIDE, PRIVATE, PUBLIC = "198.51.100", "10.81.1", "203.0.113.10"
ROOM = "room"
PATIENCE = 60.0
# With these, Chromium takes every page for one that may use the camera and so may see addresses.
OPEN = ("--use-fake-ui-for-media-stream", "--allow-loopback-in-peer-connection")
CANDIDATES = "state.room.engine.pcManager.publisher._pc.localDescription.sdp"
REMOTE = "state.room.engine.pcManager.publisher._pc.remoteDescription.sdp"


@asynccontextmanager
async def browser_in(
    host: Host, server: Server, *, without: tuple[str, ...] = ()
) -> AsyncIterator[Client]:
    """A page in the room on a browser of its own."""
    async with chromium_on(host, without=without) as browser:
        client = await open_page(browser, permissions=())
        await client.call("join", server.ws, server.token("browser", ROOM))
        yield client


async def sees_and_hears(client: Client, what: str) -> None:
    """Pictures and sound of the other participant are decoded."""
    await until(lambda: client.decoded("video"), f"pictures {what}", PATIENCE)
    await until(lambda: client.decoded("audio"), f"sound {what}", PATIENCE)


@needs_root
async def test_a_browser_that_hides_its_addresses_behind_mdns_names_gets_media(
    tmp_path: Path,
) -> None:
    """Without the camera's permission Chromium writes `….local` into candidates, which nobody resolves here."""
    with Network() as network:
        client, _, host = routed(network, "203.0.113", OUTSIDE)
        sections = at("203.0.113.2", ["203.0.113.2"])
        server = serve(tmp_path, configuration(tmp_path, sections), on=host)
        async with browser_in(client, server, without=OPEN) as browser:
            with publisher(client, server, ROOM):
                await sees_and_hears(browser, "with mDNS candidates")

            async def gathered() -> list[str]:
                section = SessionDescription.parse(await browser.evaluate(CANDIDATES)).media[0]
                return [candidate.ip for candidate in section.ice_candidates]

            addresses = await until(gathered, "the browser has candidates", PATIENCE)
            assert all(address.endswith(".local") for address in addresses), addresses


@needs_root
async def test_clients_of_two_networks_meet_on_a_server_with_an_address_in_each(
    tmp_path: Path,
) -> None:
    """Neither client has a route to the other network; each is told both addresses."""
    with Network() as network:
        one, other, host = (network.host(label) for label in ("one", "other", "server"))
        network.connect(one, "198.51.100.2/24", host, "198.51.100.1/24")
        network.connect(other, "203.0.113.2/24", host, "203.0.113.1/24")
        sections = at("0.0.0.0", ["198.51.100.1", "203.0.113.1"])
        server = serve(tmp_path, configuration(tmp_path, sections), on=host)
        async with browser_in(one, replace(server, url="http://198.51.100.1:7880")) as browser:
            with publisher(other, replace(server, url="http://203.0.113.1:7880"), ROOM):
                await sees_and_hears(browser, "from the other network")
            told = await browser.evaluate(REMOTE)
            assert "198.51.100.1 7882" in told
            assert "203.0.113.1 7882" in told


def map_address(router: Host) -> None:
    """1:1 NAT: the public address stands for the server, whatever the port."""
    router.ip(f"address add {PUBLIC}/32 dev lo")
    router.must(f"iptables -t nat -A PREROUTING -d {PUBLIC} -j DNAT --to {PRIVATE}.2")
    router.must(f"iptables -t nat -A POSTROUTING -s {PRIVATE}.2 -j SNAT --to {PUBLIC}")


def publish_ports(router: Host) -> None:
    """As a container engine does for published ports: these two, and masquerading for the way out."""
    router.ip(f"address add {PUBLIC}/32 dev lo")
    for protocol, port in (("tcp", 7880), ("udp", 7882)):
        router.must(
            f"iptables -t nat -A PREROUTING -d {PUBLIC} -p {protocol} --dport {port} "
            f"-j DNAT --to {PRIVATE}.2:{port}"
        )
    router.must(f"iptables -t nat -A POSTROUTING -s {PRIVATE}.0/24 -j MASQUERADE")


@needs_root
@pytest.mark.parametrize("translate", [map_address, publish_ports], ids=["1:1 NAT", "container"])
async def test_media_passes_address_translation_when_the_public_address_is_announced(
    tmp_path: Path, translate: object
) -> None:
    """The client has no route to the private network; a second participant is inside it, beside the server."""
    assert callable(translate)
    with Network() as network:
        client, router, host = routed(network, PRIVATE, OUTSIDE)
        router.must(f"iptables -A FORWARD -s {OUTSIDE}.0/24 -m conntrack ! --ctstate DNAT -j DROP")
        translate(router)
        mapping: Sections = {"media": {"announced": {f"{PRIVATE}.2": PUBLIC}}}
        text = configuration(tmp_path, at("0.0.0.0", [f"{PRIVATE}.2"]), mapping)
        server = replace(serve(tmp_path, text, on=host), url=f"http://{PUBLIC}:7880")
        async with browser_in(client, server) as browser:
            with publisher(client, server, ROOM):
                await sees_and_hears(browser, "through address translation")
            assert PRIVATE not in await browser.evaluate(REMOTE)


async def test_an_address_in_a_candidate_never_gets_a_packet(server: Server) -> None:
    """The server is ICE-lite: it answers checks and sends to whom it answered, never to what it was told.

    An offer, and a trickled fragment, name the address of a bystander. The bystander hears nothing, while the
    encoder's own checks from elsewhere are answered and its media flows.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bystander:
        bystander.bind(("127.0.0.1", 0))
        bystander.setblocking(False)
        port = bystander.getsockname()[1]
        lure = f"candidate:1 1 udp 2130706431 127.0.0.1 {port} typ host"

        async with LuringClient(server.url, server.token("encoder", "lure"), lure) as encoder:
            assert await encoder.trickle() == 204

            async def flows() -> bool:
                stats = (await encoder.connection.getStats()).values()
                return any(s.type == "remote-inbound-rtp" for s in stats)

            await until(flows, "the server reports what it received")
            with pytest.raises(BlockingIOError):
                bystander.recv(2048)


class LuringClient(WhipClient):
    """An encoder that names a candidate which is not its own."""

    def __init__(self, url: str, token: str, candidate: str) -> None:
        super().__init__(url, token)
        self._candidate = candidate
        self._tag = ""

    async def post(self, offer: str) -> httpx.Response:
        response = await super().post(offer.replace("a=mid:", f"a={self._candidate}\r\na=mid:"))
        self._tag = response.headers["etag"]
        return response

    async def trickle(self) -> int:
        """Names it once more, after the offer; the status."""
        section = SessionDescription.parse(self.connection.localDescription.sdp).media[0]
        assert section.ice is not None
        lines = (
            f"a=ice-ufrag:{section.ice.usernameFragment}",
            f"a=ice-pwd:{section.ice.password}",
            "m=audio 9 UDP/TLS/RTP/SAVPF 0",
            "a=mid:0",
            f"a={self._candidate}",
        )
        headers = {
            "Content-Type": "application/trickle-ice-sdpfrag",
            "If-Match": self._tag,
            **self.headers,
        }
        body = "\r\n".join((*lines, ""))
        return (await self.http.patch(self.location, content=body, headers=headers)).status_code

"""Plain WHIP and WHEP clients made of aiortc: their own SDP, DTLS, SRTP and codecs against ours."""

from __future__ import annotations

import asyncio
from typing import Self

import httpx
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from server.probe.sources import DemoAudio, DemoVideo

SDP = {"Content-Type": "application/sdp"}


class HttpClient:
    """A connection and the session that it has at a server."""

    def __init__(self, url: str, path: str, token: str) -> None:
        self.path = path
        self.headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.AsyncClient(base_url=url)
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.location = ""

    async def __aenter__(self) -> Self:
        self.prepare()
        await self.connection.setLocalDescription(await self.connection.createOffer())
        response = await self.post(self.connection.localDescription.sdp)
        assert response.status_code == 201, response.text
        await self.connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await self.http.aclose()

    def prepare(self) -> None:
        """Adds what the offer shall have."""
        raise NotImplementedError

    async def post(self, offer: str) -> httpx.Response:
        response = await self.http.post(self.path, content=offer, headers={**SDP, **self.headers})
        self.location = response.headers.get("location", "")
        return response

    async def delete(self) -> int:
        """Ends the session; the status."""
        return (await self.http.delete(self.location, headers=self.headers)).status_code


class WhipClient(HttpClient):
    """Publishes the numbered picture and the sound."""

    def __init__(self, url: str, token: str) -> None:
        super().__init__(url, "/whip/v1", token)

    def prepare(self) -> None:
        for track in (DemoAudio(), DemoVideo()):
            self.connection.addTransceiver(track, direction="sendonly")


class WhepClient(HttpClient):
    """Watches."""

    def __init__(self, url: str, token: str, path: str = "/whep/v1") -> None:
        super().__init__(url, path, token)
        self.arrived: asyncio.Queue[MediaStreamTrack] = asyncio.Queue()
        self.connection.on("track", self.arrived.put_nowait)

    def prepare(self) -> None:
        for kind in ("audio", "video"):
            self.connection.addTransceiver(kind, direction="recvonly")


class OfferedWhepClient(WhepClient):
    """Watches by answering the server's offer."""

    async def __aenter__(self) -> Self:
        offer = await self.post("")
        assert offer.status_code == 406, offer.text
        await self.connection.setRemoteDescription(RTCSessionDescription(offer.text, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        response = await self.http.patch(
            self.location,
            content=self.connection.localDescription.sdp,
            headers={**SDP, **self.headers},
        )
        assert response.status_code == 204, response.text
        return self

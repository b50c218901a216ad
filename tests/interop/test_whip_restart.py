"""ICE restarts of a WHIP encoder (RFC 9725 section 4.3.3): make before break, so nobody who watches notices."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser

from tests.interop.conftest import Client, Server, until
from tests.interop.test_whep import CAPTURE
from tests.interop.unbroken import Observed

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]
# As an encoder's page would restart ICE: only fragments travel, the descriptions are its own business.
RESTART = """async (token) => {
    const before = connection.remoteDescription.sdp;
    await connection.setLocalDescription(await connection.createOffer({iceRestart: true}));
    const line = (text, name) => text.match(new RegExp(`a=${name}:(\\\\S+)`))[0];
    const ours = connection.localDescription.sdp;
    const facts = [line(ours, 'ice-ufrag'), line(ours, 'ice-pwd')];
    const response = await fetch(window.session, {
        method: 'PATCH',
        headers: {
            'Content-Type': 'application/trickle-ice-sdpfrag',
            'If-Match': '*',
            Authorization: 'Bearer ' + token,
        },
        body: [...facts, 'm=audio 9 UDP/TLS/RTP/SAVPF 0', 'a=mid:0', ''].join('\\r\\n'),
    });
    const theirs = await response.text();
    const sdp = ['ice-ufrag', 'ice-pwd'].reduce(
        (text, name) => text.replaceAll(new RegExp(`a=${name}:\\\\S+`, 'g'), line(theirs, name)), before);
    await connection.setRemoteDescription({type: 'answer', sdp});
    return [response.status, line(theirs, 'ice-ufrag').split(':')[1]];
}"""
# The user name at the server's end of the path in use, and how many packets were asked for again.
PATH = """async () => {
    const all = await connection.getStats();
    const every = [...all.values()];
    const transport = every.find((one) => one.type === 'transport');
    const pair = all.get(transport.selectedCandidatePairId);
    const sums = every.filter((one) => one.type === 'outbound-rtp').map((one) => one.nackCount ?? 0);
    return [all.get(pair.remoteCandidateId).usernameFragment, sums.reduce((a, b) => a + b, 0)];
}"""


async def test_a_restart_by_patch_costs_neither_a_packet_nor_a_frame(
    server: Server,
    new_client: Callable[[], Awaitable[Client]],
    chromium: Browser,
    pages: str,
) -> None:
    room, token = "restarts", server.token("encoder", "restarts")
    viewer = await new_client()
    await viewer.call("join", server.ws, server.token("viewer", room))
    context = await chromium.new_context(permissions=["camera", "microphone"])
    try:
        page = await context.new_page()
        await page.goto(pages)
        assert await page.evaluate(CAPTURE, [server.url, token]) == 201
        observed = await Observed.begin(viewer)
        first, asked_again = await page.evaluate(PATH)
        status, second = await page.evaluate(RESTART, token)
        assert status == 200
        assert second != first

        async def changed_over() -> bool:
            path: list[Any] = await page.evaluate(PATH)
            return path[0] == second

        await until(changed_over, "media use the path of the new credentials")
        await observed.further(60)
        await observed.assert_unbroken()
        assert (await page.evaluate(PATH))[1] == asked_again
    finally:
        await context.close()

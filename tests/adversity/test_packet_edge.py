"""Whatever is thrown at the media port, the honest call goes on and the drop is counted under its name."""

import asyncio
import os
import re
import struct
from typing import Any

import pytest
from aioice import stun
from livekit.protocol import rtc

from server.probe.session import ProbeSession, join
from server.probe.sources import DemoVideo
from tests.adversity.conftest import Call, Stranger, honest_call, rtp, target
from tests.interop.conftest import PATIENCE, Server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]

FINGERPRINT = re.compile(r"a=fingerprint:(\S+) (\S+)")
CLIENT_HELLO_HEAD = bytes.fromhex("16feff00000000000000000060010000540000000000000054fefd")


def binding(username: str, password: str | None) -> stun.Message:
    request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = 2_130_706_431
    request.attributes["ICE-CONTROLLING"] = 1
    request.attributes["USE-CANDIDATE"] = None
    if password is not None:
        request.add_message_integrity(password.encode())
    return request


async def test_empty_and_short_datagrams_change_nothing(server: Server) -> None:
    async with honest_call(server, "short") as call:
        stranger = Stranger(target(call.mouth).address)
        empty, short = await call.drops("demux_empty"), await call.drops("demux_short")
        for _ in range(20):
            await stranger.send(b"")
        for first in (0x80, 0x90, 0xBF):
            await stranger.send(bytes([first]))
        await call.counted("demux_empty", 20, empty)
        await call.counted("demux_short", 1, short)
        assert stranger.replies() == 0
        stranger.close()


async def test_junk_in_every_byte_range_changes_nothing(server: Server) -> None:
    async with honest_call(server, "junk") as call:
        stranger = Stranger(target(call.mouth).address)
        reasons = ("demux_unknown", "demux_unsupported", "demux_bad_stun", "unvalidated_address")
        before = {reason: await call.drops(reason) for reason in reasons}
        for first in range(256):
            for length in (1, 12, 20, 64, 1200):
                await stranger.send(bytes([first]) + os.urandom(length))
        for reason in reasons:
            await call.counted(reason, 1, before[reason])
        assert stranger.replies() == 0
        stranger.close()


async def test_oversized_datagrams_are_dropped(server: Server) -> None:
    async with honest_call(server, "huge") as call:
        stranger = Stranger(target(call.mouth).address)
        before = await call.drops("demux_too_long")
        await stranger.send(b"\x80" + os.urandom(4000))
        await call.counted("demux_too_long", 1, before)
        stranger.close()


async def test_stun_with_a_wrong_cookie_is_dropped(server: Server) -> None:
    async with honest_call(server, "cookie") as call:
        aim = target(call.mouth)
        stranger = Stranger(aim.address)
        before = await call.drops("demux_bad_stun")
        check = bytearray(bytes(binding(f"{aim.ufrag}:x", aim.pwd)))
        check[4:8] = b"\xde\xad\xbe\xef"
        await stranger.send(bytes(check))
        await call.counted("demux_bad_stun", 1, before)
        assert stranger.replies() == 0
        stranger.close()


async def test_a_check_with_wrong_integrity_does_not_move_the_call(server: Server) -> None:
    async with honest_call(server, "integrity") as call:
        aim = target(call.mouth)
        stranger = Stranger(aim.address)
        before = await call.drops("stun_bad_integrity") + await call.drops("stun_bad_username")
        remote = call.mouth.publisher.localDescription.sdp.partition("a=ice-ufrag:")[2].split()[0]
        for _ in range(10):
            await stranger.send(bytes(binding(f"{aim.ufrag}:{remote}", "not-the-password-at-all")))

        async def counted() -> bool:
            after = await call.drops("stun_bad_integrity") + await call.drops("stun_bad_username")
            return after >= before + 10

        await until(counted, "ten checks are refused")
        media = await call.drops("unvalidated_address")
        await stranger.send(rtp(1, 1))
        await call.counted("unvalidated_address", 1, media)
        stranger.close()


async def test_an_unknown_user_name_gets_no_answer(server: Server) -> None:
    async with honest_call(server, "stranger") as call:
        stranger = Stranger(target(call.mouth).address)
        before = await call.drops("stun_unknown_ufrag")
        await stranger.send(bytes(binding("nobody:x", "some-password-of-a-stranger")))
        await call.counted("stun_unknown_ufrag", 1, before)
        assert stranger.replies() == 0
        stranger.close()


async def test_a_flood_of_checks_is_limited(server: Server) -> None:
    async with honest_call(server, "checks") as call:
        stranger = Stranger(target(call.mouth).address)
        before = await call.drops("stun_rate")
        for _ in range(500):
            await stranger.send(bytes(binding("nobody:x", "some-password-of-a-stranger")))
        await call.counted("stun_rate", 100, before)
        stranger.close()


async def test_dtls_from_a_stranger_during_and_after_the_handshake_changes_nothing(
    server: Server,
) -> None:
    async with honest_call(server, "dtls") as call:
        stranger = Stranger(target(call.mouth).address)
        before = await call.drops("unvalidated_address")
        hello = CLIENT_HELLO_HEAD + os.urandom(83)
        alert = bytes.fromhex("15fefd00000000000000000002022f")

        async def noise() -> None:
            for _ in range(200):
                await stranger.send(hello)
                await stranger.send(alert)

        busy = asyncio.create_task(noise())
        async with join(server.url, server.token("late", "dtls"), subscribe=False) as late:
            await late.publish(DemoVideo(320, 180), name="p", source="camera")
            await until(lambda: connected(late), "a handshake completes amid the noise")
        await busy
        await call.counted("unvalidated_address", 400, before)
        assert stranger.replies() == 0
        stranger.close()


async def connected(session: ProbeSession) -> bool:
    return session.publisher.connectionState == "connected"


async def test_a_fingerprint_that_does_not_match_gets_no_media_through(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with honest_call(server, "fingerprint") as call:
        original = ProbeSession._send

        async def lie(self: ProbeSession, message: rtc.SignalRequest) -> None:
            if message.HasField("offer"):
                message.offer.sdp = FINGERPRINT.sub(another_digest, message.offer.sdp)
            await original(self, message)

        monkeypatch.setattr(ProbeSession, "_send", lie)
        async with join(server.url, server.token("liar", "fingerprint"), subscribe=False) as liar:
            await liar.publish(DemoVideo(320, 180), name="p", source="camera")
            await until(lambda: ended(liar), "the liar is cut off", PATIENCE)
        monkeypatch.undo()
        await call.goes_on()


def another_digest(found: re.Match[str]) -> str:
    """The fingerprint line with every byte of the digest changed."""
    digest = bytes(int(part, 16) ^ 0xFF for part in found[2].split(":"))
    return f"a=fingerprint:{found[1]} {digest.hex(':').upper()}"


async def ended(session: ProbeSession) -> bool:
    return session.ended.done() or session.publisher.connectionState in ("closed", "failed")


def dtls_of(session: ProbeSession) -> Any:
    """The DTLS transport of a publisher (aiortc's)."""
    return session.publisher.getTransceivers()[0].sender.transport


async def test_replayed_media_is_forwarded_once(server: Server) -> None:
    async with honest_call(server, "replay") as call:
        ice = dtls_of(call.mouth).transport
        original, recorded = ice._send, []

        async def record(data: bytes) -> None:
            if 128 <= data[0] <= 191 and not 192 <= data[1] <= 223:
                recorded.append(data)
            await original(data)

        ice._send = record
        await call.goes_on()
        ice._send = original
        before = await call.drops("srtp_duplicate") + await call.drops("srtp_replay")
        for packet in recorded[-30:]:
            await original(packet)

        async def counted() -> bool:
            after = await call.drops("srtp_duplicate") + await call.drops("srtp_replay")
            return after >= before + 30

        await until(counted, "thirty repetitions are dropped")
        elsewhere = Stranger(target(call.mouth).address)
        unvalidated = await call.drops("unvalidated_address")
        for packet in recorded[-30:]:
            await elsewhere.send(packet)
        await call.counted("unvalidated_address", 30, unvalidated)
        elsewhere.close()


async def test_forged_media_from_the_right_address_is_dropped(server: Server) -> None:
    async with honest_call(server, "forged") as call:
        ice = dtls_of(call.mouth).transport
        before = await call.drops("srtp_auth")
        for sequence in range(50):
            await ice._send(rtp(0x1234, sequence) + os.urandom(16))
        await call.counted("srtp_auth", 1, before)


async def test_ssrcs_invented_by_the_thousand_stay_within_bounds(server: Server) -> None:
    async with honest_call(server, "ssrcs") as call:
        async with join(server.url, server.token("inventor", "ssrcs"), subscribe=False) as inventor:
            await inventor.publish(DemoVideo(320, 180), name="p", source="camera")
            await until(lambda: connected(inventor), "the inventor is connected")
            before = await call.drops("ssrc_rate") + await call.drops("ssrc_cap")
            for number in range(3000):
                await dtls_of(inventor)._send_rtp(rtp(0x10000 + number, 1))
                if number % 50 == 0:
                    await asyncio.sleep(0.002)

            async def counted() -> bool:
                after = await call.drops("ssrc_rate") + await call.drops("ssrc_cap")
                return after >= before + 2500

            await until(counted, "invented SSRCs are refused")
        await call.goes_on()


async def test_somebody_elses_ssrc_reaches_nobody(server: Server) -> None:
    async with honest_call(server, "thief") as call:
        sender = call.mouth.publisher.getTransceivers()[0].sender
        async with join(server.url, server.token("thief", "thief"), subscribe=False) as thief:
            await thief.publish(DemoVideo(320, 180), name="p", source="camera")
            await until(lambda: connected(thief), "the thief is connected")
            for sequence in range(200):
                await dtls_of(thief)._send_rtp(rtp(sender._ssrc, sequence, payload_type=120))
                await call_yield()
            await call.goes_on()


async def call_yield() -> None:
    await asyncio.sleep(0)


def test_the_crafted_client_hello_is_in_the_dtls_range() -> None:
    assert 20 <= CLIENT_HELLO_HEAD[0] <= 63
    assert struct.unpack("!H", CLIENT_HELLO_HEAD[1:3])[0] == 0xFEFF


async def test_the_call_itself_is_real(server: Server) -> None:
    async with honest_call(server, "plain") as call:
        assert isinstance(call, Call)
        await call.goes_on()

"""Rules of data packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models

from common.ids import Identity, PeerSid
from sfu.model import PeerKind, Permissions
from signalling.data import (
    DATA_TRACK,
    LOSSY,
    RELIABLE,
    Nonces,
    RecentData,
    Routed,
    Sender,
    route,
    server_packet,
)
from tests.support.outcomes import refusal_of

Kind = models.DataPacket.Kind
BOB = (PeerSid("PA_bob"), Identity("bob"), Permissions())


def sender(
    kind: PeerKind = PeerKind.STANDARD,
    last_sequence: int = 0,
    *,
    hidden: bool = False,
    can_publish_data: bool = True,
) -> Sender:
    permissions = Permissions(hidden=hidden, can_publish_data=can_publish_data)
    return Sender(PeerSid("PA_alice"), Identity("alice"), kind, permissions, last_sequence)


def routed(
    packet: models.DataPacket, label: str = RELIABLE, who: Sender | None = None
) -> tuple[Routed, models.DataPacket]:
    found = route(packet.SerializeToString(), label, who or sender())
    return found, models.DataPacket.FromString(found.data)


def user(**fields: object) -> models.DataPacket:
    return models.DataPacket(user=models.UserPacket(payload=b"hi", **fields))  # type: ignore[arg-type]


def test_the_server_signs_with_the_true_sender_at_both_levels() -> None:
    forged = models.DataPacket(
        participant_sid="PA_mallory",
        participant_identity="mallory",
        user=models.UserPacket(participant_sid="PA_x", participant_identity="x", payload=b"hi"),
    )
    _, packet = routed(forged)
    assert (packet.participant_sid, packet.participant_identity) == ("PA_alice", "alice")
    assert (packet.user.participant_sid, packet.user.participant_identity) == ("PA_alice", "alice")


def test_hidden_senders_stay_nameless() -> None:
    _, packet = routed(user(), who=sender(hidden=True))
    assert packet.participant_sid == packet.participant_identity == ""
    assert packet.user.participant_identity == ""


@pytest.mark.parametrize(("label", "kind"), [(RELIABLE, Kind.RELIABLE), (LOSSY, Kind.LOSSY)])
@pytest.mark.parametrize("claimed", [Kind.RELIABLE, Kind.LOSSY])
def test_the_channel_decides_the_kind_not_the_client(
    label: str, kind: models.DataPacket.Kind, claimed: models.DataPacket.Kind
) -> None:
    found, packet = routed(models.DataPacket(kind=claimed, user=models.UserPacket()), label)
    assert packet.kind == kind
    assert found.label == label


def test_sequences_travel_unchanged_and_repeats_are_dropped() -> None:
    found, packet = routed(models.DataPacket(sequence=7, user=models.UserPacket()))
    assert found.sequence == packet.sequence == 7
    for last, outcome in ((6, ""), (7, "data_repeated"), (8, "data_repeated")):
        data = packet.SerializeToString()
        assert refusal_of(route, data, RELIABLE, sender(last_sequence=last)) == outcome
        assert refusal_of(route, data, LOSSY, sender(last_sequence=last)) == ""


def test_destinations_are_read_at_either_level_and_written_at_both() -> None:
    for packet in (
        models.DataPacket(destination_identities=["bob"], user=models.UserPacket()),
        user(destination_identities=["bob"]),
    ):
        found, sent = routed(packet)
        assert found.identities == {"bob"}
        assert list(sent.destination_identities) == ["bob"]
        assert list(sent.user.destination_identities) == ["bob"]
        assert found.reaches(*BOB)
        assert not found.reaches(PeerSid("PA_carol"), Identity("carol"), Permissions())


def test_destinations_may_be_sids() -> None:
    found, _ = routed(user(destination_sids=["PA_bob"]))
    assert found.reaches(*BOB)
    assert not found.reaches(PeerSid("PA_carol"), Identity("carol"), Permissions())


def test_nobody_gets_an_echo_even_if_addressed() -> None:
    found, _ = routed(user(destination_identities=["alice"]))
    assert not found.reaches(PeerSid("PA_alice"), Identity("alice"), Permissions())


def test_fields_of_a_newer_protocol_survive() -> None:
    unknown = b"\xfa\x7f\x03abc"
    found = route(user().SerializeToString() + unknown, RELIABLE, sender())
    assert unknown in found.data
    nested = models.DataPacket.FromString(b"\xca\x3e\x02hi")  # a oneof member that we don't know
    assert b"\xca\x3e\x02hi" in route(nested.SerializeToString(), RELIABLE, sender()).data


def test_encrypted_packets_are_opaque() -> None:
    sealed = models.EncryptedPacket(encrypted_value=b"\x00secret", key_index=3)
    _, packet = routed(models.DataPacket(encrypted_packet=sealed))
    assert packet.encrypted_packet == sealed


@pytest.mark.parametrize(
    ("data", "label", "who", "code"),
    [
        (bytes(65_536), RELIABLE, sender(), "data_too_long"),
        (b"\xff\xff", RELIABLE, sender(), "data_malformed"),
        (user().SerializeToString(), RELIABLE, sender(can_publish_data=False), "data_not_allowed"),
        (b"", DATA_TRACK, sender(), "data_track_unsupported"),
        (
            models.DataPacket(speaker=models.ActiveSpeakerUpdate()).SerializeToString(),
            RELIABLE,
            sender(),
            "data_speaker_ignored",
        ),
        (
            models.DataPacket(transcription=models.Transcription()).SerializeToString(),
            RELIABLE,
            sender(),
            "data_transcription_not_allowed",
        ),
    ],
)
def test_every_drop_has_a_name(data: bytes, label: str, who: Sender, code: str) -> None:
    assert refusal_of(route, data, label, who) == code


def test_agents_may_transcribe_and_speak_for_others() -> None:
    agent = sender(PeerKind.AGENT)
    said = models.DataPacket(transcription=models.Transcription())
    assert refusal_of(route, said.SerializeToString(), RELIABLE, agent) == ""
    chat = models.DataPacket(
        participant_identity="bob", chat_message=models.ChatMessage(generated=True)
    )
    assert routed(chat, who=agent)[1].participant_identity == "bob"
    assert routed(chat)[1].participant_identity == "alice"


def test_metrics_reach_those_who_may_see_them() -> None:
    found, _ = routed(models.DataPacket(metrics=models.DataPacket().metrics))
    assert not found.reaches(*BOB)
    assert found.reaches(PeerSid("PA_x"), Identity("x"), Permissions(can_subscribe_metrics=True))


def test_other_channels_become_reliable_user_packets() -> None:
    found = route(b"\xff raw", "chat", sender())
    packet = models.DataPacket.FromString(found.data)
    assert found.label == RELIABLE
    assert packet.user.payload == b"\xff raw"
    assert packet.user.participant_identity == "alice"


@given(st.binary(max_size=200), st.sampled_from([RELIABLE, LOSSY, DATA_TRACK, "x"]))
def test_any_bytes_are_routed_or_dropped_by_name(data: bytes, label: str) -> None:
    outcome = refusal_of(route, data, label, sender())
    assert outcome == "" or outcome.startswith("data_")


def test_packets_of_the_api_have_no_sender() -> None:
    message = models.UserPacket(payload=b"x", destination_identities=["bob"], nonce=b"n" * 16)
    found = server_packet(message, reliable=False)
    packet = models.DataPacket.FromString(found.data)
    assert (packet.participant_sid, packet.participant_identity) == ("", "")
    assert (found.label, found.nonce) == (LOSSY, b"n" * 16)
    assert found.reaches(*BOB)


def test_recent_data_forget_by_age_and_by_size() -> None:
    recent = RecentData()
    packet = Routed(bytes(40_000), RELIABLE, PeerSid("PA_a"))
    for at in (0.0, 1.0, 1.5):
        recent.add(packet, at)
    assert len(list(recent.since(0.0, 1.5))) == 2  # three would be more than 100 kB
    assert len(list(recent.since(1.2, 1.5))) == 1
    assert list(recent.since(0.0, 20.0)) == []


def test_nonces_are_new_once_and_their_number_is_bounded() -> None:
    nonces = Nonces()
    assert nonces.is_new(b"a")
    assert not nonces.is_new(b"a")
    assert nonces.is_new(b"")
    assert nonces.is_new(b"")
    for number in range(1_024):
        nonces.is_new(b"%d" % number)
    assert nonces.is_new(b"a")

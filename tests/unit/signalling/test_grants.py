"""Claims become grants with LiveKit's defaults."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from common.clock import SystemClock
from crypto.tokens import verify
from sfu.model import PeerKind, Permissions, TrackSource
from signalling.grants import Grants, parse_grants, refreshed_claims, with_overrides
from tests.support.outcomes import refusal_of
from tests.support.stage import KEY, KEYS, SECRET


def grants(video: dict[str, Any] | None = None, **claims: Any) -> Grants:
    return parse_grants({"sub": "a", "video": video or {}, **claims}, issuer=KEY, expires_at=9.0)


def test_absent_permissions_have_livekits_defaults() -> None:
    found = grants()
    assert found.permissions == Permissions(
        can_publish=True, can_subscribe=True, can_publish_data=True, can_update_metadata=False
    )
    assert not any((found.room_join, found.room_create, found.room_list, found.room_admin))
    assert found.kind is PeerKind.STANDARD


def test_data_follow_the_permission_to_publish_unless_said_otherwise() -> None:
    assert not grants({"canPublish": False}).permissions.can_publish_data
    assert grants({"canPublish": False, "canPublishData": True}).permissions.can_publish_data


def test_empty_sources_mean_all_and_only_unknown_ones_mean_none() -> None:
    assert grants({"canPublishSources": []}).permissions.can_publish_sources == frozenset()
    some = grants({"canPublishSources": ["camera", "hologram"]}).permissions
    assert some.can_publish_sources == {TrackSource.CAMERA}
    assert not grants({"canPublishSources": ["hologram"]}).permissions.can_publish


def test_publishing_refused_wins_over_sources() -> None:
    found = grants({"canPublish": False, "canPublishSources": ["camera"]}).permissions
    assert not found.can_publish


def test_identity_falls_back_to_the_tokens_id() -> None:
    assert parse_grants({"jti": "x"}, issuer=KEY, expires_at=0.0).identity == "x"


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"kind": "agent"}, PeerKind.AGENT),
        ({"kind": "robot"}, PeerKind.STANDARD),
        ({"video": {"agent": True}}, PeerKind.AGENT),
        ({"video": {"recorder": True}}, PeerKind.EGRESS),
    ],
)
def test_kinds_by_name_and_by_their_older_flags(claims: dict[str, Any], kind: PeerKind) -> None:
    assert parse_grants(claims, issuer=KEY, expires_at=0.0).kind is kind


def test_a_token_of_the_server_sdk_reads_back_completely() -> None:
    made = (
        api.AccessToken(KEY, SECRET)
        .with_identity("alice")
        .with_name("Alice")
        .with_metadata("meta")
        .with_attributes({"k": "v"})
        .with_kind("agent")
        .with_grants(api.VideoGrants(room_join=True, room="r", can_publish=False, hidden=True))
        .with_room_config(api.RoomConfiguration(max_participants=3, empty_timeout=9))
        .to_jwt()
    )
    token = verify(made, KEYS, now=SystemClock().wall())
    found = parse_grants(token.claims, issuer=token.issuer, expires_at=token.expires_at)
    assert (found.identity, found.name, found.metadata) == ("alice", "Alice", "meta")
    assert found.attributes == {"k": "v"}
    assert (found.room, found.room_join, found.kind) == ("r", True, PeerKind.AGENT)
    assert not found.permissions.can_publish
    assert found.permissions.hidden
    assert found.room_options is not None
    assert found.room_options.max_participants == 3
    assert found.room_options.empty_timeout == 9


def test_room_administration_is_for_the_named_room_alone() -> None:
    found = grants({"roomAdmin": True, "room": "r"})
    assert found.administers("r")
    assert not found.administers("other")
    assert not grants({"roomAdmin": True}).administers("")


@pytest.mark.parametrize(
    "claims",
    [
        {"video": []},
        {"video": {"roomJoin": "yes"}},
        {"name": 7},
        {"name": "\ud800"},
        {"attributes": {"k": 1}},
        {"attributes": {"\udfff": "v"}},
        {"video": {"canPublishSources": "camera"}},
        {"roomConfig": {"maxParticipants": -1}},
        {"roomConfig": {"maxParticipants": 2**40}},
        {"roomConfig": "small"},
    ],
)
def test_known_claims_of_the_wrong_type_are_refused(claims: dict[str, Any]) -> None:
    assert refusal_of(parse_grants, claims, issuer=KEY, expires_at=0.0) == "grants_malformed"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
NAMES = ["sub", "name", "kind", "attributes", "video", "roomConfig", "kindDetails", "metadata"]


@given(st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_claims_give_grants_or_a_refusal(claims: dict[str, object]) -> None:
    outcome = refusal_of(parse_grants, claims, issuer=KEY, expires_at=0.0)
    assert outcome in ("", "grants_malformed")


def test_join_requests_may_add_facts_only_with_the_grant() -> None:
    assert refusal_of(with_overrides, grants(), "mine", {}, "") == "metadata_not_granted"
    allowed = grants({"canUpdateOwnMetadata": True}, attributes={"a": "1"}, metadata="token's")
    found = with_overrides(allowed, "mine", {"b": "2"}, "")
    assert (found.metadata, found.attributes) == ("mine", {"a": "1", "b": "2"})


def test_the_publish_only_twin_has_its_own_identity_and_receives_nothing() -> None:
    twin = with_overrides(grants(), "", {}, "screen")
    assert twin.identity == "a#screen"
    assert not twin.permissions.can_subscribe
    assert (
        refusal_of(with_overrides, grants({"canPublish": False}), "", {}, "screen")
        == "publish_not_granted"
    )


def test_refreshed_claims_carry_what_the_participant_is_now() -> None:
    before = grants(
        {"roomJoin": True, "room": "r", "roomAdmin": True},
        roomConfig={"maxParticipants": 4},
        secret=1,
    )
    now = Permissions(can_publish=False, can_publish_sources=frozenset({TrackSource.CAMERA}))
    claims = refreshed_claims(
        before, name="N", metadata="M", attributes={"k": "v"}, permissions=now
    )
    after = parse_grants(claims, issuer=KEY, expires_at=1.0)
    assert (after.identity, after.name, after.metadata) == ("a", "N", "M")
    assert after.attributes == {"k": "v"}
    assert after.permissions == now
    assert (after.room, after.room_join, after.room_admin) == ("r", True, True)
    assert after.room_options is not None
    assert after.room_options.max_participants == 4
    assert "secret" not in claims

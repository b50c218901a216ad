"""RFC 9725 section 4.3: trickled candidates, ICE restarts, and which session a request meant."""

import re

import pytest

from sfu.model import (
    PeerState,
)
from sfu.negotiation.parse import parse, parse_fragment
from signalling.limits import MAX_FRAGMENT
from tests.support.descriptions import Client
from tests.support.http_call import (
    FRAGMENT,
    HttpCall,
    code_of,
    fragment,
    publish,
    published,
)

pytestmark = pytest.mark.anyio


# -- 4.3.1: PATCH ------------------------------------------------------------------------------------


async def test_4_3_1_the_first_entity_tag_is_strong_and_names_the_ice_session() -> None:
    call = HttpCall()
    _, tag = await published(call)
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', tag)
    assert tag == f'"{call.peer().ice_session}"'


async def test_4_3_1_a_patch_without_entity_tag_is_refused() -> None:
    call = HttpCall()
    location, _ = await published(call)
    assert code_of(await call.patch(location, fragment())) == (428, "precondition_required")
    assert call.refusals["whip_precondition_required"] == 1


@pytest.mark.parametrize("match", ['"other"', "W/{tag}", "", "nonsense", '"a", "b"', "{bare}"])
async def test_4_3_1_a_patch_for_another_ice_session_is_refused(match: str) -> None:
    call = HttpCall()
    location, tag = await published(call)
    match = match.format(tag=tag, bare=tag.strip('"'))
    response = await call.patch(location, fragment(call.sdp.restarted()), match=match)
    assert code_of(response) == (412, "precondition_failed")
    assert f'"{call.peer().ice_session}"' == tag


async def test_4_3_1_a_tag_may_be_one_of_several() -> None:
    call = HttpCall()
    location, tag = await published(call)
    assert (await call.patch(location, fragment(), match=f'"x", {tag}')).status_code == 204


@pytest.mark.parametrize("media_type", ["application/sdp", "text/plain"])
async def test_4_3_1_a_patch_of_another_content_type_is_refused(media_type: str) -> None:
    call = HttpCall()
    location, tag = await published(call)
    response = await call.patch(location, fragment(), match=tag, **{"Content-Type": media_type})
    assert code_of(response) == (415, "content_type")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", (400, "sdp_malformed")),
        ("hello", (400, "sdp_malformed")),
        ("m=audio 9 X 0\r\na=end-of-candidates", (400, "sdp_malformed")),  # no mid
        ("a=ice-ufrag:abcd\r\n", (400, "sdp_malformed")),  # no password
        ("a=ice-ufrag:a\r\na=ice-pwd:b\r\n", (400, "sdp_malformed")),  # too short
        ("a=x\r\n" * (MAX_FRAGMENT // 5 + 1), (413, "body_too_long")),
    ],
)
async def test_4_3_1_a_malformed_fragment_is_refused_and_changes_nothing(
    body: str, code: tuple[int, str]
) -> None:
    call = HttpCall()
    location, tag = await published(call)
    assert code_of(await call.patch(location, body, match="*")) == code
    assert f'"{call.peer().ice_session}"' == tag


async def test_4_3_1_delete_ignores_entity_tags() -> None:
    call = HttpCall()
    location, _ = await published(call)
    headers = {**call.bearer(), "If-Match": '"of yesterday"'}
    assert (await call.http.delete(location, headers=headers)).status_code == 200


# -- 4.3.2: trickle ICE --------------------------------------------------------------------------------


async def test_4_3_2_the_answer_has_all_candidates_of_the_server() -> None:
    call = HttpCall()
    response = await publish(call)
    first = parse(response.text).sections[0]
    assert len(first.candidates) == 1
    assert "192.0.2.1 7882 typ host" in first.candidates[0]
    assert first.end_of_candidates


@pytest.mark.parametrize("credentials", [False, True])
async def test_4_3_2_candidates_are_taken_without_content_and_without_entity_tag(
    credentials: bool,
) -> None:
    call = HttpCall()
    location, tag = await published(call)
    body = fragment(call.sdp if credentials else None, candidates=3)
    response = await call.patch(location, body, match=tag)
    assert (response.status_code, response.content) == (204, b"")
    assert "etag" not in response.headers


async def test_4_3_2_a_candidate_that_cannot_be_used_is_discarded_in_silence() -> None:
    call = HttpCall()
    location, tag = await published(call)
    odd = "a=candidate:1 1 tcp 1 abcd.local 9 typ host tcptype active\r\na=candidate:?\r\n"
    response = await call.patch(location, fragment() + odd, match=tag)
    assert response.status_code == 204


# -- 4.3.3: ICE restarts --------------------------------------------------------------------------------


@pytest.mark.parametrize("match", ["*", '"*"', "tag"])
async def test_4_3_3_new_credentials_restart_ice(match: str) -> None:
    """The star is what the RFC demands; new credentials are a restart under any tag that matches."""
    call = HttpCall()
    location, tag = await published(call)
    restarted = call.sdp.restarted()
    response = await call.patch(
        location, fragment(restarted), match=tag if match == "tag" else match
    )
    assert response.status_code == 200
    assert response.headers["content-type"] == FRAGMENT
    ours = parse_fragment(response.text)
    assert ours.bundle == ("0", "1")
    (section,) = ours.sections
    (connection,) = call.peer().connections
    transport = call.world.plane.transports[connection.transport]
    assert (section.mid, section.transport.ufrag, section.transport.pwd) == (
        "0",
        transport.ufrag,
        transport.pwd,
    )
    assert len(section.candidates) == 1
    assert response.headers["etag"] == f'"{transport.ufrag}"' != tag
    assert transport.restarts == 1
    assert transport.remote is not None
    assert transport.remote.ufrag == restarted.ufrag


async def test_4_3_3_the_fragment_is_ice_lite_as_the_answer_was() -> None:
    call = HttpCall()
    created = await publish(call)
    response = await call.patch(
        created.headers["location"], fragment(call.sdp.restarted()), match="*"
    )
    for text in (created.text, response.text):
        assert "a=ice-lite\r\n" in text
        assert "a=ice-options" not in text
        assert "a=ice-pacing" not in text


async def test_4_3_3_after_a_restart_only_the_new_entity_tag_matches() -> None:
    call = HttpCall()
    location, old = await published(call)
    restarted = call.sdp.restarted()
    new = (await call.patch(location, fragment(restarted), match="*")).headers["etag"]
    late = await call.patch(location, fragment(call.sdp), match=old)
    assert code_of(late) == (412, "precondition_failed")
    assert (await call.patch(location, fragment(restarted), match=new)).status_code == 204


async def test_4_3_3_a_restart_that_cannot_be_satisfied_leaves_the_session_alone() -> None:
    call = HttpCall()
    location, tag = await published(call)
    half = Client(ufrag=call.sdp.ufrag, pwd="another-password-of-length")
    response = await call.patch(location, fragment(half), match="*")
    assert code_of(response) == (400, "sdp_malformed")
    assert call.peer().state is PeerState.JOINED
    assert (await call.patch(location, fragment(), match=tag)).status_code == 204

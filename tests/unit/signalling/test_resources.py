"""Parts of the HTTP interfaces that are not of one protocol: entity-tags, problems, links."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from signalling.http_sessions import ice_links
from signalling.messages import IceServer
from signalling.problems import STATUS, problem
from signalling.resources import strong_tags
from signalling.websocket import STATUS as JOIN_STATUS


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        ('"a"', ["a"]),
        ('"a", "b" ,"c"', ["a", "b", "c"]),
        ('W/"a"', []),
        ('W/"a", "b"', ["b"]),
        ('""', [""]),
        ('"a,b"', ["a,b"]),
        ("a", []),
        ('"a" "b"', []),
        ('"a", b', []),
        ('"a b"', []),
        ("", []),
    ],
)
def test_strong_entity_tags_of_a_list(text: str, tags: list[str]) -> None:
    assert strong_tags(text) == tags


@given(st.lists(st.text(alphabet="abc!#,/W", max_size=5), max_size=5))
def test_every_strong_tag_of_a_well_formed_list_is_found(tags: list[str]) -> None:
    assert strong_tags(", ".join(f'"{tag}"' for tag in tags)) == tags


@given(st.text(max_size=50))
def test_any_list_of_tags_ends(text: str) -> None:
    assert all('"' not in tag for tag in strong_tags(text))


def test_a_problem_has_status_sentence_and_code() -> None:
    response = problem(RemoteError("precondition_failed", "too late"), {"X-More": "1"})
    assert json.loads(bytes(response.body)) == {
        "type": "about:blank",
        "title": "Precondition Failed",
        "status": 412,
        "detail": "too late",
        "code": "precondition_failed",
    }
    assert response.headers["x-more"] == "1"


def test_a_word_of_a_policy_is_forbidden() -> None:
    assert problem(RemoteError("consent_missing", "no consent")).status_code == 403


def test_every_refusal_of_a_join_has_a_status_here_too() -> None:
    of_sockets = {"join_request_malformed", "join_request_too_long"}
    assert set(JOIN_STATUS) - of_sockets <= set(STATUS)


def test_a_server_without_secrets_is_linked_without() -> None:
    assert list(ice_links([IceServer(("stun:a", "stun:b"))])) == [
        '<stun:a>; rel="ice-server"',
        '<stun:b>; rel="ice-server"',
    ]

"""Questions survive the socket, and hostile ones are refused by name."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from compliance.questions import Answer, Filter, Found, Question, encode_refusal, terms_of
from tests.support.reading import PEOPLE, filters

numbers = st.integers(0, 2**53 - 1)
questions = st.builds(
    Question,
    filter=filters,
    start=st.none() | numbers,
    newest_first=st.booleans(),
    limit=st.integers(0, 256),
    prove=st.booleans(),
    size=st.none() | numbers,
)
found = st.builds(
    Found, numbers, st.binary(min_size=1, max_size=300),
    st.lists(st.binary(min_size=32, max_size=32), max_size=5).map(tuple),
)  # fmt: skip


@given(questions)
def test_questions_survive(question: Question) -> None:
    assert Question.decode(question.encode()) == question


@given(found)
def test_entries_survive(each: Found) -> None:
    assert Found.decode(each.encode()) == each


@given(found)
def test_entries_that_are_cut_are_refused_or_shorter(each: Found) -> None:
    body = each.encode()
    for length in range(len(body)):
        with contextlib.suppress(RemoteError):
            assert Found.decode(body[:length]).entry != each.entry


HOSTILE = {
    "no JSON": b"\xff",
    "no object": b"[]",
    "too deep": b"[" * 100_000,
    "unknown part": b'{"sql":"1"}',
    "unknown field": b'{"filter":{"name":["x"]}}',
    "no filter": b'{"filter":7}',
    "no list": b'{"filter":{"kind":"room_created"}}',
    "no text": b'{"filter":{"kind":[1]}}',
    "empty text": b'{"filter":{"kind":[""]}}',
    "half a character": b'{"filter":{"kind":["\\ud800"]}}',
    "no ASCII": json.dumps({"filter": {"kind": ["\u00e9"]}}).encode(),
    "long text": json.dumps({"filter": {"kind": ["x" * 129]}}).encode(),
    "many alternatives": json.dumps({"filter": {"kind": ["x"] * 65}}).encode(),
    "negative time": b'{"filter":{"since":-1}}',
    "late time": b'{"filter":{"until":9007199254740992}}',
    "time as text": b'{"filter":{"since":"now"}}',
    "negative start": b'{"start":-1}',
    "huge start": b'{"start":' + b"9" * 30 + b"}",
    "start as truth": b'{"start":true}',
    "start as fraction": b'{"start":1.5}',
    "negative limit": b'{"limit":-1}',
    "huge limit": b'{"limit":257}',
    "direction": b'{"newest_first":"yes"}',
    "proof": b'{"prove":1}',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_questions_are_refused(name: str) -> None:
    with pytest.raises(RemoteError) as caught:
        Question.decode(HOSTILE[name])
    assert caught.value.code == "question_malformed"


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_questions_or_refused(data: bytes) -> None:
    with contextlib.suppress(RemoteError):
        again = Question.decode(data)
        assert Question.decode(again.encode()) == again


def test_a_refusal_arrives_with_its_code() -> None:
    with pytest.raises(RemoteError) as caught:
        Answer.decode((), encode_refusal(RemoteError("index_behind", "try again")))
    assert (caught.value.code, caught.value.message) == ("index_behind", "try again")


def test_an_entry_of_any_version_has_its_terms() -> None:
    strange = {
        "kind": "flying",
        "source": "s",
        "on": "nothing",
        "actor": {"subject": 7, "key": "k" * 200, "role": "\ud800"},
        "data": {"allowed": [PEOPLE[0], 3], "who": PEOPLE[1], "what": "x"},
    }
    assert terms_of(strange) == {
        ("kind", "flying"), ("source", "s"), ("subject", PEOPLE[0]), ("subject", PEOPLE[1]),
    }  # fmt: skip
    assert Filter(kind=("flying",)).matches(json.dumps(strange).encode())
    assert not Filter(since=1).matches(json.dumps(strange).encode())

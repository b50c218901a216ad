"""Whatever is asked of the log is understood or refused by name; what is understood can be put on record."""

from __future__ import annotations

import contextlib
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from compliance.accesses import facts_of
from compliance.envelope import decode, encode
from compliance.events import LogRead
from compliance.questions import Filter
from compliance.words import MAX_NUMBER
from signalling.v1 import parameters
from signalling.v1.audit import target_of
from signalling.v1.parameters import PAGE, Wanted, of_object, of_query, read
from tests.support.audit import MODERATOR, record

CODES = {"query_malformed", "purpose_missing", "purpose_malformed", "kind_unknown"}
NAMES = [each.name for each in (*PAGE, parameters.FORMAT)]
values = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"p_[0-9a-f]{32}", fullmatch=True),
    st.sampled_from([
        "room_created", "moderator", "1", "0", "256", "257", "newest", "true", "jsonl", "RM_x", "10.0.0.1", "::1",
        "2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00", "0001-01-01T00:00:00+14:00", "review", "a/b/c",
    ]),
)  # fmt: skip
pairs = st.lists(st.tuples(st.sampled_from(NAMES), values), max_size=6)


def filter_of(wanted: Wanted) -> Filter:
    return Filter(
        subject=wanted.subject, room=("RM_x",) * bool(wanted.room), kind=wanted.kind, actor=wanted.actor,
        role=wanted.role, source=wanted.source, since=wanted.since, until=wanted.until,
    )  # fmt: skip


@given(pairs)
def test_what_is_understood_can_be_put_on_record(given_pairs: list[tuple[str, str]]) -> None:
    try:
        wanted = read([*given_pairs, ("purpose", "review")], PAGE)
    except RemoteError as error:
        refusal = error.code
    else:
        meant = filter_of(wanted)
        event = LogRead(
            actor=MODERATOR, on=target_of(meant), first=0, end=MAX_NUMBER, purpose=wanted.purpose,
            extra=facts_of(meant),
        )  # fmt: skip
        assert decode(encode(record(event))).event == event
        refusal = ""
    assert refusal in CODES | {""}


@given(st.binary(max_size=80))
def test_any_query_is_read_or_refused(query: bytes) -> None:
    with contextlib.suppress(RemoteError):
        assert all(isinstance(value, str) for pair in of_query(query) for value in pair)


@given(pairs)
def test_a_query_and_a_body_mean_the_same(given_pairs: list[tuple[str, str]]) -> None:
    document: dict[str, list[str]] = {}
    for name, value in given_pairs:
        document.setdefault(name, []).append(value)
    assert sorted(of_query(urlencode(given_pairs).encode())) == sorted(of_object(document))


def test_times_have_an_offset_and_a_microsecond() -> None:
    base = [("purpose", "x")]
    utc = read([*base, ("from", "2026-11-22T10:00:00.000001Z")], PAGE)
    berlin = read([*base, ("from", "2026-11-22T11:00:00.000001+01:00")], PAGE)
    assert utc.since == berlin.since
    assert utc.since % 1_000_000 == 1


@pytest.mark.parametrize("query", [b"a=%ff", b"=x&", b"&".join([b"kind=a"] * 65), "ü=1".encode()])
def test_hostile_queries_are_refused(query: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        read(of_query(query), PAGE)
    assert caught.value.code == "query_malformed"

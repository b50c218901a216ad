"""Entries: one canonical form, read back as written, refused otherwise."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalError, RemoteError
from compliance.canonical import canonical
from compliance.envelope import (
    MAX_ENTRY,
    Record,
    Source,
    decode,
    encode,
    format_time,
    parse_time,
    peek,
)
from compliance.events import Event, ParticipantUpdated
from tests.support.audit import ONE_OF_EACH, SYSTEM, record, records

ENTRY = encode(record(ONE_OF_EACH[7]))


def refused(entry: bytes) -> None:
    with pytest.raises(RemoteError) as caught:
        decode(entry)
    assert caught.value.code == "entry_malformed"


@given(records)
def test_what_was_written_is_read(written: Record) -> None:
    entry = encode(written)
    assert decode(entry) == written
    assert entry == rfc8785.dumps(json.loads(entry))
    head = peek(entry)
    assert (head.source, head.sequence, head.kind) == (
        written.source,
        written.sequence,
        written.event.kind,
    )


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_every_kind_survives_its_entry(event: Event) -> None:
    assert decode(encode(record(event))) == record(event)


def test_an_entry_looks_like_the_document_says() -> None:
    assert encode(record(ONE_OF_EACH[8])).decode() == (
        '{"actor":{"role":"system"},"data":{},"kind":"admission_refused","on":{"peer":"PA_abcdefghijkl",'
        '"room":"RM_abcdefghijkl","subject":"p_0123456789abcdef0123456789abcdef","track":"TR_abcdefghijkl"},'
        '"sequence":1,"source":"pop-1/server/5f3a","time":"2023-11-14T22:13:20.123457Z","version":1,'
        '"where":{"pop":"pop-1","region":"eu-central"},"why":{"decision":"refused","gate":"admit",'
        '"policy":"sha256:' + "ab" * 32 + '","reason":"room_full"}}'
    )


@pytest.mark.parametrize("length", range(0, len(ENTRY), 3))
def test_a_truncated_entry_is_refused(length: int) -> None:
    refused(ENTRY[:length])


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    refused(data)


@given(st.integers(0, len(ENTRY) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_seen(position: int, byte: int) -> None:
    changed = ENTRY[:position] + bytes([byte]) + ENTRY[position + 1 :]
    try:
        seen = decode(changed)
    except RemoteError:
        return
    assert encode(seen) == changed


def variations() -> list[bytes]:
    base = json.loads(ENTRY)
    changes: list[dict[str, Any]] = [
        {"version": 2}, {"version": True}, {"kind": "unheard_of"}, {"kind": 1}, {"sequence": 0},
        {"sequence": True}, {"sequence": "1"}, {"source": ""}, {"source": "x" * 129}, {"time": 5},
        {"time": "2023-11-14T22:13:20Z"},
        {"time": "2023-13-14T22:13:20.000000Z"}, {"actor": {}}, {"actor": {"role": "king"}}, {"actor": []},
        {"actor": {"role": "system", "subject": ""}}, {"actor": {"role": "system", "mood": "good"}}, {"extra": []},
        {"extra": {"a": None}}, {"extra": {"a": "anna@example.org"}}, {"data": {}}, {"data": []},
        {"data": {"rights": "publish", "identity_level": "high"}}, {"on": {"room": 1}}, {"why": {"gate": "moon"}},
        {"where": {"pop": "10.0.0.1"}}, {"where": {"planet": "earth"}}, {"where": {"pop": ""}},
        {"where": {"pop": 7}}, {"tenant": 7}, {"unknown": 1}, {"private": {"vault": "v_" + "00" * 16}},
    ]  # fmt: skip
    shaped = [rfc8785.dumps({**base, **change}) for change in changes]
    without = [
        rfc8785.dumps({k: v for k, v in base.items() if k != name})
        for name in ("actor", "data", "version")
    ]
    return [
        *shaped,
        *without,
        b" " + ENTRY,
        json.dumps(base).encode(),
        b"[" * 5000,
        b'{"a":NaN}',
        b'{"a":1e999}',
    ]


@pytest.mark.parametrize("entry", variations())
def test_whatever_is_not_known_is_refused(entry: bytes) -> None:
    refused(entry)


def test_the_longest_event_fits_into_an_entry() -> None:
    many = tuple(f"{n:0128}" for n in range(64))
    extra = {f"{n:0128}": "y" * 128 for n in range(32)}
    longest = ParticipantUpdated(
        actor=SYSTEM, facts=many, granted=many, withdrawn=many, extra=extra
    )
    assert decode(encode(record(longest))).event == longest


def test_no_entry_is_longer_than_a_bundle_can_say() -> None:
    refused(b'{"a":"' + b"x" * MAX_ENTRY + b'"}')
    with pytest.raises(RemoteError):
        peek(b"")


@given(st.integers(0, 4_000_000_000_000_000))
def test_times_survive(microseconds: int) -> None:
    assert parse_time(format_time(microseconds)) == microseconds


def test_sources_are_identifiers() -> None:
    assert Source("pop-1", "eu", "server", "5f3a").name == "pop-1/server/5f3a"
    with pytest.raises(LocalError):
        Source("pop 1", "eu", "server", "5f3a")


def test_the_quick_writer_agrees_with_the_reference_on_escapes() -> None:
    value: dict[str, object] = {
        "b": '\x00\x1f"\\/\u20ac\x7f\b\f\n\r\t',
        "a": [1, True, {"z": 0, "y": -5}],
    }
    assert canonical(value) == rfc8785.dumps(value)  # type: ignore[arg-type]

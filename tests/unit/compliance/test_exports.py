"""Exports: valid for their readers, nothing lost, nothing broken out of a field."""

import json
import re

import pytest
from hypothesis import given

from compliance.envelope import Record, encode
from compliance.events import KINDS, Event
from compliance.exports import MAPPING, cef, json_line, ocsf
from tests.support.audit import ONE_OF_EACH, record, records

# Attributes that OCSF 1.3 requires, by class, beside those of every event.
REQUIRED = {0: (), 3002: ("user", "service"), 3004: ("entity",), 3005: ("user", "privileges"), 6002: ("app",),
            6005: ("actor", "src_endpoint", "database")}  # fmt: skip
ALWAYS = ("activity_id", "category_uid", "class_uid", "type_uid", "severity_id", "time", "metadata")


def test_every_kind_is_mapped() -> None:
    assert set(MAPPING) == set(KINDS)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_ocsf_has_what_its_class_requires(event: Event) -> None:
    document = json.loads(ocsf(5, record(event)))
    for name in (*ALWAYS, *REQUIRED[document["class_uid"]]):
        assert name in document
    assert document["type_uid"] == document["class_uid"] * 100 + document["activity_id"]
    assert document["category_uid"] == document["class_uid"] // 1000
    assert document["time"] == 1_700_000_000_123
    assert document["metadata"]["product"]["vendor_name"] == "Conclave"


def test_a_refusal_is_a_failure_with_its_reason() -> None:
    refusal = record(ONE_OF_EACH[8])
    assert json.loads(ocsf(0, refusal))["status_id"] == 2
    assert json.loads(ocsf(0, refusal))["status_detail"] == "room_full"
    assert " outcome=failure " in cef(0, refusal)
    assert " reason=room_full " in cef(0, refusal)


def flat(value: object, prefix: str = "") -> set[str]:
    """Every scalar of an entry as text."""
    if isinstance(value, dict):
        return {text for each in value.values() for text in flat(each)}
    if isinstance(value, list):
        return {text for each in value for text in flat(each)}
    return {str(value).lower() if isinstance(value, bool) else str(value)}


@given(records)
def test_no_fact_is_lost(written: Record) -> None:
    entry = json.loads(encode(written))
    entry.pop("version")
    in_ocsf = flat(json.loads(ocsf(9, written)))
    line = cef(9, written)
    for fact in flat(entry):
        assert fact in in_ocsf
        assert fact.replace("=", "\\=") in line


@given(records)
def test_cef_is_one_line_of_eight_parts(written: Record) -> None:
    line = cef(9, written)
    parts = line.split("|")
    assert len(parts) == 8
    assert parts[0] == "CEF:0"
    assert "\n" not in line
    for item in parts[7].split(" "):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9+/-]*=.*", item), item


def test_json_lines_hold_the_entry_byte_for_byte() -> None:
    entry = encode(record(ONE_OF_EACH[7]))
    line = json_line(12, entry)
    assert json.loads(line) == {"index": 12, "entry": json.loads(entry)}
    assert entry in line.encode()

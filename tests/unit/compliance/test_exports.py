"""Exports: valid for their readers, nothing lost, nothing broken out of a field."""

import json
import re

import pytest
from hypothesis import given

from compliance.envelope import Record, encode
from compliance.events import KINDS, CustomRecorded, Event
from compliance.exports import MAPPING, OTHER_FACTS, cef, json_line, ocsf
from tests.support.audit import ONE_OF_EACH, SYSTEM, record, records

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


# OCSF 1.3, the part of it that we write: classes with their activities, what is required, types of attributes.
ACTIVITIES = {0: {99}, 3002: {1, 2}, 3004: {1, 2, 3, 4}, 3005: {1, 2}, 6002: {3, 4}, 6005: {1, 7}}
AT_LEAST_ONE = {3002: ("service", "dst_endpoint"), 6005: ("database", "databucket", "table")}
OBJECTS: dict[str, tuple[set[str], set[str], dict[str, type]]] = {  # required, at least one of, types of all
    "metadata": ({"product", "version"}, set(), {
        "version": str, "product": dict, "uid": str, "sequence": int, "log_name": str, "event_code": str}),
    "product": ({"vendor_name"}, set(), {"name": str, "vendor_name": str}),
    "app": ({"vendor_name"}, set(), {"name": str, "vendor_name": str, "version": str}),
    "actor": (set(), {"user"}, {"user": dict}),
    "user": (set(), {"uid", "name"}, {"uid": str, "type": str}),
    "service": (set(), {"uid", "name"}, {"uid": str, "name": str}),
    "entity": (set(), {"uid", "name"}, {"uid": str, "type": str}),
    "database": ({"type_id"}, {"uid", "name"}, {"name": str, "type_id": int}),
    "src_endpoint": (set(), {"uid", "name", "ip"}, {"name": str}),
}  # fmt: skip
TOP: dict[str, type] = {
    "activity_id": int, "category_uid": int, "class_uid": int, "type_uid": int, "severity_id": int,
    "status_id": int, "status_detail": str, "time": int, "privileges": list, "unmapped": dict,
}  # fmt: skip


def check_ocsf(document: dict[str, object]) -> None:
    """Against the tables above: nothing required is missing, nothing unknown is there, types are right."""
    uid = document["class_uid"]
    assert isinstance(uid, int)
    assert document["activity_id"] in ACTIVITIES[uid]
    assert document["severity_id"] in range(1, 7)
    assert document["status_id"] in (1, 2)
    if uid in AT_LEAST_ONE:
        assert set(AT_LEAST_ONE[uid]) & document.keys()
    for name, value in document.items():
        if name in OBJECTS:
            check_object(name, value)
        else:
            assert type(value) is TOP[name], name
            assert value != "", name


def check_object(name: str, value: object) -> None:
    required, some, types = OBJECTS[name]
    assert isinstance(value, dict)
    assert required <= value.keys() <= types.keys(), name
    assert not some or some & value.keys(), name
    for inner, each in value.items():
        assert type(each) is types[inner], (name, inner)
        assert each != "", (name, inner)
        if inner in OBJECTS:
            check_object(inner, each)


@given(records)
def test_ocsf_is_what_its_schema_says(written: Record) -> None:
    check_ocsf(json.loads(ocsf(9, written)))


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_every_kind_is_what_the_schema_of_ocsf_says(event: Event) -> None:
    check_ocsf(json.loads(ocsf(5, record(event))))


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


HEADER = ["CEF:0", "Conclave", "Conclave", "1"]
EXTENSION = re.compile(r"(?:^| )([A-Za-z0-9]+)=((?:[^\\=]|\\[\\=nr])*?)(?= [A-Za-z0-9]+=|$)")


def parsed(line: str) -> dict[str, str]:
    """A CEF line as a receiver reads it: the header, then keys of letters and digits with values."""
    *header, kind, _, severity, extension = line.split("|", 7)
    assert header == HEADER
    assert kind in KINDS
    assert 0 <= int(severity) <= 10
    pairs = EXTENSION.findall(extension)
    assert " ".join(f"{key}={value}" for key, value in pairs) == extension, (
        "all of it was understood"
    )
    assert len(dict(pairs)) == len(pairs), "no key stands twice"
    return {key: re.sub(r"\\(.)", r"\1", value) for key, value in pairs}


@given(records)
def test_cef_is_read_back_by_its_own_rules(written: Record) -> None:
    facts = parsed(cef(9, written))
    assert int(facts["rt"]) == written.time // 1000
    assert facts["externalId"] == "9"
    assert facts["outcome"] in {"success", "failure"}
    for name, value in written.event.extra.items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        others = json.loads(facts.get(OTHER_FACTS, "{}"))
        assert text in facts.values() or others[f"extra.{name}"] == value


def test_facts_whose_names_make_the_same_key_are_both_told() -> None:
    event = CustomRecorded(
        actor=SYSTEM, name="x", extra={"a.b": 1, "a_b": 2, "aB": 3, "a-b": "x", "plain": True}
    )
    facts = parsed(cef(9, record(event)))
    assert (facts["extraAB"], facts["extraPlain"]) == ("1", "true")
    assert json.loads(facts[OTHER_FACTS]) == {"extra.a_b": 2, "extra.aB": 3, "extra.a-b": "x"}


@given(records)
def test_cef_is_one_line_of_eight_parts(written: Record) -> None:
    line = cef(9, written)
    parts = line.split("|")
    assert len(parts) == 8
    assert parts[0] == "CEF:0"
    assert "\n" not in line
    for item in parts[7].split(" "):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*=.*", item), item


def test_json_lines_hold_the_entry_byte_for_byte() -> None:
    entry = encode(record(ONE_OF_EACH[7]))
    line = json_line(12, entry)
    assert json.loads(line) == {"index": 12, "entry": json.loads(entry)}
    assert entry in line.encode()

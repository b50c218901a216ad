"""Entries for other systems: JSON lines that prove themselves, OCSF 1.3 JSON, CEF 0.

In: an entry with its index in the log, decoded where the format needs it. Out: one line of text per entry, without
its newline; nothing is left out. Must not: let a value break out of its field, or add anything personal.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from compliance.envelope import Record, decode, format_time
from compliance.events import data_fields
from compliance.words import Decision
from crypto.merkle import leaf_hash

PRODUCT: Final = {"name": "Conclave", "vendor_name": "Conclave"}
OCSF_VERSION: Final = "1.3.0"

# OCSF classes; see https://schema.ocsf.io
BASE, AUTHENTICATION, ENTITY, USER_ACCESS, LIFECYCLE, DATASTORE = 0, 3002, 3004, 3005, 6002, 6005
CREATE, READ, UPDATE, DELETE = 1, 2, 3, 4  # activities of ENTITY
LOGON, LOGOFF = 1, 2  # of AUTHENTICATION
ASSIGN, REVOKE = 1, 2  # of USER_ACCESS
START, STOP = 3, 4  # of LIFECYCLE
OTHER = 99
_DATASTORE_READ, _DATASTORE_DELETE = 1, 7


class Format(StrEnum):
    """Export formats by the names used on the command line and in `log_exported`."""

    JSON_LINES = "jsonl"
    OCSF = "ocsf"
    CEF = "cef"


@dataclass(frozen=True, slots=True)
class Mapped:
    """How a kind appears in OCSF and CEF."""

    class_uid: int
    activity: int
    severity: int = 1  # OCSF: 1 informational, 2 low, 3 medium, 4 high
    entity: str = ""  # type of the managed entity, for ENTITY


MAPPING: Final[Mapping[str, Mapped]] = {
    "server_started": Mapped(LIFECYCLE, START),
    "server_stopped": Mapped(LIFECYCLE, STOP),
    "configuration_applied": Mapped(ENTITY, UPDATE, 2, "configuration"),
    "key_used": Mapped(ENTITY, READ, 1, "key"),
    "room_created": Mapped(ENTITY, CREATE, 1, "room"),
    "room_changed": Mapped(ENTITY, UPDATE, 1, "room"),
    "room_ended": Mapped(ENTITY, DELETE, 1, "room"),
    "admission_granted": Mapped(AUTHENTICATION, LOGON),
    "admission_refused": Mapped(AUTHENTICATION, LOGON, 2),
    "participant_left": Mapped(AUTHENTICATION, LOGOFF),
    "track_published": Mapped(ENTITY, CREATE, 1, "track"),
    "track_unpublished": Mapped(ENTITY, DELETE, 1, "track"),
    "subscription_permission_changed": Mapped(USER_ACCESS, ASSIGN),
    "subscriptions_updated": Mapped(USER_ACCESS, ASSIGN),
    "track_muted": Mapped(ENTITY, UPDATE, 1, "track"),
    "participant_updated": Mapped(USER_ACCESS, ASSIGN),
    "participant_removed": Mapped(USER_ACCESS, REVOKE, 2),
    "token_issued": Mapped(ENTITY, CREATE, 1, "token"),
    "token_refused": Mapped(AUTHENTICATION, LOGON, 2),
    "token_revoked": Mapped(ENTITY, DELETE, 2, "token"),
    "log_read": Mapped(DATASTORE, _DATASTORE_READ, 2),
    "log_exported": Mapped(DATASTORE, _DATASTORE_READ, 3),
    "vault_read": Mapped(DATASTORE, _DATASTORE_READ, 3),
    "subject_erased": Mapped(DATASTORE, _DATASTORE_DELETE, 3),
    "act_abandoned": Mapped(BASE, OTHER, 2),
    "entry_corrected": Mapped(BASE, OTHER, 2),
    "custom_recorded": Mapped(BASE, OTHER),
}  # fmt: skip
OTHER_FACTS: Final = "otherFacts"  # no fact of ours has that key
_CEF_SEVERITY: Final = {1: 2, 2: 4, 3: 6, 4: 8}


def line_of(index: int, entry: bytes, form: Format, path: Sequence[bytes] | None) -> str:
    """A line of an export; as JSON the entry is proven by `path`, or without one by the range that is exported.

    Raises RemoteError: entry_malformed.
    """
    if form is Format.JSON_LINES:
        return ranged_line(index, entry) if path is None else json_line(index, entry, path)
    record = decode(entry)
    return ocsf(index, record) if form is Format.OCSF else cef(index, record)


def last_line(note: str, size: int, *, whole: bool) -> str:
    """What a JSON export of a tree of `size` entries ends with: of all of them, or of some with a path each."""
    return range_line(note, 0, size, []) if whole else checkpoint_line(note)


def json_line(index: int, entry: bytes, path: Sequence[bytes] | None = None) -> str:
    """The entry's own bytes between an index and a brace, so that they can be hashed again.

    `path` proves this entry alone, where an export leaves others out: from it to the root of the checkpoint that
    `checkpoint_line` ends the export with.
    """
    proof = "" if path is None else f'"path":{_hashes(path)},'
    return f'{{"index":{index},{proof}"entry":{entry.decode()}}}'


def ranged_line(index: int, entry: bytes) -> str:
    """An entry of an export of all entries of a range, with its hash, by which damage to either is located."""
    named = base64.b64encode(leaf_hash(entry)).decode()
    return f'{{"index":{index},"leaf":"{named}","entry":{entry.decode()}}}'


def checkpoint_line(note: str) -> str:
    """The last line of an export whose entries have a path each; `note` is a signed checkpoint."""
    return f'{{"checkpoint":{json.dumps(note)}}}'


def range_line(note: str, first: int, end: int, proof: Sequence[bytes]) -> str:
    """The last line of an export of all entries [first, end); `proof` is `crypto.merkle.range_proof`'s."""
    return (
        f'{{"checkpoint":{json.dumps(note)},"first":{first},"end":{end},"proof":{_hashes(proof)}}}'
    )


def ocsf(index: int, record: Record) -> str:
    """An OCSF event with what its class requires; the rest stands under `unmapped`."""
    event, mapped = record.event, MAPPING[record.event.kind]
    refused = event.why.decision is Decision.REFUSED
    document: dict[str, object] = {
        "activity_id": mapped.activity,
        "category_uid": mapped.class_uid // 1000,
        "class_uid": mapped.class_uid,
        "type_uid": mapped.class_uid * 100 + mapped.activity,
        "severity_id": mapped.severity,
        "status_id": 2 if refused else 1,
        "time": record.time // 1000,
        "metadata": {
            "version": OCSF_VERSION,
            "product": PRODUCT,
            "uid": f"{record.source}#{record.sequence}",
            "sequence": record.sequence,
            "log_name": "audit",
            "event_code": event.kind,
        },
        "actor": {"user": _user(event.actor.subject or event.actor.key, event.actor.role)},
        "unmapped": _facts(index, record),
    }
    if event.why.reason:
        document["status_detail"] = event.why.reason
    document.update(_required(record, mapped))
    return json.dumps(document, separators=(",", ":"))


def cef(index: int, record: Record) -> str:
    """A CEF line; its extension holds every fact under its dotted name."""
    event, mapped = record.event, MAPPING[record.event.kind]
    head = ["CEF:0", "Conclave", "Conclave", "1", event.kind, event.kind.replace("_", " ")]
    severity = _CEF_SEVERITY[mapped.severity]
    facts: dict[str, object] = {
        "rt": record.time // 1000,
        "externalId": index,
        "dvchost": record.source,
        "outcome": "failure" if event.why.decision is Decision.REFUSED else "success",
        "suser": event.actor.subject or event.actor.key or event.actor.role.value,
        "spriv": event.actor.role.value,
    }
    if event.on.subject:
        facts["duser"] = event.on.subject
    if event.why.reason:
        facts["reason"] = event.why.reason
    extension = " ".join(f"{key}={_escape(value)}" for key, value in _keyed(facts, index, record))
    return "|".join([*(part.replace("|", "\\|") for part in head), str(severity), extension])


def _required(record: Record, mapped: Mapped) -> dict[str, object]:
    event = record.event
    user = _user(event.on.subject or event.on.peer or event.actor.subject, "")
    if mapped.class_uid == AUTHENTICATION:
        return {"user": user, "service": _told(name="room", uid=event.on.room or record.pop)}
    if mapped.class_uid == USER_ACCESS:
        rights = getattr(event, "granted", ()) + getattr(event, "withdrawn", ())
        return {"user": user, "privileges": list(rights) or [event.kind]}
    if mapped.class_uid == LIFECYCLE:
        return {"app": _told(**PRODUCT, version=getattr(event, "version", ""))}
    if mapped.class_uid == DATASTORE:
        name = "vault" if event.on.subject else "audit"
        return {"database": {"name": name, "type_id": 99}, "src_endpoint": {"name": record.source}}
    if mapped.class_uid == ENTITY:
        uid = getattr(event, mapped.entity, "") or getattr(event.on, mapped.entity, "")
        return {"entity": {"type": mapped.entity, "uid": uid or record.source}}
    return {}


def _hashes(hashes: Sequence[bytes]) -> str:
    return json.dumps([base64.b64encode(each).decode() for each in hashes], separators=(",", ":"))


def _user(uid: str, kind: str) -> dict[str, str]:
    return _told(uid=uid or "system", type=kind)


def _told(**attributes: str) -> dict[str, str]:
    """Those that say something: OCSF leaves out what is not known."""
    return {name: value for name, value in attributes.items() if value}


def _facts(index: int, record: Record) -> dict[str, object]:
    """Everything of an entry, flat, by dotted name."""
    event = record.event
    facts: dict[str, object] = {
        "index": index,
        "source": record.source,
        "sequence": record.sequence,
        "time": format_time(record.time),
        "where.pop": record.pop,
        "where.region": record.region,
        "tenant": event.tenant,
        "actor.role": event.actor.role.value,
        "actor.subject": event.actor.subject,
        "actor.key": event.actor.key,
        "on.room": event.on.room,
        "on.peer": event.on.peer,
        "on.track": event.on.track,
        "on.subject": event.on.subject,
        "why.gate": event.why.gate.value,
        "why.decision": event.why.decision.value,
        "why.reason": event.why.reason,
        "why.policy": event.why.policy,
    }
    facts.update((f"data.{name}", getattr(event, name)) for name in data_fields(type(event)))
    facts.update((f"extra.{name}", value) for name, value in event.extra.items())
    if event.private is not None:
        facts["private.commitment"] = event.private.commitment
        facts["private.vault"] = event.private.vault
    return {name: value for name, value in facts.items() if value != ""}


def _keyed(facts: dict[str, object], index: int, record: Record) -> Iterator[tuple[str, object]]:
    """All facts by keys of CEF. Extra ones whose names do not make a key of their own stand together as JSON."""
    others: dict[str, object] = {}
    keys = {}
    for name, value in (facts | _facts(index, record)).items():
        key = _key(name)
        if key in keys or not (key.isascii() and key.isalnum()):
            others[name] = value
        else:
            keys[key] = value
    yield from keys.items()
    if others:
        yield OTHER_FACTS, json.dumps(others, separators=(",", ":"))


def _key(name: str) -> str:
    """CEF keys are letters and digits: `on.room` becomes `onRoom`."""
    first, *rest = name.replace("_", ".").split(".")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _escape(value: object) -> str:
    text = ",".join(value) if isinstance(value, tuple) else str(value)
    if isinstance(value, bool):
        text = text.lower()
    text = text.replace("\\", "\\\\").replace("=", "\\=")
    return text.replace("\n", "\\n").replace("\r", "\\r")

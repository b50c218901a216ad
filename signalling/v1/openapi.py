"""The OpenAPI 3.1 document of the routes under `/v1`, made from the tables that the routes themselves use.

In: nothing. Out: the document, the same each time. Must not: describe what is not there; a test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from compliance.accesses import READINGS
from signalling.problems import MEDIA_TYPE, STATUS
from signalling.v1 import parameters
from signalling.v1.parameters import Parameter
from signalling.v1.streams import JSON_LINES

PATH: Final = "/v1/openapi.json"
VERSION: Final = "1.0.0"  # of the interface

TOKEN: Final = (
    "token_missing", "token_too_long", "token_malformed", "token_algorithm", "token_unknown_key",
    "token_signature", "token_without_expiry", "token_expired", "token_not_yet_valid",
    "grants_malformed", "api_rate_exceeded", "method_not_allowed",
)  # fmt: skip
ROLE: Final = (*TOKEN, "auditor_required", "role_mixed", "identity_missing", "name_too_long")
OFFICER: Final = (
    *TOKEN,
    "privacy_officer_required",
    "role_mixed",
    "identity_missing",
    "name_too_long",
)
ASKED: Final = (
    "audit_unavailable", "audit_timeout", "query_overloaded", "log_unreadable",
)  # fmt: skip
FILTERED: Final = (
    "query_malformed", "purpose_missing", "purpose_malformed", "kind_unknown", "identity_unknown",
    "room_unknown", "span_too_long", "index_behind", "index_damaged",
)  # fmt: skip
PURPOSE: Final = ("query_malformed", "purpose_missing", "purpose_malformed")

_TEXT: Final = {"type": "string"}
_INDEX: Final = {"type": "integer", "minimum": 0, "description": "Place in the log, from 0."}
_NOTE: Final = {"type": "string", "description": "Signed checkpoint (C2SP tlog-checkpoint)."}
_RECEIPT: Final = {"type": "string", "description": "Receipt (C2SP tlog-proof)."}
_KEY: Final = {"type": "string", "description": "Public key of the log, as `name+hash+key`."}
_ENTRY: Final = {
    "type": "object",
    "description": "The entry, in the very bytes that the log holds (RFC 8785).",
    "required": ["version", "kind", "source", "sequence", "time", "where", "actor", "data"],
}


def document() -> dict[str, Any]:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Conclave",
            "version": VERSION,
            "description": "Reading the audit log, and receipts for participants.",
        },
        "security": [{"token": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
            "schemas": {
                "Problem": _object(
                    type=_TEXT, title=_TEXT, status={"type": "integer"}, detail=_TEXT, code=_TEXT
                ),
                "Page": _object(
                    entries={"type": "array", "items": _object(index=_INDEX, entry=_ENTRY)},
                    next={"type": "string", "description": "Cursor of the next page."},
                    more={"type": "boolean", "description": "Whether it holds anything now."},
                    size={"type": "integer", "description": "Entries of the log."},
                    checkpoint=_NOTE,
                ),
                "Accesses": _object(
                    accesses={"type": "array", "items": _access()},
                    next={"type": "string", "description": "Cursor of the next page."},
                    more={"type": "boolean", "description": "Whether it holds anything now."},
                    size={"type": "integer", "description": "Entries of the log."},
                    checkpoint=_NOTE,
                ),
                "Entry": _object(index=_INDEX, entry=_ENTRY, receipt=_RECEIPT),
                "Private": _object(
                    index=_INDEX, facts={"type": "object", "additionalProperties": _TEXT}
                ),
                "Checkpoint": _object(
                    checkpoint=_NOTE, origin=_TEXT, size={"type": "integer"}, key=_KEY
                ),
                "Receipts": _object(
                    receipts={
                        "type": "array",
                        "items": _object(index=_INDEX, entry=_ENTRY, receipt=_RECEIPT),
                    },
                    key=_KEY,
                ),
            },
        },
    }  # fmt: skip


def _access() -> dict[str, Any]:
    return _object(
        index={**_INDEX, "description": "Place of the entry that puts the reading on record."},
        time={"type": "string", "format": "date-time"},
        kind={"type": "string", "enum": list(READINGS)},
        role=_TEXT,
        reader={"type": "string", "description": "Pseudonym of whoever read."},
        key={"type": "string", "description": "API key that signed the token."},
        purpose=_TEXT,
        shown={**_INDEX, "description": "First entry about the person that was shown or opened."},
        certain={
            "type": "boolean",
            "description": "False: it was within what was asked for, but may not have been sent.",
        },
    )


def _paths() -> dict[str, Any]:
    return {**_pages(), **_others()}


def _pages() -> dict[str, Any]:
    lines = "Entries as JSON lines, where that is asked for."
    return {
        "/v1/audit/entries": {
            "get": _operation(
                "A page of entries; role `auditor`.",
                parameters.PAGE,
                {
                    "application/json": _ref("Page"),
                    JSON_LINES: {"type": "string", "description": lines},
                },
                (*ROLE, *FILTERED, *ASKED, "too_many_readers"),
            )
        },
        "/v1/audit/search": {
            "post": {
                **_operation(
                    "The same with the filter in the body, so that no identity stands in a URL;"
                    " role `auditor`.",
                    (),
                    {"application/json": _ref("Page")},
                    (*ROLE, *FILTERED, *ASKED, "content_type", "body_too_long"),
                ),
                "requestBody": _body(parameters.SEARCH),
            }
        },
        "/v1/audit/accesses": {
            "post": {
                **_operation(
                    "Who saw what the log holds about a person; role `auditor`.",
                    (),
                    {"application/json": _ref("Accesses")},
                    (*ROLE, *FILTERED, *ASKED, "content_type", "body_too_long"),
                ),
                "requestBody": _body(parameters.ACCESSES),
            }
        },
    }


def _others() -> dict[str, Any]:
    return {
        "/v1/audit/entries/{index}": {
            "get": _operation(
                "One entry with its receipt; role `auditor`.",
                parameters.ONE,
                {"application/json": _ref("Entry")},
                (*ROLE, *PURPOSE, *ASKED, "entry_unknown"),
                index=True,
            )
        },
        "/v1/audit/entries/{index}/private": {
            "get": _operation(
                "What is sealed behind an entry; role `privacy_officer`.",
                parameters.ONE,
                {"application/json": _ref("Private")},
                (*OFFICER, *PURPOSE, *ASKED, "entry_unknown", "private_absent", "vault_erased",
                 "vault_mismatch", "seal_broken"),
                index=True,
            )
        },
        "/v1/audit/checkpoint": {
            "get": _operation(
                "The latest checkpoint; role `auditor`.",
                (),
                {"application/json": _ref("Checkpoint")},
                (*ROLE, *ASKED),
            )
        },
        "/v1/audit/export": {
            "get": _operation(
                "All fitting entries of one checkpoint, streamed; role `auditor`.",
                parameters.EXPORT,
                {JSON_LINES: _TEXT, "text/plain": _TEXT},
                (*ROLE, *FILTERED, *ASKED, "too_many_readers"),
            )
        },
        "/v1/receipts": {
            "get": _operation(
                "The entries about a participant in the room of its token, each with a receipt.",
                (),
                {"application/json": _ref("Receipts")},
                (*TOKEN, *ASKED, "join_not_granted", "identity_missing", "room_missing",
                 "index_behind", "index_damaged", "span_too_long"),
            )
        },
    }  # fmt: skip


def _operation(
    summary: str,
    known: Sequence[Parameter],
    content: dict[str, Any],
    codes: Iterable[str],
    *,
    index: bool = False,
) -> dict[str, Any]:
    given = [_parameter(each) for each in known]
    if index:
        place = {"name": "index", "in": "path", "required": True, "schema": _INDEX}
        given.insert(0, place)
    answers: dict[str, Any] = {
        "200": {
            "description": "Done, and on record.",
            "content": {kind: {"schema": schema} for kind, schema in content.items()},
        }
    }
    by_status: dict[int, list[str]] = {}
    for code in codes:
        by_status.setdefault(STATUS[code], []).append(code)
    for status, several in sorted(by_status.items()):
        schema = {
            "allOf": [
                _ref("Problem"),
                {"properties": {"code": {"enum": sorted(set(several))}}},
            ]
        }
        answers[str(status)] = {
            "description": "Refused: " + ", ".join(f"`{code}`" for code in sorted(set(several))),
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
    return {"summary": summary, "parameters": given, "responses": answers}


def _parameter(each: Parameter) -> dict[str, Any]:
    schema = {"type": "array", "items": each.schema} if each.several else each.schema
    return {
        "name": each.name,
        "in": "query",
        "description": each.text,
        "required": each is parameters.PURPOSE,
        "schema": schema,
    }


def _body(known: Sequence[Parameter]) -> dict[str, Any]:
    properties = {
        each.name: {
            "description": each.text,
            **({"type": "array", "items": each.schema} if each.several else each.schema),
        }
        for each in known
    }
    schema = {
        "type": "object",
        "required": ["purpose"],
        "properties": properties,
        "additionalProperties": False,
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}

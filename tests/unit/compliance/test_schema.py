"""A tenant's own fields: declared, checked, and personal ones kept out of events."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from compliance.schema import Schema

SCHEMA = Schema.parse(
    json.dumps(
        {
            "agent": {"type": "identifier", "required_for": ["room_created"]},
            "desk": {"type": "number"},
            "training": {"type": "boolean"},
            "line": {"type": "choice", "choices": ["mortgage", "savings"]},
            "email": {"type": "personal"},
        }
    )
)


def code(kind: str, values: dict[str, object]) -> str:
    with pytest.raises(RemoteError) as caught:
        SCHEMA.check(kind, values)
    return caught.value.code


def test_values_are_sorted_into_event_and_vault() -> None:
    checked = SCHEMA.check(
        "room_created",
        {
            "agent": "A-17",
            "desk": 4,
            "training": False,
            "line": "savings",
            "email": "anna@example.org",
        },
    )
    assert checked.extra == {"agent": "A-17", "desk": 4, "training": False, "line": "savings"}
    assert checked.personal == {"email": "anna@example.org"}


def test_a_missing_required_field_is_refused() -> None:
    assert code("room_created", {"desk": 1}) == "extra_missing"
    assert SCHEMA.check("room_ended", {}).extra == {}


def test_an_undeclared_field_is_refused() -> None:
    assert code("room_ended", {"mood": "good"}) == "extra_unknown"


@pytest.mark.parametrize(
    "values",
    [{"agent": "Anna Berg"}, {"agent": ""}, {"agent": 5}, {"desk": True}, {"desk": -1}, {"desk": "4"},
     {"training": 1}, {"line": "loans"}, {"email": ""}, {"email": "x" * 1025}, {"email": 5}],
)  # fmt: skip
def test_a_wrong_value_is_refused_without_repeating_it(values: dict[str, object]) -> None:
    assert code("room_ended", values) == "extra_invalid"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"A": {"type": "number"}}', '{"a": 1}', '{"a": {}}', '{"a": {"type": "blob"}}',
     '{"a": {"type": 1}}', '{"a": {"type": "number", "color": 1}}', '{"a": {"type": "choice"}}',
     '{"a": {"type": "number", "choices": ["x"]}}', '{"a": {"type": "choice", "choices": ["a b"]}}',
     '{"a": {"type": "choice", "choices": [[]]}}', '{"a": {"type": "choice", "choices": "xy"}}',
     '{"a": {"type": "number", "required_for": ["moon_landed"]}}', "[" * 9000, " " * 70_000,
     json.dumps({f"f{n}": {"type": "number"} for n in range(33)})],
)  # fmt: skip
def test_a_malformed_schema_is_refused(text: str) -> None:
    with pytest.raises(RemoteError) as caught:
        Schema.parse(text)
    assert caught.value.code == "schema_malformed"


@given(
    st.text()
    | st.recursive(st.none() | st.text(), lambda x: st.dictionaries(st.text(), x)).map(json.dumps)
)
def test_any_text_is_a_schema_or_refused(text: str) -> None:
    with contextlib.suppress(RemoteError):
        Schema.parse(text)

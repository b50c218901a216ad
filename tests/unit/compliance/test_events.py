"""Events hold identifiers and numbers, nothing else, and their list is closed."""

from collections.abc import Callable
from typing import Any

import pytest

from common.errors import LocalError
from compliance import events
from compliance.events import (
    KINDS,
    PAIRS,
    Actor,
    CustomRecorded,
    Event,
    KeyUsed,
    LogRead,
    Private,
    RoomChanged,
    Target,
    Why,
)
from compliance.words import Pseudonym, Role, TenantId, VaultRef
from tests.support.audit import ONE_OF_EACH, SYSTEM

PERSONAL = ["anna@example.org", "Anna Berg", "192.0.2.7", "192.0.2.7:443", "2001:db8::1", "2001:db8:0:0:0:0:0:1",
            "Zoë", "a\nb", "+" * 2, "x" * 129]  # fmt: skip


def test_the_list_is_closed() -> None:
    classes = [each for each in vars(events).values() if isinstance(each, type)]
    assert {each for each in classes if issubclass(each, Event) and each is not Event} == set(
        KINDS.values()
    )
    assert len(ONE_OF_EACH) == len(KINDS)


def test_pairs_name_kinds_and_parts_that_exist() -> None:
    for opening, closing, part in PAIRS:
        assert opening in KINDS
        assert closing in KINDS
        assert not part or hasattr(Target(), part)


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_cannot_enter_any_field(text: str) -> None:
    makers: list[Callable[[], object]] = [
        lambda: Actor(Role.API, key=text),
        lambda: Actor(Role.API, Pseudonym(text)),
        lambda: Target(room=text),
        lambda: Target(subject=Pseudonym(text)),
        lambda: Why(reason=text),
        lambda: Why(policy=text),
        lambda: KeyUsed(actor=SYSTEM, key=text, purpose="sign"),
        lambda: RoomChanged(actor=SYSTEM, facts=(text,)),
        lambda: CustomRecorded(actor=SYSTEM, name="x", tenant=TenantId(text)),
        lambda: CustomRecorded(actor=SYSTEM, name="x", extra={"field": text}),
        lambda: CustomRecorded(actor=SYSTEM, name="x", extra={text: 1}),
        lambda: Private("00" * 32, VaultRef(text)),
        lambda: Private(text, VaultRef("v_" + "00" * 16)),
    ]
    for make in makers:
        with pytest.raises(LocalError) as caught:
            make()
        assert caught.value.code == "event_invalid"
        assert text not in caught.value.message


@pytest.mark.parametrize("number", [-1, 2**53, 1.5, None])
def test_numbers_are_counts_that_json_carries_exactly(number: Any) -> None:
    with pytest.raises(LocalError):
        LogRead(actor=SYSTEM, first=number, end=1, purpose="review")


def test_lists_and_extra_fields_are_bounded() -> None:
    with pytest.raises(LocalError, match="items"):
        RoomChanged(actor=SYSTEM, facts=("x",) * 65)
    with pytest.raises(LocalError, match="extra"):
        CustomRecorded(actor=SYSTEM, name="x", extra={f"f{n}": n for n in range(33)})

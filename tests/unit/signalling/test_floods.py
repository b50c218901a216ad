"""Strangers cannot fill the log: some refusals are told, the rest as a number, and no number is forgotten."""

from __future__ import annotations

import pytest

from compliance.events import TokenRefused
from signalling import floods as floods_module
from signalling.floods import Floods
from signalling.limits import REFUSAL_RATE, REFUSALS_INTERVAL
from tests.support.stage import Stage

TOKEN = ("token", "token_expired")
BURST = int(REFUSAL_RATE.burst)


def test_the_first_are_told_one_by_one_and_the_rest_as_a_number() -> None:
    floods = Floods()
    told = [floods.admit(TOKEN, 0.0) for _ in range(BURST + 7)]
    assert told == [0] * BURST + [None] * 7
    assert floods.admit(TOKEN, 1.0) == 7
    assert floods.take() == []


def test_kinds_do_not_take_each_others_place() -> None:
    floods = Floods()
    for _ in range(BURST):
        floods.admit(TOKEN, 0.0)
    assert floods.admit(TOKEN, 0.0) is None
    assert floods.admit(("token", "token_signature"), 0.0) == 0


def test_kinds_are_bounded_and_share_one_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floods_module, "MAX_KINDS", 2)
    floods = Floods()
    for number in range(BURST + 5):
        floods.admit(("admission", f"reason_{number}"), 0.0)
    untold = dict(floods.take())
    assert untold == {("admission", "other"): 3}


def test_a_number_that_nobody_asks_for_is_told_in_time() -> None:
    stage = Stage()
    for _ in range(BURST + 3):
        stage.hub.ledger.token_refused("t", "token_signature")
    assert len(stage.trail.of(TokenRefused)) == BURST
    stage.advance(REFUSALS_INTERVAL + 1)
    last = stage.trail.of(TokenRefused)[-1]
    assert (last.token, last.why.reason, dict(last.extra)) == (
        "",
        "token_signature",
        {"unrecorded": 3},
    )


def test_a_number_is_told_when_the_server_goes_down() -> None:
    stage = Stage()
    for _ in range(BURST + 1):
        stage.hub.ledger.token_refused("t", "token_signature")
    stage.hub.shut_down()
    assert dict(stage.trail.of(TokenRefused)[-1].extra) == {"unrecorded": 1}

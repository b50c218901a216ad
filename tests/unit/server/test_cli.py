"""The command line: arguments in, exit codes and output out."""

import json

import pytest

from common.clock import SystemClock
from common.redact import Redacted
from crypto.tokens import SigningKeys, verify
from server.cli import app
from server.terminal import Exit


def call(*arguments: str) -> int:
    try:
        return int(app(list(arguments)) or 0)
    except SystemExit as stop:
        return int(stop.code or 0)


def test_a_token_opens_exactly_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("token", "create", "--room", "r", "--identity", "alice", "--no-publish", "--json")
    assert call(*arguments) == Exit.OK
    token = json.loads(capsys.readouterr().out)["token"]
    keys = SigningKeys({"devkey": Redacted("secret")})
    claims = verify(token, keys, now=SystemClock().wall()).claims
    assert claims["sub"] == "alice"
    assert claims["video"] == {
        "room": "r",
        "roomJoin": True,
        "canPublish": False,
        "canSubscribe": True,
    }


def test_a_token_needs_a_room(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("token", "create", "--room", "", "--identity", "alice") == Exit.USAGE
    assert "room and identity" in capsys.readouterr().err


def test_a_readers_token_has_roles_and_opens_no_room(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--role", "auditor", "--role", "privacy_officer", "--identity", "ada", "--json")
    assert call("token", "create", *arguments) == Exit.OK
    made = json.loads(capsys.readouterr().out)
    keys = SigningKeys({"devkey": Redacted("secret")})
    claims = verify(made["token"], keys, now=SystemClock().wall()).claims
    assert claims["conclave"] == {"roles": ["auditor", "privacy_officer"]}
    assert claims["video"] == {}
    for more in (("--room", "lobby"), ("--admin",), ("--hidden",)):
        assert call("token", "create", *arguments, *more) == Exit.USAGE
        assert "either opens a room or has a role" in capsys.readouterr().err
    assert call("token", "create", "--role", "king", "--identity", "ada") != Exit.OK


def test_publish_needs_a_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("publish") == Exit.USAGE
    assert "FILE or --demo" in capsys.readouterr().err


def test_a_missing_configuration_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("serve", "--config", "/nonexistent.toml", "--json") == Exit.USAGE
    assert json.loads(capsys.readouterr().err)["error"] == "config_invalid"


def test_an_unknown_option_is_a_usage_error() -> None:
    assert call("dev", "--prot", "1") != Exit.OK

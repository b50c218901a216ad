"""Nothing about a person, no token and no address reaches a log line."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from common.redact import Redacted
from common.scrub import scrub
from server.logs import configure, redact


@pytest.fixture
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@given(st.ip_addresses(v=4), st.integers(1, 65535))
def test_ipv4_addresses_are_scrubbed(address: object, port: int) -> None:
    assert str(address) not in scrub(f"from {address}:{port} again {address}")


@given(st.ip_addresses(v=6))
def test_ipv6_addresses_are_scrubbed(address: object) -> None:
    assert str(address) not in scrub(f"peer {address} said hello")


def test_tokens_are_scrubbed() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"
    assert token not in scrub(f"GET /rtc?access_token={token}&x=1")


def test_ordinary_words_stay() -> None:
    text = "peer joined at 12:30 with 3 tracks, version 1.13.5"
    assert scrub(text) == text


def test_private_keys_are_replaced() -> None:
    event = redact(None, "info", {"event": "joined", "identity": "alice", "tracks": 2})
    assert event == {"event": "joined", "identity": "<redacted>", "tracks": 2}


@pytest.mark.usefixtures("restored_logging")
def test_lines_are_json_and_clean_for_every_logger(capsys: pytest.CaptureFixture[str]) -> None:
    configure(level="info", style="json")
    structlog.get_logger("t").info(
        "joined", identity="alice", who=Redacted("bob"), from_="10.1.2.3"
    )
    logging.getLogger("other").warning("refused 192.0.2.77:4242")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == ["joined", "refused <redacted>"]
    text = json.dumps(lines)
    assert not any(secret in text for secret in ("alice", "bob", "10.1.2.3", "192.0.2.77"))

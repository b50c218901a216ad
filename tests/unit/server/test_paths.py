"""One connectivity check of the doctor: what it takes for an answer, and what it does not."""

import errno

import pytest
from aioice import stun

from common.clock import ManualClock
from server.diagnosis.paths import Check, Login, Outcome, Target
from server.diagnosis.roundtrip import Situation, judge_paths

pytestmark = pytest.mark.anyio

LOGIN = Login("theirs:ours", "a password of theirs, long enough")
NOBODY = ("192.0.2.1", 7882)


class Answerer:
    """Answers what a check sends, right away, as `change` makes it."""

    def __init__(self, check: Check, *, key: bytes, foreign: bool = False) -> None:
        self.check = check
        self.key = key
        self.foreign = foreign
        self.requests: list[stun.Message] = []

    def send(self, data: bytes) -> None:
        request = stun.parse_message(data)
        self.requests.append(request)
        identifier = bytes(12) if self.foreign else request.transaction_id
        answer = stun.Message(
            message_method=stun.Method.BINDING,
            message_class=stun.Class.RESPONSE,
            transaction_id=identifier,
        )
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("192.0.2.9", 9)
        answer.add_message_integrity(self.key)
        self.check.datagram_received(bytes(answer), NOBODY)


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.diagnosis.paths.GAPS", (0.0, 0.0))


async def test_a_signed_answer_is_an_answer() -> None:
    check = Check(LOGIN)
    answerer = Answerer(check, key=LOGIN.password.encode())
    assert await check.run(answerer.send) == "answered"
    (request,) = answerer.requests
    assert request.attributes["USERNAME"] == "theirs:ours"
    assert request.check_message_integrity(LOGIN.password.encode())
    assert "USE-CANDIDATE" not in request.attributes


@pytest.mark.parametrize(
    ("key", "foreign"), [(b"another password", False), (LOGIN.password.encode(), True)]
)
async def test_an_answer_that_is_forged_or_to_another_request_is_none(
    key: bytes, foreign: bool
) -> None:
    check = Check(LOGIN)
    assert await check.run(Answerer(check, key=key, foreign=foreign).send) == "silent"


async def test_what_is_no_stun_at_all_is_no_answer() -> None:
    check = Check(LOGIN)
    assert await check.run(lambda data: check.datagram_received(data[:15], NOBODY)) == "silent"


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (errno.ECONNREFUSED, "refused"),
        (errno.EHOSTUNREACH, "unroutable"),
        (errno.ENETUNREACH, "unroutable"),
    ],
)
async def test_what_icmp_says_is_told_apart(number: int, outcome: str) -> None:
    check = Check(LOGIN)
    assert await check.run(lambda _: check.error_received(OSError(number, ""))) == outcome


def test_targets_read_as_people_write_them() -> None:
    assert str(Target("192.0.2.1", 7882)) == "192.0.2.1:7882"
    assert str(Target("2001:db8::1", 7882)) == "[2001:db8::1]:7882"


UDP, TCP = Target("192.0.2.1", 7882), Target("192.0.2.1", 7881, tcp=True)


@pytest.mark.parametrize(
    ("udp", "tcp", "relays", "verdicts"),
    [
        ("answered", "answered", False, {"": "ok"}),
        ("answered", "silent", False, {"": "ok", "tcp_blocked": "warning"}),
        ("silent", "answered", False, {"": "ok", "udp_blocked": "warning"}),
        ("silent", "refused", True, {"udp_blocked": "warning"}),
        ("silent", "silent", False, {"udp_blocked": "fault"}),
    ],
)
async def test_a_closed_port_is_a_fault_only_when_no_other_way_leads_round_it(
    udp: Outcome, tcp: Outcome, relays: bool, verdicts: dict[str, str]
) -> None:
    here = Situation("http://127.0.0.1", make_token=str, clock=ManualClock(), local=True)
    findings = await judge_paths(here, {UDP: udp, TCP: tcp}, relays)
    assert {finding.code: finding.verdict for finding in findings} == verdicts

"""Whose socket it is, and why one cannot be had."""

import errno
import os
import socket

import pytest

from common.errors import LocalError
from server.listening import FIRST_PASSED, bind_error, bind_problem, listen, passed

PID = 42


def test_a_socket_of_the_service_manager_is_taken_as_it_is() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:

        def adopt(descriptor: int) -> socket.socket:
            assert descriptor == FIRST_PASSED
            return held.dup()

        taken = passed({"LISTEN_PID": str(PID), "LISTEN_FDS": "1"}, PID, adopt)
        assert taken is not None
        with taken:
            assert taken.getsockname() == held.getsockname()


@pytest.mark.parametrize(
    "environment",
    [{}, {"LISTEN_PID": "41", "LISTEN_FDS": "1"}, {"LISTEN_PID": "42", "LISTEN_FDS": "2"}],
    ids=["nobody", "meant for its parent", "more than one"],
)
def test_without_one_that_is_meant_for_us_there_is_none(environment: dict[str, str]) -> None:
    assert passed(environment, PID) is None


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.EADDRINUSE, "port_in_use"),
        (errno.EADDRNOTAVAIL, "address_unavailable"),
        (errno.EACCES, "port_forbidden"),
        (errno.EMFILE, "bind_failed"),
    ],
)
def test_a_port_that_cannot_be_bound_is_refused_by_name_with_a_remedy(
    number: int, code: str
) -> None:
    failure = OSError(number, os.strerror(number))
    problem = bind_problem("UDP", "192.0.2.1", 7882, failure)
    refusal = bind_error("UDP", "192.0.2.1", 7882, failure)
    assert problem.code == refusal.code == code
    assert "192.0.2.1" in problem.message
    assert problem.remedy
    assert refusal.message == f"{problem.message}. {problem.remedy}"


def test_listening_on_an_address_of_somebody_else_is_refused() -> None:
    with pytest.raises(LocalError) as refused:
        listen("192.0.2.1", 0)
    assert refused.value.code == "address_unavailable"

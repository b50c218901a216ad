"""Whose socket it is."""

import socket

import pytest

from server.listening import FIRST_PASSED, passed

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

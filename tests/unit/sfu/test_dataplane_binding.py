"""The native module from Python: it starts, binds, answers a client's first check, reports, and ends.

The STUN messages are made and checked by an independent codec (aioice).
"""

import errno
import os
import select
import socket
from collections.abc import Callable, Iterator

import pytest
from aioice import stun

from common.contract import CLOSED, METRICS, REFUSED_DTLS
from crypto.certificates import new_certificate
from server.telemetry.lanes import ASSOCIATIONS, KINDS, MICRO, NUMBERS, OF_KINDS
from sfu import _dataplane  # noqa: TID251 - the subject of this test
from tests.support.ports import free_port, two_free_ports

DEADLINE_MS = 5_000
UFRAG, PWD = "serverufrag", "server-password-of-22-chars-or-more"
PEER_UFRAG = "clientufrag"
Plane = _dataplane.DataPlane


CERTIFICATE = new_certificate(wall=1_770_000_000.0)


def start(
    lanes: int = 1, address: str = "127.0.0.1", port: int = 0, tcp_port: int | None = None
) -> Plane:
    return Plane(
        lanes=lanes,
        addresses=[address],
        port=port,
        certificate=CERTIFICATE.der,
        private_key=CERTIFICATE.private_key.reveal(),
        tcp_port=tcp_port,
    )


@pytest.fixture
def plane() -> Iterator[Plane]:
    plane = start(lanes=2)
    yield plane
    plane.close()


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(DEADLINE_MS / 1000)
        yield client


def next_event(plane: Plane) -> tuple[object, ...]:
    poller = select.poll()
    poller.register(plane.fileno(), select.POLLIN)
    for _ in range(100):
        events = plane.drain(limit=1)
        if events:
            return events[0]
        assert poller.poll(DEADLINE_MS), "no event in time"
    raise AssertionError("woken again and again for nothing")


def binding_request(username: str, pwd: str) -> stun.Message:
    request = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.REQUEST,
        transaction_id=os.urandom(12),
    )
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = 1_845_501_695
    request.attributes["ICE-CONTROLLING"] = 7
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(pwd.encode())
    return request


@pytest.mark.parametrize("lane", [0, 1])
def test_a_first_check_is_answered_and_reported(
    plane: Plane, client: socket.socket, lane: int
) -> None:
    plane.add_transport(5, lane=lane, ufrag=UFRAG, pwd=PWD)
    plane.set_remote(
        5,
        ufrag=PEER_UFRAG,
        fingerprints=[("sha-256", bytes(32))],
        dtls_client=False,
        sctp=None,
    )
    plane.flush()
    request = binding_request(f"{UFRAG}:{PEER_UFRAG}", PWD)
    client.connect(plane.local_addresses()[lane][0])
    client.send(bytes(request))
    answer = stun.parse_message(client.recv(2048))
    assert answer.check_message_integrity(PWD.encode())
    assert answer.message_class is stun.Class.RESPONSE
    assert answer.transaction_id == request.transaction_id
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.getsockname()
    assert next_event(plane) == ("transport_validated", 5)


def test_every_lane_takes_the_next_port() -> None:
    port = two_free_ports()
    plane = start(lanes=2, port=port)
    assert plane.local_addresses() == [[("127.0.0.1", port)], [("127.0.0.1", port + 1)]]
    plane.close()


def test_a_taken_port_is_an_error_that_names_it(plane: Plane) -> None:
    port = plane.local_addresses()[0][0][1]
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}"):
        start(port=port)


def test_a_snapshot_counts_what_is_ignored(plane: Plane) -> None:
    plane.remove_transport(99)
    counters = plane.counters()
    assert counters["commands_ignored"] == 1
    assert len(counters["lanes"]) == 2
    for lane in counters["lanes"]:
        assert len(lane["drops"]) == len(_dataplane.drop_reasons)
        for bounds, counts, _ in lane["histograms"].values():
            assert bounds == sorted(bounds)
            assert len(counts) == len(bounds) + 1


def test_histograms_have_the_bounds_that_metrics_promise(plane: Plane) -> None:
    histograms = plane.counters()["lanes"][0]["histograms"]

    def promised(metric: str, factor: float) -> list[int]:
        return [round(bound / factor) for bound in METRICS[metric].buckets]

    for name, (metric, factor) in OF_KINDS.items():
        for kind in KINDS:
            assert histograms[f"{name}_{kind}"][0] == promised(metric, factor)
    for name, metric in (
        ("latency_us", "conclave_forwarding_latency_seconds"),
        ("round_trip_us", "conclave_round_trip_seconds"),
    ):
        assert histograms[name][0] == promised(metric, MICRO)


def test_every_number_of_the_data_plane_has_a_metric(plane: Plane) -> None:
    counters = plane.counters()
    read_otherwise = {"at_ns", "busy_ns"}
    assert counters["lanes"][0]["numbers"].keys() - read_otherwise <= NUMBERS.keys()
    assert counters["associations"].keys() == ASSOCIATIONS.keys()
    assert sorted(counters["lanes"][0]["closed"]) == sorted(CLOSED.values)
    assert all(REFUSED_DTLS.allows(reason) for reason in counters["refusals"])


def test_drop_reasons_are_stable_names() -> None:
    assert "demux_empty" in _dataplane.drop_reasons
    assert len(set(_dataplane.drop_reasons)) == len(_dataplane.drop_reasons)


REFUSED: list[tuple[str, Callable[[Plane], None]]] = [
    ("lane", lambda p: p.add_transport(1, lane=2, ufrag=UFRAG, pwd=PWD)),
    ("ufrag", lambda p: p.add_transport(1, lane=0, ufrag="abc", pwd=PWD)),
    ("pwd", lambda p: p.restart_ice(1, ufrag=UFRAG, pwd="short")),
    (
        "fingerprint",
        lambda p: p.set_remote(
            1, ufrag="u", fingerprints=[("sha-1", bytes(20))], dtls_client=True, sctp=None
        ),
    ),
    (
        "32 bytes",
        lambda p: p.set_remote(
            1, ufrag="u", fingerprints=[("sha-256", bytes(31))], dtls_client=True, sctp=None
        ),
    ),
    (
        "streams",
        lambda p: p.add_track(1, transport=1, kind="audio", mid="0", codecs=[], streams=[]),
    ),
    (
        "payload type",
        lambda p: p.add_track(
            1,
            transport=1,
            kind="audio",
            mid="0",
            codecs=[(128, "opus", 48_000, None, True)],
            streams=[(None, 1, None)],
        ),
    ),
    ("extension id 15", lambda p: p.set_extensions(1, [(15, "urn:x")])),
    ("negotiated", lambda p: p.open_channel(1, stream=None, label="x", negotiated=True)),
]


@pytest.mark.parametrize(("word", "call"), REFUSED, ids=[word for word, _ in REFUSED])
def test_an_ill_formed_argument_is_refused_by_name(
    plane: Plane, word: str, call: Callable[[Plane], None]
) -> None:
    with pytest.raises(ValueError, match=word):
        call(plane)
    assert plane.counters()["commands_ignored"] == 0


def test_a_broken_certificate_is_refused() -> None:
    with pytest.raises(ValueError, match="certificate"):
        Plane(
            lanes=1,
            addresses=["127.0.0.1"],
            port=0,
            certificate=b"nonsense",
            private_key=CERTIFICATE.private_key.reveal(),
        )


def test_a_closed_plane_says_so_and_frees_its_ports() -> None:
    port = free_port()
    plane = start(port=port)
    plane.close()
    plane.close()
    with pytest.raises(RuntimeError, match="closed"):
        plane.flush()
    start(port=port).close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_check_over_tcp_is_answered_in_a_frame_and_counted(address: str) -> None:
    """Frames are a length of two bytes and a datagram (RFC 4571)."""
    plane = start(lanes=2, address=address, tcp_port=0)
    try:
        ports = [lane[0] for lane in plane.tcp_addresses()]
        assert {host for host, _ in ports} == {address}
        ufrag, pwd = "ufragtcp", "p" * 24
        plane.add_transport(1, lane=1, ufrag=ufrag, pwd=pwd)
        plane.flush()
        with socket.create_connection(ports[1], timeout=DEADLINE_MS / 1000) as connection:
            check = bytes(binding_request(f"{ufrag}:peer", pwd))
            connection.sendall(len(check).to_bytes(2) + check)
            with connection.makefile("rb") as stream:
                size = int.from_bytes(stream.read(2))
                answer = stun.parse_message(stream.read(size))
            assert answer.message_class == stun.Class.RESPONSE
            assert answer.attributes["XOR-MAPPED-ADDRESS"] == connection.getsockname()[:2]
            assert next_event(plane) == ("transport_validated", 1)
            until_counted(plane, (1, 1, 0))
        until_counted(plane, (0, 1, 0))
    finally:
        plane.close()


def until_counted(plane: Plane, tcp: tuple[int, int, int]) -> None:
    """Waits until the second lane published these numbers: open, accepted, waiting bytes."""
    seen: tuple[int, ...] = ()
    for _ in range(DEADLINE_MS // 50):
        numbers = plane.counters()["lanes"][1]["numbers"]
        seen = tuple(numbers[name] for name in ("tcp_open", "tcp_accepted", "tcp_waiting"))
        if seen == tcp:
            return
        select.select([], [], [], 0.05)
    raise AssertionError(seen)


def test_without_a_port_nobody_connects_by_tcp(plane: Plane) -> None:
    assert plane.tcp_addresses() == [[], []]


def test_a_tcp_port_in_use_is_told_with_its_protocol() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="TCP") as caught,
    ):
        start(tcp_port=taken.getsockname()[1])
    assert caught.value.errno == errno.EADDRINUSE

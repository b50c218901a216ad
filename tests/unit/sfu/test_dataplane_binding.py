"""The native module from Python: it starts, binds, refuses what is ill-formed, reports, and ends."""

import socket
from collections.abc import Callable, Iterator

import pytest

from crypto.certificates import new_certificate
from sfu import _dataplane  # noqa: TID251 - the subject of this test

UFRAG, PWD = "serverufrag", "server-password-of-22-chars-or-more"
Plane = _dataplane.DataPlane


CERTIFICATE = new_certificate(wall=1_770_000_000.0)


def start(lanes: int = 1, address: str = "127.0.0.1", port: int = 0) -> Plane:
    return Plane(
        lanes=lanes,
        addresses=[address],
        port=port,
        certificate=CERTIFICATE.der,
        private_key=CERTIFICATE.private_key.reveal(),
    )


@pytest.fixture
def plane() -> Iterator[Plane]:
    plane = start(lanes=2)
    yield plane
    plane.close()


def test_every_lane_takes_the_next_port() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1] - 1
    plane = start(lanes=2, port=port)
    assert plane.local_addresses() == [[("127.0.0.1", port)], [("127.0.0.1", port + 1)]]
    plane.close()


def test_a_taken_port_is_an_error_that_names_it(plane: Plane) -> None:
    port = plane.local_addresses()[0][0][1]
    with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}"):
        start(port=port)


def test_a_snapshot_counts_what_is_ignored(plane: Plane) -> None:
    plane.remove_transport(99)
    snapshot = plane.snapshot()
    assert snapshot["commands_ignored"] == 1
    assert len(snapshot["lanes"]) == 2
    bounds = snapshot["latency_bounds_us"]
    assert bounds == sorted(bounds)
    for lane in snapshot["lanes"]:
        assert len(lane["latency_us"]) in (0, len(bounds) + 1)
        assert len(lane["drops"]) in (0, len(_dataplane.drop_reasons))


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
    assert plane.snapshot()["commands_ignored"] == 0


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
    plane = start()
    port = plane.local_addresses()[0][0][1]
    plane.close()
    plane.close()
    with pytest.raises(RuntimeError, match="closed"):
        plane.flush()
    start(port=port).close()

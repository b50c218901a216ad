"""The door, with a module behind it that answers what the stub promises."""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from common.ids import LegId, TrackId, TransportId
from sfu.dataplane import (
    AudioLevel,
    ChannelSpec,
    LegSpec,
    LegStats,
    PayloadMap,
    RemoteSpec,
    StreamSpec,
    TrackCodec,
    TrackSpec,
    TrackStats,
    TransportStats,
)

SPEC = TrackSpec(
    TransportId(1),
    "video",
    "v",
    (TrackCodec(96, "vp8", 90_000, 97, True),),
    (StreamSpec("q"), StreamSpec("h")),
    screen=True,
)
SNAPSHOT = {
    "transports": [(1, 5000, 1, 2, 3, 4)],
    "tracks": [(2, 10, 1000, 1, 300, [1, 2, 3])],
    "legs": [(3, 9, 900, 12, None, 40)],
}


class FakeNative:
    """Records calls; events and snapshot are set by the test."""

    def __init__(self, **facts: object) -> None:
        self.facts = facts
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.events: list[tuple[Any, ...]] = []

    def local_addresses(self) -> list[list[tuple[str, int]]]:
        return [[("192.0.2.1", 7882)], [("192.0.2.1", 7883)]]

    def tcp_addresses(self) -> list[list[tuple[str, int]]]:
        return [[], []]

    def snapshot(self) -> dict[str, Any]:
        return SNAPSHOT

    def counters(self) -> dict[str, Any]:
        return {"commands_ignored": 3}

    def drain(self, limit: int) -> list[tuple[Any, ...]]:
        taken, self.events = self.events[:limit], self.events[limit:]
        return taken

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **facts: self.calls.append((name, args, facts))


@pytest.fixture
def plane(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module = ModuleType("sfu._dataplane")
    module.DataPlane = FakeNative  # type: ignore[attr-defined]
    module.drop_reasons = ["unknown"]  # type: ignore[attr-defined]
    import sfu

    monkeypatch.setitem(sys.modules, "sfu._dataplane", module)
    monkeypatch.setattr(sfu, "_dataplane", module, raising=False)
    monkeypatch.delitem(sys.modules, "sfu.plane", raising=False)
    from sfu.plane import Plane

    yield Plane(lanes=2, addresses=["192.0.2.1"], port=7882, certificate=b"c", private_key=b"k")
    sys.modules.pop("sfu.plane", None)


class Listener:
    """Writes down which method was called with what."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *facts: self.heard.append((name, *facts))


def test_numbers_are_given_once(plane: Any) -> None:
    first = plane.add_transport(lane=0, ufrag="u", pwd="p")
    second = plane.add_transport(lane=1, ufrag="v", pwd="p")
    track = plane.add_track(SPEC, open=False)
    assert len({first, second, track}) == 3


def test_a_track_is_added_with_its_gate(plane: Any) -> None:
    track = plane.add_track(SPEC, open=False)
    added, gate = plane._native.calls
    assert added[0] == "add_track"
    assert added[1] == (track,)
    assert added[2]["codecs"] == ((96, "vp8", 90_000, 97, True),)
    assert added[2]["streams"] == (("q", None, None), ("h", None, None))
    assert added[2]["screen"] is True
    assert gate == ("set_track_open", (track, False), {})


def test_a_leg_is_added_field_by_field(plane: Any) -> None:
    spec = LegSpec(
        track=TrackId(9),
        transport=TransportId(1),
        kind="video",
        mid="3",
        ssrc=77,
        rtx_ssrc=78,
        cname="PA_x",
        payloads=(PayloadMap(96, 98, 99, False),),
        extensions=((4, "uri"),),
    )
    leg = plane.add_leg(spec)
    name, args, facts = plane._native.calls[0]
    assert (name, args) == ("add_leg", (leg,))
    assert facts == {
        "track": 9,
        "transport": 1,
        "kind": "video",
        "mid": "3",
        "ssrc": 77,
        "rtx_ssrc": 78,
        "cname": "PA_x",
        "payloads": ((96, 98, 99, False),),
        "extensions": ((4, "uri"),),
    }


def test_commands_pass_through(plane: Any) -> None:
    transport = TransportId(1)
    plane.set_remote(transport, RemoteSpec("u", (("sha-256", b"d"),), True, (5000, 1024)))
    plane.restart_ice(transport, ufrag="u", pwd="p")
    plane.set_extensions(transport, ((4, "uri"),))
    plane.replace_track(TrackId(2), SPEC)
    plane.set_track_open(TrackId(2), True)
    plane.remove_track(TrackId(2))
    plane.set_leg(LegId(3), (2, 3))
    plane.remove_leg(LegId(3))
    plane.request_keyframe(TrackId(2), 1)
    plane.open_channel(transport, ChannelSpec("_lossy", False, 0))
    plane.send([(transport, 1)], b"data")
    plane.remove_transport(transport)
    plane.flush()
    plane.close()
    assert [name for name, _, _ in plane._native.calls] == [
        "set_remote",
        "restart_ice",
        "set_extensions",
        "add_track",
        "set_track_open",
        "remove_track",
        "set_leg",
        "remove_leg",
        "request_keyframe",
        "open_channel",
        "send",
        "remove_transport",
        "flush",
        "close",
    ]
    opened = plane._native.calls[9][2]
    assert opened == {"stream": None, "label": "_lossy", "ordered": False, "max_retransmits": 0}


def test_events_become_calls_of_the_listener(plane: Any) -> None:
    plane._native.events = [
        ("transport_validated", 1),
        ("transport_connected", 1, "AEAD_AES_128_GCM"),
        ("stream_changed", 2, 0, True, "vp8"),
        ("leg_changed", 3, None),
        ("audio_levels", [(2, 20, 25, 9, 10)]),
        ("channel_opened", 1, 5, "_reliable", "", True, None),
        ("channel_message", 1, 5, b"data", True),
        ("channel_closed", 1, 5),
        ("transport_closed", 1, "peer_closed"),
        ("something_new", 1),
    ]
    listener = Listener()
    assert plane.drain(listener) is False
    assert listener.heard == [
        ("handle_transport_validated", 1),
        ("handle_transport_connected", 1, "AEAD_AES_128_GCM"),
        ("handle_stream_changed", 2, 0, True, "vp8"),
        ("handle_leg_changed", 3, None),
        ("handle_audio_levels", [AudioLevel(TrackId(2), 20, 25, 9, 10)]),
        ("handle_channel_opened", 1, 5, ChannelSpec("_reliable", True, None)),
        ("handle_channel_message", 1, 5, b"data"),
        ("handle_channel_closed", 1, 5),
        ("handle_transport_closed", 1, "peer_closed"),
    ]


def test_a_full_drain_says_that_more_may_wait(plane: Any) -> None:
    plane._native.events = [("transport_validated", 1)] * 1500
    assert plane.drain(Listener()) is True
    assert plane.drain(Listener()) is False


def test_the_snapshot_is_typed(plane: Any) -> None:
    snapshot = plane.snapshot()
    assert snapshot.transports == {1: TransportStats(5000, 1, 2, 3, 4)}
    assert snapshot.tracks == {2: TrackStats(10, 1000, 1, 300, (1, 2, 3))}
    assert snapshot.legs == {3: LegStats(9, 900, 12, None, 40)}
    assert plane.counters()["commands_ignored"] == 3
    assert plane.counters()["drop_reasons"] == ["unknown"]
    assert plane.addresses[1] == [("192.0.2.1", 7883)]

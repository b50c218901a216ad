"""Wishes for layers against publications of every shape."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import RemoteError
from common.ids import TrackSid
from sfu.model import LayerSpec, PublicationSpec, Quality, TrackKind, TrackSettings
from signalling.whep_events import parse_events
from signalling.whep_layers import LayerWish, describe, parse_wish, settings_of
from tests.support.outcomes import refusal_of
from tests.support.rooms_double import PublicationDouble

LOW, MEDIUM, HIGH = Quality.LOW, Quality.MEDIUM, Quality.HIGH
SIZED = (
    LayerSpec(LOW, 320, 180),
    LayerSpec(MEDIUM, 640, 360),
    LayerSpec(HIGH, 1280, 720),
)


def video(
    *layers: LayerSpec, rids: tuple[str, ...] = (), bitrates: tuple[int, ...] = ()
) -> PublicationDouble:
    spec = PublicationSpec("cam", TrackKind.VIDEO, layers=layers)
    publication = PublicationDouble(TrackSid("TR_V"), spec)
    publication.rids, publication.bitrates = rids, bitrates
    return publication


@pytest.mark.parametrize(
    ("wish", "quality"),
    [
        (LayerWish(max_width=640), MEDIUM),
        (LayerWish(max_width=639), LOW),
        (LayerWish(max_height=360), MEDIUM),
        (LayerWish(max_width=10), LOW),  # nothing fits: the lowest comes nearest
        (LayerWish(max_width=9999), HIGH),
        (LayerWish(max_width=1280, max_height=200), LOW),
        (LayerWish(spatial=1), MEDIUM),
        (LayerWish(max_spatial=0), LOW),
    ],
)
def test_spatial_layers_of_one_stream(wish: LayerWish, quality: Quality) -> None:
    assert settings_of(wish, video(*SIZED)) == TrackSettings(quality=quality)


@pytest.mark.parametrize(
    ("wish", "fps"),
    [
        (LayerWish(temporal=0), 8),
        (LayerWish(max_temporal=1), 15),
        (LayerWish(temporal=2), 0),
        (LayerWish(temporal=2, max_temporal=0), 8),
    ],
)
def test_temporal_layers_become_frame_rates(wish: LayerWish, fps: int) -> None:
    assert settings_of(wish, video(*SIZED)).fps == fps


def test_layers_without_sizes_are_not_limited_by_size() -> None:
    publication = video(LayerSpec(LOW), LayerSpec(HIGH))
    assert settings_of(LayerWish(max_width=10), publication).quality is HIGH


@pytest.mark.parametrize("wish", [LayerWish(spatial=3), LayerWish(rid="q")])
def test_what_a_video_does_not_have_cannot_be_chosen(wish: LayerWish) -> None:
    assert refusal_of(settings_of, wish, video(*SIZED)) == "layer_unknown"


def test_a_rid_beyond_the_layers_that_exist_cannot_be_chosen() -> None:
    publication = video(*SIZED[:2], rids=("q", "h", "f"))
    assert settings_of(LayerWish(rid="h"), publication).quality is MEDIUM
    assert refusal_of(settings_of, LayerWish(rid="f"), publication) == "layer_unknown"


def test_layers_are_described_best_first() -> None:
    assert describe(video(*SIZED, bitrates=(1, 0, 3))) == [
        {"spatialLayerId": 2, "width": 1280, "height": 720, "bitrate": 3},
        {"spatialLayerId": 1, "width": 640, "height": 360},
        {"spatialLayerId": 0, "width": 320, "height": 180, "bitrate": 1},
    ]
    assert describe(video(*SIZED[:2], rids=("q", "h"))) == [
        {"rid": "h", "width": 640, "height": 360},
        {"rid": "q", "width": 320, "height": 180},
    ]


def test_one_bit_rate_for_several_layers_is_nobodys() -> None:
    assert all("bitrate" not in layer for layer in describe(video(*SIZED, bitrates=(7,))))


@given(
    st.binary(max_size=100)
    | st.from_regex(r'\{"(rid|mediaId|maxWidth)": .{0,20}\}').map(str.encode)
)
def test_any_body_is_a_wish_or_refused(body: bytes) -> None:
    for parse in (parse_wish, parse_events):
        try:
            parse(body)
        except RemoteError as error:
            code = error.code
        else:
            code = "read"
        assert code in ("read", "wish_malformed", "event_unknown")


def test_a_body_that_nests_too_deep_is_refused() -> None:
    deep = b"[" * 100_000
    assert refusal_of(parse_wish, deep) == refusal_of(parse_events, deep) == "wish_malformed"


def test_a_wish_with_everything() -> None:
    body = json.dumps(
        {
            "mediaId": "2",
            "rid": "f",
            "spatialLayerId": 1,
            "temporalLayerId": 2,
            "maxSpatialLayerId": 3,
            "maxTemporalLayerId": 4,
            "maxWidth": 5,
            "maxHeight": 6,
        }
    )
    assert parse_wish(body.encode()) == LayerWish(2, "f", 1, 2, 3, 4, 5, 6)

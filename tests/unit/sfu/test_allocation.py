import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.allocation import LayerOption, layer_options, target, wanted_layer
from sfu.model import LayerSpec, Quality, TrackSettings

LANDSCAPE = (
    LayerOption(Quality.LOW, 320, 180),
    LayerOption(Quality.MEDIUM, 640, 360),
    LayerOption(Quality.HIGH, 1280, 720),
)
PORTRAIT = tuple(LayerOption(one.quality, one.height, one.width) for one in LANDSCAPE)


@pytest.mark.parametrize(
    ("width", "height", "index"),
    [
        (160, 90, 0),
        (320, 180, 0),
        (355, 200, 0),  # 180 is nine tenths of 200
        (358, 201, 1),
        (640, 360, 1),
        (960, 540, 2),
        (4000, 2250, 2),
    ],
)
def test_a_size_gets_the_lowest_layer_that_nearly_reaches_it(
    width: int, height: int, index: int
) -> None:
    settings = TrackSettings(quality=Quality.LOW, width=width, height=height)
    assert wanted_layer(settings, LANDSCAPE) == index


def test_portrait_video_compares_widths() -> None:
    settings = TrackSettings(width=300, height=533)
    assert wanted_layer(settings, PORTRAIT) == 1


@pytest.mark.parametrize(
    ("quality", "index"), [(Quality.LOW, 0), (Quality.MEDIUM, 1), (Quality.HIGH, 2)]
)
def test_without_a_size_the_quality_decides(quality: Quality, index: int) -> None:
    assert wanted_layer(TrackSettings(quality=quality), LANDSCAPE) == index


def test_a_quality_above_the_best_layer_gets_the_best_and_below_the_lowest_gets_that() -> None:
    middle = LANDSCAPE[1:2]
    assert wanted_layer(TrackSettings(quality=Quality.HIGH), middle) == 0
    assert wanted_layer(TrackSettings(quality=Quality.LOW), middle) == 0


@pytest.mark.parametrize(
    "settings", [TrackSettings(disabled=True), TrackSettings(quality=Quality.OFF)]
)
def test_disabled_means_nothing(settings: TrackSettings) -> None:
    assert wanted_layer(settings, LANDSCAPE) is None
    assert target(None, settings, {0, 1, 2}) is None


@pytest.mark.parametrize(
    ("wanted", "alive", "aimed"),
    [(2, set(), 2), (2, {0, 1, 2}, 2), (2, {0, 1}, 1), (2, {0}, 0), (0, {1, 2}, 1), (1, {0, 2}, 0)],
)
def test_the_target_follows_what_arrives(wanted: int, alive: set[int], aimed: int) -> None:
    assert target(wanted, TrackSettings(), alive) == (aimed, 3)


@pytest.mark.parametrize(("fps", "temporal"), [(0, 3), (30, 3), (15, 1), (10, 1), (7, 0)])
def test_frame_rates_choose_temporal_layers(fps: int, temporal: int) -> None:
    assert target(0, TrackSettings(fps=fps), {0}) == (0, temporal)


def test_layers_without_a_size_take_their_share_of_the_track() -> None:
    options = layer_options((), 3, 1280, 720)
    assert options == LANDSCAPE


def test_two_streams_are_low_and_the_second_declared() -> None:
    layers = (LayerSpec(Quality.HIGH, 640, 360), LayerSpec(Quality.LOW, 320, 180))
    options = layer_options(layers, 2, 640, 360)
    assert [one.quality for one in options] == [Quality.LOW, Quality.HIGH]
    assert [one.quality for one in layer_options((), 2, 640, 360)] == [
        Quality.LOW,
        Quality.MEDIUM,
    ]


def test_a_single_stream_is_the_only_option() -> None:
    assert layer_options((LayerSpec(Quality.LOW, 1, 1),), 0, 64, 36) == (
        LayerOption(Quality.HIGH, 64, 36),
    )


sizes = st.integers(0, 4000)


@given(sizes, sizes, sizes, sizes)
def test_wishing_for_more_never_gets_less(w1: int, h1: int, w2: int, h2: int) -> None:
    small = TrackSettings(width=min(w1, w2) + 1, height=min(h1, h2))
    large = TrackSettings(width=max(w1, w2) + 1, height=max(h1, h2))
    for options in (LANDSCAPE, PORTRAIT):
        lower, higher = wanted_layer(small, options), wanted_layer(large, options)
        assert lower is not None
        assert higher is not None
        assert lower <= higher


@given(st.integers(0, 2), st.sets(st.integers(0, 2), min_size=1))
def test_the_target_always_arrives(wanted: int, alive: set[int]) -> None:
    aimed = target(wanted, TrackSettings(), alive)
    assert aimed is not None
    assert aimed[0] in alive

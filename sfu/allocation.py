"""Which layer a subscriber should get. Pure: wishes, dimensions and what arrives in, a layer out.

A subscriber's own settings decide; how much its network carries is not among what comes in.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sfu.model import LayerSpec, Quality, TrackSettings

HEIGHT_SLACK = 0.9  # a layer that reaches this much of the wished size is good enough
MAX_TEMPORAL = 3  # temporal layers go from 0 to 3 in every structure in use
SLOW_FPS = 8  # base layer of a three-layer structure at 30 frames a second
HALF_FPS = 15  # its middle layer
QUALITIES = (Quality.LOW, Quality.MEDIUM, Quality.HIGH)
SCALES = {Quality.LOW: 4, Quality.MEDIUM: 2, Quality.HIGH: 1}  # divisors where a layer has no size


@dataclass(frozen=True, slots=True)
class LayerOption:
    """A layer that a subscriber may get; options go from low to high."""

    quality: Quality
    width: int  # pixels, 0 unknown
    height: int


def layer_options(
    layers: Sequence[LayerSpec], count: int, width: int, height: int
) -> tuple[LayerOption, ...]:
    """The `count` layers that really exist, described by the announced ones where these fit."""
    if count <= 1:
        return (LayerOption(Quality.HIGH, width, height),)
    ordered = sorted(layers, key=lambda layer: layer.quality)
    if len(ordered) == count:
        return tuple(_option(layer, width, height) for layer in ordered)
    qualities = QUALITIES if count >= len(QUALITIES) else (Quality.LOW, Quality.MEDIUM)
    known = {layer.quality: layer for layer in ordered}
    return tuple(
        _option(known.get(quality, LayerSpec(quality)), width, height) for quality in qualities
    )


def wanted_layer(settings: TrackSettings, options: Sequence[LayerOption]) -> int | None:
    """Index of the wished layer, None for nothing.

    With a size: the lowest layer that nearly reaches it (portrait video compares widths), else the top one.
    Without: the best one not above the wished quality.
    """
    if settings.disabled or settings.quality is Quality.OFF:
        return None
    top = len(options) - 1
    if settings.width > 0:
        for index, option in enumerate(options):
            portrait = 0 < option.width < option.height
            has = option.width if portrait else option.height
            asks = settings.width if portrait else settings.height
            if has >= HEIGHT_SLACK * asks:
                return index
        return top
    fitting = [i for i, option in enumerate(options) if option.quality <= settings.quality]
    return fitting[-1] if fitting else 0


def target(
    wanted: int | None, settings: TrackSettings, alive: Collection[int]
) -> tuple[int, int] | None:
    """What the data plane should aim at: the wish, or what arrives next below it, or else next above.

    `alive` holds the streams that arrive; empty while unknown, and then the wish stands.
    """
    if wanted is None:
        return None
    if alive and wanted not in alive:
        below = [stream for stream in alive if stream < wanted]
        wanted = max(below) if below else min(alive)
    return wanted, _temporal(settings.fps)


def _temporal(fps: int) -> int:
    if fps <= 0 or fps > HALF_FPS:
        return MAX_TEMPORAL
    return 0 if fps <= SLOW_FPS else 1


def _option(layer: LayerSpec, width: int, height: int) -> LayerOption:
    if layer.width and layer.height:
        return LayerOption(layer.quality, layer.width, layer.height)
    scale = SCALES.get(layer.quality, 1)
    return LayerOption(layer.quality, width // scale, height // scale)

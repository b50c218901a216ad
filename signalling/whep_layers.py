"""Which layer of a video a viewer gets, in the words of WHEP's layer selection.

In: the JSON of a wish, publications. Out: settings for the subscription, descriptions of layers. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.errors import RemoteError
from sfu.model import TrackSettings, View
from sfu.ports import LayerPort, PublicationPort

# Frames per second at which the lowest and the middle temporal layer are what is wanted.
TEMPORAL_FPS: Final = {0: 8, 1: 15}
_NUMBERS: Final = {
    "spatialLayerId": "spatial",
    "temporalLayerId": "temporal",
    "maxSpatialLayerId": "max_spatial",
    "maxTemporalLayerId": "max_temporal",
    "maxWidth": "max_width",
    "maxHeight": "max_height",
}


@dataclass(frozen=True, slots=True)
class LayerWish:
    """One selection; what is None is left to the server."""

    section: int | None = None  # place of the section in the description; None: the first video
    rid: str | None = None
    spatial: int | None = None
    temporal: int | None = None
    max_spatial: int | None = None
    max_temporal: int | None = None
    max_width: int | None = None  # pixels
    max_height: int | None = None


def parse_wish(body: bytes) -> LayerWish:
    """Reads a wish. Unknown members are ignored. Raises RemoteError `wish_malformed`."""
    wish = _object(body)
    rid = wish.get("rid")
    if rid is not None and not isinstance(rid, str):
        raise RemoteError("wish_malformed", "rid is no string")
    numbers = {field: _number(wish, name) for name, field in _NUMBERS.items()}
    return LayerWish(section=_section(wish.get("mediaId")), rid=rid, **numbers)


def section_of(wish: LayerWish, views: Mapping[int, View]) -> int:
    """The section that a wish is about. Raises RemoteError `section_unknown`."""
    videos = [index for index, view in views.items() if view.kind == "video"]
    if wish.section is None and videos:
        return videos[0]
    if wish.section not in videos:
        raise RemoteError("section_unknown", "no such video section")
    return wish.section


def settings_of(wish: LayerWish, publication: PublicationPort) -> TrackSettings:
    """What the subscription has to ask for. Raises RemoteError `layer_unknown`."""
    options = publication.options
    index = _chosen(wish, publication, options)
    limits = [one for one in (wish.temporal, wish.max_temporal) if one is not None]
    fps = TEMPORAL_FPS.get(min(limits), 0) if limits else 0
    return TrackSettings(quality=options[index].quality, fps=fps)


def describe(publication: PublicationPort) -> list[dict[str, object]]:
    """The layers of a publication, best first; without `bitrate` a layer does not arrive."""
    layers = []
    rates = publication.bitrates
    for index, option in reversed(list(enumerate(publication.options))):
        layer: dict[str, object] = {"spatialLayerId": index}
        if publication.rids:
            layer = {"rid": publication.rids[index]}
        if option.width and option.height:
            layer |= {"width": option.width, "height": option.height}
        if len(rates) == len(publication.options) and rates[index]:
            layer["bitrate"] = rates[index]
        layers.append(layer)
    return layers


def _chosen(wish: LayerWish, publication: PublicationPort, options: Sequence[LayerPort]) -> int:
    if wish.rid is not None:
        if wish.rid not in publication.rids[: len(options)]:
            raise RemoteError("layer_unknown", "the video has no such rid")
        return publication.rids.index(wish.rid)
    if wish.spatial is not None:
        if wish.spatial >= len(options) or publication.rids:
            raise RemoteError("layer_unknown", "the video has no such spatial layer")
        return wish.spatial
    fitting = [index for index, option in enumerate(options) if _fits(wish, index, option)]
    return fitting[-1] if fitting else 0


def _fits(wish: LayerWish, index: int, option: LayerPort) -> bool:
    return not (
        (wish.max_spatial is not None and index > wish.max_spatial)
        or (wish.max_width is not None and option.width > wish.max_width)
        or (wish.max_height is not None and option.height > wish.max_height)
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        wish = json.loads(body)
    except (ValueError, RecursionError):
        wish = None
    if not isinstance(wish, dict):
        raise RemoteError("wish_malformed", "the body is no JSON object")
    return wish


def _section(value: object) -> int | None:
    """The draft writes the number of a section as a string."""
    if value is None:
        return None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise RemoteError("wish_malformed", "mediaId is no number of a section")
    return int(text)


def _number(wish: Mapping[str, Any], name: str) -> int | None:
    value = wish.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**16:
        raise RemoteError("wish_malformed", f"{name} is no number of layers or pixels")
    return value

"""The upper levels of a log: tiles of hashes against the roots of what lies below them, up to the root of all.

In: roots of full tiles in order. Out: the root, findings located to the tile. Must not: hold more than one tile of
each level.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from verifier.chunks import Edge, compare, undecided
from verifier.folder import WIDTH, Folder, path_of, width_at
from verifier.report import Finding, Refused
from verifier.trees import EMPTY, root

MAX_DOUBTS: Final = 6  # rows whose views differ; each doubles the roots that are tried


class Spine:
    """Everything above the tiles of level 0."""

    def __init__(self, folder: Folder, size: int) -> None:
        """For a tree of `size` entries."""
        self._folder = folder
        self._size = size
        self._rows: list[list[bytes]] = []  # hashes of the last tile of level 1 and up
        self._full: list[int] = []  # full tiles of these levels
        self.findings: list[Finding] = []

    def add(self, hashed: bytes, level: int = 1) -> None:
        """Adds the root of the next full tile of the level below."""
        if level > len(self._rows):
            self._rows.append([])
            self._full.append(0)
        row = self._rows[level - 1]
        row.append(hashed)
        if len(row) == WIDTH:
            self._rows[level - 1] = []
            self.add(self._judge(level, self._full[level - 1], row), level + 1)
            self._full[level - 1] += 1

    def root(self, edge: Edge, signed: bytes) -> bytes:
        """The root of all; `edge` is the last row of level 0. Says which view is wrong where two differ."""
        edges = [edge]
        for number, row in enumerate(self._rows):
            level = number + 1
            index = self._full[number]
            stored = self._stored(level, index, len(row)) if row else None
            edges.append(compare(level, index, row, stored))
        doubts = [each for each in edges if each.stored is not None]
        choices = product((False, True), repeat=min(len(doubts), MAX_DOUBTS))
        for choice in choices:
            views = dict(zip(map(id, doubts), choice, strict=False))
            whole = _root([_view(each, stored=views.get(id(each), False)) for each in edges])
            if whole == signed:
                for each in doubts:
                    wrong = each.blame_computed if views.get(id(each)) else each.blame_stored
                    self.findings += wrong
                return whole
        for each in doubts:
            self.findings += undecided(each)
        return _root([each.computed for each in edges])

    def _judge(self, level: int, index: int, computed: list[bytes]) -> bytes:
        """The root of a full tile; says what is wrong with it or below it."""
        edge = compare(level, index, computed, self._stored(level, index, WIDTH))
        if edge.stored is None:
            return root(computed)
        tile, offset = divmod(index, WIDTH)
        try:
            width = width_at(level + 1, tile, self._size)
            expected = self._folder.tile(level + 1, tile, width)[offset] if width else b""
        except Refused:
            expected = b""
        if root(edge.stored) == expected:
            self.findings += edge.blame_computed
            return root(edge.stored)
        wrong = edge.blame_stored if root(computed) == expected else undecided(edge)
        self.findings += wrong
        return root(computed)

    def _stored(self, level: int, index: int, width: int) -> list[bytes] | None:
        try:
            return self._folder.tile(level, index, width)
        except Refused as error:
            where: dict[str, str | int] = {
                "entry": (index * WIDTH) << (8 * level),
                "tile": path_of(level, index, width),
            }
            self.findings.append(Finding("tile_unreadable", error.message, where))
            return None


def _view(edge: Edge, *, stored: bool) -> list[bytes]:
    return edge.stored if stored and edge.stored is not None else edge.computed


def _root(rows: list[list[bytes]]) -> bytes:
    """The root of a tree from the last row of each level of tiles, which only the smaller rest below follows."""
    rest: list[bytes] = []
    for row in rows:
        parts = [*row, *rest]
        rest = [root(parts)] if parts else []
    return rest[0] if rest else EMPTY

"""The lowest levels of a log: bundles of entries against tiles of their hashes, 65,536 entries at a time.

In: a folder, the size that was signed for. Out: roots of the chunk's tiles, findings located to the entry or tile,
a digest of the sequences. Must not: depend on other chunks, for chunks are examined by several processes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from verifier import entries as entry_format
from verifier.folder import ENTRIES, WIDTH, Folder, path_of, width_at
from verifier.report import Finding, Refused
from verifier.sequences import Digest
from verifier.trees import HASH, leaf, root

BUNDLES: Final = WIDTH  # of a chunk; their roots are one tile of level 1
ENTRIES_OF_CHUNK: Final = BUNDLES * WIDTH
MAX_FINDINGS: Final = 2_000  # kept of a chunk; more are counted


@dataclass(slots=True)
class Edge:
    """Hashes of a row that no hash above covers: as computed and as stored, where they differ."""

    computed: list[bytes] = field(default_factory=list)
    stored: list[bytes] | None = None
    blame_computed: list[Finding] = field(default_factory=list)
    blame_stored: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Chunk:
    """What was found out about a chunk."""

    index: int
    entries: int = 0
    readable: int = 0  # files of which something could be read
    nodes: list[bytes] = field(default_factory=list)  # roots of the full tiles
    edge: Edge = field(default_factory=Edge)  # the partial tile at the end of the log
    findings: list[Finding] = field(default_factory=list)
    dropped: int = 0
    digest: Digest = field(default_factory=Digest)

    def find(self, *findings: Finding) -> None:
        """Adds findings."""
        for finding in findings:
            if len(self.findings) < MAX_FINDINGS:
                self.findings.append(finding)
            else:
                self.dropped += 1


def examine(folder: Folder, size: int, index: int) -> Chunk:
    """Examines a chunk of a log of `size` entries."""
    chunk = Chunk(index)
    above = _above(folder, size, index)
    first = index * BUNDLES
    for bundle in range(first, min(first + BUNDLES, -(-size // WIDTH))):
        width = width_at(0, bundle, size)
        made = _entries(folder, chunk, bundle, width)
        stored = _tile(folder, chunk, bundle, width)
        chunk.entries += width
        chunk.readable += bool(made) + (stored is not None)
        if width < WIDTH:
            chunk.edge = compare(0, bundle, made, stored)
            continue
        expected = above[bundle - first] if bundle - first < len(above) else None
        chunk.nodes.append(_judge(chunk, bundle, made, stored, expected))
    chunk.digest.close()
    return chunk


def compare(level: int, tile: int, computed: list[bytes], stored: list[bytes] | None) -> Edge:
    """Two views of a row's hashes; which one is right shows above it."""
    if stored is None or stored == computed:
        return Edge(computed)
    edge = Edge(computed, stored)
    name = path_of(level, tile, len(stored))
    for offset, hashed in enumerate(stored):
        if offset < len(computed) and hashed == computed[offset]:
            continue
        place = tile * WIDTH + offset
        first = place << (8 * level)
        if level == 0:
            text = "the entry is not the one that was signed for"
            edge.blame_computed.append(Finding("entry_changed", text, {"entry": first}))
        else:
            text = f"the entries from {first} to {first + (1 << (8 * level)) - 1} are not those signed for"
            edge.blame_computed.append(
                Finding("entries_changed", text, {"entry": first, "tile": name})
            )
        text = f"hash {offset} of the tile is not that of what lies below it"
        edge.blame_stored.append(Finding("tile_changed", text, {"entry": first, "tile": name}))
    if len(computed) < len(stored):  # what cannot be read is told once, and where it begins
        del edge.blame_computed[1 if computed else 0 :]
    return edge


def undecided(edge: Edge) -> list[Finding]:
    """Findings where nothing tells which of two views is right."""
    return [
        Finding("hash_differs", "entries and tile contradict each other", finding.where)
        for finding in edge.blame_stored
    ]


def _judge(
    chunk: Chunk, bundle: int, made: list[bytes], stored: list[bytes] | None, expected: bytes | None
) -> bytes:
    """The root of a full tile; says which of entries and tile is wrong where they differ."""
    computed = root(made) if len(made) == WIDTH else b""
    if made == stored:
        return computed
    edge = compare(0, bundle, made, stored)
    if computed and (edge.stored is None or computed == expected):
        chunk.find(*edge.blame_stored)
        return computed
    if edge.stored is None:
        return expected or bytes(HASH)
    if root(edge.stored) == expected or not computed:
        chunk.find(*edge.blame_computed)
        return root(edge.stored)
    chunk.find(*undecided(edge))
    return computed


def _above(folder: Folder, size: int, index: int) -> list[bytes]:
    """What the tile of level 1 says about the chunk's tiles; whether it is right is checked elsewhere."""
    width = width_at(1, index, size)
    try:
        return folder.tile(1, index, width) if width else []
    except Refused:
        return []


def _tile(folder: Folder, chunk: Chunk, bundle: int, width: int) -> list[bytes] | None:
    try:
        return folder.tile(0, bundle, width)
    except Refused as error:
        place = path_of(0, bundle, width)
        chunk.find(
            Finding("tile_unreadable", error.message, {"entry": bundle * WIDTH, "tile": place})
        )
        return None


def _entries(folder: Folder, chunk: Chunk, bundle: int, width: int) -> list[bytes]:
    """Hashes of the bundle's entries, which are read into the digest on the way."""
    first, digest = bundle * WIDTH, chunk.digest
    try:
        items, wrong = folder.bundle(bundle, width)
    except Refused as error:
        items, wrong = [], error.message
    hashes = []
    for offset, entry in enumerate(items):
        hashes.append(leaf(entry))
        try:
            heading, problem = entry_format.read(entry)
        except entry_format.Unreadable as error:
            digest.unreadable(first + offset, str(error))
            continue
        if problem:
            digest.unreadable(first + offset, problem)
        digest.take(first + offset, heading)
    if wrong:
        place = path_of(ENTRIES, bundle, width)
        where: dict[str, str | int] = {"entry": first + len(items), "tile": place}
        chunk.find(Finding("bundle_unreadable", wrong, where))
        if len(items) < width:
            missing = f"{width - len(items)} entries cannot be read"
            digest.find(Finding("entries_unreadable", missing, {"entry": first + len(items)}))
    return hashes

"""Merkle trees as RFC 9162 section 2.1 defines them: roots, and roots that proofs lead to. Pure.

In: hashes of leaves, proofs. Out: hashes; a proof of another length than its place asks for raises Refused. Must
not: take short cuts; each function is the definition written down.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from verifier.report import Refused

HASH: Final = 32
EMPTY: Final = hashlib.sha256(b"").digest()
MAX_PATH: Final = 63  # hashes; no tree is higher

_sha256 = hashlib.sha256


def leaf(entry: bytes) -> bytes:
    """Hash of an entry."""
    return _sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    """Hash over two subtrees."""
    return _sha256(b"\x01" + left + right).digest()


def root(hashes: Sequence[bytes]) -> bytes:
    """Root over subtrees of one size, of which only the last may be smaller."""
    if not hashes:
        return EMPTY
    row = list(hashes)
    while len(row) > 1:
        pairs = zip(row[::2], row[1::2], strict=False)
        above = [_sha256(b"\x01" + left + right).digest() for left, right in pairs]
        if len(row) & 1:
            above.append(row[-1])
        row = above
    return row[0]


def split(size: int) -> int:
    """Leaves of the left subtree: the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def included(item: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a path of inclusion leads to. Raises Refused."""
    if not 0 <= index < size:
        raise Refused("proof_wrong", "the index is outside of the tree")
    if size == 1:
        if path:
            raise Refused("proof_wrong", "the proof is too long")
        return item
    if not path:
        raise Refused("proof_wrong", "the proof is too short")
    left = split(size)
    if index < left:
        return node(included(item, index, left, path[:-1]), path[-1])
    return node(path[-1], included(item, index - left, size - left, path[:-1]))


def extended(old: int, new: int, path: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Both roots that a proof of consistency leads to, for 0 < old <= new. Raises Refused."""
    if not 0 < old <= new:
        raise Refused("proof_wrong", "the sizes are out of order")
    return _extended(old, new, path, old_root)


def _extended(
    old: int, new: int, path: Sequence[bytes], known: bytes | None
) -> tuple[bytes, bytes]:
    if old == new:
        rest = path if known is None else [known, *path]
        if len(rest) != 1:
            raise Refused("proof_wrong", "the proof has the wrong length")
        return rest[0], rest[0]
    if not path:
        raise Refused("proof_wrong", "the proof is too short")
    left, sibling = split(new), path[-1]
    if old <= left:
        older, newer = _extended(old, left, path[:-1], known)
        return older, node(newer, sibling)
    older, newer = _extended(old - left, new - left, path[:-1], None)
    return node(sibling, older), node(sibling, newer)


class Range:
    """Consecutive leaves of a tree in O(log n) memory, and the root that they and the rest of it have."""

    def __init__(self, first: int) -> None:
        """The first leaf added has this index."""
        self.first = self.end = first
        self._done: list[tuple[int, int, bytes]] = []  # complete subtrees: first leaf, end, hash

    def add(self, item: bytes) -> None:
        """Adds the next leaf."""
        begin, self.end = self.end, self.end + 1
        width = 1
        while self._done:
            before, end, left = self._done[-1]
            if end - before != width or before & (2 * width - 1):
                break
            self._done.pop()
            begin, item, width = before, node(left, item), 2 * width
        self._done.append((begin, self.end, item))

    def root(self, size: int, proof: Sequence[bytes]) -> bytes:
        """The root of a tree of `size` leaves; `proof` has the subtrees outside, from left to right."""
        if not self.first < self.end <= size:
            raise Refused("proof_wrong", "the range is empty or outside of the tree")
        known = {(begin, end): item for begin, end, item in self._done}
        rest = iter(proof)
        whole = self._compute(0, size, known, rest)
        if next(rest, None) is not None:
            raise Refused("proof_wrong", "the proof is too long")
        return whole

    def _compute(
        self, begin: int, end: int, known: dict[tuple[int, int], bytes], rest: Iterator[bytes]
    ) -> bytes:
        if end <= self.first or self.end <= begin:
            outside = next(rest, None)
            if outside is None:
                raise Refused("proof_wrong", "the proof is too short")
            return outside
        inside = known.get((begin, end))
        if inside is not None:
            return inside
        middle = begin + split(end - begin)
        left = self._compute(begin, middle, known, rest)
        return node(left, self._compute(middle, end, known, rest))

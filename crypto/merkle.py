"""Append-only Merkle trees (RFC 9162 section 2.1, the tree of RFC 6962): roots, proofs, checks. Pure.

In: leaf hashes. Out: 32-byte roots and proofs; a check that fails raises `ProofError`. Must not: store anything or
believe a proof whose length or shape is off, however its hashes combine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from common.errors import RemoteError

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

# Gives the hash of a complete subtree: `level` 0 is a leaf, `index` counts subtrees of that level.
Subtree = Callable[[int, int], bytes]


class ProofError(RemoteError):
    """A proof does not show what it claims."""

    def __init__(self, message: str) -> None:
        """`message` says what is wrong with it."""
        super().__init__("proof_invalid", message)


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf (RFC 9162 section 2.1.1)."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: enough to append and to know the root, in O(log n) memory."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        """`peaks` are the hashes of the complete subtrees, largest first; one for each bit of `size`."""
        if size < 0 or len(peaks) != size.bit_count() or any(len(p) != HASH_SIZE for p in peaks):
            raise ValueError("peaks do not fit the size")
        self.size = size
        self._peaks = list(peaks)

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Adds a leaf hash; returns every subtree that became complete as (level, index, hash)."""
        completed = [(0, self.size, leaf)]
        node, index, level = leaf, self.size, 0
        while index & 1:
            node = node_hash(self._peaks.pop(), node)
            index >>= 1
            level += 1
            completed.append((level, index, node))
        self._peaks.append(node)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The root of everything appended so far."""
        if not self._peaks:
            return EMPTY_ROOT
        node = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            node = node_hash(peak, node)
        return node

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """Hashes of the complete subtrees, largest first."""
        return tuple(self._peaks)


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root of a list of leaf hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def range_hash(begin: int, end: int, subtree: Subtree) -> bytes:
    """Hash of the subtree over leaves [begin, end), begin a multiple of the next power of two up from its size."""
    width = end - begin
    level = width.bit_length() - 1
    if width == 1 << level:
        return subtree(level, begin >> level)
    middle = begin + (1 << level)
    return node_hash(range_hash(begin, middle, subtree), range_hash(middle, end, subtree))


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Proof that leaf `index` is in the tree of `size` leaves (RFC 9162 section 2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("the index is outside of the tree")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(range_hash(begin, middle, subtree))
            begin = middle
    return path[::-1]


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Checks a proof of inclusion (RFC 9162 section 2.1.3.2). Raises ProofError."""
    if not 0 <= index < size:
        raise ProofError("the index is outside of the tree")
    _check_hashes([leaf, root, *proof])
    position, last, node = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("the proof is too short")
    if node != root:
        raise ProofError("the proof leads to another root")


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """Proof that the tree of `new` leaves extends the one of `old` (RFC 9162 section 2.1.4.1)."""
    if not 0 < old <= new:
        raise ValueError("sizes are out of order")
    path: list[bytes] = []
    begin, end, whole = 0, new, True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(range_hash(middle, end, subtree))
            end = middle
        else:
            path.append(range_hash(begin, middle, subtree))
            begin, whole = middle, False
    if not whole:
        path.append(range_hash(begin, end, subtree))
    return path[::-1]


def check_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Checks that one tree extends the other (RFC 9162 section 2.1.4.2). Raises ProofError."""
    _check_hashes([old_root, new_root, *proof])
    if not 0 <= old <= new:
        raise ProofError("sizes are out of order")
    if old in (0, new):
        if proof:
            raise ProofError("the proof should be empty")
        expected = EMPTY_ROOT if old == 0 else new_root
        if old_root != expected:
            raise ProofError("the roots differ")
        return
    _check_growth(old, new, proof, old_root, new_root)


def range_proof(begin: int, end: int, size: int, subtree: Subtree) -> list[bytes]:
    """Hashes that turn the leaves [begin, end) into the root of `size` leaves, from left to right.

    They are those of the largest subtrees outside of the range that the definition of the root (RFC 9162 section
    2.1.1) meets on its way down.
    """
    if not 0 <= begin < end <= size:
        raise ValueError("the range is empty or outside of the tree")
    proof: list[bytes] = []

    def collect(first: int, last: int) -> None:
        if last <= begin or end <= first:
            proof.append(range_hash(first, last, subtree))
        elif last - first > 1 and not (begin <= first and last <= end):
            middle = first + _split(last - first)
            collect(first, middle)
            collect(middle, last)

    collect(0, size)
    return proof


def check_range(
    leaves: Sequence[bytes], begin: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Checks that `leaves` are those at [begin, begin + len(leaves)) of a tree. Raises ProofError."""
    end = begin + len(leaves)
    if not 0 <= begin < end <= size:
        raise ProofError("the range is empty or outside of the tree")
    _check_hashes([*leaves, *proof, root])
    rest = iter(proof)

    def compute(first: int, last: int) -> bytes:
        if last <= begin or end <= first:
            node = next(rest, None)
            if node is None:
                raise ProofError("the proof is too short")
            return node
        if begin <= first and last <= end:
            return root_of(leaves[first - begin : last - begin])
        middle = first + _split(last - first)
        return node_hash(compute(first, middle), compute(middle, last))

    if compute(0, size) != root:
        raise ProofError("the proof leads to another root")
    if next(rest, None) is not None:
        raise ProofError("the proof is too long")


def _check_growth(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    path = list(proof)
    if not old & (old - 1):  # a complete tree is its own starting point
        path.insert(0, old_root)
    if not path:
        raise ProofError("the proof is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            older = node_hash(sibling, older)
            newer = node_hash(sibling, newer)
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        position >>= 1
        last >>= 1
    if last != 0:
        raise ProofError("the proof is too short")
    if older != old_root or newer != new_root:
        raise ProofError("the proof leads to other roots")


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _check_hashes(hashes: Sequence[bytes]) -> None:
    if any(len(item) != HASH_SIZE for item in hashes):
        raise ProofError("a hash has the wrong length")

"""Trees against a naive oracle of the definition, proofs good and bad."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.merkle import (
    EMPTY_ROOT,
    Frontier,
    ProofError,
    check_consistency,
    check_inclusion,
    check_range,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    range_proof,
    root_of,
)

MAX = 70
LEAVES = [leaf_hash(bytes([number])) for number in range(MAX)]


def naive(leaves: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive(leaves[:split]) + naive(leaves[split:])).digest()


def subtree(level: int, index: int) -> bytes:
    return naive(LEAVES[index << level : (index + 1) << level])


def test_known_roots() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert (
        leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    )


@pytest.mark.parametrize("size", range(MAX))
def test_roots_follow_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == naive(LEAVES[:size])


def test_a_frontier_resumes_from_its_peaks() -> None:
    frontier = Frontier()
    for leaf in LEAVES[:37]:
        frontier.append(leaf)
    resumed = Frontier(frontier.size, frontier.peaks)
    for leaf in LEAVES[37:]:
        resumed.append(leaf)
    assert resumed.root() == naive(LEAVES)


def test_completed_subtrees_are_reported_once() -> None:
    frontier = Frontier()
    seen = {}
    for leaf in LEAVES[:64]:
        for level, index, node in frontier.append(leaf):
            assert (level, index) not in seen
            seen[level, index] = node
    assert len(seen) == 127
    assert all(node == subtree(level, index) for (level, index), node in seen.items())


def test_peaks_must_fit_the_size() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Frontier(3, [LEAVES[0]])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 33, MAX])
def test_every_inclusion_proof_holds(size: int) -> None:
    root = naive(LEAVES[:size])
    for index in range(size):
        check_inclusion(LEAVES[index], index, size, inclusion_proof(index, size, subtree), root)


@pytest.mark.parametrize("new", [1, 2, 3, 7, 8, 33, MAX])
def test_every_consistency_proof_holds(new: int) -> None:
    for old in range(1, new + 1):
        proof = consistency_proof(old, new, subtree)
        check_consistency(old, new, proof, naive(LEAVES[:old]), naive(LEAVES[:new]))
    check_consistency(0, new, [], EMPTY_ROOT, naive(LEAVES[:new]))


def mutations(proof: list[bytes]) -> list[list[bytes]]:
    """Every proof that is one step away."""
    flipped = [
        [*proof[:i], bytes([node[0] ^ 1]) + node[1:], *proof[i + 1 :]]
        for i, node in enumerate(proof)
    ]
    swapped = [[*proof[:i], proof[i + 1], proof[i], *proof[i + 2 :]] for i in range(len(proof) - 1)]
    shorter = [proof[1:], proof[:-1]] if proof else []
    longer = [[*proof, LEAVES[0]], [LEAVES[0], *proof], [*proof, b""]]
    truncated = [[*proof[:-1], proof[-1][:-1]]] if proof else []
    return flipped + swapped + shorter + longer + truncated


@given(st.integers(2, MAX), st.data())
@settings(max_examples=60, deadline=None)
def test_no_altered_inclusion_proof_holds(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = naive(LEAVES[:size])
    proof = inclusion_proof(index, size, subtree)
    for bad in mutations(proof):
        with pytest.raises(ProofError):
            check_inclusion(LEAVES[index], index, size, bad, root)
    for other in (index - 1, index + 1, size, -1):
        with pytest.raises(ProofError):
            check_inclusion(LEAVES[index], other, size, proof, root)
    with pytest.raises(ProofError):
        check_inclusion(LEAVES[index], index, size, proof, LEAVES[0])


@given(st.integers(2, MAX), st.data())
@settings(max_examples=60, deadline=None)
def test_no_altered_consistency_proof_holds(new: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, new - 1))
    old_root, new_root = naive(LEAVES[:old]), naive(LEAVES[:new])
    proof = consistency_proof(old, new, subtree)
    for bad in mutations(proof):
        with pytest.raises(ProofError):
            check_consistency(old, new, bad, old_root, new_root)
    for roots in ((new_root, old_root), (old_root, old_root), (LEAVES[0][:31], new_root)):
        with pytest.raises(ProofError):
            check_consistency(old, new, proof, *roots)
    with pytest.raises(ProofError):
        check_consistency(new, old, proof, new_root, old_root)


def test_proofs_of_equal_or_empty_trees_are_empty() -> None:
    root = naive(LEAVES)
    check_consistency(MAX, MAX, [], root, root)
    for arguments in ((MAX, MAX, [LEAVES[0]], root, root), (MAX, MAX, [], LEAVES[0], root)):
        with pytest.raises(ProofError):
            check_consistency(*arguments)
    with pytest.raises(ProofError):
        check_consistency(0, MAX, [LEAVES[0]], EMPTY_ROOT, root)
    with pytest.raises(ProofError):
        check_consistency(0, MAX, [], root, root)


def test_indices_outside_of_the_tree_are_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        inclusion_proof(5, 5, subtree)
    with pytest.raises(ValueError, match="out of order"):
        consistency_proof(6, 5, subtree)


@given(st.integers(1, MAX), st.data())
@settings(max_examples=100)
def test_a_range_proof_holds_for_its_leaves_only(size: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(begin + 1, size))
    proof, root = range_proof(begin, end, size, subtree), naive(LEAVES[:size])
    check_range(LEAVES[begin:end], begin, size, proof, root)
    altered = [(LEAVES[begin:end], bad) for bad in mutations(proof)]
    altered += [(LEAVES[begin + 1 : end + 1], proof), (LEAVES[begin : end - 1], proof)]
    for leaves, bad in altered:
        with pytest.raises(ProofError):
            check_range(leaves, begin, size, bad, root)
    if begin + 1 < size:
        with pytest.raises(ProofError):
            check_range(LEAVES[begin:end], begin + 1, size, proof, root)


def test_the_whole_range_needs_no_proof() -> None:
    assert range_proof(0, MAX, MAX, subtree) == []
    with pytest.raises(ValueError, match="outside"):
        range_proof(3, 3, MAX, subtree)
    with pytest.raises(ValueError, match="outside"):
        range_proof(3, MAX + 1, MAX, subtree)

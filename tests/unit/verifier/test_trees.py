"""Roots and proofs against the definition, and against the proofs that the log's own code makes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.merkle import consistency_proof, inclusion_proof, range_proof
from tests.support.evidence import leaf, naive_root
from verifier.report import Refused
from verifier.trees import Range, extended, included, root

LEAVES = [leaf(str(n).encode()) for n in range(700)]


def subtree(level: int, index: int) -> bytes:
    return naive_root(LEAVES[index << level : (index + 1) << level])


@pytest.mark.parametrize("size", range(130))
def test_the_root_is_that_of_the_definition(size: int) -> None:
    assert root(LEAVES[:size]) == naive_root(LEAVES[:size])


@given(st.integers(1, 700), st.data())
@settings(max_examples=150, deadline=None)
def test_inclusion_holds_for_the_true_leaf_only(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_proof(index, size, subtree)
    whole = naive_root(LEAVES[:size])
    assert included(LEAVES[index], index, size, path) == whole
    assert included(leaf(b"other"), index, size, path) != whole
    for wrong in ([*path, whole], path[:-1] if path else [whole]):
        with pytest.raises(Refused):
            included(LEAVES[index], index, size, wrong)
    for other in {index ^ 1, index + 1, size} - {index}:
        try:
            assert included(LEAVES[index], other, size, path) != whole
        except Refused:
            continue


@pytest.mark.parametrize("new", [1, 2, 3, 7, 8, 33, 64, 100])
def test_consistency_holds_for_every_older_size(new: int) -> None:
    for old in range(1, new + 1):
        proof = consistency_proof(old, new, subtree)
        roots = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
        assert extended(old, new, proof, roots[0]) == roots
        for position in range(len(proof)):
            changed = [*proof]
            changed[position] = bytes(32)
            assert extended(old, new, changed, roots[0]) != roots
        with pytest.raises(Refused):
            extended(old, new, [*proof, roots[0]], roots[0])
        if proof:
            with pytest.raises(Refused):
                extended(old, new, proof[:-1], roots[0])


@given(st.integers(1, 700), st.data())
@settings(max_examples=150, deadline=None)
def test_a_range_and_its_proof_lead_to_the_root(size: int, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, size - 1))
    end = data.draw(st.integers(begin + 1, size))
    proof = range_proof(begin, end, size, subtree)
    whole = naive_root(LEAVES[:size])
    parts = Range(begin)
    for item in LEAVES[begin:end]:
        parts.add(item)
    assert parts.root(size, proof) == whole
    with pytest.raises(Refused):
        parts.root(size, [*proof, whole])
    if proof:
        with pytest.raises(Refused):
            parts.root(size, proof[:-1])
        assert parts.root(size, [bytes(32), *proof[1:]]) != whole
    parts.add(leaf(b"one more"))
    with contextlib.suppress(Refused):
        assert parts.root(size, proof) != whole

"""Pseudonyms, commitments and references."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.redact import Redacted
from crypto.pseudonyms import Locator, commitment, pseudonym, subject_index

A, B, C = (Redacted(bytes([n]) * 32) for n in (1, 2, 3))


def test_a_pseudonym_depends_on_person_and_period() -> None:
    assert pseudonym(A, B) == pseudonym(A, B)
    assert len({pseudonym(A, B), pseudonym(A, C), pseudonym(C, B), pseudonym(B, A)}) == 4
    assert re.fullmatch(r"p_[0-9a-f]{32}", pseudonym(A, B))


def test_a_commitment_depends_on_every_bit() -> None:
    assert len({commitment(A, b"x"), commitment(A, b"y"), commitment(B, b"x")}) == 3


def test_tenant_and_identity_do_not_run_together() -> None:
    assert subject_index(A, "ab", "c") != subject_index(A, "a", "bc")
    assert subject_index(A, "ab", "c") != subject_index(B, "ab", "c")


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
def test_a_reference_leads_to_its_record_for_the_holder_of_the_key_only(
    index: bytes, record: bytes
) -> None:
    reference = Locator(A).hide(index, record)
    assert Locator(A).find(reference) == (index, record)
    assert Locator(B).find(reference) != (index, record)


def test_halves_have_eight_bytes() -> None:
    with pytest.raises(ValueError, match="eight"):
        Locator(A).hide(b"", b"12345678")

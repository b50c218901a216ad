"""Sealed bytes open with their key and in their context, and in no other way."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import LocalError
from common.redact import Redacted
from crypto.sealing import SealError, derive, key_file, new_key, seal, unseal

KEY = Redacted(bytes(range(32)))


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_what_was_sealed_opens(plaintext: bytes, context: bytes) -> None:
    assert unseal(KEY, seal(KEY, plaintext, context), context) == plaintext


@given(st.binary(max_size=60), st.data())
def test_any_changed_byte_is_noticed(plaintext: bytes, data: st.DataObject) -> None:
    sealed = bytearray(seal(KEY, plaintext, b"context"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealError):
        unseal(KEY, bytes(sealed), b"context")


def test_every_truncation_is_noticed() -> None:
    sealed = seal(KEY, b"plaintext", b"context")
    for length in range(len(sealed)):
        with pytest.raises(SealError) as caught:
            unseal(KEY, sealed[:length], b"context")
        assert caught.value.code == "seal_broken"


def test_another_key_or_context_does_not_open() -> None:
    sealed = seal(KEY, b"plaintext", b"context")
    for key, context in (
        (new_key(), b"context"),
        (KEY, b"contexT"),
        (derive(KEY, b"x"), b"context"),
    ):
        with pytest.raises(SealError):
            unseal(key, sealed, context)


def test_equal_plaintexts_are_sealed_differently() -> None:
    assert seal(KEY, b"same", b"") != seal(KEY, b"same", b"")


def test_bytes_sealed_by_version_1_open_for_ever() -> None:
    sealed = bytes.fromhex(
        "016465666768696a6b6c6d6e6f3877bf0f179d33e64a47f5a38405b6da5936691be15cb1910b"
    )
    assert unseal(KEY, sealed, b"context") == b"plaintext"


def test_a_derived_key_is_the_one_of_rfc_5869() -> None:
    # Appendix A.3, the first 32 bytes.
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert derive(Redacted(b"\x0b" * 22), b"").reveal().hex() == expected


def test_a_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    key = key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert key_file(path) == key
    assert key.reveal() != new_key().reveal()


def test_an_exposed_or_malformed_key_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    key_file(path)
    path.chmod(0o640)
    with pytest.raises(LocalError) as caught:
        key_file(path)
    assert caught.value.code == "key_exposed"
    for content in ("", "00", "zz" * 32, base64.b64encode(bytes(32)).decode()):
        path.write_text(content)
        path.chmod(0o600)
        with pytest.raises(LocalError) as caught:
            key_file(path)
        assert caught.value.code == "key_malformed"

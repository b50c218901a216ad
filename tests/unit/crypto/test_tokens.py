"""Tokens: what is issued verifies, and every way a token can be wrong has its own code."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit import api

from common.errors import LocalError, RemoteError
from common.redact import Redacted
from crypto.tokens import LEEWAY, MAX_TOKEN_LENGTH, SigningKeys, issue, verify

SECRET = "a secret of at least thirty-two characters"
KEYS = SigningKeys(
    {"key": Redacted(SECRET), "other": Redacted("another secret of thirty-two letters")}
)
NOW = 1_700_000_000.0


def sign(header: Any, claims: Any, secret: str = SECRET) -> str:
    """A token by hand, so that it can be wrong in any way."""
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in (header, claims)
    ]
    signed = b".".join(parts)
    mac = hmac.new(secret.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")).decode()


HS256 = {"alg": "HS256", "typ": "JWT"}
CLAIMS = {"iss": "key", "sub": "alice", "exp": int(NOW) + 60}


def code_of(token: str) -> str:
    with pytest.raises(RemoteError) as caught:
        verify(token, KEYS, now=NOW)
    return caught.value.code


def test_what_is_issued_verifies_with_its_claims() -> None:
    claims = {"sub": "alice", "video": {"roomJoin": True}, "metadata": "é🎥"}
    token = issue(claims, KEYS, issuer="key", expires_at=NOW + 60, now=NOW)
    verified = verify(token, KEYS, now=NOW)
    assert verified.issuer == "key"
    assert verified.expires_at == NOW + 60
    assert claims.items() <= dict(verified.claims).items()


def test_tokens_of_the_server_sdk_verify() -> None:
    token = api.AccessToken("key", SECRET).with_identity("alice").to_jwt()
    now = float(json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))["nbf"])
    assert verify(token, KEYS, now=now).claims["sub"] == "alice"


def test_tokens_of_ours_verify_with_the_server_sdk() -> None:
    claims = {"sub": "alice", "video": {"roomJoin": True, "room": "r"}}
    far = 4_000_000_000
    token = issue(claims, KEYS, issuer="key", expires_at=far, now=NOW)
    assert api.TokenVerifier("key", SECRET).verify(token).identity == "alice"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "token_malformed"),
        ("a.b.c", "token_malformed"),
        ("é.é.é", "token_malformed"),
        ("x" * (MAX_TOKEN_LENGTH + 1), "token_too_long"),
        (sign(HS256, [1, 2]), "token_malformed"),
        (sign(["HS256"], CLAIMS), "token_malformed"),
        (sign({"alg": "none"}, CLAIMS), "token_algorithm"),
        (sign({"alg": "HS512"}, CLAIMS), "token_algorithm"),
        (sign({"alg": "RS256"}, CLAIMS), "token_algorithm"),
        (sign(HS256, {**CLAIMS, "iss": "unknown"}), "token_unknown_key"),
        (sign(HS256, {**CLAIMS, "iss": 7}), "token_unknown_key"),
        (sign(HS256, {**CLAIMS, "iss": "other"}), "token_signature"),
        (sign(HS256, CLAIMS, secret="a wrong secret of thirty-two characters"), "token_signature"),
        (sign(HS256, {"iss": "key", "sub": "alice"}), "token_without_expiry"),
        (sign(HS256, {**CLAIMS, "exp": "tomorrow"}), "token_malformed"),
        (sign(HS256, {**CLAIMS, "exp": True}), "token_malformed"),
        (sign(HS256, {**CLAIMS, "exp": float("nan")}), "token_malformed"),
        (sign(HS256, {**CLAIMS, "exp": 10**400}), "token_malformed"),
        (sign(HS256, {**CLAIMS, "exp": NOW - LEEWAY - 1}), "token_expired"),
        (sign(HS256, {**CLAIMS, "nbf": NOW + LEEWAY + 1}), "token_not_yet_valid"),
    ],
)
def test_every_wrong_token_is_refused_by_name(token: str, code: str) -> None:
    assert code_of(token) == code


@pytest.mark.parametrize("claims", [{"exp": NOW - LEEWAY}, {"nbf": NOW + LEEWAY}, {"nbf": None}])
def test_clocks_may_differ_by_a_minute(claims: dict[str, object]) -> None:
    verify(sign(HS256, {**CLAIMS, **claims}), KEYS, now=NOW)


def test_a_token_whose_signature_was_cut_anywhere_is_refused() -> None:
    token = sign(HS256, CLAIMS)
    for length in range(len(token)):
        assert code_of(token[:length]) in ("token_malformed", "token_signature")


@given(st.text(max_size=300) | st.builds("{}.{}.{}".format, st.text(), st.text(), st.text()))
def test_arbitrary_text_is_refused_with_a_code(text: str) -> None:
    assert code_of(text).startswith("token_")


def test_claims_that_no_token_holds_are_refused() -> None:
    with pytest.raises(LocalError, match="fit"):
        issue({"metadata": "x" * 1_100_000}, KEYS, issuer="key", expires_at=NOW, now=NOW)


def test_keys_need_secrets() -> None:
    with pytest.raises(LocalError, match="at least one"):
        SigningKeys({})
    with pytest.raises(LocalError, match="needs a secret"):
        SigningKeys({"key": Redacted("")})


def test_a_development_secret_is_short_and_works_without_warning() -> None:
    keys = SigningKeys({"devkey": Redacted("secret")})
    token = issue({"sub": "a"}, keys, issuer="devkey", expires_at=NOW, now=NOW)
    assert verify(token, keys, now=NOW).issuer == "devkey"
    assert keys.names() == ("devkey",)
    assert "devkey" in keys

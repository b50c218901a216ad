"""Credentials for TURN servers: the form that coturn checks, and names that mean nothing."""

import base64
import subprocess

from hypothesis import given
from hypothesis import strategies as st

from common.redact import Redacted
from crypto.turn import turn_credential

SECRET = Redacted("a secret that both servers know, and nobody else")


def test_the_password_is_what_openssl_makes_of_the_name() -> None:
    made = turn_credential(SECRET, "PA_abc", expires_at=1_790_000_000)
    digest = subprocess.run(
        ["openssl", "dgst", "-sha1", "-hmac", SECRET.reveal(), "-binary"],
        input=made.username.encode(),
        capture_output=True,
        check=True,
    ).stdout
    assert made.password == base64.b64encode(digest).decode()
    assert made.username.startswith("1790000000:")


@given(st.text(min_size=1), st.integers(min_value=0, max_value=1 << 40))
def test_the_name_holds_the_end_and_a_pseudonym_and_nothing_else(subject: str, end: int) -> None:
    made = turn_credential(SECRET, subject, expires_at=end)
    expiry, _, hidden = made.username.partition(":")
    assert int(expiry) == end
    assert len(bytes.fromhex(hidden)) == 12
    assert turn_credential(SECRET, subject, expires_at=end + 1).username.endswith(hidden)


def test_two_people_have_two_names_and_another_secret_has_others() -> None:
    names = {
        turn_credential(secret, subject, expires_at=1).username
        for secret in (SECRET, Redacted("another"))
        for subject in ("PA_a", "PA_b")
    }
    assert len(names) == 4


def test_the_password_does_not_show_in_a_representation() -> None:
    made = turn_credential(SECRET, "PA_abc", expires_at=1)
    assert made.password not in repr(made)

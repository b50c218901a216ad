"""A configuration is either right, or refused with the line and the remedy."""

from pathlib import Path

import pytest

from server.config import Config, ConfigError, MediaSection, development, find_line, load, parse

SECRET = "0123456789abcdef0123456789abcdef"
GOOD = f"""
data = "/var/lib/conclave"

[http]
bind = "0.0.0.0"
port = 7880

[media]
lanes = 2
addresses = ["192.0.2.7", "2001:db8::7"]

[media.announced]
"192.0.2.7" = "203.0.113.9"

[keys.prod]
secret = "{SECRET}"
"""


def read(text: str, **environ: str) -> Config:
    return parse(text, name="conclave.toml", environ=environ)


def problem(text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, **environ)
    assert caught.value.code == "config_invalid"
    return caught.value.message


def test_a_complete_file_is_read() -> None:
    config = read(GOOD)
    assert config.file.media.lanes == 2
    assert config.file.media.announced == {"192.0.2.7": "203.0.113.9"}
    assert config.keys["prod"].reveal() == SECRET
    assert SECRET not in repr(config.keys)


def test_an_unknown_option_names_its_line() -> None:
    message = problem(GOOD.replace("lanes = 2", "lanez = 2"))
    assert message.startswith("conclave.toml:9: media.lanez: unknown option")


def test_a_wrong_type_names_its_line() -> None:
    message = problem(GOOD.replace("lanes = 2", 'lanes = "two"'))
    assert "conclave.toml:9: media.lanes:" in message
    assert "got str" in message


def test_numbers_out_of_range_are_refused() -> None:
    assert "media.lanes" in problem(GOOD.replace("lanes = 2", "lanes = 0"))
    assert "http.port" in problem(GOOD.replace("port = 7880", "port = 70000"))


def test_broken_toml_names_its_line() -> None:
    assert problem("data = \n").startswith("conclave.toml:1: syntax:")


def test_every_problem_is_told_at_once() -> None:
    message = problem(GOOD.replace("192.0.2.7", "nonsense").replace(SECRET, "short"))
    assert "is no IP address" in message
    assert "weak secret" in message


def test_a_weak_secret_is_refused_with_a_remedy() -> None:
    message = problem(GOOD.replace(SECRET, "short"))
    assert "conclave.toml:15: keys.prod: weak secret" in message
    assert "openssl rand" in message
    assert "short." not in message


def test_development_keys_on_a_public_address_are_refused() -> None:
    text = GOOD.replace("keys.prod", "keys.devkey").replace(SECRET, "secret")
    assert "development keys on a public address" in problem(text)
    assert read(text.replace("0.0.0.0", "127.0.0.1")).keys["devkey"].reveal() == "secret"


def test_secrets_come_from_files_and_environment(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    from_file = GOOD.replace(f'secret = "{SECRET}"', f'secret_file = "{path}"')
    assert read(from_file).keys["prod"].reveal() == SECRET
    from_env = GOOD.replace(f'secret = "{SECRET}"', 'secret_env = "CONCLAVE_SECRET"')
    assert read(from_env, CONCLAVE_SECRET=SECRET).keys["prod"].reveal() == SECRET
    assert "secret not found" in problem(from_env)


def test_two_sources_of_one_secret_are_refused() -> None:
    text = GOOD.replace(f'secret = "{SECRET}"', f'secret = "{SECRET}"\nsecret_env = "X"')
    assert "exactly one of" in problem(text)


def test_no_keys_at_all_is_refused() -> None:
    assert "no API key is configured" in problem(GOOD.partition("[keys.prod]")[0])


def test_a_wildcard_media_address_is_refused() -> None:
    assert "a wildcard cannot be announced" in problem(
        GOOD.replace('"192.0.2.7", "2001:db8::7"', '"0.0.0.0"')
    )


def test_an_announced_address_must_be_bound() -> None:
    assert "is not bound" in problem(GOOD.replace('"192.0.2.7" =', '"192.0.2.8" ='))


def test_certificate_and_key_go_together(tmp_path: Path) -> None:
    text = GOOD.replace("port = 7880", f'port = 7880\ncertificate = "{tmp_path}/none.pem"')
    message = problem(text)
    assert "go together" in message
    assert "file not found" in message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_development_needs_no_file() -> None:
    config = development(port=7880, data="data")
    assert config.development
    assert config.keys["devkey"].reveal() == "secret"
    assert config.file.media.addresses == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("media", "port"),
    [
        (MediaSection(), 7881),
        (MediaSection(port=0), 0),
        (MediaSection(port=0, tcp_port=443), 443),
        (MediaSection(tcp_port=0), 0),
        (MediaSection(tcp=False), None),
        (MediaSection(tcp=False, tcp_port=7881), None),
    ],
)
def test_the_tcp_port_stands_beside_the_udp_ports_unless_they_are_any(
    media: MediaSection, port: int | None
) -> None:
    assert media.listening_port == port


def test_lines_are_found_by_table_and_key() -> None:
    assert find_line(GOOD, ("http", "port")) == 6
    assert find_line(GOOD, ("keys", "prod")) == 15
    assert find_line(GOOD, ("keys", "prod", "nothing")) == 15
    assert find_line(GOOD, ("log", "level")) == 0


TURN = f'\n[turn]\nurls = ["turn:turn.example"]\nsecret = "{SECRET}"\n'


def test_turn_needs_urls_and_a_strong_secret() -> None:
    config = read(GOOD + TURN)
    assert config.turn_secret.reveal() == SECRET
    assert SECRET not in repr(config.turn_secret)
    assert "turn: needs exactly one of" in problem(GOOD + '\n[turn]\nurls = ["turn:t"]\n')
    assert "without a TURN server" in problem(GOOD + f'\n[turn]\nsecret = "{SECRET}"\n')
    assert "weak secret" in problem(GOOD + TURN.replace(SECRET, "short"))
    assert "turn.urls: 'stun:t' is no TURN URL" in problem(
        GOOD + TURN.replace("turn:turn.example", "stun:t")
    )


def test_the_turn_secret_comes_from_the_environment_too() -> None:
    text = TURN.replace(f'secret = "{SECRET}"', 'secret_env = "TURN_SECRET"')
    assert read(GOOD + text, TURN_SECRET=SECRET).turn_secret.reveal() == SECRET
    assert "secret not found (KeyError)" in problem(GOOD + text)

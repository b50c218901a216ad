"""Where the audit log is: checked before the start, handed to the sidecar, named by a hash without secrets."""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import LocalError
from common.redact import Redacted
from crypto.notes import Signer
from crypto.sealing import new_key
from server.audit.child import launch
from server.audit.evidence import configuration_hash
from server.audit.settings import sidecar_config
from server.config import Config, ConfigError, development, load, parse
from sidecar.settings import Launch, SidecarConfig
from sidecar.timestamps import Authority

SECRET = "0123456789abcdef0123456789abcdef"
KEY = Signer("witness.example", bytes(32)).verifier.encode()
PLAIN = f"""
data = "/var/lib/conclave"
[keys.prod]
secret = "{SECRET}"
"""


def read(audit: str) -> Config:
    return parse(f"{PLAIN}[audit]\n{audit}", name="conclave.toml", environ={})


def problem(audit: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(audit)
    return caught.value.message


def test_a_server_keeps_its_log_elsewhere_and_goes_on_without_it_unless_told_otherwise() -> None:
    audit = read("").file.audit
    assert (audit.sidecar, audit.fail_mode, audit.port) == ("separate", "spool", 7890)
    assert audit.socket_in("/var/lib/conclave") == Path("/var/lib/conclave/audit/intake.sock")


def test_development_has_a_child_whose_port_follows_that_of_the_server() -> None:
    assert development(port=7880, data="d").file.audit.port == 7890
    assert development(port=0, data="d").file.audit.port == 0
    assert development(port=7880, data="d", sidecar_port=1234).file.audit.port == 1234
    assert development(port=7880, data="d").file.audit.sidecar == "child"


@pytest.mark.parametrize(
    ("audit", "expected"),
    [
        ('fail_mode = "hope"', "audit.fail_mode"),
        ("timeout = 0", "audit.timeout"),
        ('pop = ""', "audit.pop: pop is empty"),
        ('pop = "far away"', "audit.pop: pop is no identifier"),
        ('origin = "a+b"', "audit.origin: origin holds a plus sign"),
        ('bind = "localhost"', "audit.bind"),
        ('[audit.witnesses]\n"http://w.example" = "key"', "audit.witnesses.http://w.example: no verifier"),
        ('[audit.witnessed]\n"a.example" = ["key"]', "audit.witnessed.a.example: no verifier"),
    ],
)  # fmt: skip
def test_what_is_wrong_stops_the_start_with_its_name(audit: str, expected: str) -> None:
    message = problem(audit)
    assert expected in message
    assert message.startswith("conclave.toml:")


def test_the_sidecar_gets_its_part(tmp_path: Path) -> None:
    config = read(
        f'''folder = "/srv/audit"
socket = "/run/conclave/intake.sock"
state = "/mnt/other"
origin = "pop-1.example/audit"
users = ["4711", "root"]
witness = "pop-1.example"
witnesses = {{ "http://w.example" = "{KEY}" }}
witnessed = {{ "pop-2.example/audit" = ["{KEY}"] }}'''
    )
    made = sidecar_config(config, listener=7, lifeline=True)
    assert made.log == Path("/srv/audit/log")
    assert made.state == Path("/mnt/other")
    assert made.key == Path("/srv/audit/signing.key")
    assert made.witness_key == Path("/srv/audit/witness.key")
    assert made.socket == Path("/run/conclave/intake.sock")
    assert made.users == {os.getuid(), 4711, 0}
    assert made.witnesses == (("http://w.example", KEY),)
    assert made.witnessed == {"pop-2.example/audit": (KEY,)}
    assert (made.listener, made.lifeline, made.origin) == (7, True, "pop-1.example/audit")


def test_a_user_that_does_not_exist_stops_the_start() -> None:
    with pytest.raises(LocalError) as caught:
        sidecar_config(read('users = ["no-such-user"]'))
    assert caught.value.code == "user_unknown"


def test_the_sidecar_needs_no_secret(tmp_path: Path) -> None:
    path = tmp_path / "conclave.toml"
    path.write_text('[keys.prod]\nsecret_file = "/nowhere"\n[http]\ncertificate = "/nowhere"\n')
    assert load(path, secrets=False).keys == {}
    with pytest.raises(ConfigError):
        load(path)


def test_who_is_no_witness_has_no_key_for_it() -> None:
    assert sidecar_config(read("")).witness_key is None


def test_a_child_is_told_what_the_server_knows() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = launch(read('pop = "ams"\nusers = ["0"]\norigin = "example.org/log"'), listener)
        assert told.config.listener == listener.fileno()
        assert (told.config.lifeline, told.config.origin) == (True, "example.org/log")
        assert (told.level, told.config.users >= {0}) == ("info", True)
        assert Launch.decode(told.encode()) == told
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(LocalError):
        launch(read('users = ["no-such-user"]'), listener)


def test_everything_that_a_sidecar_can_be_told_arrives() -> None:
    config = SidecarConfig(
        **{
            name: Path(f"/{name}")
            for name in ("log", "state", "key", "socket", "snapshots", "index")
        },
        origin="example.org/log",
        users=frozenset({0, 7}),
        port=1,
        listener=2,
        lifeline=True,
        witness_key=Path("/witness.key"),
        witness_name="w",
        witnessed={"other": ("a", "b")},
        witnesses=(("https://w.example", "key"),),
        authority=Authority("https://t.example", Path("/roots.pem"), 60.0),
    )
    told = Launch(config, "debug", as_json=True)
    assert told.encode().count(b"\n") == 1
    assert Launch.decode(told.encode()) == told


def test_a_configuration_is_named_without_its_secrets() -> None:
    master, config = new_key(), read("")
    hashed = configuration_hash(config, master)
    assert hashed == configuration_hash(config, master)
    other = replace(config, keys={"prod": Redacted(SECRET[::-1])})
    assert hashed != configuration_hash(other, master)
    assert hashed != configuration_hash(read("timeout = 1.0"), master)
    # Without the key nobody can try secrets until the hash fits.
    assert hashed != configuration_hash(config, new_key())

"""`conclave doctor` on real networks: ten planted faults, each found by its code with its remedy beside it.

Every test breaks one thing of a set-up that the first test shows to be healthy: client -- router with coturn --
server. The doctor runs where an operator would run it: on the server, or with `--url` on the client.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.support.certificates import Certificate, make_certificate
from tests.support.coturn import SAFE, TURN_SECRET, Addresses, start_coturn
from tests.support.networks import Host, Network, needs_root, routed
from tests.support.servers import (
    CONCLAVE,
    KEY,
    SECRET,
    Sections,
    Server,
    at,
    configuration,
    serve,
)

pytestmark = [pytest.mark.timeout(90), needs_root]

OUTSIDE, INSIDE = "198.51.100", "203.0.113"
SERVER, ROUTER = f"{INSIDE}.2", f"{OUTSIDE}.1"
MEDIA_PORT = 7882
NO_FORCE = ["setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin"]
HOUR = 3600


@dataclass(frozen=True)
class Place:
    """The network, up and running, and a folder that tests share."""

    client: Host
    router: Host
    server: Host
    certificate: Certificate
    folder: Path

    def config(
        self, *more: Sections, port: int = 7880, addresses: tuple[str, ...] = (SERVER,)
    ) -> Path:
        """A configuration file of the server."""
        path = self.folder / f"doctor-{port}.toml"
        data = self.folder / "data-doctor"
        path.write_text(configuration(data, at(SERVER, addresses, port=port), *more))
        return path

    def serve(self, *more: Sections, port: int = 7880, wrapper: Sequence[str] = ()) -> Server:
        """A server with such a configuration, which runs until the end."""
        data = self.folder / f"server-{port}"
        text = configuration(data, at(SERVER, [SERVER], port=port), *more)
        return serve(data, text, on=self.server, wrapper=wrapper)


def turn(*, secret: str = TURN_SECRET, port: int = 3478) -> Sections:
    """The `[turn]` section."""
    urls = [f"turn:{ROUTER}:{port}?transport=udp", f"turn:{ROUTER}:{port}?transport=tcp"]
    return {"turn": {"urls": urls, "secret": secret}}


def tls(made: Certificate) -> Sections:
    """HTTPS with a certificate."""
    return {"http": {"certificate": str(made.certificate), "private_key": str(made.key)}}


@dataclass(frozen=True)
class Report:
    """What a doctor said."""

    exit_code: int
    findings: dict[str, dict[str, str]]  # code -> finding, of what is not well
    seen: list[str]  # checks that were well

    def fault(self, code: str) -> dict[str, str]:
        """The fault with that code, which has to make the command fail."""
        assert self.exit_code == 3
        assert code in self.findings, self
        assert self.findings[code]["verdict"] == "fault"
        return self.findings[code]


def doctor(host: Host, *arguments: str | Path, wrapper: tuple[str, ...] = ()) -> Report:
    keys = {"CONCLAVE_API_KEY": KEY, "CONCLAVE_API_SECRET": SECRET}
    result = host.run(*wrapper, CONCLAVE, "doctor", *arguments, "--json", **keys)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert lines, result.stderr
    bad = [line for line in lines if line.get("verdict") in ("warning", "fault")]
    bad.sort(key=lambda line: line["verdict"] == "fault")  # of two with one code, the fault counts
    # Whether a test machine runs an NTP client is not this test's affair.
    found = {line["code"]: line for line in bad if line["code"] != "clock_unsynchronised"}
    seen = [line["check"] for line in lines if line.get("verdict") == "ok"]
    return Report(result.returncode, found, seen)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("doctor")
    certificate = make_certificate(folder / "turn-tls", ROUTER)
    with Network() as network:
        client, router, server = routed(network, INSIDE, OUTSIDE)
        addresses = Addresses(ROUTER, f"{INSIDE}.1", SERVER)
        coturn = start_coturn(router, folder, addresses, certificate)
        yield Place(client, router, server, certificate, folder)
        coturn.terminate()
        coturn.wait()


@pytest.fixture(scope="module")
def url(place: Place) -> str:
    """A healthy server that runs."""
    return place.serve(turn()).url


def test_a_healthy_server_has_no_finding_seen_from_a_client(place: Place, url: str) -> None:
    report = doctor(place.client, "--url", url)
    assert (report.exit_code, report.findings) == (0, {})
    assert report.seen.count("turn_path") == 2
    assert {"media_path", "turn_allocation", "media_sound", "media_picture"} <= set(report.seen)
    assert "clock" in report.seen


def test_a_healthy_server_has_no_finding_on_its_own_machine(place: Place) -> None:
    report = doctor(place.server, "--config", place.config(turn(), port=7980))
    assert (report.exit_code, report.findings) == (0, {})
    assert report.seen.count("turn_path") == 2
    assert {"http_port", "media_port", "media_picture"} <= set(report.seen)


def test_a_wrong_announced_address(place: Place) -> None:
    url = place.serve({"media": {"announced": {SERVER: f"{INSIDE}.99"}}}, port=7895).url
    fault = doctor(place.client, "--url", url).fault("announced_address_wrong")
    assert f"{INSIDE}.99:7897" in fault["message"]
    assert "media.announced" in fault["remedy"]
    assert SERVER in fault["remedy"]


def test_a_blocked_udp_port(place: Place, url: str) -> None:
    without_turn = place.serve(port=7880 + 10).url
    rules = [
        f"INPUT -p udp --dport {MEDIA_PORT}:{MEDIA_PORT + 10} -s {OUTSIDE}.0/24 -j DROP",
        f"INPUT -p tcp --dport {MEDIA_PORT + 9} -s {OUTSIDE}.0/24 -j DROP",
    ]
    try:
        for rule in rules:
            place.server.must(f"iptables -A {rule}")
        direct = doctor(place.client, "--url", without_turn)
        relayed = doctor(place.client, "--url", url)
    finally:
        for rule in rules:
            place.server.must(f"iptables -D {rule}")
    fault = direct.fault("udp_blocked")
    assert f"{SERVER}:{MEDIA_PORT + 10} (silent)" in fault["message"]
    assert f"Let UDP to {SERVER}:{MEDIA_PORT + 10} through" in fault["remedy"]
    assert "set up TURN" in fault["remedy"]
    assert (relayed.exit_code, list(relayed.findings)) == (0, ["udp_blocked"])
    assert "media goes through TCP or TURN" in relayed.findings["udp_blocked"]["message"]


@pytest.fixture
def small_buffers() -> Iterator[None]:
    """The kernel's bound as Debian has it, for the length of a test."""
    path = Path("/proc/sys/net/core/rmem_max")
    before = path.read_text()
    path.write_text("212992")
    try:
        yield
    finally:
        path.write_text(before)


@pytest.mark.usefixtures("small_buffers")
def test_tiny_socket_buffers(place: Place) -> None:
    path = place.config(port=7985)
    fault = doctor(place.server, "--config", path, wrapper=tuple(NO_FORCE)).fault(
        "socket_buffer_small"
    )
    assert "212992 of 16777216" in fault["message"]
    assert "sysctl -w net.core.rmem_max=16777216" in fault["remedy"]


@pytest.fixture(scope="module")
def wrong_clock(place: Place) -> list[str]:
    """Runs a command with a wall clock five hours behind."""
    library = place.folder / "skewed.so"
    source = Path(__file__).parents[1] / "support/skewed_clock.c"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return ["env", f"LD_PRELOAD={library}", f"CLOCK_SKEW={-5 * HOUR}"]


def test_a_wrong_clock(place: Place, wrong_clock: list[str]) -> None:
    url = place.serve(turn(), port=7900, wrapper=wrong_clock).url
    fault = doctor(place.client, "--url", url).fault("clock_wrong")
    assert "ahead of the HTTP Date" in fault["message"]
    assert "date -u" in fault["remedy"]


def test_credentials_that_ended_before_they_were_given(
    place: Place, wrong_clock: list[str]
) -> None:
    path = place.config(turn(), port=7910)
    fault = doctor(place.server, "--config", path, wrapper=tuple(wrong_clock)).fault(
        "turn_credentials_expired"
    )
    assert "NTP" in fault["remedy"]


@pytest.mark.parametrize(
    ("name", "expired", "code"),
    [
        ("elsewhere.example", False, "certificate_name_mismatch"),
        (SERVER, True, "certificate_expired"),
    ],
    ids=["name", "expired"],
)
def test_a_certificate_that_clients_refuse(
    place: Place, name: str, expired: bool, code: str
) -> None:
    made = make_certificate(place.folder / code, name, expired=expired)
    url = place.serve(tls(made), port=7920 if expired else 7930).url
    assert url.startswith("https://")
    trusting = ("env", f"SSL_CERT_FILE={made.certificate}")
    fault = doctor(place.client, "--url", url, wrapper=trusting).fault(code)
    assert ("subjectAltName" in fault["remedy"]) or ("Renew" in fault["remedy"])


def test_a_certificate_with_another_key(place: Place) -> None:
    one, other = (make_certificate(place.folder / f"key-{n}", SERVER) for n in (1, 2))
    path = place.config(tls(replace(one, key=other.key)), port=7940)
    fault = doctor(place.server, "--config", path).fault("certificate_key_mismatch")
    assert "http.private_key" in fault["remedy"]


def test_an_unreachable_turn_server(place: Place) -> None:
    path = place.config(turn(port=3999), port=7950)
    report = doctor(place.server, "--config", path)
    fault = report.fault("turn_unreachable")
    assert f"turn:{ROUTER}:3999" in fault["message"]
    assert "port 3999" in fault["remedy"]
    assert "media_picture" in report.seen, "calls that need no relay work all the same"


def test_a_wrong_turn_secret(place: Place) -> None:
    path = place.config(turn(secret="not the secret that coturn was given"), port=7960)
    fault = doctor(place.server, "--config", path).fault("turn_secret_wrong")
    assert "static-auth-secret" in fault["remedy"]


def test_a_turn_server_that_works_but_not_as_it_should(place: Place, tmp_path: Path) -> None:
    """Four ways at once: untrusted TLS, a peer that it denies, an open relay, a firewall behind it."""
    media = f"{INSIDE}.3"
    text = "\n".join(
        line for line in SAFE.read_text().splitlines() if not line.startswith("denied-peer-ip")
    )
    text = text.replace("port=3478", "port=3488").replace("port=5349", "port=5359")
    addresses = Addresses(ROUTER, f"{INSIDE}.1", media)
    lax = start_coturn(
        place.router, tmp_path, addresses, place.certificate, text=text, ports=(3488, 5359)
    )
    urls = [f"turns:{ROUTER}:5349", f"turn:{ROUTER}:3478", f"turn:{ROUTER}:3488"]
    place.server.ip(f"address add {media}/32 dev lo")
    place.server.must(f"iptables -A INPUT -s {INSIDE}.1 -d {media} -p udp -j DROP")
    relays: Sections = {"turn": {"urls": urls, "secret": TURN_SECRET}}
    path = place.config(relays, port=7975, addresses=(media,))
    report = doctor(place.server, "--config", path)
    lax.terminate()
    lax.wait()
    assert "clients trust" in report.fault("turn_certificate")["remedy"]
    assert f"allowed-peer-ip={media}" in report.fault("turn_peer_denied")["remedy"]
    assert (
        f"Let UDP from the TURN server ({INSIDE}.1)" in report.fault("turn_path_blocked")["remedy"]
    )
    assert "denied-peer-ip" in report.findings["turn_open_relay"]["remedy"]


def test_a_port_in_use(place: Place, url: str) -> None:
    assert url.endswith(":7880")
    fault = doctor(place.server, "--config", place.config()).fault("port_in_use")
    assert "ss -lnp" in fault["remedy"]


def test_an_announced_ipv6_address_without_a_route(place: Place) -> None:
    six = "2001:db8:77::2"
    place.server.ip(f"address add {six}/64 dev lo nodad")
    try:
        path = place.config(port=7970, addresses=(SERVER, six))
        report = doctor(place.server, "--config", path)
    finally:
        place.server.ip(f"address delete {six}/64 dev lo")
    fault = report.fault("ipv6_no_route")
    assert six in fault["message"]
    assert "default route" in fault["remedy"]


def test_a_weak_secret(place: Place) -> None:
    path = place.folder / "weak.toml"
    path.write_text(f'[keys.{KEY}]\nsecret = "hunter2"\n')
    fault = doctor(place.server, "--config", path).fault("weak_secret")
    assert "openssl rand" in fault["remedy"]


def test_people_read_the_code_and_the_remedy_below_it(place: Place) -> None:
    path = place.folder / "weak.toml"
    path.write_text(f'[keys.{KEY}]\nsecret = "hunter2"\n')
    result = place.server.run(CONCLAVE, "doctor", "--config", path)
    assert result.returncode == 3
    lines = result.stdout.splitlines()
    assert lines[0].startswith("✗ weak_secret: line 1: keys.testkey:")
    assert lines[1].strip() == "Make one with: openssl rand -base64 48"
    assert lines[2] == "1 fault"
    assert "hunter2" not in result.stdout

"""Workarounds for clients, told apart by what they say about themselves."""

import pytest

from sfu.model import ClientFacts
from signalling import clients

AGENTS = {
    "chrome": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
    "edge": "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/131.0 Safari/537.36 Edg/131.0.1",
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "safari": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605 Version/18.4 Safari/605",
}


@pytest.mark.parametrize("name", AGENTS)
def test_browsers_are_known_by_their_user_agent(name: str) -> None:
    facts = clients.facts_of_query({"sdk": "js"}, AGENTS[name])
    assert facts.browser == name
    assert facts.os in ("linux", "windows", "macos")
    assert facts.browser_version


def test_what_a_client_says_wins_over_its_user_agent() -> None:
    facts = clients.facts_of_query({"sdk": "js", "browser": "Vivaldi"}, AGENTS["chrome"])
    assert facts.browser == "vivaldi"


def test_native_clients_have_no_browser() -> None:
    assert clients.facts_of_query({"sdk": "ios"}, AGENTS["safari"]).browser == ""


def test_safari_neither_publishes_vp9_nor_does_av1() -> None:
    safari = clients.facts_of_query({"sdk": "js"}, AGENTS["safari"])
    codecs = clients.publish_codecs(safari)
    assert "video/AV1" not in codecs
    assert "video/VP9" not in codecs
    message = clients.configuration(safari)
    assert message is not None
    assert [codec.mime for codec in message.disabled_codecs.codecs] == ["video/AV1"]
    assert [codec.mime for codec in message.disabled_codecs.publish] == ["video/VP9"]


@pytest.mark.parametrize(
    "client",
    [
        ClientFacts(sdk="js", browser="firefox", os="linux"),
        ClientFacts(sdk="android", os="android", device_model="Xiaomi 2201117TI"),
    ],
)
def test_clients_with_broken_h264_do_not_publish_it(client: ClientFacts) -> None:
    assert "video/H264" not in clients.publish_codecs(client)


def test_video_codecs_come_before_audio_codecs() -> None:
    kinds = [mime.split("/")[0] for mime in clients.publish_codecs(ClientFacts())]
    assert kinds == sorted(kinds, reverse=True)


def test_ordinary_clients_need_no_configuration() -> None:
    assert clients.configuration(clients.facts_of_query({"sdk": "js"}, AGENTS["chrome"])) is None


def test_early_clients_are_spared_what_stops_them() -> None:
    assert not clients.resumes(ClientFacts(sdk="js", version="1.6.2"))
    assert clients.resumes(ClientFacts(sdk="js", version="1.6.3"))
    assert clients.resumes(ClientFacts(sdk="js", version="dev"))
    assert not clients.takes_request_response(ClientFacts(sdk="rust", protocol=9))
    assert clients.takes_request_response(ClientFacts(sdk="js", protocol=9))


def test_long_facts_are_cut() -> None:
    facts = clients.facts_of_query({"version": "9" * 10_000, "protocol": "9" * 10_000}, "")
    assert len(facts.version) == 256
    assert facts.protocol == 0

"""What clients can and cannot do: facts from queries and `ClientInfo`, and the workarounds they need.

In: what a client said. Out: bounded `ClientFacts`, codecs it may publish, its configuration. Must not: grant
anything, since everything here is unauthenticated talk.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from livekit.protocol import models

from sfu.model import ClientFacts
from signalling.limits import MAX_CAPABILITIES, MAX_CLIENT_FACT

# Query spellings that differ from the enumeration's.
_SDK_ALIASES: Final = {"ios": "swift", "unityweb": "unity_web", "reactnative": "react_native"}
_WEB_SDKS: Final = frozenset({"js", "react_native", "flutter", "unity", "unity_web"})

# Video first: Flutter 2.4.2 relies on it.
PUBLISH_CODECS: Final = (
    "video/VP8",
    "video/H264",
    "video/VP9",
    "video/AV1",
    "audio/opus",
    "audio/red",
)

_XIAOMI_WITHOUT_H264: Final = "xiaomi 2201117ti"
_BROWSERS: Final = (  # first match wins: later ones are named by the earlier ones too
    ("edge", re.compile(r"Edg(?:e|A|iOS)?/([\d.]+)")),
    ("opera", re.compile(r"OPR/([\d.]+)")),
    ("firefox", re.compile(r"(?:Firefox|FxiOS)/([\d.]+)")),
    ("chrome", re.compile(r"(?:Chrome|CriOS)/([\d.]+)")),
    ("safari", re.compile(r"Version/([\d.]+).*Safari/")),
)
_SYSTEMS: Final = (
    ("android", "Android"),
    ("ios", "iPhone"),
    ("ios", "iPad"),
    ("windows", "Windows"),
    ("macos", "Mac OS X"),
    ("linux", "Linux"),
)


def facts_of_query(query: Mapping[str, str], user_agent: str) -> ClientFacts:
    """The client of a v0 join, from its query parameters."""
    capability = models.ClientInfo.Capability
    names = [name for name in query.get("capabilities", "").split(",") if name]
    known = [capability.Value(name) for name in names if name in capability.keys()]
    sdk = query.get("sdk", "").lower()
    facts = ClientFacts(
        sdk=_bounded(_SDK_ALIASES.get(sdk, sdk)),
        version=_bounded(query.get("version", "")),
        protocol=_number(query.get("protocol", "")),
        client_protocol=_number(query.get("client_protocol", "")),
        os=_bounded(query.get("os", "")),
        browser=_bounded(query.get("browser", "")),
        browser_version=_bounded(query.get("browser_version", "")),
        device_model=_bounded(query.get("device_model", "")),
        capabilities=tuple(known[:MAX_CAPABILITIES]),
    )
    return _with_browser(facts, user_agent)


def facts_of_message(info: models.ClientInfo, user_agent: str) -> ClientFacts:
    """The client of a v1 join, from its `ClientInfo`."""
    sdks = models.ClientInfo.SDK
    facts = ClientFacts(
        sdk=sdks.Name(info.sdk).lower() if info.sdk in sdks.values() else "",
        version=_bounded(info.version),
        protocol=max(0, info.protocol),
        client_protocol=max(0, info.client_protocol),
        os=_bounded(info.os),
        browser=_bounded(info.browser),
        browser_version=_bounded(info.browser_version),
        device_model=_bounded(info.device_model),
        capabilities=tuple(info.capabilities[:MAX_CAPABILITIES]),
    )
    return _with_browser(facts, user_agent)


def browser_of(user_agent: str) -> tuple[str, str, str]:
    """(browser, version, system) of a User-Agent header, lower case; empty where unknown."""
    system = next((name for name, mark in _SYSTEMS if mark in user_agent), "")
    for name, pattern in _BROWSERS:
        if match := pattern.search(user_agent):
            return name, match.group(1), system
    return "", "", system


def publish_codecs(client: ClientFacts, enabled: Sequence[str] = PUBLISH_CODECS) -> list[str]:
    """Mime types that this client may publish, in order of preference."""
    refused = set(_disabled(client)) | set(_disabled_publish(client))
    return [mime for mime in enabled if mime not in refused]


def configuration(client: ClientFacts) -> models.ClientConfiguration | None:
    """What the client is told about its own weaknesses; `None` when there is nothing to say."""
    both, publish = _disabled(client), _disabled_publish(client)
    if not both and not publish:
        return None
    message = models.ClientConfiguration()
    message.disabled_codecs.codecs.extend(models.Codec(mime=mime) for mime in both)
    message.disabled_codecs.publish.extend(models.Codec(mime=mime) for mime in publish)
    return message


def takes_request_response(client: ClientFacts) -> bool:
    """Rust clients before protocol 10 stop at responses that they don't know."""
    return client.sdk != "rust" or client.protocol >= 10


takes_track_subscribed = takes_request_response


def resumes(client: ClientFacts) -> bool:
    """Early JS clients treat `reconnect` as an error; they have to join anew."""
    return client.sdk != "js" or version_of(client.version) >= (1, 6, 3)


def version_of(text: str) -> tuple[int, ...]:
    """The leading numbers of a dotted version; unreadable ones count as new."""
    numbers = re.match(r"\d{1,6}(?:\.\d{1,6}){0,3}", text)
    return tuple(int(part) for part in numbers.group().split(".")) if numbers else (2**31,)


def _disabled(client: ClientFacts) -> list[str]:
    return ["video/AV1"] if client.browser == "safari" else []


def _disabled_publish(client: ClientFacts) -> list[str]:
    refused = []
    if client.browser == "safari" and version_of(client.browser_version) > (18, 3):
        refused.append("video/VP9")
    firefox = client.browser == "firefox" and client.os in ("linux", "android")
    if firefox or (client.os == "android" and client.device_model.lower() == _XIAOMI_WITHOUT_H264):
        refused.append("video/H264")
    return refused


def _with_browser(facts: ClientFacts, user_agent: str) -> ClientFacts:
    browser, browser_version, system = facts.browser, facts.browser_version, facts.os
    if facts.sdk in _WEB_SDKS and not browser:
        browser, browser_version, derived = browser_of(user_agent[:1024])
        system = system or derived
    return ClientFacts(
        sdk=facts.sdk,
        version=facts.version,
        protocol=facts.protocol,
        client_protocol=facts.client_protocol,
        os=system.lower(),
        browser=browser.lower(),
        browser_version=browser_version,
        device_model=facts.device_model,
        capabilities=facts.capabilities,
    )


def _bounded(text: str) -> str:
    return text[:MAX_CLIENT_FACT]


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0

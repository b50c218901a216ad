"""What a client asks for when it connects: v0 query parameters or a v1 join request, read liberally.

In: the query string and the User-Agent. Out: `JoinParams`, or RemoteError (query_malformed,
join_request_malformed, join_request_too_long, attributes_malformed). Must not: check tokens or touch rooms.
"""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from common.errors import RemoteError
from sfu.model import ClientFacts
from signalling.clients import facts_of_message, facts_of_query
from signalling.limits import (
    MAX_ATTRIBUTES_QUERY,
    MAX_JOIN_REQUEST,
    MAX_NAME,
    MAX_PENDING_TRACKS_AT_JOIN,
    MAX_QUERY_PARAMETERS,
)

_TRUE: Final = frozenset({"1", "true", "t", "yes"})
_FALSE: Final = frozenset({"0", "false", "f", "no"})
_GZIP: Final = 31  # zlib's window bits for a gzip wrapper
_NOT_BASE64: Final = re.compile(r"[^A-Za-z0-9+/]")


@dataclass(frozen=True, slots=True)
class JoinParams:
    """A connection request."""

    client: ClientFacts = field(default_factory=ClientFacts)
    single_connection: bool = False
    auto_subscribe: bool = True
    adaptive_stream: bool = False
    reconnect: bool = False
    participant_sid: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    twin: str = ""  # makes the publish-only twin of a participant
    add_tracks: tuple[rtc.AddTrackRequest, ...] = ()
    publisher_offer: rtc.SessionDescription | None = None
    sync_state: rtc.SyncState | None = None


def parse_query(raw: bytes) -> dict[str, str]:
    """Splits a query string; empty segments are skipped, the first of repeated names counts."""
    found: dict[str, str] = {}
    text = raw.decode("latin-1")
    for segment in text.split("&"):
        if not segment:
            continue
        name, _, value = segment.partition("=")
        found.setdefault(unquote_plus(name), unquote_plus(value))
        if len(found) > MAX_QUERY_PARAMETERS:
            raise RemoteError("query_malformed", "too many query parameters")
    return found


def parse_join(query: Mapping[str, str], user_agent: str, *, v1: bool) -> JoinParams:
    """Reads a request; `v1` is the path that demands a join request, elsewhere one is welcome."""
    wrapped = query.get("join_request", "")
    if wrapped:
        return _of_message(decode_join_request(wrapped), query, user_agent)
    if v1:
        raise RemoteError("join_request_malformed", "join_request is missing")
    return _of_query(query, user_agent)


def decode_join_request(text: str) -> rtc.JoinRequest:
    """Undoes base64 (either alphabet, damaged padding, spaces for plus signs) and gzip."""
    data = _decode_base64(text)
    if data is None:
        raise RemoteError("join_request_malformed", "join_request is not base64")
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(data)
        inner = wrapped.join_request
        if wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP:
            inner = _gunzip(inner)
        return rtc.JoinRequest.FromString(inner)
    except (DecodeError, zlib.error) as error:
        raise RemoteError("join_request_malformed", "join_request cannot be read") from error


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    plain = unpacker.decompress(data, MAX_JOIN_REQUEST + 1)
    if len(plain) > MAX_JOIN_REQUEST:
        raise RemoteError("join_request_too_long", "join_request is too long when unpacked")
    if not unpacker.eof:
        raise RemoteError("join_request_malformed", "join_request is cut off")
    return plain


def _decode_base64(text: str) -> bytes | None:
    plain = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=\r\n")
    if _NOT_BASE64.search(plain):
        return None
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except (binascii.Error, ValueError):
        return None


def _of_message(request: rtc.JoinRequest, query: Mapping[str, str], user_agent: str) -> JoinParams:
    settings = request.connection_settings
    offer = request.publisher_offer if request.HasField("publisher_offer") else None
    return JoinParams(
        client=facts_of_message(request.client_info, user_agent),
        single_connection=True,
        auto_subscribe=settings.auto_subscribe,  # no default of true here, unlike in queries
        adaptive_stream=settings.adaptive_stream,
        reconnect=request.reconnect,
        participant_sid=request.participant_sid[:MAX_NAME],
        metadata=request.metadata,
        attributes={**_attributes(query), **request.participant_attributes},
        twin=query.get("publish", "")[:MAX_NAME],
        add_tracks=tuple(request.add_track_requests[:MAX_PENDING_TRACKS_AT_JOIN]),
        publisher_offer=offer if offer is not None and offer.sdp else None,
        sync_state=request.sync_state if request.HasField("sync_state") else None,
    )


def _of_query(query: Mapping[str, str], user_agent: str) -> JoinParams:
    return JoinParams(
        client=facts_of_query(query, user_agent),
        auto_subscribe=_flag(query, "auto_subscribe", True),
        adaptive_stream=_flag(query, "adaptive_stream", False),
        reconnect=_flag(query, "reconnect", False),
        participant_sid=query.get("sid", "")[:MAX_NAME],
        attributes=_attributes(query),
        twin=query.get("publish", "")[:MAX_NAME],
    )


def _flag(query: Mapping[str, str], name: str, default: bool) -> bool:
    value = query.get(name, "").lower()
    if value in _TRUE:
        return True
    return False if value in _FALSE else default


def _attributes(query: Mapping[str, str]) -> dict[str, str]:
    text = query.get("attributes", "")
    if not text:
        return {}
    data = _decode_base64(text) if len(text) <= 2 * MAX_ATTRIBUTES_QUERY else None
    try:
        found = json.loads(data or b"")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise RemoteError("attributes_malformed", "attributes are no base64 of a JSON object")
    if any(
        "\ud800" <= mark <= "\udfff" for pair in found.items() for text in pair for mark in text
    ):
        raise RemoteError("attributes_malformed", "attributes hold half a character")
    return found

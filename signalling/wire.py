"""Frames of the signalling socket: bytes or text to typed requests, responses to bytes or text.

In: a frame. Out: a `SignalRequest`, or RemoteError `signal_malformed`; any other exception is a bug. Unknown
fields and values are tolerated, as proto3 asks. Must not: know states or sockets.
"""

from typing import Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from common.errors import RemoteError
from signalling.limits import MAX_JSON_DEPTH, MAX_SIGNAL_MESSAGE

REQUEST_KINDS: Final = tuple(
    field.name for field in rtc.SignalRequest.DESCRIPTOR.oneofs_by_name["message"].fields
)
UNKNOWN: Final = "unknown"  # the kind of a request whose oneof we don't know (a newer client's)


class Outbound:
    """A response that may go to many: serialised at most once per format."""

    __slots__ = ("_binary", "_text", "message")

    def __init__(self, message: rtc.SignalResponse) -> None:
        """`message` must not change any more."""
        self.message = message
        self._binary: bytes | None = None
        self._text: str | None = None

    @property
    def kind(self) -> str:
        """Name of the response, such as `join`."""
        return self.message.WhichOneof("message") or UNKNOWN

    def binary(self) -> bytes:
        """For clients that speak protobuf."""
        if self._binary is None:
            self._binary = self.message.SerializeToString()
        return self._binary

    def text(self) -> str:
        """For clients that speak JSON (camel case, as protojson writes it)."""
        if self._text is None:
            self._text = json_format.MessageToJson(self.message, indent=None)
        return self._text


def decode_request(frame: bytes | str) -> rtc.SignalRequest:
    """Reads one frame: binary is protobuf, text is its JSON form. Raises RemoteError `signal_malformed`."""
    if len(frame) > MAX_SIGNAL_MESSAGE:
        raise RemoteError("signal_too_long", "the message is too long")
    request = rtc.SignalRequest()
    try:
        if isinstance(frame, bytes):
            request.MergeFromString(frame)
        else:
            json_format.Parse(
                frame, request, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH
            )
    # The JSON reader of protobuf lets some of Python's own errors through.
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise RemoteError("signal_malformed", "the message cannot be read") from error
    return request


def kind_of(request: rtc.SignalRequest) -> str:
    """Name of the request, such as `offer`; `unknown` for one of a newer protocol."""
    return request.WhichOneof("message") or UNKNOWN

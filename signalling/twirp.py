"""Twirp: remote calls over POST, in protobuf or JSON, with errors as JSON.

In: HTTP requests below `/twirp/`. Out: the response in the request's format, or an error as Twirp has it.
Must not: know what any call does; services are tables of methods.
"""

from __future__ import annotations

import inspect
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.clock import Clock
from common.errors import RemoteError
from compliance.events import Target
from signalling.acts import Unrecorded
from signalling.addresses import Proxies, rate_key
from signalling.admission import BEARER, Authorizer
from signalling.grants import Grants
from signalling.ledger import Ledger
from signalling.limits import API_RATE, MAX_JSON_DEPTH, Rate
from signalling.ports import Act
from signalling.rates import KeyedBuckets

STATUS: Final[Mapping[str, int]] = {
    "canceled": 408,
    "invalid_argument": 400,
    "malformed": 400,
    "deadline_exceeded": 408,
    "not_found": 404,
    "bad_route": 404,
    "already_exists": 409,
    "aborted": 409,
    "permission_denied": 403,
    "unauthenticated": 401,
    "resource_exhausted": 429,
    "failed_precondition": 412,
    "internal": 500,
    "unimplemented": 501,
    "unavailable": 503,
}
# Refusals of the layers below, in Twirp's words; the precise code travels as `meta.reason`.
_CODES: Final[Mapping[str, str]] = {
    "limit_exceeded": "invalid_argument",
    "room_full": "resource_exhausted",
    "draining": "unavailable",
    "room_ended": "unavailable",
    "audit_unavailable": "unavailable",
    "audit_timeout": "unavailable",
    "audit_refused": "unavailable",
}
# Services of LiveKit that this server may be asked for and does not have.
_ABSENT: Final = frozenset(
    f"livekit.{name}" for name in ("Egress", "Ingress", "SIP", "AgentDispatchService", "Connector")
)
_JSON: Final = "application/json"
_PROTOBUF: Final = "application/protobuf"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method: it gets the caller's grants and the request, and checks the grants itself.

    `record` makes the act that has to be on record before the call may happen, with the same checks, or says why
    there is none.
    """

    request: type[Message]
    call: Callable[[Grants, Any], Message | Awaitable[Message]]
    record: Callable[[Grants, Any], Act | None] | Unrecorded


Services = Mapping[str, Mapping[str, Rpc]]  # full service name -> method -> how


class Twirp:
    """An ASGI application to be mounted at `/twirp`."""

    def __init__(
        self,
        services: dict[str, Mapping[str, Rpc]],
        authorizer: Authorizer,
        clock: Clock,
        proxies: Proxies,
        ledger: Ledger,
        *,
        refusals: Counter[str],
        rate: Rate = API_RATE,
    ) -> None:
        """`services` may get more entries before serving; refusals are counted as `twirp_<code>`."""
        self.services = services
        self._authorizer = authorizer
        self._clock = clock
        self._proxies = proxies
        self._ledger = ledger
        self._refusals = refusals
        self._rates = KeyedBuckets(rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except RemoteError as error:
            response = self._refuse(error)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        key = rate_key(self._proxies.client_address(request.scope))
        if not self._rates.take(key, self._clock.now()):
            raise RemoteError("resource_exhausted", "too many calls from this address")
        rpc = self._find(request)
        grants = self._authenticate(request)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        message = _decode(await request.body(), content_type, rpc.request)
        return _encode(await self._perform(rpc, grants, message), content_type)

    async def _perform(self, rpc: Rpc, grants: Grants, message: Message) -> Message:
        """Records the act, then makes the call."""
        act = None if isinstance(rpc.record, Unrecorded) else rpc.record(grants, message)
        if act is None or isinstance(rpc.record, Unrecorded):
            return await _result(rpc.call(grants, message))
        recorded = await self._ledger.record(act)
        try:
            # Meanwhile somebody else may have taken the name that the call uses.
            if _targets(rpc.record(grants, message)) != _targets(act):
                raise RemoteError("aborted", "what the call is about has changed meanwhile")
            return await _result(rpc.call(grants, message))
        except RemoteError as error:
            self._ledger.abandon(recorded, error.code)
            raise

    def _find(self, request: Request) -> Rpc:
        path = request.scope["path"]
        parts = path.split("/")  # "", "twirp", service, method
        if request.method != "POST":
            raise RemoteError("bad_route", "only POST is allowed")
        if len(parts) == 4:
            service, method = parts[2:]
            if service in _ABSENT and service not in self.services:
                raise RemoteError("unimplemented", "this service is not offered")
            rpc = self.services.get(service, {}).get(method)
            if rpc is not None:
                return rpc
        raise RemoteError("bad_route", "no such service or method")

    def _authenticate(self, request: Request) -> Grants:
        token = request.query_params.get("access_token", "")
        authorization = request.headers.get("authorization")
        try:
            return self._authorizer.grants(authorization, token)
        except RemoteError as error:
            shown = (authorization or token).removeprefix(BEARER).strip()
            self._ledger.token_refused(shown, error.code)
            raise RemoteError("unauthenticated", error.message) from error

    def _refuse(self, error: RemoteError) -> Response:
        code = _CODES.get(error.code, error.code)
        if code not in STATUS:
            code = "permission_denied"  # a policy's own word
        self._refusals[f"twirp_{code}"] += 1
        meta = {} if code == error.code else {"meta": {"reason": error.code}}
        body = json.dumps({"code": code, "msg": error.message, **meta})
        return Response(body, status_code=STATUS[code], media_type=_JSON)


async def _result(result: Message | Awaitable[Message]) -> Message:
    return await result if inspect.isawaitable(result) else result


def _targets(act: Act | None) -> list[Target]:
    return [event.on for event in act.events] if act is not None else []


def _decode(body: bytes, content_type: str, kind: type[Message]) -> Message:
    message = kind()
    try:
        if content_type == _PROTOBUF:
            message.MergeFromString(body)
        elif content_type == _JSON:
            json_format.Parse(
                body, message, ignore_unknown_fields=True, max_recursion_depth=MAX_JSON_DEPTH
            )
        else:
            raise RemoteError("bad_route", "the content type is neither protobuf nor JSON")
    # The JSON reader of protobuf lets some of Python's own errors through.
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise RemoteError("malformed", "the request cannot be read") from error
    return message


def _encode(message: Message, content_type: str) -> Response:
    if content_type == _PROTOBUF:
        return Response(message.SerializeToString(), media_type=_PROTOBUF)
    text = json_format.MessageToJson(
        message,
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
        indent=None,
    )
    return Response(text, media_type=_JSON)

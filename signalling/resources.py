"""HTTP resources by hand: methods of a URL, bodies of a bounded size and one media type, entity-tags.

In: ASGI requests. Out: what a handler returns, or a problem. Must not: know what the resources are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from common.errors import RemoteError
from signalling.problems import problem

Handler = Callable[[Request], Awaitable[Response]]
# RFC 9110 section 8.8.3; a weak tag matches nothing where a strong one is asked for.
_ENTITY_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)')


class Resource:
    """An ASGI application for one URL: a handler per method."""

    def __init__(
        self, handlers: Mapping[str, Handler], refusals: Counter[str], prefix: str
    ) -> None:
        """Refusals are counted as `<prefix>_<code>`."""
        self._handlers = handlers
        self._refusals = refusals
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except RemoteError as error:
            self._refusals[f"{self._prefix}_{error.code}"] += 1
            allow = {"Allow": self._allowed} if error.code == "method_not_allowed" else None
            response = problem(error, allow)
        except ClientDisconnect:
            self._refusals[f"{self._prefix}_request_cut_off"] += 1
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        handler = self._handlers.get(request.method)
        if handler is None:
            raise RemoteError("method_not_allowed", "this resource has no such method")
        return await handler(request)

    @property
    def _allowed(self) -> str:
        return ", ".join(self._handlers)


async def read_text(request: Request, media_type: str, limit: int) -> str:
    """The body, if it is text of that media type.

    Raises RemoteError: content_type, body_too_long, sdp_malformed.
    """
    require_type(request, media_type)
    body = await read_body(request, limit)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RemoteError("sdp_malformed", "the body is not UTF-8") from error


def media_type_of(request: Request) -> str:
    """The media type of the body without its parameters, in lower case."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_type(request: Request, media_type: str) -> None:
    """Raises RemoteError `content_type` for any other."""
    if media_type_of(request) != media_type:
        raise RemoteError("content_type", f"the body has to be {media_type}")


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises RemoteError `body_too_long` before it takes more memory than that."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise RemoteError("body_too_long", f"the body is longer than {limit} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RemoteError("body_too_long", f"the body is longer than {limit} bytes")
    return bytes(body)


def require_match(request: Request, current: str) -> None:
    """The If-Match rule of RFC 9110 section 13.1.1, where RFC 6585 makes the header obligatory.

    Raises RemoteError: precondition_required, precondition_failed.
    """
    headers = request.headers.getlist("if-match")
    if not headers:
        raise RemoteError("precondition_required", "If-Match is missing")
    text = ",".join(headers).strip()
    # RFC 9725's own examples put the star into quotes.
    if text not in ("*", '"*"') and current not in strong_tags(text):
        raise RemoteError("precondition_failed", "the ICE session is another one by now")


def strong_tags(text: str) -> list[str]:
    """The strong entity-tags of a list; nothing of a list that is malformed."""
    tags = []
    position = 0
    while position < len(text):
        found = _ENTITY_TAG.match(text, position)
        if found is None:
            return []
        if not found.group(1):
            tags.append(found.group(2))
        position = found.end()
    return tags

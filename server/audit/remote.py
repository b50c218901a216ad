"""A running server's audit log, read over HTTP for the command line.

In: a URL, a token, what is wanted. Out: entries, receipts, exports as they come. Must not: take a stream that
broke off for one that ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, BinaryIO, Final, Self
from urllib.parse import urlsplit

import httpx

from common.errors import ConclaveError, LocalError, RemoteError
from compliance.exports import Format

PATIENCE: Final = (
    60.0  # seconds without a byte; a stream that follows shows a sign of life each fifteen
)
CHUNK: Final = 64 * 1024  # bytes
MAX_BODY: Final = 8 * 1024 * 1024  # bytes of one answer that is no stream
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry as it came."""

    index: int
    entry: dict[str, Any]


class RemoteLog:
    """The log behind a server's `/v1/audit`."""

    def __init__(self, url: str, token: str, transport: httpx.BaseTransport | None = None) -> None:
        """`token` has the role `auditor`. Raises LocalError `url_malformed`."""
        try:
            self._client = httpx.Client(
                base_url=url.rstrip("/"),
                headers={"Authorization": f"Bearer {token}"},
                timeout=PATIENCE,
                transport=transport,
                trust_env=not _is_here(url),  # no proxy leads to this machine
            )
        except (httpx.InvalidURL, ValueError) as error:
            raise LocalError("url_malformed", "the address of the server cannot be read") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def latest(self, query: Query, count: int) -> tuple[list[Shown], str]:
        """The last entries that fit, oldest first, and where what comes later begins. Raises ConclaveError."""
        found: list[Shown] = []
        end, more = "", True
        cursor: list[tuple[str, str]] = []
        while more and len(found) < count:
            wanted = [("order", "newest"), ("limit", str(min(count - len(found), 256)))]
            page = self._json("/v1/audit/entries", [*query, *wanted, *cursor])
            found += [Shown(each["index"], each["entry"]) for each in page["entries"]]
            end = end or str(page["size"])
            cursor, more = [("cursor", page["next"])], page["more"]
        return found[::-1], end

    def all(self, query: Query) -> Iterator[Shown]:
        """Entries that fit, in the order of the log. Raises ConclaveError."""
        cursor, more = "0", True
        while more:
            asked = [*query, ("limit", "256"), ("cursor", cursor)]
            page = self._json("/v1/audit/entries", asked)
            for each in page["entries"]:
                yield Shown(each["index"], each["entry"])
            cursor, more = page["next"], page["more"]

    def accesses(self, body: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        """Who saw what the log holds about a person. Raises ConclaveError."""
        cursor, more = "0", True
        while more:
            page = self._json("/v1/audit/accesses", (), {**body, "cursor": cursor})
            yield from page["accesses"]
            cursor, more = page["next"], page["more"]

    def entry(self, index: int, purpose: str) -> tuple[bytes, str, str]:
        """The bytes of an entry, its receipt, and the key that the server names. Raises ConclaveError."""
        key = str(self._json("/v1/audit/checkpoint", ())["key"])
        raw = self._get(f"/v1/audit/entries/{index}", [("purpose", purpose)])
        document = json.loads(raw)
        begin, end = raw.find(b'"entry":') + len(b'"entry":'), raw.rfind(b',"receipt":')
        return raw[begin:end], str(document["receipt"]), key

    def follow(self, query: Query, cursor: str) -> Iterator[Shown]:
        """Entries as they come, from a position on, until the token is no longer good. Raises ConclaveError."""
        while True:
            asked = [*query, ("follow", "true"), ("cursor", cursor)]
            with self._stream("/v1/audit/entries", asked) as response:
                for line in response.iter_lines():
                    if line:
                        document = json.loads(line)
                        cursor = str(document["index"] + 1)
                        yield Shown(document["index"], document["entry"])

    def export(self, query: Query, form: Format, out: BinaryIO) -> None:
        """Writes an export as it comes. Raises ConclaveError, also `export_incomplete`."""
        last = b""
        with self._stream("/v1/audit/export", [*query, ("format", str(form))]) as response:
            for chunk in response.iter_bytes(CHUNK):
                out.write(chunk)
                last = (last + chunk)[-CHUNK:]
        closing = last.rstrip(b"\n").rpartition(b"\n")[2]
        if form is Format.JSON_LINES and not closing.startswith(b'{"checkpoint":'):
            raise RemoteError("export_incomplete", "the export ends without its checkpoint")

    def _json(
        self, path: str, query: Query, body: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        document = json.loads(self._get(path, query, body))
        if not isinstance(document, dict):
            raise RemoteError("answer_malformed", "the server's answer is no JSON object")
        return document

    def _get(self, path: str, query: Query, body: Mapping[str, str] | None = None) -> bytes:
        answer = bytearray()
        with self._stream(path, query, body) as response:
            for chunk in response.iter_bytes():
                answer += chunk
                if len(answer) > MAX_BODY:
                    raise RemoteError("answer_malformed", "the server's answer is too long")
        return bytes(answer)

    @contextmanager
    def _stream(
        self, path: str, query: Query, body: Mapping[str, str] | None = None
    ) -> Iterator[httpx.Response]:
        """GET, or POST where there is a body."""
        method = "GET" if body is None else "POST"
        try:
            with self._client.stream(method, path, params=list(query), json=body) as response:
                if response.status_code != 200:
                    response.read()
                    raise _refusal(response)
                yield response
        except httpx.ConnectError as error:
            raise LocalError(
                "server_unreachable",
                "no server answers there; read a stopped one with --data FOLDER",
            ) from error
        except httpx.HTTPError as error:
            message = f"the connection failed ({type(error).__name__})"
            raise RemoteError("connection_failed", message) from error


def _refusal(response: httpx.Response) -> ConclaveError:
    try:
        problem = response.json()
        return RemoteError(str(problem["code"]), str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        return RemoteError("answer_malformed", f"the server answers {response.status_code}")


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

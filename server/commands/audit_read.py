"""`conclave audit tail`, `show` and `export`: a running server's log with a token, a stopped one's by folder.

In: arguments. Out: entries as text or JSON, an exit code. Must not: read a running server's log past the record of
who reads it.
"""

from __future__ import annotations

import getpass
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from common.clock import SystemClock
from common.errors import ConclaveError, LocalError
from common.redact import Redacted
from compliance.exports import Format
from compliance.questions import Filter
from crypto.notes import NoteError, Verifier
from crypto.proofs import InclusionReceipt
from crypto.tokens import SigningKeys
from server.access import AccessSpec, make_token
from server.audit import text
from server.audit.offline import OfflineLog
from server.audit.remote import RemoteLog, Shown
from server.commands.options import ApiKey, ApiSecret, Json
from server.config import DEV_KEY, DEV_SECRET
from server.terminal import Exit, Terminal
from signalling.v1 import parameters
from signalling.v1.duties import Duty

T = TypeVar("T")
Texts = Annotated[list[str], Parameter(negative_iterable="")]


@Parameter(name="*")
@dataclass(frozen=True)
class Place:
    """Where the log is, and who reads it.

    Parameters
    ----------
    purpose
        Why it is read, as an identifier such as access_request; goes on record.
    data
        Data folder of a stopped server, or its audit.folder, in place of `url`.
    url
        Address of a running server.
    token
        Token with the role auditor; without it, one is made with the API key.
    reader
        Who reads, in a token that is made; without it, the name of the account.
    api_key
        API key that signs it.
    """

    purpose: str = ""
    data: Path | None = None
    url: str = "http://127.0.0.1:7880"
    token: Annotated[str, Parameter(env_var="CONCLAVE_TOKEN")] = ""
    reader: str = ""
    api_key: ApiKey = DEV_KEY
    api_secret: ApiSecret = DEV_SECRET

    def read(self, stopped: Callable[[OfflineLog], T], running: Callable[[RemoteLog], T]) -> T:
        """Asks the log in the way in which it is there. Raises ConclaveError."""
        if self.data is not None:
            with OfflineLog(self.data) as log:
                return stopped(log)
        with self.remote() as remote:
            return running(remote)

    def remote(self) -> RemoteLog:
        """The running server's log. Raises LocalError `arguments`."""
        if not self.purpose:
            raise LocalError("arguments", "say with --purpose why the log is read")
        token = self.token
        if not token:
            spec = AccessSpec(
                identity=self.reader or getpass.getuser(), join=False, roles=(Duty.AUDITOR,)
            )
            keys = SigningKeys({self.api_key: Redacted(self.api_secret)})
            token = make_token(keys, spec, SystemClock())
        return RemoteLog(self.url, token)


@Parameter(name="*")
@dataclass(frozen=True)
class Selection:
    """Which entries; several values of one option are alternatives.

    Parameters
    ----------
    subject
        Pseudonym of somebody whom the entry names.
    identity
        Identity of somebody whom the entry names (running server only).
    room
        Room by its sid; a running server also knows the names of rooms that exist.
    kind
        Kind of the event, such as admission_granted.
    actor
        Pseudonym or API key of whoever acted.
    role
        Role of whoever acted.
    source
        Source of the entry.
    since
        First moment, such as 2026-11-22T09:00:00Z.
    until
        First moment that no longer counts.
    """

    subject: Texts = field(default_factory=list)
    identity: str = ""
    room: Texts = field(default_factory=list)
    kind: Texts = field(default_factory=list)
    actor: Texts = field(default_factory=list)
    role: Texts = field(default_factory=list)
    source: Texts = field(default_factory=list)
    since: Annotated[str, Parameter(name="--from")] = ""
    until: Annotated[str, Parameter(name="--to")] = ""

    def query(self, purpose: str) -> list[tuple[str, str]]:
        """As parameters of a request."""
        several = ("subject", "room", "kind", "actor", "role", "source")
        pairs = [(name, value) for name in several for value in getattr(self, name)]
        single = {"identity": self.identity, "from": self.since, "to": self.until}
        pairs += [(name, value) for name, value in single.items() if value]
        return [*pairs, ("purpose", purpose)]

    def filter(self) -> Filter:
        """As a filter for a log on disk. Raises LocalError `arguments`, RemoteError."""
        if self.identity:
            raise LocalError("arguments", "only a running server knows pseudonyms: use --subject")
        wanted = parameters.read(self.query("offline"), parameters.SEARCH)
        return Filter(
            subject=wanted.subject,
            room=wanted.room,
            actor=wanted.actor,
            role=wanted.role,
            kind=wanted.kind,
            source=wanted.source,
            since=wanted.since,
            until=wanted.until,
        )


WHERE = Place()
EVERYTHING = Selection()


def tail(
    *,
    lines: int = 10,
    follow: bool = True,
    place: Place = WHERE,
    select: Selection = EVERYTHING,
    as_json: Json = False,
) -> int:
    """Show the last entries of the audit log, and the coming ones until Ctrl+C.

    Parameters
    ----------
    lines
        How many of the last entries.
    follow
        Wait for more; a stopped server has none.
    """
    terminal = Terminal(as_json=as_json)

    def show(each: Shown) -> None:
        terminal.say(text.line(each.index, each.entry), index=each.index, entry=each.entry)

    def stopped(log: OfflineLog) -> None:
        for each in log.latest(select.filter(), lines):
            show(each)

    def running(log: RemoteLog) -> None:
        query = select.query(place.purpose)
        latest, end = log.latest(query, max(lines, 1))
        for each in latest[-lines:] if lines else ():
            show(each)
        if follow:
            for each in log.follow(query, end):
                show(each)

    def work() -> int:
        if lines < 0:
            raise LocalError("arguments", "lines must not be negative")
        place.read(stopped, running)
        return Exit.OK

    return carefully(work, terminal)


def show(
    index: int,
    *,
    key: str = "",
    place: Place = WHERE,
    as_json: Json = False,
) -> int:
    """Show one entry of the audit log, and whether its proof holds. Exit codes: 0 proven, 1 not.

    Parameters
    ----------
    index
        Place in the log, from 0.
    key
        The log's public key, or its file, from elsewhere; without it, the one that comes with the log.
    """
    terminal = Terminal(as_json=as_json)

    def work() -> int:
        entry, receipt, own = place.read(
            lambda log: log.entry(index), lambda log: log.entry(index, place.purpose)
        )
        problem, facts = _verdict(entry, index, receipt, _key(key) if key else own)
        document: dict[str, Any] = json.loads(entry)
        verdict = f"NOT PROVEN: {problem}" if problem else facts
        trust = "" if key or problem else " (by the key that came with it; compare with --key)"
        terminal.say(
            f"entry {index}\n{text.block(document)}\n\n{verdict}{trust}",
            index=index, entry=document, receipt=receipt, proven=not problem,
        )  # fmt: skip
        return Exit.FAILED if problem else Exit.OK

    return carefully(work, terminal)


def export(
    *,
    format: Format = Format.JSON_LINES,
    out: Path | None = None,
    place: Place = WHERE,
    select: Selection = EVERYTHING,
    as_json: Json = False,
) -> int:
    """Write entries of the audit log to a file: JSON lines that prove themselves, OCSF or CEF.

    Parameters
    ----------
    format
        jsonl carries proofs; ocsf and cef are for other systems.
    out
        File to write, readable by its owner alone; without it, standard output.
    """
    terminal = Terminal(as_json=as_json, out=sys.stderr if out is None else None)

    def write(file: Any) -> None:
        place.read(
            lambda log: log.export(select.filter(), format, file),
            lambda log: log.export(select.query(place.purpose), format, file),
        )

    def work() -> int:
        if out is None:
            write(sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return Exit.OK
        flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(out, flags, 0o600), "wb") as file:
            write(file)
        terminal.say(f"exported to {out}", event="exported", file=str(out), format=str(format))
        return Exit.OK

    return carefully(work, terminal)


def _verdict(entry: bytes, index: int, receipt: str, key: str) -> tuple[str, str]:
    """What is wrong with a proof, or "" and what it shows."""
    try:
        parsed = InclusionReceipt.decode(receipt)
        if parsed.index != index:
            return "the proof is of another entry", ""
        checkpoint, _ = parsed.check(entry, [Verifier.decode(key)])
    except ConclaveError as error:
        return error.message, ""
    return "", f"proven: among the first {checkpoint.size} entries of {checkpoint.origin}"


def _key(given: str) -> str:
    """A key as text, or the content of a file. Raises LocalError `arguments`."""
    with suppress(NoteError):
        return Verifier.decode(given).encode()
    try:
        return Path(given).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError("arguments", "--key is neither a public key nor a file of one") from error


def carefully(work: Callable[[], int], terminal: Terminal) -> int:
    """Runs a command; errors become words and exit codes, a closed pipe and Ctrl+C an end."""
    try:
        return work()
    except ConclaveError as error:
        terminal.fail(error)
        return Exit.USAGE if error.code == "arguments" else Exit.FAILED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except OSError as error:
        terminal.fail(
            LocalError("file_failed", f"{error.filename or 'the file'}: {error.strerror}")
        )
        return Exit.FAILED
    except KeyboardInterrupt:
        return Exit.OK

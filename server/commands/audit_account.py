"""`conclave audit room` and `accesses`: what the log says about a room, and who saw what it says about a person.

In: arguments. Out: text or JSON, an exit code. Must not: read a running server's log past the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from common.errors import LocalError
from compliance.accesses import READINGS, Reading
from compliance.account import Account, account_of, document_of
from compliance.canonical import canonical
from compliance.envelope import Record, decode
from compliance.events import ActAbandoned
from compliance.questions import Filter
from server.audit.offline import OfflineLog
from server.audit.remote import Shown
from server.commands.audit_read import WHERE, Place, carefully
from server.commands.options import Json
from server.terminal import Exit, Terminal

_UNKNOWN = "…"  # a beginning or an end that is not on record


def room(sid: str, *, place: Place = WHERE, as_json: Json = False) -> int:
    """Show who was in a room from when to when, what they published, and who could receive it.

    Parameters
    ----------
    sid
        The room, such as RM_7GvZ...; entries of admissions name it. A running server also knows the names of rooms
        that exist.
    """
    terminal = Terminal(as_json=as_json)

    def work() -> int:
        entries = [(each.index, decode(canonical(each.entry))) for each in _of_room(sid, place)]
        named = [record.event.on.room for _, record in entries if record.event.on.room]
        if not named:
            raise LocalError("room_unknown", "the log says nothing about this room")
        account = account_of(named[0], entries)
        terminal.say(_words(account), **document_of(account))
        return Exit.OK

    return carefully(work, terminal)


def accesses(
    *, identity: str = "", subject: str = "", place: Place = WHERE, as_json: Json = False
) -> int:
    """Show who saw what the log says about a person, or opened what is sealed about it: role, purpose, time.

    Parameters
    ----------
    identity
        Whose data (running server only).
    subject
        Pseudonym of whose data, in place of the identity.
    """
    terminal = Terminal(as_json=as_json)

    def work() -> int:
        if bool(identity) == bool(subject):
            raise LocalError("arguments", "say whose data with --identity or --subject")
        for each in _accesses(identity, subject, place):
            terminal.say(_line(each), **each)
        return Exit.OK

    return carefully(work, terminal)


def _of_room(sid: str, place: Place) -> Iterator[Shown]:
    """The room's entries, and those that say that an act did not take place."""
    if place.data is not None:
        with OfflineLog(place.data) as log:
            yield from log.all(Filter(room=(sid,)))
            yield from log.all(Filter(kind=(ActAbandoned.kind,)))
        return
    with place.remote() as remote:
        purpose = ("purpose", place.purpose)
        yield from remote.all([("room", sid), purpose])
        yield from remote.all([("kind", ActAbandoned.kind), purpose])


def _accesses(identity: str, subject: str, place: Place) -> Iterator[Mapping[str, Any]]:
    if place.data is None:
        person = {"identity": identity} if identity else {"subject": subject}
        with place.remote() as remote:
            yield from remote.accesses({**person, "purpose": place.purpose})
        return
    if identity:
        raise LocalError("arguments", "only a running server knows pseudonyms: use --subject")
    with OfflineLog(place.data) as log:
        own = [(each.index, canonical(each.entry)) for each in log.all(Filter(subject=(subject,)))]
        for each in log.all(Filter(kind=READINGS)):
            reading = Reading.of(each.index, _record(each))
            access = reading.opened((subject,)) if reading else None
            if reading and access is None:
                question = reading.question((subject,))
                seen = (
                    reading.showed(index, entry, (subject,))
                    for index, entry in own
                    if question.matches(entry)
                )
                access = next((one for one in seen if one), None)
            if access is not None:
                yield access.document()


def _record(each: Shown) -> Record:
    return decode(canonical(each.entry))


def _line(access: Mapping[str, Any]) -> str:
    doubt = "" if access["certain"] else "  perhaps"
    return (
        f"{access['index']:>8}  {access['time']}  {access['kind']:<12}  {access['role']} "
        f"{access['reader'] or access['key']}  purpose={access['purpose']} shown={access['shown']}{doubt}"
    )


def _words(account: Account) -> str:
    document: Any = document_of(account)
    lines = [f"room {account.room}  {_when(document)}", "", "participants"]
    for each in document["participants"]:
        lines += [
            f"  {each['peer']}  {each['subject']}  {each['role']}  {_when(each)}",
            f"    rights: {', '.join(each['rights']) or 'none'}",
            f"    sealed behind entry {each['admission']}"
            if each["vault"]
            else "    nothing sealed",
        ]
    lines += ["", "tracks, and who could receive them"]
    for each in document["tracks"]:
        sealed = ", end-to-end encrypted" if each["end_to_end_encrypted"] else ""
        lines.append(
            f"  {each['track']}  {each['purpose']} ({each['medium']}{sealed}) of {each['peer']}  {_when(each)}"
        )
        for viewer in each["viewers"]:
            spans = "; ".join(_when(span) for span in viewer["spans"])
            lines.append(f"    {viewer['peer']}  {viewer['subject']}  {spans}")
    return "\n".join(lines)


def _when(span: Mapping[str, Any]) -> str:
    seconds = f" ({span['seconds']} s)" if "seconds" in span else ""
    return f"{span.get('from', _UNKNOWN)} to {span.get('to', _UNKNOWN)}{seconds}"

"""Entries for people to read: a line in a list, or everything on its own line. What machines read is elsewhere.

In: an entry as JSON has it. Out: text without control characters. Must not: leave a fact out of the long form.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

_HEAD: Final = ("kind", "time", "source", "sequence")
_SHORT: Final = 12  # characters of a pseudonym in a list


def line(index: int, entry: Mapping[str, Any]) -> str:
    """One line: where, when, what, by whom, on what, why, the rest."""
    facts = dict(facts_of(entry))
    actor = str(facts.pop("actor.role", ""))
    if "actor.subject" in facts:
        actor += f" {str(facts.pop('actor.subject'))[:_SHORT]}"
    elif "actor.key" in facts:
        actor += f" {facts.pop('actor.key')}"
    named = [
        f"{name.removeprefix('on.').removeprefix('data.').removeprefix('why.')}={_short(value)}"
        for name, value in facts.items()
        if name.startswith(("on.", "data.", "why.", "extra.")) and name != "why.gate"
    ]
    head = f"{index:>8}  {_clean(facts.get('time', ''))}  {_clean(facts.get('kind', '')):<24}"
    return f"{head}  {_clean(actor)}  {' '.join(named)}".rstrip()


def block(entry: Mapping[str, Any]) -> str:
    """Every fact on a line of its own."""
    facts = dict(facts_of(entry))
    first = [(name, facts.pop(name)) for name in _HEAD if name in facts]
    rows = [*first, *facts.items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"  {name:<{width}}  {_clean(value)}" for name, value in rows)


def facts_of(entry: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Facts by dotted name."""
    for name, value in entry.items():
        if isinstance(value, dict):
            for inner, each in value.items():
                yield f"{name}.{inner}", each
        else:
            yield name, value


def _short(value: object) -> str:
    text = _clean(value)
    return text[:_SHORT] if text.startswith("p_") else text


def _clean(value: object) -> str:
    """Lists with commas; what a terminal would act upon is shown as an escape."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(_clean(item) for item in value)
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in str(value))

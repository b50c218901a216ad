"""Renders the session's table as `docs/signalling-states.md`. In: the table. Out: Markdown, no further rules."""

from __future__ import annotations

from signalling.acts import Unrecorded
from signalling.session import COMMANDS, TABLE, Refused, Rule, State
from signalling.wire import REQUEST_KINDS, UNKNOWN

_REFUSED = {
    Refused.SILENTLY: "counted",
    Refused.REPLY: "counted, `request_response` with the request",
    Refused.REJOIN: "counted, `leave` with RECONNECT",
}


def document() -> str:
    """The whole document."""
    return "\n".join([*_introduction(), *_messages(), *_commands(), *_diagram()]) + "\n"


def _introduction() -> list[str]:
    return [
        "# What a signalling session understands",
        "",
        "A session is one WebSocket of one participant (`signalling/session.py`). It is a table from state and",
        "message to handler. A message that has no entry is refused under the name `<message>_in_<state>`,",
        "counted, and changes nothing. Commands are the server's own acts; one that makes no sense is a mistake",
        "of ours and raises. What everybody in the room hears has a rate of its own.",
        "",
        "A message that is an act has its entry in the audit log before its handler runs; what the client says",
        "meanwhile waits in order. If the log cannot take it the message is refused by that name",
        "(`audit_unavailable`, `audit_timeout`, `audit_refused`).",
        "",
        "| State | Meaning |",
        "|---|---|",
        "| `opening` | nothing was sent yet: everything for the client waits |",
        "| `joined` | the join answer was sent |",
        "| `resumed` | as joined; the client may still report what it remembers |",
        "| `leaving` | the last frame is on its way |",
        "| `closed` | the socket is gone |",
        "",
    ]


def _messages() -> list[str]:
    states = list(State)
    lines = [
        "## Messages of the client",
        "",
        "| Message | "
        + " | ".join(f"`{state}`" for state in states)
        + " | answered with | if refused | everybody hears | on record first |",
        "|---|" + "---|" * (len(states) + 4),
    ]
    for kind in (*REQUEST_KINDS, UNKNOWN):
        rules = [TABLE[state].get(kind) for state in states]
        rule = next(rule for rule in rules if rule is not None)
        cells = [_cell(each) for each in rules]
        lines.append(
            f"| `{kind}` | {' | '.join(cells)} | {rule.replies or '-'} | {_REFUSED[rule.refused]} |"
            f" {'yes' if rule.broadcasts else 'no'} | {_record(rule)} |"
        )
    return [*lines, ""]


def _record(rule: Rule) -> str:
    if isinstance(rule.record, Unrecorded):
        return f"no: {rule.record}"
    return f"`{rule.record.__name__}`"


def _cell(rule: Rule | None) -> str:
    if rule is None:
        return "refused"
    name = f"`{rule.handler.__name__}`"
    return f"{name} → `{rule.then}`" if rule.then is not None else name


def _commands() -> list[str]:
    states = list(State)
    lines = [
        "## Commands of the server",
        "",
        "| Command | " + " | ".join(f"`{state}`" for state in states) + " |",
        "|---|" + "---|" * len(states),
    ]
    for command, targets in COMMANDS.items():
        cells = [f"→ `{targets[state]}`" if state in targets else "raises" for state in states]
        lines.append(f"| `{command}` | {' | '.join(cells)} |")
    return [*lines, ""]


def _diagram() -> list[str]:
    edges = {
        (source, target, command)
        for command, targets in COMMANDS.items()
        for source, target in targets.items()
        if source is not target
    }
    edges |= {
        (state, rule.then, kind)
        for state, rules in TABLE.items()
        for kind, rule in rules.items()
        if rule.then is not None and rule.then is not state
    }
    lines = ["## Diagram", "", "```mermaid", "stateDiagram-v2", "    [*] --> opening"]
    lines += [f"    {source} --> {target}: {label}" for source, target, label in sorted(edges)]
    return [*lines, "    closed --> [*]", "```"]

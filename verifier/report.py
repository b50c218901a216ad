"""What a check found: two verdicts with findings, facts, warnings; as text, as JSON, as an exit code.

In: findings. Out: text for people and one JSON object for machines. Must not: print a control character that came
out of a checked file, or keep more findings than somebody would read.

Exit codes: 0 intact and complete; 1 integrity broken; 2 the call is wrong, or there is nothing to check; 3 intact
but incomplete; 130 interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

OK: Final = 0
BROKEN: Final = 1
USAGE: Final = 2
INCOMPLETE: Final = 3
INTERRUPTED: Final = 130
MAX_LISTED: Final = 1000  # findings of a verdict that are told one by one; all are counted
MAX_SHOWN: Final = 50  # of them as text

Place = str | int


class Refused(Exception):  # noqa: N818 - a verdict on a file
    """Something read is not what it should be; `code` is stable."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Misused(Exception):  # noqa: N818
    """The call is wrong, or names nothing that could be checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where: `entry`, `tile`, `file`, `source` as far as they are known."""

    code: str
    message: str
    where: dict[str, Place] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """For JSON."""
        return {"code": self.code, "message": self.message, **self.where}


class Verdict:
    """Findings of one kind."""

    def __init__(self, good: str, bad: str) -> None:
        """How it is called without findings, and with some."""
        self._names = good, bad
        self.examined = True
        self.count = 0
        self.findings: list[Finding] = []

    @property
    def name(self) -> str:
        """The verdict in a word."""
        if self.count:
            return self._names[1]
        return self._names[0] if self.examined else "not_examined"

    def add(self, findings: Iterable[Finding]) -> None:
        """Takes findings in the order of the log."""
        for finding in findings:
            self.count += 1
            if len(self.findings) < MAX_LISTED:
                self.findings.append(finding)

    def document(self) -> dict[str, object]:
        """For JSON."""
        listed = [finding.document() for finding in self.findings]
        return {"verdict": self.name, "count": self.count, "findings": listed}


class Report:
    """Everything that a command has to say."""

    def __init__(self, command: str, *, completeness: bool) -> None:
        """`completeness`: whether the command looks at it."""
        self.command = command
        self.integrity = Verdict("intact", "broken")
        self.completeness = Verdict("complete", "incomplete")
        self.completeness.examined = completeness
        self.facts: dict[str, object] = {}
        self.lines: list[str] = []  # the facts, for people
        self.warnings: list[str] = []

    def broken(self, code: str, message: str, **where: Place) -> None:
        """A finding against integrity."""
        self.integrity.add([Finding(code, message, where)])

    def incomplete(self, code: str, message: str, **where: Place) -> None:
        """A finding against completeness."""
        self.completeness.add([Finding(code, message, where)])

    @property
    def code(self) -> int:
        """The exit code."""
        if self.integrity.count:
            return BROKEN
        return INCOMPLETE if self.completeness.count else OK

    def json(self) -> str:
        """One object, on one line."""
        document = {
            "command": self.command,
            "integrity": self.integrity.document(),
            "completeness": self.completeness.document(),
            "facts": self.facts,
            "warnings": self.warnings,
            "exit": self.code,
        }
        return json.dumps(document, sort_keys=True)

    def text(self) -> str:
        """Lines for people."""
        lines = [*self.lines]
        for title, verdict in (
            ("Integrity", self.integrity),
            ("Completeness", self.completeness),
        ):
            number = f" ({verdict.count:,} findings)" if verdict.count else ""
            lines.append(f"{title}: {verdict.name.replace('_', ' ')}{number}")
            for finding in verdict.findings[:MAX_SHOWN]:
                lines.append(f"  {_places(finding)}{finding.message} [{finding.code}]")
            if verdict.count > MAX_SHOWN:
                lines.append(f"  and {verdict.count - MAX_SHOWN:,} more")
        lines += [f"Note: {warning}" for warning in self.warnings]
        return "\n".join(clean(line) for line in lines)


def clean(text: str) -> str:
    """The text without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _places(finding: Finding) -> str:
    if not finding.where:
        return ""
    return ", ".join(f"{name} {value}" for name, value in finding.where.items()) + ": "

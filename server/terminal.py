"""How commands speak: sentences for people, one JSON object a line for machines, and exit codes.

Exit codes: 0 done; 1 it failed while running; 2 the call or the configuration is wrong; 3 `doctor` found a fault.
"""

from __future__ import annotations

import json
import sys
from enum import IntEnum
from typing import TextIO

from common.errors import ConclaveError


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    USAGE = 2
    FAULTS_FOUND = 3


class Terminal:
    """Writes either prose or JSON lines to standard output, errors to standard error."""

    def __init__(
        self, *, as_json: bool, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        """`as_json` makes every message an object on a line of its own."""
        self.as_json = as_json
        self._out = out or sys.stdout
        self._err = err or sys.stderr

    def say(self, text: str, **facts: object) -> None:
        """`text` for people, `facts` for machines."""
        line = json.dumps(facts, sort_keys=True) if self.as_json else text
        print(line, file=self._out, flush=True)

    def progress(self, text: str, **facts: object) -> None:
        """A line that is overwritten by the next on a terminal, `facts` for machines, nothing elsewhere."""
        if self.as_json:
            if facts:
                self.say(text, **facts)
        elif self._out.isatty():
            print(f"\r\x1b[2K{text}", end="", file=self._out, flush=True)

    def fail(self, error: ConclaveError) -> None:
        """Says what went wrong."""
        if self.as_json:
            print(
                json.dumps({"error": error.code, "message": error.message}),
                file=self._err,
                flush=True,
            )
        else:
            print(f"error: {error.message}", file=self._err, flush=True)

"""The log of a server's child, in lines like the server's own, without the libraries that make those.

In: records of the standard library. Out: lines on standard error. Must not: show tokens or addresses.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from common.scrub import scrub


def configure(*, level: str, as_json: bool) -> None:
    """Sets logging up for the process."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines() if as_json else _Sentences())
    logging.getLogger("httpx").setLevel(logging.WARNING)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())


class _Sentences(logging.Formatter):
    """For people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(levelname)s] %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


class _Lines(logging.Formatter):
    """One JSON object a line, with the server's names for its members."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z")
        line = {
            "event": scrub(record.getMessage()),
            "level": record.levelname.lower(),
            "timestamp": at,
        }
        if record.exc_info:
            line["exception"] = scrub(self.formatException(record.exc_info))
        return json.dumps(line)

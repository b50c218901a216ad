"""Structured logs to standard error: for people on a terminal, JSON elsewhere.

In: events of structlog and of the standard library's loggers. Out: lines. Must not: show personal data,
tokens or addresses; values under the keys below are replaced, whoever logged them.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from common.scrub import PLACEHOLDER, scrub

# A second net under `Redacted`: keys whose values are about a person or a secret, wherever they come from.
PRIVATE_KEYS = frozenset(
    {"address", "attributes", "authorization", "identity", "ip", "metadata", "name", "password", "peer_name",
     "secret", "sdp", "token", "access_token", "url", "user_agent"}
)  # fmt: skip

Event = MutableMapping[str, Any]


def configure(*, level: str, style: str) -> None:
    """Sets logging up for the process; `style` is "auto", "console" or "json"."""
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: structlog.types.Processor = (
        structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for chatty in ("uvicorn.access", "websockets", "aioice", "aiortc", "httpx", "httpcore"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def redact(_logger: object, _method: str, event: Event) -> Event:
    """Replaces what is private: by key, and tokens and addresses inside any text."""
    for key, value in event.items():
        if key in PRIVATE_KEYS:
            event[key] = PLACEHOLDER
        elif isinstance(value, str) and key not in ("timestamp", "level"):
            event[key] = scrub(value)
    return event

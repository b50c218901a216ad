"""What a call came to, as a value: tests of parsers compare it."""

from collections.abc import Callable
from typing import Any

from common.errors import RemoteError


def refusal_of(call: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """The code with which the call refused; empty if it did not. Other exceptions pass."""
    try:
        call(*arguments, **options)
    except RemoteError as error:
        return error.code
    return ""

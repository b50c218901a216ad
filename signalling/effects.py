"""What a session wants done on its socket. Plain values; the WebSocket shell carries them out in order."""

from dataclasses import dataclass
from enum import IntEnum

from signalling.wire import Outbound


class CloseCode(IntEnum):
    """Close codes that we send (RFC 6455 section 7.4.1). 1000 only ever follows a `leave` message.

    Clients resume after any other code; older JS clients would ignore a bare 1000 and stay mute.
    """

    DONE = 1000
    REPLACED = 1001  # a newer socket of the same participant took over
    MALFORMED = 1007
    TOO_MANY_MESSAGES = 1008
    RESTART = 1012  # please resume
    SLOW_READER = 1013


@dataclass(frozen=True, slots=True)
class Send:
    """One frame to write."""

    outbound: Outbound


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket; nothing follows."""

    code: CloseCode


Effect = Send | Close

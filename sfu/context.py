"""What rooms, peers and tracks share: the data plane, time, chance, the way out for events, owners of numbers.

Nothing here decides anything. One instance per engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from common.clock import Clock
from common.ids import ALPHABET, LegId, PeerSid, TrackId, TransportId
from sfu.dataplane import DataPlanePort, PlaneSnapshot
from sfu.events import SfuEvent
from sfu.negotiation.sdp import Fingerprint
from sfu.negotiation.transport import candidate_lines, tcp_candidate_lines
from sfu.owners import ChannelOwner, LegOwner, TrackOwner, TransportOwner
from sfu.speaking import Speaking
from sfu.timers import Timers

UFRAG_LENGTH = 12  # characters; 70 bits, so that no two transports of a lane meet
PWD_LENGTH = 24  # characters; RFC 8445 section 5.3 asks for 128 bits


class Context:
    """Shared by everything that one engine made."""

    def __init__(
        self,
        *,
        plane: DataPlanePort,
        clock: Clock,
        choose: Callable[[int], int],
        fingerprint: Fingerprint,
        announced: Mapping[str, tuple[str, ...]],
        emit: Callable[[SfuEvent], None],
    ) -> None:
        """`choose(n)` yields uniform integers in [0, n) fit for secrets.

        `announced` maps bound addresses to the public ones that candidates show instead.
        """
        self.plane = plane
        self.clock = clock
        self.choose = choose
        self.fingerprint = fingerprint
        self.emit = emit
        self.timers = Timers()
        self.refusals: Counter[str] = Counter()  # what was refused or dropped, by name
        self.transports: dict[TransportId, TransportOwner] = {}
        self.tracks: dict[TrackId, TrackOwner] = {}
        self.legs: dict[LegId, LegOwner] = {}
        self.peers: dict[PeerSid, ChannelOwner] = {}
        self.speaking = Speaking(self.tracks, self.timers, clock, emit)
        self.measured: PlaneSnapshot | None = None  # the latest one, while anybody is connected
        self._load = [0] * len(plane.addresses)
        self._udp = [candidate_lines(_public(lane, announced)) for lane in plane.addresses]
        self._tcp = [tcp_candidate_lines(_public(lane, announced)) for lane in plane.tcp_addresses]

    def candidates(self, lane: int, *, only_tcp: bool = False) -> tuple[str, ...]:
        """Candidate lines of a lane's sockets, those over TCP last.

        `only_tcp` leaves the others away; a lane that does not accept connections has nothing else.
        """
        if only_tcp and self._tcp[lane]:
            return self._tcp[lane]
        return self._udp[lane] + self._tcp[lane]

    def take_lane(self) -> int:
        """The lane with the fewest transports, one transport heavier now."""
        lane = min(range(len(self._load)), key=self._load.__getitem__)
        self._load[lane] += 1
        return lane

    def leave_lane(self, lane: int) -> None:
        """A transport of the lane is gone."""
        self._load[lane] -= 1

    def credentials(self) -> tuple[str, str]:
        """A fresh ICE ufrag and password."""
        return self._text(UFRAG_LENGTH), self._text(PWD_LENGTH)

    def refuse(self, code: str) -> None:
        """Counts something that was dropped without telling anybody."""
        self.refusals[code] += 1

    def _text(self, length: int) -> str:
        return "".join(ALPHABET[self.choose(len(ALPHABET))] for _ in range(length))


def _public(
    bound: Sequence[tuple[str, int]], announced: Mapping[str, tuple[str, ...]]
) -> list[tuple[str, int]]:
    """The addresses that clients should use instead of those that are bound."""
    return [
        (public, port) for address, port in bound for public in announced.get(address, (address,))
    ]

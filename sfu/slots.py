"""The sections of a connection in which we send, and the rule when one may be used again.

A slot carries at most one subscription. After that ended the section must have been negotiated inactive once
before another track may take it: clients report a new track only when a section starts to send.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sfu.dataplane import Kind
from sfu.limits import MAX_SECTIONS
from sfu.negotiation.answer import Outgoing
from sfu.negotiation.codecs import Format
from sfu.subscription import Subscription


@dataclass(slots=True, eq=False)
class Slot:
    """A section in which we may send."""

    mid: str
    kind: Kind
    formats: tuple[Format, ...] = ()  # what our offers list; empty where the client offers
    subscription: Subscription | None = None
    outgoing: Outgoing | None = None
    offered: Subscription | None = None  # what an offer that waits for its answer says
    sending: bool = False  # the last description that both sides have says that we send
    ended: bool = False  # the client refused it for good

    @property
    def free(self) -> bool:
        """Whether a track may take it."""
        return not (self.subscription or self.offered or self.sending or self.ended)

    def take(
        self, subscription: Subscription, outgoing: Outgoing, formats: tuple[Format, ...] = ()
    ) -> None:
        """Gives it to a subscription."""
        self.subscription = subscription
        self.outgoing = outgoing
        self.formats = formats or self.formats

    def release(self) -> None:
        """Its subscription ended; free once the section is inactive for both sides."""
        self.subscription = None
        self.outgoing = None


class SlotTable:
    """The slots of one connection in the order of their sections."""

    def __init__(self, *, reuse: bool) -> None:
        """`reuse`: whether this client copes with sections that change their track."""
        self._reuse = reuse
        self._slots: dict[str, Slot] = {}
        self._next_mid = 1

    def __iter__(self) -> Iterator[Slot]:
        """All slots, ended ones too."""
        return iter(self._slots.values())

    def get(self, mid: str) -> Slot | None:
        """The slot of a section."""
        return self._slots.get(mid)

    def add(self, mid: str, kind: Kind) -> Slot:
        """A section that the client offered."""
        slot = self._slots[mid] = Slot(mid, kind)
        return slot

    def remove(self, mid: str) -> Slot | None:
        """A section that the client took away."""
        return self._slots.pop(mid, None)

    def find_free(self, kind: Kind) -> Slot | None:
        """A free slot of that kind, the oldest first."""
        if not self._reuse:
            return None
        return next((slot for slot in self if slot.free and slot.kind == kind), None)

    def create(self, kind: Kind) -> Slot | None:
        """A new section for our next offer; None when there are too many."""
        if len(self._slots) + 1 >= MAX_SECTIONS:
            return None
        mid = str(self._next_mid)
        self._next_mid += 1
        return self.add(mid, kind)

    def count_free(self, kind: Kind) -> int:
        """How many slots of that kind are free."""
        return sum(slot.free and slot.kind == kind for slot in self)

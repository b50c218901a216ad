"""ASN.1 in its distinguished encoding (X.690), as far as time-stamps need it: reading only.

In: bytes. Out: elements. Must not: read past the element that something is in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from verifier.report import Refused

INTEGER, OCTETS, OID, TIME, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x18, 0x30, 0x31
MAX_LENGTH: Final = 4  # bytes of a length
MAX_CHILDREN: Final = 1000


@dataclass(frozen=True, slots=True)
class Element:
    """A tag with its content."""

    tag: int
    content: bytes
    raw: bytes  # with tag and length

    @classmethod
    def read(cls, data: bytes, begin: int = 0) -> Element:
        """The element that begins there. Raises Refused `timestamp_malformed`."""
        at = begin + 2
        if at > len(data) or data[begin] & 0x1F == 0x1F:
            raise _malformed()
        length = data[begin + 1]
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            shortest = length >= 0x80 and length >> (8 * (count - 1)) if count else 0
            if not 0 < count <= MAX_LENGTH or at + count > len(data) or not shortest:
                raise _malformed()
            at += count
        if at + length > len(data):
            raise _malformed()
        return cls(data[begin], data[at : at + length], data[begin : at + length])

    def children(self) -> list[Element]:
        """The elements within. Raises Refused."""
        found: list[Element] = []
        at = 0
        while at < len(self.content) and len(found) < MAX_CHILDREN:
            found.append(Element.read(self.content, at))
            at += len(found[-1].raw)
        if at != len(self.content):
            raise _malformed()
        return found

    def expect(self, tag: int) -> Element:
        """Itself, if it has that tag. Raises Refused."""
        if self.tag != tag:
            raise _malformed()
        return self

    def number(self) -> int:
        """The value of an INTEGER. Raises Refused."""
        return int.from_bytes(self.expect(INTEGER).content, "big", signed=True)

    def oid(self) -> str:
        """The value of an OBJECT IDENTIFIER, dotted. Raises Refused."""
        numbers, value = [], 0
        for byte in self.expect(OID).content:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        if not numbers:
            raise _malformed()
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def time(self) -> datetime:
        """The value of a GeneralizedTime in UTC (RFC 3161 section 2.4.2). Raises Refused."""
        text = self.expect(TIME).content.decode("ascii", "replace")
        try:
            moment = datetime.strptime(text.partition(".")[0].removesuffix("Z"), "%Y%m%d%H%M%S")
        except ValueError as error:
            raise _malformed() from error
        if not text.endswith("Z"):
            raise _malformed()
        return moment.replace(tzinfo=UTC)


def whole(data: bytes) -> Element:
    """The one element that the bytes are. Raises Refused."""
    element = Element.read(data)
    if len(element.raw) != len(data):
        raise _malformed()
    return element


def _malformed() -> Refused:
    return Refused("timestamp_malformed", "the bytes are no time-stamp")

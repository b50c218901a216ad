"""Finds values in bytes, however they are written: what a call knows must not turn up where it does not belong.

In: named values, named bytes. Out: which value was found where, and how it was written: plain, UTF-16, base64 in
any alignment, hexadecimal, percent-encoded, as JSON escapes, backwards, in other cases, and all of these inside of
what zlib or gzip compressed.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

SHORTEST = 8  # characters; anything shorter turns up by chance
MAX_UNPACKED = 16 * 1024 * 1024  # bytes of one compressed member
DEPTH = 2  # compressed members within compressed members
_GZIP = re.compile(rb"\x1f\x8b\x08")
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]")


@dataclass(frozen=True, order=True)
class Sighting:
    """A value where it should not be."""

    place: str
    value: str  # its name
    form: str


def search(values: Mapping[str, str], places: Mapping[str, bytes]) -> list[Sighting]:
    """Every value in every place, in every form."""
    patterns = [
        (name, form, pattern) for name, value in values.items() for form, pattern in forms(value)
    ]
    sightings = set()
    for place, content in places.items():
        for wrapping, data in unpacked(content):
            for name, form, pattern in patterns:
                if pattern in data:
                    sightings.add(Sighting(place, name, wrapping + form))
    return sorted(sightings)


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """The ways to write a value, with what they look like."""
    if len(value) < SHORTEST:
        raise ValueError("too short: it would turn up by chance")
    seen: set[bytes] = set()
    for form, pattern in _all_forms(value):
        if pattern not in seen:
            seen.add(pattern)
            yield form, pattern


def _all_forms(value: str) -> Iterator[tuple[str, bytes]]:
    plain = value.encode()
    yield "utf-8", plain
    yield "lower case", value.lower().encode()
    yield "upper case", value.upper().encode()
    yield "backwards", value[::-1].encode()
    for form in ("utf-16-le", "utf-16-be"):
        yield form, value.encode(form)
    for alignment in range(3):
        yield f"base64 {alignment}", _base64(plain, alignment)
        yield f"base64url {alignment}", _base64(plain, alignment, b"-_")
    yield "hex", plain.hex().encode()
    yield "HEX", plain.hex().upper().encode()
    yield "percent", quote(value, safe="").encode()
    yield "percent in paths", quote(value).encode()
    yield "percent with plus", quote(value, safe=" ").replace(" ", "+").encode()
    yield "percent lower case", re.sub(r"%..", lambda m: m[0].lower(), quote(value)).encode()
    yield "percent everywhere", "".join(f"%{byte:02X}" for byte in plain).encode()
    yield "percent everywhere lower case", "".join(f"%{byte:02x}" for byte in plain).encode()
    yield "json", json.dumps(value)[1:-1].encode()
    units = value.encode("utf-16-be").hex()
    escaped = [units[i : i + 4] for i in range(0, len(units), 4)]
    yield "json everywhere", "".join(f"\\u{unit}" for unit in escaped).encode()
    yield "json everywhere upper case", "".join(f"\\u{unit.upper()}" for unit in escaped).encode()


def _base64(plain: bytes, alignment: int, letters: bytes = b"+/") -> bytes:
    """What stays the same of its base64 whatever stands beside it, if it begins at that place modulo three."""
    encoded = base64.b64encode(bytes(alignment) + plain, letters).rstrip(b"=")
    first = -(-alignment * 8 // 6)  # letters that hold bits of what stands before
    last = (alignment + len(plain)) * 8 // 6  # letters that hold bits of what follows
    return encoded[first:last]


def unpacked(data: bytes, depth: int = DEPTH) -> Iterator[tuple[str, bytes]]:
    """The bytes, and what is compressed in them."""
    yield "", data
    if depth == 0:
        return
    members = [("gzip: ", match.start(), 31) for match in _GZIP.finditer(data)]
    members += [("zlib: ", match.start(), 15) for match in _ZLIB.finditer(data)]
    members.append(("deflate: ", 0, -15))
    for form, start, bits in members:
        content = _inflate(data[start : start + MAX_UNPACKED], bits)
        if len(content) >= SHORTEST:
            for inner, inside in unpacked(content, depth - 1):
                yield form + inner, inside


def _inflate(data: bytes, bits: int) -> bytes:
    """As much as can be unpacked: a member may be cut off, or be none."""
    unpacker = zlib.decompressobj(bits)
    content = bytearray()
    view = memoryview(data)
    for start in range(0, len(data), 1024):
        try:
            content += unpacker.decompress(view[start : start + 1024], MAX_UNPACKED)
        except zlib.error:
            break
        if unpacker.eof or len(content) >= MAX_UNPACKED:
            break
    return bytes(content)

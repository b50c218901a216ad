"""A server behind a seeded network emulator: clients are told the emulator's address, and all media crosses it.

In: how each direction should be from now on. Out: what became of the datagrams, by what they were.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.programs import Program, running
from tests.support.networks import ROOT
from tests.support.ports import free_port
from tests.support.servers import Sections, Server, serving

HERE, THERE = "127.0.0.1", "127.0.0.2"  # where the server listens, and what clients are told
SEED = 7


@dataclass(frozen=True)
class Fate:
    """What became of the datagrams of some sorts in one direction."""

    sent: int = 0
    lost: int = 0
    burst: int = 0
    overflow: int = 0
    duplicated: int = 0
    reordered: int = 0

    def __add__(self, other: Fate) -> Fate:
        return Fate(*(one + two for one, two in zip(self.counts, other.counts, strict=True)))

    def __sub__(self, other: Fate) -> Fate:
        return Fate(*(one - two for one, two in zip(self.counts, other.counts, strict=True)))

    @property
    def counts(self) -> tuple[int, ...]:
        return (self.sent, self.lost, self.burst, self.overflow, self.duplicated, self.reordered)

    @property
    def missing(self) -> int:
        return self.lost + self.burst + self.overflow


@dataclass(frozen=True)
class Counts:
    """All counts at one moment; sorts are payload types, `rtcp` and `other`."""

    fates: dict[str, dict[str, Fate]]

    def of(self, direction: str, *sorts: int | str) -> Fate:
        """Those of some sorts added up."""
        ways = self.fates[direction]
        return sum((ways.get(str(sort), Fate()) for sort in sorts), Fate())

    def media(self, direction: str) -> Fate:
        """Those of all RTP."""
        return self.of(direction, *(sort for sort in self.fates[direction] if sort.isdigit()))


class LossyPath:
    """The emulator, and the server behind it."""

    def __init__(self, program: Program, server: Server) -> None:
        self._program = program
        self.server = server

    async def be(self, up: str = "", down: str = "") -> None:
        """Both directions from now on; without a word, perfect."""
        await self._wish(f"up {up}")
        await self._wish(f"down {down}")

    async def lose_frames(self, direction: str, payload_type: int, frames: int) -> None:
        """The next frames of each flow, and everything that would repair them."""
        await self._wish(f"lose {direction} {payload_type} {frames}")

    async def counts(self) -> Counts:
        """What became of the datagrams so far."""
        await self._program.tell("count")
        (said,) = await self._program.hear(lambda facts: "up" in facts)
        ways = {way: {sort: Fate(**fate) for sort, fate in said[way].items()} for way in said}
        return Counts(ways)

    async def _wish(self, line: str) -> None:
        await self._program.tell(line)
        (answer,) = await self._program.hear(lambda facts: "done" in facts or "error" in facts)
        assert "done" in answer, answer


@contextlib.asynccontextmanager
async def lossy_path(folder: Path) -> AsyncIterator[LossyPath]:
    """Both, until the end of the block; the first time the emulator is built."""
    port = free_port()
    cargo = ["cargo", "run", "--quiet", "--locked", "-p", "conclave-netem", "--manifest-path"]
    command = [*cargo, ROOT / "dataplane/Cargo.toml", "--"]
    ends = (f"{THERE}:{port}", f"{HERE}:{port}", str(SEED))
    sections: Sections = {
        "media": {"port": port, "tcp": False, "announced": {HERE: THERE}},
        "audit": {"sidecar": "child", "port": 0},
    }
    async with running(folder / "netem.log", *command, *ends) as program:
        await program.hear(lambda facts: "listening" in facts)
        with serving(folder, sections) as server:
            yield LossyPath(program, server)

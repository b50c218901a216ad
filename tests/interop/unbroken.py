"""A picture under observation: what happened to it between two moments, as the one who looks at it saw it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.interop.conftest import Client, until

SCRIPT = Path(__file__).parent / "pages/continuity.js"
LOSSES = ("packetsLost", "nackCount", "pliCount")
# The longest interval between two frames of an unbroken picture, ms. At 30 frames a second it is 33 where
# nothing else runs; the rest is for machines whose cores are busy with other browsers.
UNBROKEN = 500.0


@dataclass
class Observed:
    """A client that sees one remote picture, from `begin` on."""

    client: Client
    since: float = 0.0
    before: dict[str, Any] | None = None

    @classmethod
    async def begin(cls, client: Client) -> Self:
        """Starts once pictures are decoded."""
        await until(lambda: client.decoded("video"), "pictures are decoded")
        if not await client.evaluate("typeof continuity === 'object'"):
            await client.page.add_script_tag(path=SCRIPT)
        await client.call("watchVideo")
        observed = cls(client)
        await observed.again()
        return observed

    async def again(self) -> None:
        """From here on, once three further frames were seen."""
        self.since = float(await self.client.evaluate("performance.now()"))
        await self.frames(3)
        (self.before,) = await self.client.decoded("video")
        self.since = float(await self.client.evaluate("performance.now()"))

    async def frames(self, count: int) -> None:
        """Waits for that many frames."""

        async def enough() -> bool:
            return int(await self.client.call("framesSince", self.since)) >= count

        await until(enough, f"{count} frames")

    async def further(self, count: int) -> None:
        """Waits for that many frames from now on; what is observed still begins where it began."""
        seen = int(await self.client.call("framesSince", self.since))
        await self.frames(seen + count)

    async def gap(self) -> float:
        """The longest interval without a frame, ms, up to now."""
        return float(await self.client.call("longestGap", self.since))

    async def losses(self) -> dict[str, int]:
        """What got lost or was asked for again meanwhile."""
        assert self.before is not None
        (after,) = await self.client.decoded("video")
        return {name: after[name] - self.before[name] for name in LOSSES}

    async def assert_unbroken(self, frames: int = 30) -> None:
        """Nothing was lost, nothing repeated, and the picture never stood still."""
        await self.frames(frames)
        assert await self.losses() == dict.fromkeys(LOSSES, 0)
        assert await self.gap() < UNBROKEN

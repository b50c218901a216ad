"""How long the garbage collector stops the control plane, by generation.

In: the interpreter's notices. Out: a tally for each generation. Must not: run longer than the counting takes: it
is part of the pause.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

from common.clock import Clock
from server.telemetry.tally import Tally

GENERATIONS = ("0", "1", "2")


class Pauses:
    """Listens to the collector."""

    def __init__(self, clock: Clock) -> None:
        """Hears nothing yet."""
        self.tallies = {
            generation: Tally("conclave_gc_pause_seconds") for generation in GENERATIONS
        }
        self._clock = clock
        self._began = 0.0

    def start(self) -> None:
        """Starts listening."""
        gc.callbacks.append(self.handle_collection)

    def stop(self) -> None:
        """Stops listening; idempotent."""
        if self.handle_collection in gc.callbacks:
            gc.callbacks.remove(self.handle_collection)

    def handle_collection(self, phase: str, info: Mapping[str, Any]) -> None:
        """A collection starts or stops."""
        if phase == "start":
            self._began = self._clock.now()
        else:
            tally = self.tallies.get(str(info["generation"]))
            if tally is not None:
                tally.observe(self._clock.now() - self._began)

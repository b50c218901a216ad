"""All dashboards, from the fleet down to the proof. A test looks that every series is in `common.contract`."""

from __future__ import annotations

from typing import Final

from scripts.dashboards.compliance import COMPLIANCE
from scripts.dashboards.meetings import ROOM
from scripts.dashboards.overview import OVERVIEW
from scripts.dashboards.pop import POP
from scripts.dashboards.quality import QUALITY

BOARDS: Final = (OVERVIEW, POP, ROOM, QUALITY, COMPLIANCE)

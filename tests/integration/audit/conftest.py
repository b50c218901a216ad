"""A sidecar in this process, on a real disk and real sockets, and auditors that connect to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from common.clock import SystemClock
from compliance.auditor import Auditor
from compliance.envelope import Source
from compliance.files import PosixFiles
from compliance.spool import Spool
from compliance.trail import FailMode, Limits
from sidecar.main import serving
from sidecar.settings import SidecarConfig, embedded
from tests.support import ports

PATIENT = Limits(timeout=30.0, spool_after=0.05)  # a busy machine is no outage


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def config(tmp_path: Path) -> SidecarConfig:
    return replace(embedded(tmp_path), origin="conclave.example/audit", interval=0.02)


@asynccontextmanager
async def auditing(
    config: SidecarConfig, incarnation: str = "5f3a", *, spool: Path | None = None, limits: Limits = PATIENT
) -> AsyncIterator[Auditor]:  # fmt: skip
    """An auditor, in mode SPOOL if it gets a folder for one."""
    files = PosixFiles(spool) if spool is not None else None
    auditor = Auditor(
        Source("pop-1", "eu", "server", incarnation),
        FailMode.SPOOL if files else FailMode.REFUSE,
        socket=str(config.socket),
        clock=SystemClock(),
        spool=Spool(files) if files else None,
        limits=limits,
    )
    await auditor.start()
    try:
        yield auditor
    finally:
        await auditor.close()
        if files:
            files.close()


@pytest.fixture
async def started(config: SidecarConfig) -> AsyncIterator[None]:
    """A running sidecar."""
    async with serving(config, SystemClock()):
        yield


@pytest.fixture
def free_port() -> int:
    """A port that nobody listens on now."""
    return ports.free_port()

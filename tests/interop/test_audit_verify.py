"""`conclave audit verify` as people run it: on a running server, a stopped one, a killed one, a changed log."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.conftest import ROOT, start_server, stop_server, until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(120)]


def verify(data: Path) -> tuple[int, dict[str, Any]]:
    """Exit code and report."""
    command = [ROOT / ".venv/bin/conclave", "audit", "verify", "--data", str(data), "--json"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


async def test_a_log_is_verified_whatever_became_of_its_server(tmp_path: Path) -> None:
    assert (await asyncio.to_thread(verify, tmp_path))[0] == 2

    server = await asyncio.to_thread(start_server, tmp_path)

    async def begun(runs: int = 1) -> bool:
        code, report = await asyncio.to_thread(verify, tmp_path)
        assert code != 1  # and 2, while the sidecar has not made a log
        sources = report.get("facts", {}).get("open", [])
        vanished = report["completeness"]["count"] if report else 0
        return len(sources) == 1 and vanished == runs - 1

    await until(begun, "the start is signed for")
    _, report = await asyncio.to_thread(verify, tmp_path)
    assert [each["source"].split("/")[1] for each in report["facts"]["open"]] == ["server"]
    server.process.kill()
    await asyncio.to_thread(stop_server, server)

    server = await asyncio.to_thread(start_server, tmp_path)
    await until(lambda: begun(2), "the next start is signed for")
    await asyncio.to_thread(stop_server, server)
    code, report = await asyncio.to_thread(verify, tmp_path)
    assert (code, report["integrity"]["verdict"]) == (3, "intact")
    assert [each["code"] for each in report["completeness"]["findings"]] == ["source_vanished"]
    assert report["facts"]["open"] == []

    (bundle,) = (tmp_path / "audit/log/tile/entries/000.p").glob(str(report["facts"]["size"]))
    data = bytearray(bundle.read_bytes())
    data[-10] ^= 1
    bundle.write_bytes(data)
    code, report = await asyncio.to_thread(verify, tmp_path)
    last = report["facts"]["size"] - 1
    assert (code, report["integrity"]["findings"][0]["entry"]) == (1, last)

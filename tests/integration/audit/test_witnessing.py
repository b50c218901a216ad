"""Sidecars as witnesses of each other: growth is cosigned, a split view is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from common.clock import SystemClock
from crypto.notes import COSIGNATURE, Signer, Verifier, open_note
from crypto.sealing import key_file
from sidecar.main import serving
from sidecar.settings import SidecarConfig, embedded
from tests.integration.audit.conftest import auditing
from tests.support.audit import ONE_OF_EACH

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


@pytest.fixture
def witness(config: SidecarConfig, tmp_path: Path, free_port: int) -> SidecarConfig:
    """A second sidecar that witnesses the first."""
    config.key.parent.mkdir(parents=True)
    log_key = Signer(config.origin, key_file(config.key).reveal()).verifier.encode()
    return replace(
        embedded(tmp_path / "witness", port=free_port),
        witness_key=tmp_path / "witness.key",
        witness_name="witness.example",
        witnessed={config.origin: (log_key,)},
    )


def key_of(witness: SidecarConfig) -> Verifier:
    assert witness.witness_key is not None
    return Signer("witness.example", key_file(witness.witness_key).reveal(), COSIGNATURE).verifier


def shown_to(config: SidecarConfig, witness: SidecarConfig) -> SidecarConfig:
    url = f"http://127.0.0.1:{witness.port}"
    return replace(config, witnesses=((url, key_of(witness).encode()),))


async def outcomes(witness: SidecarConfig) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{witness.port}/metrics")).text


async def cosigned(config: SidecarConfig, size: int, key: Verifier) -> None:
    """Waits for a cosigned checkpoint of at least that size, while events keep coming."""
    path = config.log / "checkpoint.cosigned"
    async with auditing(config, f"to{size}") as auditor:
        for _ in range(2000):
            await auditor.record(ONE_OF_EACH[4])
            if path.exists():
                text, signatures = open_note(path.read_text(), [key])
                if int(text.split("\n")[1]) >= size:
                    assert signatures[0].timestamp is not None
                    return
    raise AssertionError("no cosigned checkpoint")


async def test_a_witness_follows_growth_over_restarts_of_both(
    config: SidecarConfig, witness: SidecarConfig
) -> None:
    log = shown_to(config, witness)
    for size in (5, 500):
        async with serving(witness, SystemClock()), serving(log, SystemClock()):
            await cosigned(log, size, key_of(witness))


async def test_two_sidecars_with_one_key_are_found_by_the_witness(
    config: SidecarConfig, witness: SidecarConfig, tmp_path: Path
) -> None:
    log = shown_to(config, witness)
    other = replace(log, log=tmp_path / "o/log", state=tmp_path / "o/state", socket=tmp_path / "s")
    async with serving(witness, SystemClock()):
        async with serving(log, SystemClock()):
            await cosigned(log, 5, key_of(witness))
        async with serving(other, SystemClock()), auditing(other, "other") as auditor:
            for _ in range(2000):
                await auditor.record(ONE_OF_EACH[5])
                if 'outcome="growth_unproven"' in await outcomes(witness):
                    break
        assert not (other.log / "checkpoint.cosigned").exists()
        assert 'outcome="growth_unproven"' in await outcomes(witness)
    (evidence,) = list((witness.state / "evidence").iterdir())[:1]
    assert evidence.read_text().startswith("old ")

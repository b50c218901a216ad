"""Acts on their way: people become pseudonyms, what is personal is sealed, all events of an act or none."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from common.clock import SystemClock
from common.errors import RemoteError
from common.ids import Identity
from common.redact import Redacted
from compliance import trail as trail_module
from compliance.envelope import Record, decode, encode
from compliance.events import ActAbandoned, AdmissionGranted, CustomRecorded, Event, Target
from compliance.files import PosixFiles
from compliance.staging import Staging
from compliance.vault import Subject, Vault
from compliance.words import NO_TENANT
from crypto.sealing import new_key
from server.audit import acts as acts_module
from server.audit.acts import ActTrail
from sidecar.main import serving
from sidecar.settings import SidecarConfig
from signalling.ports import Act, Person, Recorded
from tests.integration.audit.conftest import auditing
from tests.support.audit import SYSTEM
from tests.support.logs import read_published

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

EVENT = CustomRecorded(actor=SYSTEM, name="x")
GRANTED = AdmissionGranted(actor=SYSTEM, on=Target(room="RM_a", peer="PA_b"), rights=("publish",))
ADA = Person(Identity("ada@example.com"), {"identity": "ada@example.com", "name": "Ada Lovelace"})
GRACE = Person(Identity("grace@example.com"))


@asynccontextmanager
async def trail(config: SidecarConfig, folder: Path) -> AsyncIterator[tuple[ActTrail, Vault]]:
    with closing(PosixFiles(folder / "vault")) as files, ThreadPoolExecutor(1) as thread:
        vault = Vault(files, new_key())
        async with auditing(config) as auditor:
            yield ActTrail(auditor, vault, thread, SystemClock(), 10.0), vault


async def record(trail: ActTrail, act: Act) -> Recorded:
    future: asyncio.Future[Recorded | RemoteError] = asyncio.get_running_loop().create_future()
    trail.record(act, future.set_result)
    outcome = await future
    if isinstance(outcome, RemoteError):
        raise outcome
    return outcome


def published(config: SidecarConfig) -> list[Event]:
    return [decode(entry).event for entry in read_published(config.log)]


async def test_people_are_pseudonyms_and_what_is_personal_is_sealed(
    config: SidecarConfig, tmp_path: Path
) -> None:
    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, vault):
        recorded = await record(made, Act((GRANTED,), about=ADA, by=GRACE))
        again = await record(made, Act((EVENT,), about=Person(ADA.identity)))
        assert recorded.index == 0
        assert recorded.subject == again.subject
        facts = await asyncio.to_thread(vault.records, Subject(NO_TENANT, Redacted(ADA.identity)))
        assert facts == [dict(ADA.facts)]
    first, second = published(config)
    assert (first.on.subject, second.on.subject) == (recorded.subject, recorded.subject)
    assert first.actor.subject not in ("", recorded.subject)
    assert first.private is not None
    assert second.private is None
    with closing(PosixFiles(tmp_path / "vault")) as files:
        assert files.list("subjects")
    everything = b"".join(read_published(config.log))
    for personal in (b"ada@", b"Ada", b"Lovelace", b"grace", b"example.com"):  # none is hexadecimal
        assert personal not in everything


async def test_events_of_an_act_stand_together_in_their_order(
    config: SidecarConfig, tmp_path: Path
) -> None:
    names = [[f"{number}.{part}" for part in range(3)] for number in range(5)]
    acts = [
        Act(tuple(CustomRecorded(actor=SYSTEM, name=name) for name in three)) for three in names
    ]
    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, _):
        outcomes = await asyncio.gather(*(record(made, act) for act in acts))
    found = [event.name for event in published(config) if isinstance(event, CustomRecorded)]
    assert found == [name for three in names for name in three]
    assert [outcome.sequences for outcome in outcomes[:2]] == [(1, 2, 3), (4, 5, 6)]


async def test_a_vault_that_fails_refuses_the_act(
    config: SidecarConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, "no space")

    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, vault):
        monkeypatch.setattr(vault, "keep", full)
        with pytest.raises(RemoteError) as caught:
            await record(made, Act((GRANTED,), about=ADA))
        assert caught.value.code == "audit_unavailable"
        await record(made, Act((EVENT,)))
    assert [event.kind for event in published(config)] == ["custom_recorded"]


async def test_too_many_at_once_are_refused_at_once(
    config: SidecarConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acts_module, "MAX_ACTS", 2)
    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, _):
        outcomes = await asyncio.gather(
            *(record(made, Act((EVENT,))) for _ in range(3)), return_exceptions=True
        )
        assert isinstance(outcomes[2], RemoteError)
        assert outcomes[2].code == "audit_unavailable"
        assert all(isinstance(outcome, Recorded) for outcome in outcomes[:2])


async def test_when_one_event_is_refused_the_others_are_abandoned(
    config: SidecarConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(each: Record) -> bytes:
        return b"{}" if each.event is poison else encode(each)

    poison = CustomRecorded(actor=SYSTEM, name="poison")
    monkeypatch.setattr(trail_module, "encode", encoded)
    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, _):
        with pytest.raises(RemoteError) as caught:
            await record(made, Act((EVENT, poison)))
        assert caught.value.code == "audit_refused"
        await made.settle()
    abandoned = [event for event in published(config) if isinstance(event, ActAbandoned)]
    assert {event.sequence for event in abandoned} == {1, 2}


async def test_whoever_waits_hears_of_it_whatever_goes_wrong(
    config: SidecarConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise ValueError("a mistake of ours")

    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, vault):
        monkeypatch.setattr(vault, "pseudonym", broken)
        with pytest.raises(RemoteError) as caught:
            await record(made, Act((GRANTED,), about=ADA))
        assert caught.value.code == "audit_unavailable"


async def test_people_who_come_at_the_same_time_are_sealed_together(
    config: SidecarConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    commit = Staging.commit

    def counted(staging: Staging) -> None:
        commits.append(1)
        commit(staging)

    monkeypatch.setattr(Staging, "commit", counted)
    people = [Person(Identity(f"p{n}"), {"identity": f"p{n}"}) for n in range(40)]
    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, vault):
        outcomes = await asyncio.gather(
            *(record(made, Act((GRANTED,), about=each, by=each)) for each in people)
        )
        assert len({outcome.subject for outcome in outcomes}) == 40
        assert len(commits) <= 3
        events = [event for event in published(config) if event.private is not None]
        for event in events:
            assert event.private is not None
            facts = await asyncio.to_thread(vault.read, event.private)
            assert facts["identity"].startswith("p")


async def test_facts_that_are_too_long_refuse_their_own_act_alone(
    config: SidecarConfig, tmp_path: Path
) -> None:
    long = Person(Identity("long"), {"name": "x" * 40_000})
    async with serving(config, SystemClock()), trail(config, tmp_path) as (made, _):
        first, refused, last = await asyncio.gather(
            *(record(made, Act((GRANTED,), about=each)) for each in (ADA, long, ADA)),
            return_exceptions=True,
        )
        assert isinstance(first, Recorded)
        assert isinstance(last, Recorded)
        assert isinstance(refused, RemoteError)
        assert refused.code == "audit_unavailable"


async def test_a_vault_that_hangs_refuses_in_time(config: SidecarConfig, tmp_path: Path) -> None:
    hanging = threading.Event()
    with closing(PosixFiles(tmp_path / "vault")) as files, ThreadPoolExecutor(1) as thread:
        thread.submit(hanging.wait, 60)
        async with serving(config, SystemClock()), auditing(config) as auditor:
            made = ActTrail(auditor, Vault(files, new_key()), thread, SystemClock(), 0.05)
            with pytest.raises(RemoteError) as caught:
                await record(made, Act((GRANTED,), about=ADA))
            assert caught.value.code == "audit_timeout"
            hanging.set()

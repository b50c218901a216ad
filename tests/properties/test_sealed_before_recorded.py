"""Power fails anywhere between the vault and the log: no entry refers to a record that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import cycle

import pytest

from common.errors import RemoteError
from common.redact import Redacted
from compliance.envelope import decode, encode
from compliance.events import Private
from compliance.vault import Subject, Vault
from compliance.words import TenantId
from tests.support.audit import ONE_OF_EACH, record
from tests.support.disk import Disk, PowerCut
from tests.support.logs import Log, arrival, read_log

MASTER = Redacted(bytes(range(32)))
PERIOD = "2026-11"
GRANTED = ONE_OF_EACH[7]
ROUNDS = 3  # of two admissions each
SURVIVAL = ([False], [True], [True, False], [False, True, True])  # of what was not durable, in turn
OPERATIONS = 140  # of both disks together, more than there are
assert GRANTED.kind == "admission_granted"


@dataclass
class Machine:
    """A vault and a log, each on a disk of its own, and one supply of power."""

    vault_disk: Disk
    log_disk: Disk
    confirmed: int = 0  # acts that took place

    def seal(self, vault: Vault, number: int) -> list[Private]:
        people = [Subject(TenantId("acme"), Redacted(f"{n}@example.org")) for n in (number, 0)]
        with vault.group():
            return [vault.keep(who, PERIOD, {"name": f"Anna {number}"}) for who in people]

    def record(self, log: Log, number: int, sealed: list[Private]) -> None:
        events = [replace(GRANTED, private=private) for private in sealed]
        first = 2 * number + 1
        entries = [encode(record(event, first + n)) for n, event in enumerate(events)]
        log.commit([arrival(entry) for entry in entries])
        log.publish()


def sealed_first(machine: Machine, vault: Vault, log: Log, number: int) -> None:
    machine.record(log, number, machine.seal(vault, number))
    machine.confirmed = 2 * number + 2


def recorded_first(machine: Machine, vault: Vault, log: Log, number: int) -> None:
    """What the server does not do: the log is told before the medium has what the vault keeps."""
    with vault.group():
        machine.record(log, number, machine.seal(vault, number))


def dangling(
    act: Callable[[Machine, Vault, Log, int], None], operation: int, survival: list[bool]
) -> int:
    """Entries that lead nowhere after a power cut at an operation of either disk."""
    machine = Machine(Disk(), Disk())
    vault, log = Vault(machine.vault_disk, MASTER), Log(machine.log_disk)
    done = 0

    def count(_number: int, _name: str) -> None:
        nonlocal done
        done += 1
        if done == operation:
            raise PowerCut

    machine.vault_disk.fault = machine.log_disk.fault = count
    try:
        for number in range(ROUNDS):
            act(machine, vault, log, number)
    except PowerCut:
        pass
    turn = cycle(survival)
    vault_after = Vault(machine.vault_disk.crash(lambda: next(turn)), MASTER)
    log_after = machine.log_disk.crash(lambda: next(turn))
    Log(log_after)  # what is durable is published
    entries = read_log(log_after)[1]
    assert len(entries) >= machine.confirmed
    lost = 0
    for entry in entries:
        private = decode(entry).event.private
        assert private is not None
        try:
            assert vault_after.read(private)["name"].startswith("Anna")
        except RemoteError:
            lost += 1
    return lost


@pytest.mark.parametrize("operation", range(1, OPERATIONS))
def test_an_entry_in_the_log_has_its_record_in_the_vault(operation: int) -> None:
    for survival in SURVIVAL:
        assert dangling(sealed_first, operation, survival) == 0


def test_the_other_order_would_leave_entries_that_lead_nowhere() -> None:
    found = [dangling(recorded_first, operation, [False]) for operation in range(1, OPERATIONS)]
    assert any(found)

"""The vault: facts come back for those who may see them, and never again after erasure."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from common.errors import RemoteError
from common.redact import Redacted
from compliance import vault as vault_module
from compliance.events import Private
from compliance.files import PosixFiles
from compliance.vault import Subject, Vault, period_of
from compliance.words import TenantId, VaultRef
from crypto.sealing import SealError
from tests.support.disk import Disk, DiskFile, PowerCut, always, no_fault

MASTER = Redacted(bytes(range(32)))
ANNA = Subject(TenantId("acme"), Redacted("anna@example.org"))
BERT = Subject(TenantId("acme"), Redacted("bert@example.org"))
FACTS = {"name": "Anna Berg", "mail": "anna@example.org", "place": "192.0.2.0/24"}


def code(vault: Vault, private: Private) -> str:
    with pytest.raises(RemoteError) as caught:
        vault.read(private)
    return caught.value.code


def test_facts_come_back() -> None:
    vault = Vault(Disk(), MASTER)
    first = vault.keep(ANNA, "2026-11", FACTS)
    second = vault.keep(ANNA, "2026-11", FACTS)
    assert vault.read(first) == vault.read(second) == FACTS
    assert (first.commitment, first.vault) != (second.commitment, second.vault)
    assert vault.records(ANNA) == [FACTS, FACTS]
    assert vault.records(BERT) == []


def test_facts_survive_a_new_start() -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    private, name = vault.keep(ANNA, "2026-11", FACTS), vault.pseudonym(ANNA, "2026-11")
    again = Vault(disk.crash(lambda: False), MASTER)
    assert again.read(private) == FACTS
    assert again.pseudonym(ANNA, "2026-11") == name


def test_pseudonyms_differ_by_person_tenant_and_period() -> None:
    vault = Vault(Disk(), MASTER)
    elsewhere = Subject(TenantId("other"), ANNA.identity)
    names = [vault.pseudonym(*each) for each in
             ((ANNA, "2026-11"), (ANNA, "2026-12"), (BERT, "2026-11"), (elsewhere, "2026-11"))]  # fmt: skip
    assert len(set(names)) == 4
    assert vault.pseudonym(ANNA, "2026-11") == names[0]


def test_a_look_for_somebody_makes_nobody_known() -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    name = vault.pseudonym(ANNA, "2026-11")
    before = dict(disk.names)
    assert vault.known(ANNA, "2026-11") == name
    assert Vault(disk, MASTER).known(ANNA, "2026-11") == name
    assert vault.known(ANNA, "2026-12") is None
    assert vault.known(BERT, "2026-11") is None
    assert disk.names == before
    vault.erase(ANNA)
    assert vault.known(ANNA, "2026-11") is None


def test_nothing_personal_is_on_the_disk_in_the_clear() -> None:
    disk = Disk()
    Vault(disk, MASTER).keep(ANNA, "2026-11", FACTS)
    for path, inode in disk.names.items():
        for fact in (*FACTS.values(), "anna", "acme"):
            assert fact not in path
            assert fact.encode() not in inode.data


def test_erasure_destroys_the_person_and_nobody_else() -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    anna, bert = vault.keep(ANNA, "2026-11", FACTS), vault.keep(BERT, "2026-11", {"name": "Bert"})
    name = vault.pseudonym(ANNA, "2026-11")
    vault.erase(ANNA)
    for each in (vault, Vault(disk.crash(lambda: False), MASTER)):
        assert code(each, anna) == "vault_erased"
        assert each.records(ANNA) == []
        assert each.read(bert) == {"name": "Bert"}
    assert vault.pseudonym(ANNA, "2026-11") != name  # a new key: nobody can link the old one
    vault.erase(ANNA)
    vault.erase(ANNA)


def test_a_copy_of_the_sealed_record_is_worth_nothing_after_erasure() -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    private = vault.keep(ANNA, "2026-11", FACTS)
    stolen = {
        path: bytes(inode.data) for path, inode in disk.names.items() if not path.endswith("key")
    }
    vault.erase(ANNA)
    vault.pseudonym(ANNA, "2026-11")  # a new key appears where the old one was
    for path, content in stolen.items():
        disk.open(path).inode.data[:] = content
    assert code(vault, private) == "seal_broken"


@pytest.mark.parametrize("operation", range(1, 40))
def test_erasure_survives_a_power_cut_anywhere(operation: int) -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    private = vault.keep(ANNA, "2026-11", FACTS)

    def cut(number: int, _name: str) -> None:
        if number == disk_before + operation:
            raise PowerCut

    disk_before, disk.fault = disk.operations, cut
    done = False
    try:
        vault.erase(ANNA)
        done = True
    except PowerCut:
        pass
    for survives in (False, True):
        after = Vault(disk.crash(always(answer=survives)), MASTER)
        try:
            assert after.read(private) == FACTS
            assert not done
        except RemoteError as error:
            assert error.code in ("vault_erased", "seal_broken")  # noqa: PT017 - either is right
        after.erase(ANNA)
        assert code(after, private) == "vault_erased"


def test_a_forgotten_period_can_no_longer_be_recomputed() -> None:
    vault = Vault(Disk(), MASTER)
    private, name = vault.keep(ANNA, "2026-11", FACTS), vault.pseudonym(ANNA, "2026-11")
    vault.forget_period(ANNA.tenant, "2026-11")
    assert code(vault, private) == "vault_mismatch"
    assert vault.pseudonym(ANNA, "2026-11") != name
    assert code(vault, private) == "vault_mismatch"


def test_another_record_does_not_pass_for_the_one_committed_to() -> None:
    vault = Vault(Disk(), MASTER)
    first, second = (vault.keep(ANNA, "2026-11", {"name": name}) for name in ("Anna", "Ann"))
    assert code(vault, Private(first.commitment, second.vault)) == "vault_mismatch"
    assert code(vault, Private(first.commitment, VaultRef("v_" + "0" * 32))) == "vault_erased"


def test_another_master_key_opens_nothing() -> None:
    disk = Disk()
    private = Vault(disk, MASTER).keep(ANNA, "2026-11", FACTS)
    assert code(Vault(disk, Redacted(bytes(32))), private) == "vault_erased"


def test_damage_is_named() -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    private = vault.keep(ANNA, "2026-11", FACTS)
    for path, inode in disk.names.items():
        if len(path.split("/")[-1]) == 16:
            inode.data[20] ^= 1
    with pytest.raises(SealError):
        vault.read(private)


def test_facts_are_bounded() -> None:
    with pytest.raises(RemoteError, match="do not fit"):
        Vault(Disk(), MASTER).keep(ANNA, "2026-11", {"name": "x" * 40_000})


def test_keys_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "MAX_KEYS", 3)
    vault = Vault(Disk(), MASTER)
    people = [Subject(TenantId("acme"), Redacted(f"p{n}")) for n in range(10)]
    names = [vault.pseudonym(person, "2026-11") for person in people]
    assert [vault.pseudonym(person, "2026-11") for person in people] == names


def test_on_a_real_disk_all_is_private_to_its_owner(tmp_path: Path) -> None:
    files = PosixFiles(tmp_path / "vault")
    vault = Vault(files, MASTER)
    private = vault.keep(ANNA, period_of(1_700_000_000.0), FACTS)
    assert vault.read(private) == FACTS
    for path in (tmp_path / "vault").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
    vault.erase(ANNA)
    assert code(vault, private) == "vault_erased"
    files.close()


def test_a_period_is_a_month() -> None:
    assert period_of(1_700_000_000.0) == "2023-11"


def test_a_group_costs_two_rounds_of_syncs_however_many_are_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)
    vault.pseudonym(BERT, "2026-11")
    rounds: list[tuple[int, int]] = []
    sync_all = disk.sync_all

    def counted(files: Sequence[DiskFile], folders: Sequence[str]) -> None:
        rounds.append((len(files), len(folders)))
        sync_all(files, folders)

    monkeypatch.setattr(disk, "sync_all", counted)
    before = disk.syncs
    with vault.group():
        for number in range(10):
            who = Subject(TenantId("acme"), Redacted(f"p{number}"))
            vault.keep(who, "2026-11", FACTS)
            vault.pseudonym(who, "2026-11")
    assert rounds == [(20, 0), (0, 11)]  # a key and a record each; their folders, and the one above
    assert disk.syncs == before + 31  # and none beside these


def test_within_a_group_a_person_has_one_name_and_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_module, "MAX_KEYS", 1)
    disk = Disk()
    vault = Vault(disk, MASTER)
    with vault.group():
        name = vault.pseudonym(ANNA, "2026-11")
        kept = vault.keep(ANNA, "2026-11", FACTS)
        vault.pseudonym(BERT, "2026-11")
        assert vault.pseudonym(ANNA, "2026-11") == name
    again = Vault(disk.crash(lambda: False), MASTER)
    assert again.pseudonym(ANNA, "2026-11") == vault.pseudonym(ANNA, "2026-11") == name
    assert again.read(kept) == FACTS


@pytest.mark.parametrize("operation", range(1, 40))
def test_a_group_that_the_disk_refuses_leaves_nothing_that_counts_on_it(operation: int) -> None:
    disk = Disk()
    vault = Vault(disk, MASTER)

    def fail(number: int, _name: str) -> None:
        if number == disk_before + operation:
            raise OSError(5, "input/output error")

    disk_before, disk.fault = disk.operations, fail
    try:
        with vault.group():
            vault.keep(BERT, "2026-11", {"name": "Bert"})
            vault.keep(ANNA, "2026-11", FACTS)
    except OSError:
        pass
    disk.fault = no_fault
    kept, name = vault.keep(ANNA, "2026-11", FACTS), vault.pseudonym(ANNA, "2026-11")
    after = Vault(disk.crash(lambda: False), MASTER)
    assert after.read(kept) == FACTS
    assert after.pseudonym(ANNA, "2026-11") == name

"""Where personal data lives: sealed under a key per person, outside of the log.

In: people, facts about them. Out: pseudonyms, commitments with references, and the facts again for those who may
see them. Must not: write anything personal in the clear, or be able to read a person whose key was destroyed.
Destroying a key erases the person; the log stays whole, its references then lead nowhere.

    subjects/<index>/key       the person's key, sealed under the master key
    subjects/<index>/<record>  facts, sealed under the person's key
    periods/<tenant and period>  the key of pseudonyms and commitments, sealed under the master key

What is kept within one `group` becomes durable together: contents with one sync of the medium, names with another.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from common.errors import RemoteError
from common.redact import Redacted
from compliance.canonical import canonical, parse_object
from compliance.envelope import format_time
from compliance.events import Private
from compliance.files import Files, folder_of
from compliance.staging import Staging
from compliance.words import VAULT_REF, Pseudonym, TenantId, VaultRef
from crypto.pseudonyms import HALF, Locator, commitment, pseudonym, subject_index
from crypto.sealing import Key, SealError, new_key, seal, unseal

MAX_KEYS: Final = 4096  # keys held in memory, the least recently used goes first; 1 MiB
MAX_FACTS: Final = 32 * 1024  # bytes of one record
_KEY: Final = "key"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person as a tenant knows them."""

    tenant: TenantId
    identity: Redacted[str]


def period_of(wall: float) -> str:
    """The month of a moment (seconds since the epoch), such as `2026-11`: pseudonyms change with it."""
    return format_time(int(wall * 1_000_000))[:7]


class Vault:
    """An embedded store. Its calls block on the disk: run them on a thread of their own, one at a time."""

    def __init__(self, files: Files, master: Key) -> None:
        """`master` opens all other keys; it is kept elsewhere than `files`."""
        self._files = files
        self._master = master
        self._locator = Locator(master)
        self._keys: OrderedDict[str, Key] = OrderedDict()
        self._staging: Staging | None = None  # of the open group
        self._made: dict[str, Key] = {}  # keys that the open group has made
        self._owed: set[str] = set()
        files.make_folder("subjects")
        files.make_folder("periods")

    @contextmanager
    def group(self) -> Iterator[None]:
        """What is named and kept within is durable when it ends. Raises OSError; then count on none of it."""
        if self._staging is not None:
            yield
            return
        staging = self._staging = Staging(self._files, self._owed)
        try:
            yield
            staging.commit()
            for path, key in self._made.items():
                self._remember(path, key)
        finally:
            staging.close()
            self._staging, self._made = None, {}

    def pseudonym(self, subject: Subject, period: str) -> Pseudonym:
        """The person's name in events of `period`; the same for the same person."""
        with self.group():
            own = self._key_of(self._folder(subject) + "/" + _KEY)
            return Pseudonym(pseudonym(self._period(subject.tenant, period), own))

    def known(self, subject: Subject, period: str) -> Pseudonym | None:
        """The person's name in events of `period`, if there can be any: a look at it makes nobody known."""
        own = self._look_up(self._folder(subject) + "/" + _KEY)
        of_period = self._look_up(_period_path(subject.tenant, period))
        if own is None or of_period is None:
            return None
        return Pseudonym(pseudonym(of_period, own))

    def keep(self, subject: Subject, period: str, facts: Mapping[str, str]) -> Private:
        """Seals facts about a person; durable when the group ends, which alone it is.

        Raises RemoteError `facts_too_long`, OSError.
        """
        folder, record = self._folder(subject), secrets.token_bytes(HALF)
        document = canonical(
            {"salt": secrets.token_hex(16), "tenant": subject.tenant, "period": period, "facts": dict(facts)}
        )  # fmt: skip
        if len(document) > MAX_FACTS:
            raise RemoteError("facts_too_long", "the facts do not fit into a record")
        path = f"{folder}/{record.hex()}"
        with self.group():
            sealed = seal(self._key_of(f"{folder}/{_KEY}"), document, path.encode())
            self._staged().put(path, sealed)
            reference = self._locator.hide(bytes.fromhex(folder.removeprefix("subjects/")), record)
            committed = commitment(self._period(subject.tenant, period), document)
            return Private(committed, VaultRef(reference))

    def read(self, private: Private) -> dict[str, str]:
        """The facts behind an event.

        Raises RemoteError: vault_erased if there is no such record any more, vault_mismatch if the record is not
        the one that the event committed to, seal_broken.
        """
        if not VAULT_REF.fullmatch(private.vault):
            raise _erased()
        index, record = self._locator.find(private.vault)
        document = self._open(f"subjects/{index.hex()}", record.hex())
        parsed = parse_object(document)
        path = _period_path(TenantId(str(parsed["tenant"])), str(parsed["period"]))
        period = self._look_up(path)  # a look makes no key, also where one was destroyed
        if period is None or commitment(period, document) != private.commitment:
            raise RemoteError("vault_mismatch", "the record is not the one committed to")
        return _facts(document)

    def records(self, subject: Subject) -> list[dict[str, str]]:
        """Everything kept about a person. Raises RemoteError `seal_broken`."""
        folder = self._folder(subject)
        if self._stored_key(f"{folder}/{_KEY}") is None:
            return []
        names = [name for name in self._files.list(folder) if len(name) == 2 * HALF]
        return [_facts(self._open(folder, name)) for name in names]

    def erase(self, subject: Subject) -> None:
        """Destroys the person's key, then what it opened. Idempotent; durable when it returns."""
        folder = self._folder(subject)
        self._destroy(f"{folder}/{_KEY}")
        for name in self._files.list(folder):
            self._files.remove(f"{folder}/{name}")
        if folder.removeprefix("subjects/") in self._files.list("subjects"):
            self._files.sync_folder(folder)
            self._files.remove(folder)
            self._owed.discard(folder)
            self._files.sync_folder("subjects")

    def forget_period(self, tenant: TenantId, period: str) -> None:
        """Destroys a period's key: its pseudonyms and commitments can no longer be recomputed."""
        self._destroy(_period_path(tenant, period))

    def _folder(self, subject: Subject) -> str:
        index = subject_index(self._master, subject.tenant, subject.identity.reveal())
        return f"subjects/{index.hex()}"

    def _period(self, tenant: TenantId, period: str) -> Key:
        return self._key_of(_period_path(tenant, period))

    def _look_up(self, path: str) -> Key | None:
        return self._made.get(path) or self._keys.get(path) or self._stored_key(path)

    def _key_of(self, path: str) -> Key:
        """The key at `path`, made if there is none."""
        key = self._look_up(path)
        if key is None:
            key = self._made[path] = new_key()
            self._staged().make_folder(folder_of(path))
            self._staged().put(path, seal(self._master, key.reveal(), path.encode()))
        elif path not in self._made:
            self._remember(path, key)
        return key

    def _remember(self, path: str, key: Key) -> None:
        self._keys[path] = key
        self._keys.move_to_end(path)
        while len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)

    def _staged(self) -> Staging:
        assert self._staging is not None, "invariant: whoever writes is in a group"  # noqa: S101
        return self._staging

    def _stored_key(self, path: str) -> Key | None:
        try:
            sealed = self._files.read(path)
        except FileNotFoundError:
            return None
        if not sealed:  # its destruction was interrupted
            return None
        return Redacted(unseal(self._master, sealed, path.encode()))

    def _open(self, folder: str, record: str) -> bytes:
        key = self._stored_key(f"{folder}/{_KEY}")
        if key is None:
            raise _erased()
        path = f"{folder}/{record}"
        try:
            sealed = self._files.read(path)
        except FileNotFoundError as error:
            raise _erased() from error
        return unseal(key, sealed, path.encode())

    def _destroy(self, path: str) -> None:
        self._keys.pop(path, None)
        if path.rpartition("/")[2] not in self._files.list(folder_of(path)):
            return
        file = self._files.open(path)
        try:
            file.truncate(0)
            file.sync()
        finally:
            file.close()
        self._files.remove(path)
        self._files.sync_folder(folder_of(path))


def _period_path(tenant: TenantId, period: str) -> str:
    return f"periods/{hashlib.sha256(f'{tenant} {period}'.encode()).hexdigest()[:32]}"


def _facts(document: bytes) -> dict[str, str]:
    facts = parse_object(document)["facts"]
    if not isinstance(facts, dict):
        raise SealError
    return {str(name): str(value) for name, value in facts.items()}


def _erased() -> RemoteError:
    return RemoteError("vault_erased", "there is no such record, or no longer")

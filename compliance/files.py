"""What stores need of a file system, as a small port, and the POSIX file system behind it.

In: paths relative to a root, bytes. Out: bytes, or OSError. Must not: promise more than the kernel does. Content
is durable after `sync`, a name after `sync_folder` of its folder. Everything is readable by its owner alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Protocol

from common.errors import LocalError

TEMPORARY: Final = ".new"  # suffix of files that are being written
SYNCS_AT_ONCE: Final = 8  # threads that wait for the medium; more of them save it no further effort


class File(Protocol):
    """An open file that grows at its end."""

    def write(self, data: bytes) -> None:
        """Appends all of `data`, or raises with any part of it written."""

    def sync(self) -> None:
        """Makes the content durable."""

    def truncate(self, size: int) -> None:
        """Cuts the file to `size` bytes."""

    def close(self) -> None:
        """Gives the descriptor back."""


class Files(Protocol):
    """A folder with everything below it."""

    def open(self, path: str) -> File:
        """Opens for appending; creates the file if need be, its folder must exist."""

    def read(self, path: str) -> bytes:
        """The whole content. Raises FileNotFoundError."""

    def list(self, folder: str) -> list[str]:
        """Names in a folder, sorted; none if there is no such folder."""

    def rename(self, old: str, new: str) -> None:
        """Gives a file another name, in place of whatever had it."""

    def remove(self, path: str) -> None:
        """Removes a file, or an empty folder."""

    def make_folder(self, path: str, *, durable: bool = True) -> None:
        """Makes a folder and those above it; not durable: until the folder above is synced."""

    def sync_folder(self, path: str) -> None:
        """Makes the names in a folder durable."""

    def sync_all(self, files: Sequence[File], folders: Iterable[str]) -> None:
        """Makes contents of files and names in folders durable, all at once: the medium shares its effort."""


def write_file(files: Files, path: str, data: bytes, *, durable: bool) -> None:
    """Writes a whole file so that readers see the old content or the new one, never a part.

    Durable: so does everybody after a crash, once `sync_folder` of its folder was called.
    """
    file = files.open(path + TEMPORARY)
    try:
        file.truncate(0)
        file.write(data)
        if durable:
            file.sync()
    finally:
        file.close()
    files.rename(path + TEMPORARY, path)


def replace_file(files: Files, path: str, data: bytes) -> None:
    """Writes a whole file durably; when this returns, a crash does not bring the old one back."""
    write_file(files, path, data, durable=True)
    files.sync_folder(folder_of(path))


def folder_of(path: str) -> str:
    """The folder that a path is in; the root is ""."""
    return path.rpartition("/")[0]


class PosixFile:
    """A descriptor."""

    def __init__(self, descriptor: int) -> None:
        """Takes ownership of the descriptor."""
        self._descriptor = descriptor

    def write(self, data: bytes) -> None:
        """Appends all of `data`."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        """Makes the content durable."""
        os.fdatasync(self._descriptor)

    def truncate(self, size: int) -> None:
        """Cuts the file."""
        os.ftruncate(self._descriptor, size)

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self._descriptor)


class PosixFiles:
    """A folder of this machine, mode 0700, held by one process at a time."""

    def __init__(self, root: Path) -> None:
        """Makes the folder if need be. Raises LocalError `store_in_use`."""
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(root / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise LocalError("store_in_use", f"another process works in {root}") from error
        self._syncing = ThreadPoolExecutor(
            SYNCS_AT_ONCE, "sync"
        )  # threads begin when they are needed

    def close(self) -> None:
        """Lets others work in the folder."""
        self._syncing.shutdown()
        os.close(self._lock)

    def open(self, path: str) -> PosixFile:
        """Opens for appending."""
        flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        return PosixFile(os.open(self.root / path, flags, 0o600))

    def read(self, path: str) -> bytes:
        """The whole content."""
        return (self.root / path).read_bytes()

    def list(self, folder: str) -> list[str]:
        """Names in a folder, sorted."""
        try:
            return sorted(os.listdir(self.root / folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def rename(self, old: str, new: str) -> None:
        """Gives a file another name."""
        (self.root / old).rename(self.root / new)

    def remove(self, path: str) -> None:
        """Removes a file, or an empty folder."""
        target = self.root / path
        if target.is_dir():
            target.rmdir()
        else:
            target.unlink()

    def make_folder(self, path: str, *, durable: bool = True) -> None:
        """Makes a folder and those above it."""
        above = ""
        for part in path.split("/"):
            folder = f"{above}/{part}".lstrip("/")
            if not (self.root / folder).is_dir():
                (self.root / folder).mkdir(mode=0o700)
                if durable:
                    self.sync_folder(above)
            above = folder

    def sync_folder(self, path: str) -> None:
        """Makes the names in a folder durable."""
        descriptor = os.open(self.root / path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_all(self, files: Sequence[File], folders: Iterable[str]) -> None:
        """Makes contents and names durable."""
        work: list[Callable[[], None]] = [file.sync for file in files]
        work += [partial(self.sync_folder, folder) for folder in folders]
        if len(work) == 1:
            work[0]()
            return
        for done in [self._syncing.submit(each) for each in work]:
            done.result()

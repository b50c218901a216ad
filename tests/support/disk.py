"""A file system in memory that forgets what was not made durable, and fails where a test wants it to.

Content survives a crash once it was synced, a name once its folder was. What was neither may survive or not:
`crash` asks for each. `fault` is asked before every operation and may raise; a write that fails has left half
of its data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field


class PowerCut(BaseException):
    """The machine stops here."""


@dataclass(eq=False)
class Inode:
    """A file's content, as programs see it and as the medium has it."""

    data: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


Fault = Callable[[int, str], None]  # number and name of the operation


def no_fault(_number: int, _operation: str) -> None:
    """Nothing fails."""


class Disk:
    """Implements `compliance.files.Files`."""

    def __init__(self) -> None:
        self.names: dict[str, Inode] = {}
        self.durable_names: dict[str, Inode] = {}
        self.folders = {""}
        self.durable_folders = {""}
        self.operations = 0
        self.syncs = 0
        self.fault: Fault = no_fault
        self.capacity: int | None = None  # bytes; None: endless

    def step(self, operation: str) -> None:
        self.operations += 1
        self.syncs += operation in ("sync", "sync_folder")
        self.fault(self.operations, operation)

    def crash(self, survives: Callable[[], bool]) -> Disk:
        """What a new start finds."""
        after = Disk()
        for folder in sorted(self.folders):
            if folder in self.durable_folders or (survives() and _above(folder) in after.folders):
                after.folders.add(folder)
        after.durable_folders = set(after.folders)
        inodes: dict[int, Inode] = {}

        def copy(inode: Inode) -> Inode:
            if id(inode) not in inodes:
                content = bytes(inode.data) if survives() else inode.durable
                inodes[id(inode)] = Inode(bytearray(content), content)
            return inodes[id(inode)]

        for name in sorted({*self.names, *self.durable_names}):
            view = self.names if survives() else self.durable_names
            if name in view and _above(name) in after.folders:
                after.names[name] = copy(view[name])
        after.durable_names = dict(after.names)
        return after

    def open(self, path: str) -> DiskFile:
        self.step("open")
        assert path.rpartition("/")[0] in self.folders
        return DiskFile(self, self.names.setdefault(path, Inode()))

    def read(self, path: str) -> bytes:
        self.step("read")
        if path not in self.names:
            raise FileNotFoundError(2, path)
        return bytes(self.names[path].data)

    def list(self, folder: str) -> list[str]:
        self.step("list")
        prefix = f"{folder}/" if folder else ""
        inside = [name.removeprefix(prefix) for name in (*self.names, *self.folders)
                  if name.startswith(prefix) and name != folder]  # fmt: skip
        return sorted({name.split("/")[0] for name in inside if name})

    def rename(self, old: str, new: str) -> None:
        self.step("rename")
        self.names[new] = self.names.pop(old)

    def remove(self, path: str) -> None:
        self.step("remove")
        if path in self.folders:
            if self.list(path):
                raise OSError(39, "not empty")
            self.folders.remove(path)
        else:
            del self.names[path]

    def make_folder(self, path: str, *, durable: bool = True) -> None:
        self.step("make_folder")
        parts = path.split("/")
        made = {"/".join(parts[: n + 1]) for n in range(len(parts))}
        self.folders |= made
        if durable:
            self.durable_folders |= made

    def sync_folder(self, path: str) -> None:
        self.step("sync_folder")

        def inside(name: str) -> bool:
            return _above(name) == path

        self.durable_folders |= {each for each in self.folders if each and inside(each)}
        kept = {name: inode for name, inode in self.durable_names.items() if not inside(name)}
        self.durable_names = kept | {n: i for n, i in self.names.items() if inside(n)}

    def sync_all(self, files: Sequence[DiskFile], folders: Iterable[str]) -> None:
        for file in files:
            file.sync()
        for folder in folders:
            self.sync_folder(folder)

    def used(self) -> int:
        return sum(len(inode.data) for inode in self.names.values())


class DiskFile:
    """Implements `compliance.files.File`."""

    def __init__(self, disk: Disk, inode: Inode) -> None:
        self.disk = disk
        self.inode = inode

    def write(self, data: bytes) -> None:
        room = len(data)
        if self.disk.capacity is not None:
            room = self.disk.capacity - self.disk.used()
        try:
            self.disk.step("write")
        except BaseException:
            self.inode.data += data[: min(room, len(data) // 2)]
            raise
        if room < len(data):
            self.inode.data += data[: max(0, room)]
            raise OSError(28, "no space left")
        self.inode.data += data

    def sync(self) -> None:
        self.disk.step("sync")
        self.inode.durable = bytes(self.inode.data)

    def truncate(self, size: int) -> None:
        self.disk.step("truncate")
        del self.inode.data[size:]

    def close(self) -> None:
        """Closing never fails here."""


def always(*, answer: bool) -> Callable[[], bool]:
    """For `Disk.crash`: all of what was not made durable survives, or nothing does."""
    return lambda: answer


def _above(name: str) -> str:
    return name.rpartition("/")[0]

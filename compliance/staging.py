"""New files of a store that become durable together, for the price of two syncs however many they are.

In: paths with their contents. Out: files that are there whole, or not at all, after a crash at any moment. Must
not: show a name before its content is durable, or replace a file that somebody may be reading in part.
"""

from __future__ import annotations

from compliance.files import TEMPORARY, File, Files, folder_of


class Staging:
    """Files on their way to their places."""

    def __init__(self, files: Files, owed: set[str]) -> None:
        """`owed`: folders whose names may not be durable; what a failure leaves there is for the next to do."""
        self._files = files
        self._owed = owed
        self._open: dict[str, File] = {}

    def make_folder(self, path: str) -> None:
        """Makes a folder in one that is durable; its name becomes so with what is put into it."""
        self._files.make_folder(path, durable=False)
        self._owed.add(folder_of(path))

    def put(self, path: str, data: bytes) -> None:
        """Writes a file beside its place. Raises OSError."""
        file = self._open[path] = self._files.open(path + TEMPORARY)
        file.truncate(0)
        file.write(data)

    def commit(self) -> None:
        """Contents first, then names; durable when it returns. Raises OSError."""
        if self._open:
            self._files.sync_all(list(self._open.values()), ())
        for path in self._open:
            self._owed.add(folder_of(path))
            self._files.rename(path + TEMPORARY, path)
        if self._owed:
            self._files.sync_all((), sorted(self._owed))
            self._owed.clear()

    def close(self) -> None:
        """Gives descriptors back."""
        for file in self._open.values():
            file.close()
        self._open = {}

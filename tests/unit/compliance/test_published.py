"""Readers see every tree that was ever published, while the log grows, and nothing that is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import RemoteError
from compliance.published import PublishedLog
from compliance.questions import read_checkpoint
from crypto.merkle import check_inclusion, leaf_hash
from tests.support.logs import entry
from tests.support.reading import growing


def test_every_published_tree_stays_readable_while_the_log_grows(tmp_path: Path) -> None:
    with growing(tmp_path) as log:
        published = PublishedLog(tmp_path)
        roots = {}
        for end in (1, 2, 100, 255, 256, 257, 511, 512, 700):
            log.add([entry(number) for number in range(len(log.entries) + 1, end + 1)])
            checkpoint = read_checkpoint(published.note())
            assert checkpoint.size == end
            roots[end] = checkpoint.root
        for size, root in roots.items():
            assert [each for _, each in published.entries(0, size, size)] == log.entries[:size]
            for index in {0, size // 2, size - 1}:
                path = published.path(index, size)
                check_inclusion(leaf_hash(log.entries[index]), index, size, path, root)


def test_ranges_are_cut_to_the_tree(tmp_path: Path) -> None:
    with growing(tmp_path) as log:
        log.add([entry(number) for number in range(1, 301)])
        published = PublishedLog(tmp_path)
        assert [index for index, _ in published.entries(250, 260, 300)] == list(range(250, 260))
        assert [index for index, _ in published.entries(290, 999, 300)] == list(range(290, 300))
        assert list(published.entries(300, 400, 300)) == []
        for index in (-1, 300):
            with pytest.raises(RemoteError, match="no such entry"):
                published.entry(index, 300)
            with pytest.raises(RemoteError, match="no such entry"):
                published.path(index, 300)


def test_before_the_first_checkpoint_there_is_nothing(tmp_path: Path) -> None:
    published = PublishedLog(tmp_path)
    assert published.note() == ""
    assert published.size_of("") == 0


def test_damage_is_refused_by_name(tmp_path: Path) -> None:
    with growing(tmp_path) as log:
        log.add([entry(number) for number in range(1, 301)])
    (tmp_path / "tile/entries/000").write_bytes(b"\0")
    (tmp_path / "checkpoint").write_text("nothing\n")
    published = PublishedLog(tmp_path)
    with pytest.raises(RemoteError) as caught:
        published.entry(0, 300)
    assert caught.value.code == "log_unreadable"
    with pytest.raises(RemoteError) as caught:
        published.size_of(published.note())
    assert caught.value.code == "log_unreadable"

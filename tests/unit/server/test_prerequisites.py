"""Set-up says what a machine lacks and how to get it."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "prerequisites"
PRESENT = (
    "bash",
    "grep",
    "head",
    "sort",
    "printf",
    "id",
    "dirname",
    "cc",
    "g++",
    "make",
    "cmake",
    "git",
)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of commands with none of the toolchains in it."""
    for command in PRESENT:
        for folder in os.environ["PATH"].split(":"):
            if (Path(folder) / command).exists():
                (tmp_path / command).symlink_to(Path(folder) / command)
                break
    return tmp_path


def run(path: Path, stage: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, stage],
        env={"PATH": str(path), "PYTHON": "python3.11", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def tool(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_every_missing_tool_is_named_with_a_way_to_get_it(bare: Path) -> None:
    result = run(bare, "build")
    assert result.returncode == 1
    for word in ("python3.11", "cargo", "rustup", "node", "npm"):
        assert word in result.stderr


def test_an_old_tool_is_named_with_both_versions(bare: Path) -> None:
    tool(bare, "python3.11", "Python 3.11.2")
    tool(bare, "cargo", "cargo 1.63.0")
    tool(bare, "node", "v18.19.0")
    tool(bare, "npm", "9.2.0")
    result = run(bare, "build")
    assert result.returncode == 1
    assert "cargo is 1.63.0, but 1.85 or newer is needed" in result.stderr
    assert "node is 18.19.0" in result.stderr


def test_a_complete_machine_passes_silently(bare: Path) -> None:
    tool(bare, "python3.11", "Python 3.11.2")
    tool(bare, "cargo", "cargo 1.95.0")
    tool(bare, "node", "v20.20.2")
    tool(bare, "npm", "11.19.1")
    result = run(bare, "build")
    assert (result.returncode, result.stderr) == (0, "")


def test_without_root_the_packages_to_install_are_named(bare: Path) -> None:
    (bare / "id").unlink()
    tool(bare, "id", "1000")
    (bare / "g++").unlink()
    result = run(bare, "build")
    assert result.returncode == 1
    assert "apt-get install g++" in result.stderr

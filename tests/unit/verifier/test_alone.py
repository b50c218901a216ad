"""The verifier runs where nothing of the server can be imported, and imports next to nothing itself."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.evidence import SIGNER, entries, meeting, write_log

ROOT = Path(__file__).resolve().parents[3]
ALLOWED = {"cryptography", "verifier"}
GUARD = """
import runpy, sys
class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {banned!r}:
            raise ImportError("not here: " + name)
sys.meta_path.insert(0, Guard())
sys.path.insert(0, {folder!r})
sys.argv = ["verifier", *{arguments!r}]
runpy.run_module("verifier", run_name="__main__")
"""
BANNED = {
    "common",
    "crypto",
    "compliance",
    "sfu",
    "signalling",
    "sidecar",
    "server",
    "rfc8785",
    "httpx",
}


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a copy of the package and nothing else."""
    shutil.copytree(ROOT / "verifier", folder / "elsewhere/verifier", dirs_exist_ok=True)
    code = GUARD.format(banned=BANNED, folder=str(folder / "elsewhere"), arguments=list(arguments))
    command = [sys.executable, "-I", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_copied_folder_is_the_whole_program(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", entries(meeting()))
    done = alone(tmp_path, "log", str(log), "--key", SIGNER.verifier.encode(), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert set(document) == {"command", "integrity", "completeness", "facts", "warnings", "exit"}
    assert document["integrity"]["verdict"] == "intact"
    assert document["completeness"] == {"verdict": "complete", "count": 0, "findings": []}


@pytest.mark.parametrize("arguments", [[], ["log"], ["nonsense"], ["log", "/nonexistent"]])
def test_a_wrong_call_ends_with_two_and_a_sentence(tmp_path: Path, arguments: list[str]) -> None:
    done = alone(tmp_path, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_it_imports_the_standard_library_and_cryptography_only() -> None:
    imported = set()
    for path in (ROOT / "verifier").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert imported - set(sys.stdlib_module_names) <= ALLOWED


def test_its_project_file_says_the_same() -> None:
    text = (ROOT / "verifier/pyproject.toml").read_text()
    assert 'dependencies = ["cryptography"]' in text

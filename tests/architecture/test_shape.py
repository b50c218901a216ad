"""The shape that reviews would otherwise have to watch: lengths, docstrings, no sleeping tests, clean text."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
PACKAGES = (
    "common",
    "crypto",
    "compliance",
    "sfu",
    "signalling",
    "sidecar",
    "server",
    "verifier",
    "benchmarks",
    "scripts",
)
FORBIDDEN_WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
UNSAFE_ROOMS = (
    "dataplane/io/",
    "dataplane/binding/",
    "dataplane/associations/",
    "dataplane/loadgen/",
)


def tracked(*suffixes: str) -> list[Path]:
    """Files that git tracks (or would), with one of the suffixes."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = [ROOT / line for line in listing.splitlines() if line.endswith(suffixes)]
    return [path for path in paths if path.is_file()]


CODE = tracked(".py", ".pyi", ".rs", ".ts", ".tsx", ".css", ".mjs")
PYTHON = tracked(".py")


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_there_is_code_to_check() -> None:
    assert len(CODE) > 20
    assert len(PYTHON) > 5


def test_every_file_is_short() -> None:
    lengths = {name(path): len(path.read_text().splitlines()) for path in CODE}
    assert not {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES}


def test_every_python_function_is_short() -> None:
    long = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long.append(f"{name(path)}:{node.lineno} {node.name} {length}")
    assert not long


def test_every_module_says_what_it_is() -> None:
    silent = [
        name(path)
        for path in PYTHON
        if path.relative_to(ROOT).parts[0] in PACKAGES
        and path.read_text().strip()
        and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    silent += [
        name(path)
        for path in tracked(".rs")
        if "/src/" in name(path) and not path.read_text().lstrip().startswith("//!")
    ]
    assert not silent


@pytest.mark.parametrize("folder", ["unit", "integration", "properties"])
def test_no_test_sleeps(folder: str) -> None:
    sleepers = [
        name(path)
        for path in (ROOT / "tests" / folder).rglob("*.py")
        if re.search(r"\b(asyncio|time|anyio)\.sleep\(", path.read_text())
    ]
    assert not sleepers


def test_no_unfinished_marks() -> None:
    marked = [
        f"{name(path)}: {match.group()}"
        for path in CODE
        if (match := FORBIDDEN_WORDS.search(path.read_text()))
    ]
    assert not marked


def test_unsafe_code_stays_in_its_rooms() -> None:
    elsewhere = [
        name(path)
        for path in tracked(".rs")
        if re.search(r"\bunsafe\s*(\{|fn|impl)", path.read_text())
        and not name(path).startswith(UNSAFE_ROOMS)
    ]
    assert not elsewhere

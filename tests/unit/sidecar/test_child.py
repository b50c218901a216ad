"""What a server's child takes with it, and how it speaks."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.logs import configure
from sidecar.settings import Launch, embedded
from tests.architecture.test_shape import ROOT

# What a sidecar needs none of before it takes events, or at all: each costs a start tens of milliseconds.
HEAVY = frozenset(
    ("cyclopts", "pydantic", "uvloop", "rich", "structlog", "numpy", "av", "aiortc", "fastapi", "starlette",
     "uvicorn", "httpx", "websockets", "livekit", "google", "server", "signalling", "sfu")
)  # fmt: skip


def test_a_child_imports_only_what_the_log_needs() -> None:
    code = "import json, sys, sidecar.child; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "sidecar" in loaded
    assert not loaded & HEAVY


def test_a_child_works_until_its_server_is_gone(tmp_path: Path) -> None:
    config = embedded(tmp_path)
    told = Launch(replace(config, lifeline=True), "info", as_json=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "sidecar.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(told.encode())
    child.stdin.flush()
    assert json.loads(child.stdout.readline()) == {"event": "ready", "url": ""}
    assert config.socket.exists()
    _, errors = child.communicate(timeout=30)  # closes its standard input
    assert child.returncode == 0
    assert json.loads(errors.splitlines()[0])["event"].startswith("the audit log")


def test_a_child_that_is_told_nothing_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar.child"], stdin=subprocess.DEVNULL, cwd=ROOT, check=False
    )
    assert done.returncode == 0


@pytest.mark.parametrize("as_json", [True, False])
def test_neither_form_of_its_log_shows_an_address(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    try:
        configure(level="info", as_json=as_json)
        logging.getLogger("sidecar").debug("too quiet")
        try:
            raise ValueError("203.0.113.9")
        except ValueError:
            logging.getLogger("sidecar").exception("no word of %s", "203.0.113.7")
    finally:
        root.handlers = before
        root.setLevel(level)
    said = capsys.readouterr().err
    assert "203.0.113" not in said
    assert "no word of <redacted>" in said
    assert "too quiet" not in said
    if as_json:
        line = json.loads(said)
        assert (line["event"], line["level"]) == ("no word of <redacted>", "error")
        assert "ValueError: <redacted>" in line["exception"]

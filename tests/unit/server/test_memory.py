"""A process that holds secrets leaves no core file, whatever limits it was started with."""

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ASK = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"  # PR_GET_DUMPABLE


UNLIMITED = [
    "import os, resource, signal, sys",
    f"sys.path.insert(0, {str(ROOT)!r})",
    "hard = resource.getrlimit(resource.RLIMIT_CORE)[1]",
    "resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))",
]


def run(*lines: str, folder: Path) -> tuple[int, str, bool]:
    """Status, output, whether the kernel dumped core, of a program that may be dumped as far as limits go."""
    with (folder / "said").open("w+") as said:
        program = [sys.executable, "-c", "\n".join([*UNLIMITED, *lines])]
        process = subprocess.Popen(program, cwd=folder, stdout=said)
        _, status = os.waitpid(process.pid, 0)
        process.returncode = status
        said.seek(0)
        return status, said.read(), os.WCOREDUMP(status)


def test_a_private_process_cannot_be_dumped(tmp_path: Path) -> None:
    ours = ["from server.memory import keep_private", "keep_private()"]
    limits = 'print(open("/proc/self/limits").read().split("Max core file size")[1].split()[:2])'
    _, said, _ = run(*ours, ASK, limits, folder=tmp_path)
    assert said.split("\n")[:2] == ["0", "['0', '0']"]
    status, _, dumped = run(*ours, "os.kill(os.getpid(), signal.SIGABRT)", folder=tmp_path)
    assert os.WTERMSIG(status) == signal.SIGABRT
    assert not dumped
    assert not list(tmp_path.glob("core*"))


def test_a_process_that_keeps_nothing_private_can_be_dumped(tmp_path: Path) -> None:
    """So that the other test means something."""
    assert run(ASK, folder=tmp_path)[1].strip() == "1"

"""What a process holds in memory stays there: no core file, no debugger of another process, whoever starts it.

In: nothing. Out: a process that the kernel does not dump. Must not: be called where people look for faults
(`conclave dev`), or fail where the kernel is another one.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

_SET_DUMPABLE: Final = 4  # PR_SET_DUMPABLE of prctl(2)


def keep_private() -> None:
    """Secrets, tokens and media never reach a disk as a core file.

    The limit alone would not do: it does not count where the kernel hands cores to a program (core(5)).
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)

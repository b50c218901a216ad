"""What the kernel says about this process: processor time, memory, threads, descriptors.

In: /proc. Out: readings. Must not: fail where /proc is not to be had; then there is nothing to tell.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from server.telemetry.readings import Readings

STAT: Final = Path("/proc/self/stat")
SYSTEM_STAT: Final = Path("/proc/stat")
DESCRIPTORS: Final = Path("/proc/self/fd")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")
TICKS: Final = os.sysconf("SC_CLK_TCK")


def read(into: Readings) -> None:
    """Puts everything there is."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    into.put("conclave_process_cpu_seconds_total", usage.ru_utime, "user")
    into.put("conclave_process_cpu_seconds_total", usage.ru_stime, "system")
    into.put("conclave_process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    try:
        # The name, in parentheses, may hold anything; the third field follows it: see proc_pid_stat(5).
        fields = STAT.read_text().rpartition(")")[2].split()
        descriptors = len(os.listdir(DESCRIPTORS)) - 1  # without the one that lists them
    except OSError:
        return
    into.put("conclave_process_threads", int(fields[17]))
    into.put("conclave_process_resident_memory_bytes", int(fields[21]) * PAGE)
    into.put("conclave_process_open_fds", descriptors)
    into.put("conclave_process_start_time_seconds", _boot_time() + int(fields[19]) / TICKS)


def _boot_time() -> int:
    """Seconds since 1970 at which the machine started."""
    lines = SYSTEM_STAT.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("btime ")), 0)

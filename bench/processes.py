"""CPU time of other processes, and the CPU cores that they run on (Linux)."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

TICKS: Final = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process so far, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def pin(pid: int, core: int) -> None:
    """Keep all threads of a process on one core, if there are several. The process id 0 means this process."""
    cores = range(os.cpu_count() or 1)
    if len(cores) > 1:
        for thread in Path("/proc", str(pid or "self"), "task").iterdir():
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread.name), {cores[core]})


def peak_mib(pid: int) -> float:
    """Return the peak memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1_024


def tree_of(pid: int) -> frozenset[int]:
    """Return a process and all its descendants."""
    return frozenset(_times_of_tree(pid))


def cpu_of_tree(pid: int) -> float:
    """Return the user and system time of a process and its children so far, also of ended ones, in seconds."""
    return sum(_times_of_tree(pid).values()) / TICKS


def _times_of_tree(pid: int) -> dict[int, int]:
    """Return the clock ticks of each process of a tree."""
    parents: dict[int, int] = {}
    times: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
            child = int(path.parent.name)
            parents[child], times[child] = int(fields[1]), sum(map(int, fields[11:15]))
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {each: times[each] for each in found if each in times}

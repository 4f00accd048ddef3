"""The ledger of a chaos run: each acknowledgement that a client got, written to the disk before the next request."""

import json
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Entry:
    """One acknowledgement. `at` is in seconds since the start of the run."""

    at: float
    act: str
    recording_id: str
    facts: dict[str, Any]


class Ledger:
    """An append-only file of acknowledgements. All threads of the run share it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self._began = time.monotonic()
        self._entries: list[Entry] = []

    @property
    def seconds(self) -> float:
        """The time since the start of the run."""
        return time.monotonic() - self._began

    def note(self, act: str, recording_id: str, **facts: Any) -> None:
        """Write one entry, and return when it is on the disk."""
        with self._lock:
            entry = Entry(round(self.seconds, 3), act, recording_id, facts)
            self._file.write(json.dumps({"at": entry.at, "act": act, "id": recording_id, **facts}) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
            self._entries.append(entry)

    def of(self, *acts: str) -> Iterator[Entry]:
        """Return the entries of some kinds, in their order."""
        with self._lock:
            return iter([entry for entry in self._entries if entry.act in acts])

    def counts(self) -> Counter[str]:
        """Return the number of entries of each kind."""
        with self._lock:
            return Counter(entry.act for entry in self._entries)

    def longest_gaps(self) -> dict[str, tuple[float, float]]:
        """Return the longest time between two entries of each kind, and when it began."""
        times: dict[str, list[float]] = defaultdict(list)
        with self._lock:
            for entry in self._entries:
                if not entry.act.endswith(" sent"):
                    times[entry.act].append(entry.at)
        return {
            act: max((later - at, at) for at, later in zip([0.0, *at_all], at_all, strict=False))
            for act, at_all in times.items()
        }

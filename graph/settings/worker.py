"""The place of one process among the workers of a server."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WORKERS_FOLDER: Final = "workers"


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes that serve one port and one data folder.

    - `number`: 1 for the first worker.
    - `urls`: where the workers of this machine reach one another, by node, in the order of their numbers.
    """

    number: int
    urls: Mapping[str, str]


def worker_folder(data: Path, number: int) -> Path:
    """Return the folder with a worker's id, spool and work files. The first worker uses the data folder itself.

    So a server that had one process continues with its first worker, and the other way round.
    """
    return data if number == 1 else data / WORKERS_FOLDER / str(number)

"""One server for each data folder: a second one would take the takes of the first for left behind."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataFolderError(Exception):
    """The data folder cannot be made or written; the message says why."""


class DataInUseError(DataFolderError):
    """Another server uses the data folder; the message says what to do."""


@contextmanager
def only_server(data: Path) -> Iterator[None]:
    """Hold the data folder of a server. The kernel lets go of it when the process ends, however it ends.

    Raises:
        DataFolderError: it is no folder that can be written.
        DataInUseError: another server holds it.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = (data / "server.lock").open("w")
    except OSError as error:
        message = f"the data folder {data} cannot be used: {error.strerror}"
        raise DataFolderError(message) from error
    with held as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another server uses the data folder {data}: stop it, or give this one a folder of its own"
            raise DataInUseError(message) from error
        yield

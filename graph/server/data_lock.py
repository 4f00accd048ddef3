"""Lock the data folder, so that only one server uses it. A second server would end the open takes of the first."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class DataFolderError(Exception):
    """The data folder cannot be created or written. The message gives the reason."""


class DataInUseError(DataFolderError):
    """Another server uses the data folder. The message says what to do."""


@contextmanager
def lock_data_folder(data: Path) -> Iterator[None]:
    """Lock a server's data folder. The kernel releases the lock when the process ends, even after a crash.

    Raises:
        DataFolderError: the data folder cannot be created or written.
        DataInUseError: another server has locked it.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock_file = (data / "server.lock").open("w")
    except OSError as error:
        message = f"the data folder {data} cannot be used: {error.strerror}"
        raise DataFolderError(message) from error
    with lock_file as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = (
                f"another server uses the data folder {data}: stop it, or give this server another folder with --data"
            )
            raise DataInUseError(message) from error
        yield

"""One server of each kind for all workers of a test run.

The worker that needs a server first starts a keeper process for it. The keeper starts the server, writes its address
to `server.json`, and stops it when the run releases the lock on the file `alive`. The kernel also releases this lock
when the run ends in any other way. So no server outlives its test run.
"""

import fcntl
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Protocol

from tests.servers.server_process import START_SECONDS, ServerUnavailableError

Address = dict[str, str]
"""How to reach a server: its URLs and credentials, by name."""


class Stoppable(Protocol):
    """A server that runs."""

    def stop(self) -> None:
        """Stop it."""


class SharedServer:
    """The one server of a kind, as used by the main process of a test run and by its workers."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind = kind
        self.directory = directory
        self._alive: IO[str] | None = None
        directory.mkdir(parents=True, exist_ok=True)

    def hold(self) -> None:
        """Lock `alive`: from now on this process keeps the server running."""
        self._alive = (self.directory / "alive").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let the server stop. Wait until it and its files are gone."""
        if self._alive is None:
            return
        was_started = (self.directory / "keeper.log").exists()
        fcntl.flock(self._alive, fcntl.LOCK_UN)
        self._alive.close()
        self._alive = None
        deadline = time.monotonic() + 30
        while was_started and self.directory.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(self.directory, ignore_errors=True)

    def address(self) -> Address:
        """Return the address of the server, and start the server if it does not run yet.

        Raises:
            ServerUnavailableError: the server does not run on this machine.
        """
        file = self.directory / "server.json"
        with (self.directory / "starting").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                self._start_keeper(file)
        result = json.loads(file.read_text())
        if reason := result.get("unavailable"):
            raise ServerUnavailableError(reason)
        address: Address = result["address"]
        return address

    def _start_keeper(self, file: Path) -> None:
        log = self.directory / "keeper.log"
        with log.open("ab") as output:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.run_server", self.kind, self.directory],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # In a session of its own: Ctrl-C ends the test run, and the end of the run ends the keeper.
                start_new_session=True,
            )
        deadline = time.monotonic() + 2 * START_SECONDS
        while not file.exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-500:]
                raise ServerUnavailableError(f"the keeper process ended. Its log ends with: {tail}")
            time.sleep(0.02)
        # The keeper outlives this worker. A return code prevents Popen's warning about that.
        keeper.returncode = 0


def keep(directory: Path, start: Callable[[Path], tuple[Stoppable, Address]]) -> None:
    """Start a server, write its address, and stop it when the lock on `alive` is free."""
    with (directory / "alive").open("w") as alive:
        server: Stoppable | None = None
        try:
            server, address = start(directory)
            _write(directory / "server.json", {"address": address})
        except ServerUnavailableError as error:
            _write(directory / "server.json", {"unavailable": str(error)})
        fcntl.flock(alive, fcntl.LOCK_EX)
        if server is not None:
            server.stop()
    shutil.rmtree(directory, ignore_errors=True)


def _write(path: Path, result: object) -> None:
    """Write a file atomically, because readers only check that it exists."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(result))
    draft.rename(path)

"""One server of a kind for all workers of a test run, started by whichever first asks for it.

The sharing is that of `tests.servers.mongod`; here it is for servers that are a process and an answer.
"""

import fcntl
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.servers.mongod import MongodUnavailableError, SharedMongod, die_with_parent

START_SECONDS = 60
Answer = dict[str, str]


class ServerUnavailableError(Exception):
    """The server does not run on this machine; the message says why."""


class SharedServer(SharedMongod):
    """The one server of a kind, as seen from the run's main process and from its workers."""

    def __init__(self, kind: str, directory: Path) -> None:
        super().__init__(directory)
        self.kind = kind
        directory.mkdir(parents=True, exist_ok=True)

    def answer(self) -> Answer:
        """Where the server is; starts it if nobody has."""
        try:
            said: Answer = json.loads(self.uri())
        except MongodUnavailableError as error:
            raise ServerUnavailableError(str(error)) from error
        return said

    def _start_keeper(self, answer: Path) -> None:
        log = self.directory / "keeper.log"
        with log.open("ab") as file:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.run_server", self.kind, self.directory],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        deadline = time.monotonic() + 2 * START_SECONDS
        while not answer.exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                raise MongodUnavailableError(f"its keeper ended: {log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)
        # It outlives this worker on purpose; a return code stops Popen from warning about that.
        keeper.returncode = 0


class Process:
    """A server's process, which never outlives its parent."""

    def __init__(self, command: list[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("ab") as file:
            try:
                self._process = subprocess.Popen(
                    command,
                    cwd=log.parent,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                    preexec_fn=die_with_parent(),  # noqa: PLW1509 - the keeper has no threads
                )
            except OSError as error:
                raise ServerUnavailableError(f"{command[0]} does not start: {error}") from error

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until it serves."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise ServerUnavailableError(f"it is not ready: {self.log.read_text(errors='replace')[-500:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it and wait for that."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def answers(port: int, path: str = "/") -> bool:
    """Whether a web server answers anything."""
    with suppress(OSError, HTTPException):
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < 500
        finally:
            connection.close()
    return False


def find(name: str) -> str:
    """A program of the test dependencies, or of PATH."""
    beside = Path(sys.executable).with_name(name)
    if beside.is_file():
        return str(beside)
    if found := shutil.which(name):
        return found
    raise ServerUnavailableError(f"no {name} in the test dependencies (Linux on x86-64 only) nor on PATH")


def keep(directory: Path, start: Callable[[Path], tuple[Process, Answer]]) -> None:
    """Start the server, say where it is, and stop it when nobody holds the `alive` lock any more."""
    with (directory / "alive").open("w") as alive:
        process: Process | None = None
        try:
            process, answer = start(directory)
            said = {"uri": json.dumps(answer)}
        except ServerUnavailableError as error:
            said = {"unavailable": str(error)}
        draft = directory / "server.draft"
        draft.write_text(json.dumps(said))
        draft.rename(directory / "server.json")
        fcntl.flock(alive, fcntl.LOCK_EX)
        if process is not None:
            process.stop()
    shutil.rmtree(directory, ignore_errors=True)

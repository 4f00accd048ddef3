"""Start a server program as a child process, and find out whether it answers."""

import ctypes
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

START_SECONDS = 60
PR_SET_PDEATHSIG = 1


class ServerUnavailableError(Exception):
    """The server does not run on this machine. The message says why."""


class Process:
    """The process of a server. It ends when its parent ends."""

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
        """The process id."""
        return self._process.pid

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until the server is ready."""
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = self.log.read_text(errors="replace")[-500:]
                raise ServerUnavailableError(f"the server is not ready. Its log ends with: {tail}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill the process and wait for its end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def die_with_parent() -> Callable[[], None] | None:
    """Return a function that a child calls before `exec`, so that the kernel kills it when its parent ends.

    Return `None` on systems without this feature.
    """
    if sys.platform != "linux":
        return None
    # The library is loaded before the fork: a child of a process with threads must not take the loader's locks.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def answers(port: int, path: str = "/") -> bool:
    """Return true if a web server answers with a status below 500."""
    with suppress(OSError, HTTPException):
        connection = HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < 500
        finally:
            connection.close()
    return False


def find_program(name: str) -> str:
    """Return the path of a program in the test dependencies or on PATH."""
    beside = Path(sys.executable).with_name(name)
    if beside.is_file():
        return str(beside)
    if found := shutil.which(name):
        return found
    raise ServerUnavailableError(f"{name} is neither in the test dependencies (Linux on x86-64 only) nor on PATH")

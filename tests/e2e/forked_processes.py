"""Start commands of the command line quickly, by forking a process that has already imported all libraries.

Imports take nearly all of the time of a start. The forked process runs the real program with its own environment and
working folder; only its libraries are already loaded. Run as a module, this file is the process that forks. It reads
one request in each line of stdin and writes one line of JSON as the response.
"""

import atexit
import gc
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any, Final

REPOSITORY: Final = Path(__file__).parents[2]
PRELOADED: Final = (
    "adapters.media.s3_store", "adapters.metadata.mongodb", "graph.app", "graph.cli.main", "graph.demo.demo_account",
    "graph.demo.welcome", "graph.server.run", "httptools", "motor.motor_asyncio", "s3fs", "tests.faults.killed_process",
    "uvloop", "websockets.asyncio.client",
)  # fmt: skip


class ForkedProcess:
    """A running command, with the interface of `subprocess.Popen`."""

    def __init__(self, fork_server: "ForkServer", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._fork_server = fork_server
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Return the exit code if the process has ended."""
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self._reap()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the end and return the exit code. Raise `subprocess.TimeoutExpired` after `timeout` seconds."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._reap()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal. Do nothing if the process has ended."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._end, number)

    def kill(self) -> None:
        """Kill the process, similar to a power cut."""
        self.send_signal(signal.SIGKILL)

    def _reap(self) -> None:
        self.returncode = self._fork_server.request(reap=self.pid)["code"]
        os.close(self._end)


class ForkServer:
    """Starts commands by forking its own process, which starts with the first command."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()

    def start(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        out: Path,
        log: Path,
        prepare: Sequence[str] = (),
    ) -> ForkedProcess:
        """Run a command. Its stdout and stderr are appended to files.

        `prepare` is a function (`module:name`) and its string arguments. The new process calls it first.
        """
        options = {"out": str(out), "log": str(log), "folder": str(folder), "prepare": list(prepare)}
        response = self.request(words=list(words), environment=dict(environment), **options)
        return ForkedProcess(self, response["pid"])

    def request(self, **request: Any) -> Any:
        """Send a request and return the response."""
        with self._lock:
            process = self._opened()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            response = process.stdout.readline()
        assert response, "the fork server has ended"
        return json.loads(response)

    def _opened(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # In a session of its own: Ctrl-C ends the test run, and the end of the run ends this process.
                start_new_session=True,
            )
            atexit.register(self.close)
        return self._process

    def close(self) -> None:
        """End the fork server and all processes that it started."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


FORK_SERVER: Final = ForkServer()
"""The fork server of this test process."""


def main() -> None:
    """Fork for each request. The child leaves the loop and becomes the requested command."""
    sys.path[0:0] = [str(REPOSITORY)]
    for name in PRELOADED:
        import_module(name)
    from graph.cli.main import recordings
    from tests.servers.server_process import die_with_parent

    list(recordings.commands.values())

    # A script that runs the tests in the background ignores SIGINT, and child processes would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    set_death_signal = die_with_parent()
    # The forks share the memory of the loaded libraries, because the garbage collector does not touch it.
    gc.collect()
    gc.freeze()
    # A second reader on a copy of stdin: its buffer is never inherited with bytes of a request in it.
    with os.fdopen(os.dup(0), "r") as requests:
        while line := requests.readline():
            request = json.loads(line)
            if "reap" in request:
                _, status = os.waitpid(request["reap"], 0)
                response = {"code": os.waitstatus_to_exitcode(status)}
            elif (pid := os.fork()) == 0:
                if set_death_signal is not None:
                    set_death_signal()
                break
            else:
                response = {"pid": pid}
            print(json.dumps(response), flush=True)  # noqa: T201 - the response
        else:
            return
    _run_command(request)


def _run_command(request: Mapping[str, Any]) -> None:
    from fsspec.config import conf, set_conf_env

    from graph.cli import main as program

    os.environ.clear()
    os.environ.update(request["environment"])
    # fsspec read the environment when it was imported, so it must read the new one.
    set_conf_env(conf)
    os.chdir(request["folder"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path in ((1, request["out"]), (2, request["log"])):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    devnull = os.open(os.devnull, os.O_RDONLY)
    os.dup2(devnull, 0)
    os.close(devnull)
    if request["prepare"]:
        function, *arguments = request["prepare"]
        module, _, name = function.partition(":")
        getattr(import_module(module), name)(*arguments)
    sys.argv = [str(program.__file__), *request["words"]]
    program.main()


if __name__ == "__main__":
    main()

"""The command line in processes that start at once: forked from one that has imported everything already.

Importing is nearly all that a start costs. What is forked is the program itself, in a process of its own, with its own
environment and working folder; it only has its libraries already. Started as a module this is the process that forks:
it reads a request on each line of stdin, and answers it with a line of JSON.
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


class Child:
    """A process of the command line, as `subprocess.Popen` shows one."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery
        self._end = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        if self.returncode is None and select.select([self._end], [], [], 0)[0]:
            self._reap()
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Its exit code, once it has ended. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout)
            self._reap()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; one that has ended hears nothing."""
        if self.returncode is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._end, number)

    def kill(self) -> None:
        """As a power cut would, nearly."""
        self.send_signal(signal.SIGKILL)

    def _reap(self) -> None:
        self.returncode = self._nursery.ask(reap=self.pid)["code"]
        os.close(self._end)


class Nursery:
    """Starts processes of the command line. Its own process is started with the first of them."""

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
    ) -> Child:
        """Run a command; stdout and stderr are appended to files.

        `prepare` is a function (`module:name`) and the texts that it is called with, in the new process, first of all.
        """
        given = {"out": str(out), "log": str(log), "folder": str(folder), "prepare": list(prepare)}
        return Child(self, self.ask(words=list(words), environment=dict(environment), **given)["pid"])

    def ask(self, **request: Any) -> Any:
        """The answer to a request."""
        with self._lock:
            process = self._opened()
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        assert answer, "the process that forks has ended"
        return json.loads(answer)

    def _opened(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # Out of the terminal's reach: Ctrl-C ends the run, and the run's end ends this.
                start_new_session=True,
            )
            atexit.register(self.close)
        return self._process

    def close(self) -> None:
        """End it, and with it all that it started."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


NURSERY: Final = Nursery()
"""The one of this test process."""


def main() -> None:
    """Fork for each request. A fork returns from the loop as what it was asked to be."""
    sys.path[0:0] = [str(REPOSITORY)]
    for name in PRELOADED:
        import_module(name)
    from tests.servers.mongod import die_with_parent

    # Whoever runs the tests in the background of a script has it ignored, and so would we.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    obey = die_with_parent()
    # What all forks have in common stays common.
    gc.collect()
    gc.freeze()
    # The requests, and never a byte of them in a buffer that a fork would have, too.
    with os.fdopen(os.dup(0), "r") as requests:
        while line := requests.readline():
            request = json.loads(line)
            if "reap" in request:
                _, status = os.waitpid(request["reap"], 0)
                answer = {"code": os.waitstatus_to_exitcode(status)}
            elif (pid := os.fork()) == 0:
                if obey is not None:
                    obey()
                break
            else:
                answer = {"pid": pid}
            print(json.dumps(answer), flush=True)  # noqa: T201 - the answer
        else:
            return
    _become(request)


def _become(request: Mapping[str, Any]) -> None:
    from fsspec.config import conf, set_conf_env

    from graph.cli import main as program

    os.environ.clear()
    os.environ.update(request["environment"])
    # What fsspec read of the environment when it was imported.
    set_conf_env(conf)
    os.chdir(request["folder"])
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for number, path in ((1, request["out"]), (2, request["log"])):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if request["prepare"]:
        place, *given = request["prepare"]
        module, _, name = place.partition(":")
        getattr(import_module(module), name)(*given)
    sys.argv = [str(program.__file__), *request["words"]]
    program.main()


if __name__ == "__main__":
    main()

"""A real server in its own process, and a client for it."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from tests.e2e.forked_processes import FORK_SERVER, REPOSITORY, ForkedProcess
from tests.servers.free_ports import free_port
from tests.servers.server_process import answers, die_with_parent

SECONDS = 40.0
PROGRAM = (sys.executable, "-m", "graph.cli.main")
Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = SECONDS, pause: float = 0.05) -> Found:
    """Call `look` until it returns a true value, and return that value."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"no result within {seconds} seconds: {look}"
        time.sleep(pause)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a command: that of this process, without a developer's own settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECORDINGS_")}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | variables


def command(
    *words: str | Path, data: Path, seconds: float = SECONDS, prepare: Sequence[str] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command on a server's data folder. For `prepare` see `tests.e2e.forked_processes`."""
    arguments = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "out"), Path(folder, "log")
        variables = {"RECORDINGS_DATA": str(data), **variables}
        process = FORK_SERVER.start(
            arguments, environment=environment(**variables), folder=data.parent, out=out, log=log, prepare=prepare
        )
        try:
            code = process.wait(seconds)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, code, out.read_text(), log.read_text())


class Server:
    """`recordings serve` on a data folder. It can be killed and started again."""

    def __init__(self, data: Path, *options: str, **variables: str) -> None:
        self.data = data
        self.port = free_port()
        self.options = options
        self.variables = variables
        self.process: subprocess.Popen[bytes] | ForkedProcess | None = None
        self.clients: list[Client] = []
        self.log = data.with_name(f"{data.name}.log")
        self.output = data.with_name(f"{data.name}.out")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self.launch()
        return self.wait_until_ready()

    def launch(self, *options: str, prepare: Sequence[str] = ()) -> None:
        """Start the process and do not wait for it. For `prepare` see `tests.e2e.forked_processes`."""
        self.output.write_bytes(b"")
        self.process = FORK_SERVER.start(
            ["serve", "--port", str(self.port), "--data", str(self.data), *self.options, *options],
            environment=environment(**self.variables),
            folder=self.data.parent,
            out=self.output,
            log=self.log,
            prepare=prepare,
        )

    def launch_unforked(self) -> None:
        """Start the process in the usual way, without the fork server."""
        with self.log.open("ab") as log, self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*PROGRAM, "serve", "--port", str(self.port), "--data", str(self.data), *self.options],
                env=environment(**self.variables),
                cwd=self.data.parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                preexec_fn=die_with_parent(),  # noqa: PLW1509 - it only makes one system call
            )

    def wait_until_ready(self) -> Self:
        """Wait until the server is ready."""
        until(self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return self.is_answering()

    def is_answering(self) -> bool:
        """Return true if the server is ready."""
        # Not httpx: each new client reads all certificates of the machine, which slows the start of the server.
        return answers(self.port, "/readyz")

    def kill(self) -> None:
        """Kill the server, similar to a power cut."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self) -> int:
        """Stop the server with SIGTERM and return its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.http.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def printed(self) -> str:
        """Return the output, after the greeting is complete."""
        return until(lambda: text if "live call" in (text := self.output.read_text()) else None)

    def shown_token(self) -> str:
        """Return the token that the demo printed."""
        found = re.search(r'\{"X-Auth-Token": "(.+?)"\}', self.printed())
        assert found is not None
        return found[1]

    def client(self, token: str) -> "Client":
        """Return a client. It is closed together with the server."""
        self.clients.append(Client(self.url, token))
        return self.clients[-1]

    def call(self, seconds: int = 30, *options: str) -> "Call":
        """Start a demo call in the background."""
        words = ["call", "--seconds", str(seconds), "--port", str(self.port), "--data", str(self.data)]
        return Call([*words, *options], environment(**self.variables), self.data.parent)


class Call:
    """A process that runs `recordings call`."""

    def __init__(self, words: list[str], variables: dict[str, str], folder: Path) -> None:
        self._files = tempfile.TemporaryDirectory()
        self._out, self._log = (Path(self._files.name, name) for name in ("out", "log"))
        self.process = FORK_SERVER.start(words, environment=variables, folder=folder, out=self._out, log=self._log)
        self.line = until(self._printed)
        self.id: str = json.loads(self.line)["callId"]

    def _printed(self) -> str | None:
        assert self.process.poll() is None, self._log.read_text()
        line, end, _ = self._out.read_text().partition("\n") if self._out.exists() else ("", "", "")
        return line if end else None

    def hang_up(self) -> int:
        """Send Ctrl-C and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(SECONDS)
        self._files.cleanup()


FIELDS = """plainId state reason endCause durationMs callId from to label origin name
spans { kind atMs durationMs } media { url contentType length durationMs channels sha256 }"""


class Client:
    """A GraphQL client for the recordings of one account."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"X-Auth-Token": token}, timeout=30)

    def graphql(self, query: str, **variables: Any) -> Any:
        response = self.http.post("/graphql", json={"query": query, "variables": variables})
        body = response.json()
        assert "errors" not in body, body
        return body["data"]

    def mutate(self, name: str, **fields: Any) -> Any:
        """Run a mutation and return its payload: the recording and the errors."""
        kind = name[0].upper() + name[1:]
        query = (
            f"mutation M($input: {kind}Input!) {{ payload: {name}(input: $input) "
            f"{{ recording {{ {FIELDS} }} errors {{ __typename ... on UserError {{ code message }} }} }} }}"
        )
        return self.graphql(query, input=fields)["payload"]

    def do(self, name: str, **fields: Any) -> Any:
        """Run a mutation that must succeed, and return the recording."""
        payload = self.mutate(name, **fields)
        assert payload["errors"] == [], payload
        return payload["recording"]

    def start(self, call_id: str, **options: Any) -> Any:
        """Start a recording as soon as the call exists."""
        return until(lambda: self.mutate("startRecording", callId=call_id, **options)["recording"])

    def find(self, recording_id: str) -> Any:
        query = f"query Q($id: ID!) {{ recording(id: $id) {{ {FIELDS} trashedAt }} }}"
        return self.graphql(query, id=recording_id)["recording"]

    def wait_for(self, recording_id: str, *states: str) -> Any:
        """Wait until a recording is in one of these states, and return it."""
        return until(lambda: found if (found := self.find(recording_id))["state"] in states else None)

    def ids(self, **arguments: Any) -> list[str]:
        query = "query Q($trashed: Boolean) { recordings(first: 100, trashed: $trashed) { nodes { plainId } } }"
        return [node["plainId"] for node in self.graphql(query, **arguments)["recordings"]["nodes"]]

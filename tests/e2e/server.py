"""A real server, as a process of its own, and a client that talks to it as anybody would."""

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

from tests.e2e.forked_processes import NURSERY, REPOSITORY, Child
from tests.servers.mongod import die_with_parent, free_port
from tests.servers.shared import answers

SECONDS = 40.0
PROGRAM = (sys.executable, "-m", "graph.cli.main")
Found = TypeVar("Found")


def until(look: Callable[[], Found | None], seconds: float = SECONDS, pause: float = 0.05) -> Found:
    """What `look` finds, asked again until it is something true."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} seconds: {look}"
        time.sleep(pause)


def environment(**variables: str) -> dict[str, str]:
    """The environment of a command: this one's, without settings that a developer may have made."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RECORDINGS_")}
    return kept | {"PYTHONPATH": str(REPOSITORY)} | variables


def command(
    *words: str | Path, data: Path, seconds: float = SECONDS, prepare: Sequence[str] = (), **variables: str
) -> "subprocess.CompletedProcess[str]":
    """One run of the command line on the data of a server; `prepare` as in `tests.e2e.forked_processes`."""
    given = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        out, log = Path(folder, "out"), Path(folder, "log")
        variables = {"RECORDINGS_DATA": str(data), **variables}
        child = NURSERY.start(
            given, environment=environment(**variables), folder=data.parent, out=out, log=log, prepare=prepare
        )
        try:
            code = child.wait(seconds)
        finally:
            child.kill()
        return subprocess.CompletedProcess(given, code, out.read_text(), log.read_text())


class Server:
    """`recordings serve` on a data folder. It can be killed and started again."""

    def __init__(self, data: Path, *options: str, **variables: str) -> None:
        self.data = data
        self.port = free_port()
        self.options = options
        self.variables = variables
        self.process: subprocess.Popen[bytes] | Child | None = None
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
        """Start the process without waiting until it answers. `prepare` is as in `tests.e2e.forked_processes`."""
        self.output.write_bytes(b"")
        self.process = NURSERY.start(
            ["serve", "--port", str(self.port), "--data", str(self.data), *self.options, *options],
            environment=environment(**self.variables),
            folder=self.data.parent,
            out=self.output,
            log=self.log,
            prepare=prepare,
        )

    def launch_alone(self) -> None:
        """Start the process as anybody would, with nothing of it prepared."""
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
        """Until it answers that it can serve."""
        until(self._is_ready)
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        # Not by httpx: each new client of it reads all certificates of the machine, while the server wants to start.
        return answers(self.port, "/readyz")

    def kill(self) -> None:
        """As a power cut would, nearly."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self) -> int:
        """In order; its exit code."""
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
        """What it printed, once it greeted."""
        return until(lambda: text if "live call" in (text := self.output.read_text()) else None)

    def shown_token(self) -> str:
        """The token that the demo printed."""
        found = re.search(r'\{"X-Auth-Token": "(.+?)"\}', self.printed())
        assert found is not None
        return found[1]

    def client(self, token: str) -> "Client":
        """A client; it is closed with the server."""
        self.clients.append(Client(self.url, token))
        return self.clients[-1]

    def call(self, seconds: int = 30, *options: str) -> "Call":
        """A demo call in the background."""
        words = ["call", "--seconds", str(seconds), "--port", str(self.port), "--data", str(self.data)]
        return Call([*words, *options], environment(**self.variables), self.data.parent)


class Call:
    """`recordings call`, as a process."""

    def __init__(self, words: list[str], variables: dict[str, str], folder: Path) -> None:
        self._files = tempfile.TemporaryDirectory()
        self._out, self._log = (Path(self._files.name, name) for name in ("out", "log"))
        self.process = NURSERY.start(words, environment=variables, folder=folder, out=self._out, log=self._log)
        self.line = until(self._printed)
        self.id: str = json.loads(self.line)["callId"]

    def _printed(self) -> str | None:
        assert self.process.poll() is None, self._log.read_text()
        line, end, _ = self._out.read_text().partition("\n") if self._out.exists() else ("", "", "")
        return line if end else None

    def hang_up(self) -> int:
        """Ctrl-C."""
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
    """A GraphQL client with the recordings of one account."""

    def __init__(self, url: str, token: str) -> None:
        self.http = httpx.Client(base_url=url, headers={"X-Auth-Token": token}, timeout=30)

    def graphql(self, query: str, **variables: Any) -> Any:
        answer = self.http.post("/graphql", json={"query": query, "variables": variables})
        body = answer.json()
        assert "errors" not in body, body
        return body["data"]

    def mutate(self, name: str, **given: Any) -> Any:
        """The payload of a mutation: its recording and the names of its errors."""
        kind = name[0].upper() + name[1:]
        query = (
            f"mutation M($input: {kind}Input!) {{ payload: {name}(input: $input) "
            f"{{ recording {{ {FIELDS} }} errors {{ __typename ... on UserError {{ code message }} }} }} }}"
        )
        return self.graphql(query, input=given)["payload"]

    def do(self, name: str, **given: Any) -> Any:
        """The recording after a mutation that has to succeed."""
        payload = self.mutate(name, **given)
        assert payload["errors"] == [], payload
        return payload["recording"]

    def start(self, call_id: str, **options: Any) -> Any:
        """Start as soon as the call is there."""
        return until(lambda: self.mutate("startRecording", callId=call_id, **options)["recording"])

    def find(self, recording_id: str) -> Any:
        query = f"query Q($id: ID!) {{ recording(id: $id) {{ {FIELDS} trashedAt }} }}"
        return self.graphql(query, id=recording_id)["recording"]

    def wait_for(self, recording_id: str, *states: str) -> Any:
        """The recording, once it is in one of these states."""
        return until(lambda: found if (found := self.find(recording_id))["state"] in states else None)

    def ids(self, **arguments: Any) -> list[str]:
        query = "query Q($trashed: Boolean) { recordings(first: 100, trashed: $trashed) { nodes { plainId } } }"
        return [node["plainId"] for node in self.graphql(query, **arguments)["recordings"]["nodes"]]

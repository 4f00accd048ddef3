"""The command line, run in the test process with a data folder and a port of its own."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from graph.cli.main import recordings
from tests.servers.free_ports import free_port
from tests.support.log_lines import restored_logging


@dataclass
class CommandLine:
    """Runs commands on one data folder. `serve` listens on a free port."""

    data: Path

    def run(self, *words: str | Path, expected: int = 0, **variables: str) -> Result:
        environment = {"RECORDINGS_DATA": str(self.data), "RECORDINGS_PORT": str(free_port())} | variables
        result = CliRunner().invoke(recordings, [str(word) for word in words], env=environment, prog_name="recordings")
        assert result.exit_code == expected, (result.output, result.exception)
        return result

    def json(self, *words: str | Path, expected: int = 0) -> list[Any]:
        """Return the JSON objects that a command printed, one for each line."""
        return [json.loads(line) for line in self.run(*words, expected=expected).stdout.splitlines()]


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    with restored_logging():
        yield


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    for name in ("RECORDINGS_MONGODB", "RECORDINGS_MEDIA"):
        monkeypatch.delenv(name, raising=False)
    return CommandLine(tmp_path / "data")


@pytest.fixture
def account(cli: CommandLine) -> str:
    """The id of an account."""
    return str(cli.json("account", "create", "Acme")[0]["id"])

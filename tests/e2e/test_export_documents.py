"""The examples of docs/exports.md run against a server, and its list of columns is complete."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.cli.main import recordings
from graph.export.columns import COLUMNS, DEFAULT
from tests.e2e.forked_processes import REPOSITORY
from tests.e2e.server import Server

PAGE = (REPOSITORY / "docs" / "exports.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("export") / "data", "--demo") as server:
        yield server


@pytest.fixture
def variables(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the examples need, in the folder in which they run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("URL", server.url)
    monkeypatch.setenv("TOKEN", server.shown_token())


def run(language: str, text: str) -> dict[str, Any]:
    """Run an example. Return the variables of a Python program."""
    names: dict[str, Any] = {}
    if language == "python":
        exec(text, names)  # noqa: S102 - an example of this repository
    else:
        subprocess.run(["bash", "-euc", text], check=True, timeout=60)
    return names


@pytest.mark.usefixtures("variables")
def test_the_examples_work(server: Server) -> None:
    examples = [
        (language, text) for language, text in BLOCKS if language in {"sh", "python"} and "--account" not in text
    ]
    assert len(examples) == 7
    mirror: dict[str, Any] = {}
    for language, text in examples:
        mirror = run(language, text).get("mirror", mirror)
    assert Path("recordings.csv").read_text(encoding="utf-8").startswith("id,accountId,state")
    (query,) = (text for language, text in BLOCKS if language == "graphql")
    answer = server.client(server.shown_token()).http.post("/graphql", json={"query": query}).json()
    assert {row["plainId"] for row in answer["data"]["recordings"]["nodes"]} == set(mirror) != set()


def test_the_commands_have_these_options() -> None:
    (text,) = (text for language, text in BLOCKS if language == "sh" and "--account" in text)
    for line in text.splitlines():
        program, name, *words = shlex.split(line)
        command = recordings.commands[name]
        options = {option for parameter in command.params for option in parameter.opts}
        assert program == "recordings"
        assert {word for word in words if word.startswith("--")} <= options


def test_the_columns_are_those_of_the_document() -> None:
    chapter = PAGE.split("## Columns")[1].split("\n## ")[0]
    default, on_request = re.split(r"On request only:", chapter)
    names = re.findall(r"`(\w+)`", default.split("this list:")[1])
    assert names == list(DEFAULT)
    assert set(re.findall(r"`(\w+)`", on_request.split(".")[0])) == COLUMNS.keys() - set(DEFAULT)

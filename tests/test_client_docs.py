"""Every example in the documents for client developers runs against a real server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import Server

DOCS = Path(__file__).parents[1] / "docs"
BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORDING_ID = re.compile(r"\b\d{6}-[0-9a-f]{32}\b")
"""The id in the examples. The tests replace it by that of a recording of the demo."""


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each example on a page."""
    return BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("client docs") / "data", "--demo") as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> httpx.Client:
    return server.client(server.shown_token()).http


@pytest.fixture(scope="module")
def environment(server: Server) -> dict[str, str]:
    return {**os.environ, "RECORDINGS_URL": server.url, "RECORDINGS_TOKEN": server.shown_token()}


def contains(whole: Any, part: Any) -> bool:
    """Return true if a value contains all that the example shows of it."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(contains(one, other) for one, other in zip(whole, part, strict=True))
    return bool(whole == part)


def test_every_operation_on_the_graphql_page_works(http: httpx.Client) -> None:
    first = http.post("/graphql", json={"query": "{ recordings(first: 1) { nodes { plainId } } }"}).json()
    recording_id = first["data"]["recordings"]["nodes"][0]["plainId"]
    found = blocks("graphql.md")
    assert sum(language == "graphql" for language, _ in found) >= 9
    for (language, text), (following, expected) in zip(found, [*found[1:], ("", "")], strict=True):
        if language != "graphql":
            continue
        response = http.post("/graphql", json={"query": RECORDING_ID.sub(recording_id, text)}).json()
        assert following == "json" or not list(errors_in(response)), (text, response)
        assert following != "json" or contains(response, json.loads(expected)), (text, response)


def errors_in(value: Any) -> Iterator[Any]:
    """Yield all errors of a response: at its top, and in payloads."""
    if isinstance(value, dict):
        yield from value.get("errors") or ()
        for each in value.values():
            yield from errors_in(each)


@pytest.mark.parametrize("page", ["graphql.md"])
def test_the_requests_with_curl_work(environment: dict[str, str], page: str) -> None:
    examples = [text for language, text in blocks(page) if language == "sh" and text.startswith("curl")]
    assert examples
    for text in examples:
        said = subprocess.run(["bash", "-euc", text], env=environment, capture_output=True, text=True, check=True)
        assert said.stdout
        assert "errors" not in json.loads(said.stdout)


@pytest.mark.parametrize("page", ["clients.md"])
def test_the_python_examples_work(environment: dict[str, str], page: str, tmp_path: Path) -> None:
    examples = [text for language, text in blocks(page) if language == "python"]
    assert examples
    for text in examples:
        program = [sys.executable, "-c", text]
        said = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert said.returncode == 0, (text, said.stderr)
        assert said.stdout, text

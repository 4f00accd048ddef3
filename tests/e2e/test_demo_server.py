"""The first minute of the demo, without a browser: its log, its result, and what its token may do."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Client, Server


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("demo") / "data", "--demo", "--log-format", "console") as server:
        yield server


def test_the_result_is_printed_after_the_recordings_are_stored(demo: Server) -> None:
    printed = demo.printed()
    stored = [line for line in demo.log.read_text().splitlines() if "recording stored" in line]
    assert "The demo account is ready. 5 recordings can be played." in printed
    assert len(stored) == 5
    assert demo.output.stat().st_mtime >= demo.log.stat().st_mtime


def test_the_log_is_readable(demo: Server) -> None:
    demo.printed()
    log = demo.log.read_text()
    assert "None" not in log
    assert "null" not in log
    assert "step finished" not in log


def test_the_token_is_in_no_log_line(demo: Server) -> None:
    client = demo.client(demo.shown_token())
    client.http.get("/graphql", headers={"accept": "text/html"})
    client.ids()
    assert demo.shown_token() not in demo.log.read_text()


def test_the_start_page_keeps_the_fragment_of_the_printed_address(demo: Server) -> None:
    # A browser keeps the fragment if the address of the redirect has none.
    answer = demo.client(demo.shown_token()).http.get("/", follow_redirects=False)
    assert (answer.status_code, "#" in answer.headers["location"]) == (307, False)


def test_the_demo_token_can_hold_and_release(demo: Server) -> None:
    client = demo.client(demo.shown_token())
    identity = client.ids()[0]
    assert client.do("holdRecording", id=identity, reason="a test")["state"] == "STORED"
    assert client.mutate("deleteRecording", id=identity)["errors"] != []
    assert client.do("releaseRecording", id=identity)["state"] == "STORED"
    assert client.do("deleteRecording", id=identity)["state"] == "TRASHED"
    assert client.do("restoreRecording", id=identity)["state"] == "STORED"


def test_an_error_suggests_the_right_name(demo: Server) -> None:
    answer = demo.client(demo.shown_token()).http.post("/graphql", json={"query": "{ recordings { nodes { stat } } }"})
    assert "Did you mean 'start' or 'state'?" in answer.json()["errors"][0]["message"]


OFF = ("--graphql-suggestions", "off", "--graphiql", "off", "--console", "off")


def test_suggestions_can_be_turned_off(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--demo", *OFF) as server:
        client: Client = server.client(server.shown_token())
        answer = client.http.post("/graphql", json={"query": "{ recordings { nodes { stat } } }"})
        assert "Did you mean" not in answer.json()["errors"][0]["message"]
        assert not re.search(r"#token=", server.printed())

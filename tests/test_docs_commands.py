"""The commands and the GraphQL documents of the guides run, on the data of a demo.

Other tests run the sessions of the tutorial, the receivers of webhooks, the exports and the client libraries.
"""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from graph.demo.demo_account import DEMO_ACCOUNT
from tests.e2e.server import Client, Server
from tests.e2e.server import command as ended
from tests.test_docs import DOCUMENTS, commands_on, snippets

ELSEWHERE: Final = (
    "account set ID --media s3:",
    "call",
    "migrate",
    "move-media",
)
"""Commands that need a store or a terminal. `tests/adapters/media`, `tests/test_docs.py` and `tests/cli` run them."""
FILES: Final = {
    "attachments/none.txt": "",
    "documents.json": '{"a": "{ viewer { name } }"}',
    "export.json": '{"data": []}',
    "recordings.toml": "port = 8001\n",
    "etc/recordings.key": "",
}
"""The files that the commands read."""
UNKNOWN: Final = {"NOT_FOUND", "CALL_NOT_FOUND"}
"""The errors of the example ids."""
FOLDERS: Final = ("/var/", "/srv/", "/etc/")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("guides") / "data", "--demo", "--private-hosts", "127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def client(demo: Server) -> Client:
    return demo.client(demo.shown_token())


@pytest.fixture(scope="module")
def recording_id(client: Client) -> str:
    (node,) = client.graphql("{ recordings(first: 1) { nodes { plainId } } }")["recordings"]["nodes"]
    return str(node["plainId"])


def arguments(line: str, folder: Path, names: dict[str, str], recording_id: str) -> list[str]:
    """Return the arguments of a command, with ids and files that exist. The settings of `serve` are only checked."""
    name, *words = (names.get(word, word) for word in shlex.split(line))
    words = [str(folder / word.lstrip("/")) if word.startswith(FOLDERS) else word for word in words]
    if name == "show":
        return [name, recording_id]
    return ["config", "check", *words] if name == "serve" else [name, *words]


def test_the_commands_on_the_pages_run(demo: Server, recording_id: str) -> None:
    folder = demo.data.parent
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    names = {"ID": DEMO_ACCOUNT, "$ACCOUNT": DEMO_ACCOUNT}
    lines = dict.fromkeys(line.strip() for page in DOCUMENTS for line in commands_on(page))
    run = [line for line in lines if not line.startswith(ELSEWHERE)]
    assert len(run) >= 45
    for line in run:
        done = ended(*arguments(line, folder, names, recording_id), data=demo.data, HOME=str(folder))
        assert done.returncode == 0, (line, done.stderr)
        if line.startswith("webhook create"):
            names["$WEBHOOK"] = json.loads(done.stdout)["id"]


@pytest.mark.parametrize("page", [page for page in DOCUMENTS if "graphql" in dict(snippets(page))])
def test_the_graphql_documents_on_a_page_run(page: str, client: Client, recording_id: str) -> None:
    """Other tests run the subscriptions."""
    for language, text in snippets(page):
        if language == "graphql" and not text.startswith("subscription"):
            answer = client.http.post("/graphql", json={"query": text, "variables": {"id": recording_id}}).json()
            # One example shows the error.
            assert ("errors" in answer) == ("first: 1000" in text), (text, answer)
            for payload in answer["data"].values() if text.startswith("mutation") else ():
                assert {each.get("code", "NOT_FOUND") for each in payload["errors"]} <= UNKNOWN, text

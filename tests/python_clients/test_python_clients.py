"""Published Python clients and code generators against a live server."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import aclosing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport
from strawberry.codegen import QueryCodegen
from strawberry.codegen.plugins.python import PythonPlugin

from graph.schema.build import schema
from tests.node.live_server import run, served
from tests.support.prepared_folder import prepared_folder

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
COUNT = 11
AMEND = "mutation($input: UpdateRecordingInput!) { updateRecording(input: $input) { recording { revision } } }"
FOLLOW = "subscription($since: String) { recordingChanged(since: $since) { cursor event { revision } } }"
PAGE = """query Page($first: Int, $after: String) { recordings(first: $first, after: $after) {
    nodes { plainId start durationMs } pageInfo { endCursor hasNextPage } } }"""


@pytest.fixture(scope="session")
def python() -> str:
    """Install the clients that need an older graphql-core into an environment in the cache, and return its Python."""
    requirements = HERE / "requirements.txt"
    version = sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:16]
    # uv is where CONTRIBUTING.md installs it, or on the path. pip takes ten times as long.
    uv = shutil.which("uv", path=os.pathsep.join([str(REPOSITORY / ".uv" / "bin"), os.environ["PATH"]]))

    def install(folder: Path) -> None:
        program = str(folder / "bin" / "python")
        make = (
            [uv, "venv", "-q", "--allow-existing", "--python", sys.executable] if uv else [sys.executable, "-m", "venv"]
        )
        add = [uv, "pip", "install", "--python", program] if uv else [program, "-m", "pip", "install"]
        subprocess.run([*make, str(folder)], check=True, timeout=120)
        subprocess.run([*add, "-q", "--no-deps", "-r", str(requirements)], check=True, timeout=300)

    return str(prepared_folder("python", version, install) / "bin" / "python")


async def test_sgqlc_and_ariadne_codegen_page_with_generated_code(python: str, tmp_path: Path) -> None:
    folder = tmp_path / "clients"
    folder.mkdir()
    async with served(tmp_path / "installation", COUNT) as (url, ids):
        said = await run(folder, python, str(HERE / "clients.py"), url, "me")
    results: dict[str, Any] = json.loads(said.splitlines()[-1])
    assert results == {"sgqlc": {"forward": ids}, "ariadne-codegen": {"forward": ids}}


async def test_gql_checks_queries_with_the_schema_of_the_server_and_shows_errors(tmp_path: Path) -> None:
    async with served(tmp_path / "installation", COUNT) as (url, ids):
        transport = HTTPXAsyncTransport(url=url, headers={"Authorization": "Bearer me"})
        forward: list[str] = []
        async with Client(transport=transport, fetch_schema_from_transport=True) as session:
            variables: dict[str, Any] = {"first": 4}
            for _ in range(3):
                page = (await session.execute(GraphQLRequest(PAGE, variable_values=variables)))["recordings"]
                forward += [node["plainId"] for node in page["nodes"]]
                variables["after"] = page["pageInfo"]["endCursor"]
        with pytest.raises(TransportQueryError) as error:
            async with Client(
                transport=HTTPXAsyncTransport(url=url, headers={"Authorization": "Bearer no"})
            ) as session:
                await session.execute(gql("{ viewer { name } }"))
    assert forward == ids
    assert not page["pageInfo"]["hasNextPage"]
    assert error.value.errors is not None
    assert error.value.errors[0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_gql_continues_a_subscription_at_its_last_cursor(tmp_path: Path) -> None:
    got: list[int] = []
    revisions: list[int] = []
    async with served(tmp_path / "installation", 1) as (url, ids):
        headers = {"Authorization": "Bearer me"}

        async def change(count: int) -> None:
            async with Client(transport=HTTPXAsyncTransport(url=url, headers=headers)) as session:
                for _ in range(count):
                    variables = {"input": {"id": ids[0], "label": str(len(revisions))}}
                    found = await session.execute(GraphQLRequest(AMEND, variable_values=variables))
                    revisions.append(found["updateRecording"]["recording"]["revision"])

        since = "2026-01-01T00:00:00Z"
        for _ in range(3):
            await change(2)
            # Each connection is a new one. The changes before it happened without a subscription.
            transport = WebsocketsTransport(url=url.replace("http", "ws", 1), init_payload=headers)
            async with Client(transport=transport) as session:
                request = GraphQLRequest(FOLLOW, variable_values={"since": since})
                async with aclosing(session.subscribe(request)) as changes:
                    async for result in changes:
                        got.append(result["recordingChanged"]["event"]["revision"])
                        since = result["recordingChanged"]["cursor"]
                        if len(got) == len(revisions):
                            break
    assert got == revisions
    assert len(got) == 6


def test_strawberry_generates_types_of_a_query(tmp_path: Path) -> None:
    query = tmp_path / "page.graphql"
    query.write_text(PAGE, encoding="utf-8")
    (made,) = QueryCodegen(schema, plugins=[PythonPlugin(query)]).run(PAGE).files
    assert "class PageResultRecordingsNodes:" in made.content
    assert "duration_ms: Optional[int]" in made.content

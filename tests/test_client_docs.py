"""Every example in the documents for client developers runs against a real server."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.server import Server

DOCS = Path(__file__).parents[1] / "docs"
DEPLOY = Path(__file__).parents[1] / "deploy" / "grafana"
BLOCK = re.compile(r"^```([\w-]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RECORDING_ID = re.compile(r"\b\d{6}-[0-9a-f]{32}\b")
"""The id in the examples. The tests replace it by that of a recording of the demo."""
WEBHOOK_ID = "5f3a9c0d7b1e4c2a8d6f0e9b1a2c3d4e"
"""The id of a webhook in the examples. The tests replace it by that of the webhook of an earlier example."""


YEAR = datetime.now(UTC).year


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the language and the text of each example on a page. Its period has the recordings of the demo."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return BLOCK.findall(text.replace("2026-01-01", f"{YEAR - 1}-01-01").replace("2027-01-01", f"{YEAR + 1}-01-01"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("client docs") / "data", "--demo") as server:
        yield server


@pytest.fixture(scope="module")
def http(server: Server) -> httpx.Client:
    return server.client(server.shown_token()).http


@pytest.fixture(scope="module")
def environment(server: Server) -> dict[str, str]:
    own = {"RECORDINGS_URL": server.url, "RECORDINGS_TOKEN": server.shown_token()}
    return {**os.environ, **own, "URL": own["RECORDINGS_URL"], "TOKEN": own["RECORDINGS_TOKEN"]}


def contains(whole: Any, part: Any) -> bool:
    """Return true if a value contains all that the example shows of it."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(contains(one, other) for one, other in zip(whole, part, strict=True))
    return bool(whole == part)


@pytest.mark.parametrize("page", ["graphql.md", "stats.md", "events.md"])
def test_every_operation_works(http: httpx.Client, page: str) -> None:
    first = http.post("/graphql", json={"query": "{ recordings(first: 1) { nodes { plainId } } }"}).json()
    recording_id = first["data"]["recordings"]["nodes"][0]["plainId"]
    found = blocks(page)
    assert sum(language == "graphql" for language, _ in found) >= 3
    webhook_id = WEBHOOK_ID
    for (language, text), (following, expected) in zip(found, [*found[1:], ("", "")], strict=True):
        if language != "graphql":
            continue
        if text.startswith("subscription"):
            headers = {"accept": "text/event-stream"}
            with http.stream("POST", "/graphql", json={"query": text}, headers=headers) as stream:
                # An error would be in the first piece, too.
                assert (stream.status_code, next(stream.iter_bytes())) == (200, b":\n\n"), text
            continue
        query = RECORDING_ID.sub(recording_id, text).replace(WEBHOOK_ID, webhook_id)
        response = http.post("/graphql", json={"query": query}).json()
        if "createWebhook" in text:
            webhook_id = response["data"]["createWebhook"]["webhook"]["id"]
        assert following == "json" or not list(errors_in(response)), (text, response)
        assert following != "json" or contains(response, json.loads(expected)), (text, response)


def errors_in(value: Any) -> Iterator[Any]:
    """Yield all errors of a response: at its top, and in payloads."""
    if isinstance(value, dict):
        yield from value.get("errors") or ()
        for each in value.values():
            yield from errors_in(each)


@pytest.mark.parametrize("page", ["graphql.md", "dashboards.md", "events.md", "exports.md"])
def test_the_requests_with_curl_work(environment: dict[str, str], page: str, tmp_path: Path) -> None:
    examples = [text for language, text in blocks(page) if language == "sh" and text.startswith("curl")]
    assert examples
    for text in examples:
        program = ["bash", "-euc", text]
        said = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
        saved = "".join(file.read_text(encoding="utf-8") for file in tmp_path.glob("*.csv"))
        # The feed may have no new event.
        assert said.stdout + saved or "since=now" in text
        assert '"error' not in said.stdout + saved


@pytest.mark.parametrize("page", ["clients.md", "dashboards.md"])
def test_the_python_examples_work(environment: dict[str, str], page: str, tmp_path: Path) -> None:
    examples = [text for language, text in blocks(page) if language == "python"]
    assert examples
    for text in examples:
        program = [sys.executable, "-c", text]
        said = subprocess.run(program, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert said.returncode == 0, (text, said.stderr)
        assert said.stdout, text


def test_the_power_queries_ask_for_columns_that_exist(http: httpx.Client) -> None:
    queries = [text for language, text in blocks("dashboards.md") if language == "powerquery"]
    assert len(queries) == 2
    for text in queries:
        found = re.search(r'RelativePath = "(.+?)",\s+Query = \[(.*?)\],', text, re.DOTALL)
        assert found is not None
        response = http.get(f"/{found[1]}", params=dict(re.findall(r'#?"?(\w+)"? = "(.*?)"', found[2])))
        assert response.status_code == 200, response.text
        is_csv = "Csv.Document" in text
        columns = response.text.splitlines()[0].split(",") if is_csv else list(response.json()[0])
        assert set(re.findall(r'\{"(\w+)", ', text)) <= set(columns)


def test_each_panel_of_the_grafana_dashboard_gets_the_columns_that_it_shows(http: httpx.Client) -> None:
    dashboard = json.loads((DEPLOY / "call-recordings.json").read_text(encoding="utf-8"))
    since, until = datetime(YEAR - 1, 1, 1, tzinfo=UTC), datetime(YEAR + 1, 1, 1, tzinfo=UTC)
    values = {"${timezone}": "UTC", "${bucket}": "MONTH"}
    for name, moment in (("__from", since), ("__to", until)):
        values[f"${{{name}}}"] = f"{moment.timestamp() * 1_000:.0f}"
        values[f"${{{name}:date:iso}}"] = moment.isoformat()

    def filled(text: str) -> str:
        return re.sub(r"\$\{.+?\}", lambda name: values[name[0]], text)

    assert len(dashboard["panels"]) == 7
    for panel in dashboard["panels"]:
        (target,) = panel["targets"]
        options = target["url_options"]
        if options["method"] == "GET":
            response = http.get(
                target["url"], params={each["key"]: filled(each["value"]) for each in options["params"]}
            )
        else:
            response = http.post(target["url"], json={"query": filled(options["body_graphql_query"])})
        assert response.status_code == 200, (panel["title"], response.text)
        rows = response.json()
        for name in filter(None, target["root_selector"].split(".")):
            rows = rows[name]
        assert rows, panel["title"]
        assert {column["selector"] for column in target["columns"]} <= rows[0].keys(), panel["title"]

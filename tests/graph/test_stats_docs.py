"""Every example of docs/stats.md runs, and its limits are those of the service."""

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from recordings.model.instants import from_iso
from recordings.model.recording import Direction, Reason, State
from recordings.model.rollup import CUBES, MAX_EXAMINED, MAX_LABELS
from recordings.model.stats import MAX_ACCOUNTS, MAX_ROWS, Dimension
from tests.graph.api import Api

PAGE = (Path(__file__).parents[2] / "docs" / "stats.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^```graphql\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
REQUESTS = re.findall(r"^GET /stats\?(.*)$", PAGE, re.MULTILINE)
DASHBOARDS = (Path(__file__).parents[2] / "docs" / "dashboards.md").read_text(encoding="utf-8")
START = from_iso("2026-11-18T12:00:00Z")


@pytest.fixture
async def filled(api: Api) -> Api:
    await api.keep(start=START, owner_id="ada", direction=Direction.INBOUND, label="sales")
    await api.keep(start=START, state=State.FAILED, reason=Reason.NOT_AUDIO, media=None, duration_ms=None)
    return api


async def test_every_query_returns_rows(filled: Api) -> None:
    assert len(QUERIES) == 4
    for query in QUERIES:
        assert (await filled.ask(query))["recordingStats"]["rows"], query


async def test_every_request_returns_rows(filled: Api) -> None:
    assert len(REQUESTS) == 3
    for request in REQUESTS:
        headers = {"authorization": "Bearer me"}
        response = await filled.http.get("http://api.test/stats", params=parse_qsl(request), headers=headers)
        assert response.status_code == 200, response.text
        assert response.json() if "csv" not in request else response.text.count("\n") > 1, request


async def test_the_table_of_power_query_has_columns_of_the_response(filled: Api) -> None:
    (text,) = re.findall(r"^    Names = \{(.*)\},$", DASHBOARDS, re.MULTILINE)
    (typed,) = re.findall(r"TransformColumnTypes\(Rows, \{(.*\"count\".*)\}\)$", DASHBOARDS, re.MULTILINE)
    (group_by,) = re.findall(r"groupBy = \"(.*)\"\n", DASHBOARDS)
    names = set(re.findall(r"\w+", text))
    assert set(re.findall(r"\"(\w+)\"", typed)) <= names
    query = {"gte": "2026-01-01", "lt": "2027-01-01", "bucket": "DAY", "groupBy": group_by}
    response = await filled.http.get("http://api.test/stats", params=query, headers={"authorization": "Bearer me"})
    assert names <= response.json()[0].keys()


def test_the_limits_are_those_of_the_service() -> None:
    for limit in (MAX_ROWS, MAX_EXAMINED, MAX_LABELS, MAX_ACCOUNTS - 1):
        assert f"{limit:,}" in PAGE
    lines = [re.findall(r"[A-Z_]{5,}", line) for line in re.findall(r"^ +- ([A-Z].*)$", PAGE, re.MULTILINE)]
    named = [[Dimension[name].value for name in line if name in Dimension.__members__] for line in lines]
    wide = [list(names[1:]) for cube, names in CUBES.items() if cube != "direction"]
    assert sorted(named) == sorted(wide)

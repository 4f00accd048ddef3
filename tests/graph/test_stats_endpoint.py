"""`GET /stats`: the rows of `recordingStats`, flat, as JSON and CSV."""

import csv
import io
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph.graphql_app import GraphQLSettings
from graph.stats.stats_endpoint import _COLUMNS, _FIGURES
from recordings.model.instants import from_iso
from recordings.model.recording import Direction
from recordings.model.stats import Dimension, Measure
from tests.graph.api import Api, open_api
from tests.support.memory_installation import CHILD

START = from_iso("2026-11-20T10:00:00Z")
PERIOD = {"gte": "2026-11-20T00:00:00Z", "lt": "2026-11-21T00:00:00Z"}


async def get(api: Api, caller: str = "me", headers: dict[str, str] | None = None, **parameters: Any) -> httpx.Response:
    query = {name: str(value) for name, value in (PERIOD | parameters).items() if value is not None}
    sent = {"authorization": f"Bearer {caller}"} | (headers or {})
    return await api.http.get("http://api.test/stats", params=query, headers=sent)


async def keep(api: Api, number: int, **fields: Any) -> None:
    await api.keep(start=START + number, created=START + number, duration_ms=1_000 * number, **fields)


async def test_the_rows_are_flat(api: Api) -> None:
    for number in (1, 2, 3):
        await keep(api, number, direction=Direction.INBOUND)
    response = await get(api, bucket="DAY", timeZone="Europe/Berlin", groupBy="DIRECTION,FORMAT", percentiles="50,99.9")
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json() == [
        {
            "bucketStart": "2026-11-20T00:00:00.000+01:00",
            "bucketEnd": "2026-11-21T00:00:00.000+01:00",
            "direction": "INBOUND",
            "format": "MP3",
            "count": 3,
            "measured": 3,
            "audioMs": 6_000,
            "bytes": 9_000_000_000,
            "averageMs": 2_000,
            "shortestMs": 1_000,
            "longestMs": 3_000,
            "failureRate": 0,
            "p50": pytest.approx(2_000, rel=0.01),
            "p99.9": 3_000,
        }
    ]


async def test_csv_is_rectangular_and_has_no_formulas(api: Api) -> None:
    for label in ("=1+1", 'a "quoted", one', None):
        await keep(api, 1, label=label)
    response = await get(api, groupBy="LABEL", format="csv", top=2, orderBy="COUNT:DESC")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    heading, *rows = csv.reader(io.StringIO(response.text, newline=""))
    assert heading[:5] == ["bucketStart", "bucketEnd", "other", "label", "count"]
    assert [row[2:5] for row in rows] == [["false", "'=1+1", "1"], ["false", 'a "quoted", one', "1"], ["true", "", "1"]]
    assert {len(row) for row in rows} == {len(heading)}
    empty = await get(api, filter='{"label": {"equal": "none"}}', format="csv")
    assert empty.text.splitlines() == [",".join(heading[:2] + heading[4:])]


async def test_a_filter_and_another_account(api: Api) -> None:
    await keep(api, 1, label="sales")
    await keep(api, 2, account_id=CHILD)
    assert [row["count"] for row in (await get(api, filter='{"label": {"equal": "sales"}}')).json()] == [1]
    assert [row["count"] for row in (await get(api, descendants="true")).json()] == [2]
    assert [row["count"] for row in (await get(api, account=CHILD)).json()] == [1]
    assert (await get(api, "sibling", account=CHILD)).status_code == 404
    milliseconds = await get(api, gte=START, lt=START + 2)
    assert [row["count"] for row in milliseconds.json()] == [1]


async def test_conditional_requests(api: Api) -> None:
    await keep(api, 1)
    first = await get(api)
    again = await get(api, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await keep(api, 2)
    assert (await get(api, headers={"if-none-match": first.headers["etag"]})).status_code == 200
    head = await api.http.head("http://api.test/stats", params=PERIOD, headers={"authorization": "Bearer me"})
    assert head.status_code == 200
    assert (await api.http.post("http://api.test/stats")).status_code == 405


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"gte": None}, "gte must be a time"),
        ({"gte": "yesterday"}, "gte must be a time"),
        ({"gte": "9" * 99}, "gte must be a time"),
        ({"gte": "9" * 15}, "the milliseconds since 1970"),
        ({"lt": f"-{'9' * 14}"}, "the milliseconds since 1970"),
        ({"bucket": "YEAR"}, "bucket must be one of QUARTER_HOUR, HOUR, DAY, WEEK, MONTH"),
        ({"groupby": "OWNER"}, "groupby must be left out"),
        ({"groupBy": "OWNER,PHONE"}, "groupBy must be one of ACCOUNT, OWNER"),
        ({"groupBy": "OWNER,LABEL,STATE,REASON"}, "groupBy must be at most 3"),
        ({"orderBy": "COUNT:UP"}, "orderBy must be"),
        ({"fill": "yes"}, "fill must be true or false"),
        ({"top": "many", "groupBy": "OWNER"}, "top must be an integer"),
        ({"top": "1_0", "groupBy": "OWNER"}, "top must be an integer"),
        ({"percentiles": "101"}, "percentiles must be numbers from 0 to 100"),
        ({"percentiles": "9_5"}, "percentiles must be numbers from 0 to 100"),
        ({"percentiles": "nan"}, "percentiles must be numbers from 0 to 100"),
        ({"percentiles": "1,2,3,4,5,6"}, "at most 5"),
        ({"timeZone": "Berlin"}, "timeZone must be a name of the IANA"),
        ({"format": "xml"}, "format must be json or csv"),
        ({"filter": "{"}, "filter must be a JSON object"),
        ({"filter": '{"phone": 1}'}, "filter must be a RecordingFilter"),
    ],
)
async def test_a_parameter_that_is_not_allowed(api: Api, parameters: dict[str, Any], words: str) -> None:
    response = await get(api, **parameters)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["code"], words in error["message"]) == ("INVALID_INPUT", True), error


async def test_credentials_and_the_rate_limit(tmp_path: Path) -> None:
    async with open_api(tmp_path, GraphQLSettings(burst=2_500, per_second=1)) as api:
        nobody = await get(api, "nobody")
        assert (nobody.status_code, nobody.headers["www-authenticate"]) == (401, "Bearer")
        assert (await get(api, "no_read")).status_code == 403
        assert (await get(api)).status_code == 200
        limited = await get(api)
        assert (limited.status_code, limited.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert int(limited.headers["retry-after"]) > 0


def test_every_dimension_and_measure_has_a_column() -> None:
    assert list(_COLUMNS) == list(Dimension)
    assert set(_FIGURES.values()) == {measure.value for measure in Measure} - {"bucket_start"}


@pytest.mark.parametrize(
    ("zone", "gte", "lt", "first"),
    [
        (None, "2026-11-20", "2026-11-21", "2026-11-20T00:00:00.000+00:00"),
        ("Europe/Berlin", "2026-11-20", "2026-11-21", "2026-11-20T00:00:00.000+01:00"),
        ("Europe/Berlin", "2026-11-20", "2026-11-20T23:00:00Z", "2026-11-20T00:00:00.000+01:00"),
    ],
)
async def test_a_period_can_be_dates(api: Api, zone: str | None, gte: str, lt: str, first: str) -> None:
    await keep(api, 1)
    response = await get(api, gte=gte, lt=lt, timeZone=zone, bucket="DAY", fill="true")
    assert [(row["bucketStart"], row["count"]) for row in response.json()] == [(first, 1)]


@pytest.mark.parametrize("wrong", ["2026-13-01", "2026-11-31", "20261101T", "2026-W47-1", "0000-01-01", "2026-11-1"])
async def test_a_date_that_does_not_exist_is_an_error(api: Api, wrong: str) -> None:
    response = await get(api, gte=wrong)
    assert (response.status_code, "a date such as" in response.text) == (400, True)

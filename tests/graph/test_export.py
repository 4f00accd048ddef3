"""`GET /export/recordings`: columns, formats and their readers, cursors, access, bounds and errors.

The readers are imported in their tests, because each worker of a run imports this file, and they take seconds.
"""

import asyncio
import csv
import gzip
import io
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from adapters.metadata.sqlite import SqliteStore
from graph.export import table_formats
from graph.export.columns import COLUMNS, DEFAULT
from graph.export.export_endpoint import ExportEndpoint, ExportSlots
from recordings.model.errors import TooManyQueries
from recordings.model.instants import to_iso
from recordings.model.recording import Delivery, DeliveryState, Direction, EndCause, Hold, State
from recordings.ports.recording_store import StoreUnavailableError
from recordings.use_cases import export_recordings
from recordings.use_cases.export_recordings import Exports
from tests.graph.api import CURSORS, MEDIA, PRINCIPALS, authenticate, recording
from tests.support.memory_installation import CHILD, Installation, open_installation
from tests.support.mirror import change, skewed

HOUR = 3_600_000
NASTY = '=HYPERLINK("x"), "quoted"\nline é \U0001f600'


class Export:
    """A client of exports, and the installation behind it."""

    def __init__(self, installation: Installation, http: httpx.AsyncClient) -> None:
        self.installation = installation
        self.http = http

    async def keep(self, number: int, **fields: Any) -> Any:
        kept = recording(self.installation.clock.now() + number * HOUR, **fields)
        await self.installation.store.insert(kept)
        return kept

    async def get(self, caller: str = "me", headers: Any = None, **parameters: str) -> httpx.Response:
        headers = {"authorization": f"Bearer {caller}"} | (headers or {})
        return await self.http.get("http://x/export/recordings", params=parameters, headers=headers)

    async def rows(self, caller: str = "me", **parameters: str) -> list[dict[str, Any]]:
        response = await self.get(caller, format="ndjson", **parameters)
        assert response.status_code == 200, response.text
        return [json.loads(line) for line in response.text.splitlines()]


@pytest.fixture
async def export(tmp_path: Path) -> AsyncIterator[Export]:
    async with open_installation(tmp_path) as installation:
        endpoint = ExportEndpoint(
            exports=Exports(installation.store, installation.audit), cursors=CURSORS, authenticate=authenticate
        )
        transport = httpx.ASGITransport(Starlette(routes=[endpoint.route()]), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport) as http:
            yield Export(installation, http)


@pytest.fixture
async def filled(export: Export) -> Export:
    await export.keep(0, label=NASTY, caller_id_number="+49301234", hold=Hold("me", 1, "case"), owner_id="ada")
    delivery = Delivery("d", DeliveryState.DELIVERED, None, 1, None, 1_795_336_500_000)
    await export.keep(1, delivery=delivery, user_metadata={"a": [1, None]})
    await export.keep(2, state=State.FAILED, media=None, duration_ms=None, ended=1)
    return export


async def test_csv_has_the_documented_columns_and_safe_cells(filled: Export) -> None:
    response = await filled.get()
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    heading, *rows = csv.reader(io.StringIO(response.text, newline=""))
    assert heading == [*DEFAULT, "cursor"]
    first = dict(zip(heading, rows[0], strict=True))
    assert (first["label"], first["callerIdNumber"]) == ("'" + NASTY, "'+49301234")
    assert (first["held"], first["mediaLength"], first["ended"]) == ("true", "3000000000", "")
    assert first["start"] == "2026-11-22T08:33:20.000Z"
    assert all(len(row) == len(heading) for row in rows)


async def test_fields_select_columns_in_the_order_of_the_table(filled: Export) -> None:
    rows = await filled.rows(fields="userMetadata,state,id")
    assert [list(row) for row in rows] == [["id", "state", "userMetadata", "cursor"]] * 3
    assert json.loads(rows[1]["userMetadata"]) == {"a": [1, None]}
    every = await filled.rows(fields=",".join(COLUMNS))
    assert list(every[0]) == [*COLUMNS, "cursor"]


async def test_values_of_enumerations_are_those_of_graphql(export: Export) -> None:
    kept = await export.keep(0, direction=Direction.INBOUND, format="wav", end_cause=EndCause.HANGUP)
    (row,) = await export.rows(filter='{"direction": {"equal": "INBOUND"}, "format": {"equal": "WAV"}}')
    assert {name: row[name] for name in ("id", "direction", "format", "endCause")} == {
        "id": kept.id, "direction": "INBOUND", "format": "WAV", "endCause": "HANGUP",
    }  # fmt: skip
    await export.keep(1)
    assert (await export.rows())[1]["direction"] is None


async def write(export: Export, folder: Path, form: str) -> Path:
    path = folder / f"recordings.{form}"
    path.write_bytes((await export.get(format=form)).content)
    return path


async def test_pandas_reads_every_format(filled: Export, tmp_path: Path) -> None:
    import pandas as pd

    table = pd.read_csv(await write(filled, tmp_path, "csv"))
    lines = pd.read_json(await write(filled, tmp_path, "ndjson"), lines=True)
    parquet = pd.read_parquet(await write(filled, tmp_path, "parquet"))
    for frame in (table, lines, parquet):
        assert list(frame.columns) == [*DEFAULT, "cursor"]
        assert list(frame["state"]) == ["STORED", "STORED", "FAILED"]
        assert list(frame["durationMs"].fillna(-1)) == [61_000, 61_000, -1]
    assert str(parquet["start"].dtype) == "datetime64[ms, UTC]"
    assert lines["label"][0] == parquet["label"][0] == NASTY


async def test_polars_reads_every_format(filled: Export, tmp_path: Path) -> None:
    import polars as pl

    table = pl.read_csv(await write(filled, tmp_path, "csv"))
    lines = pl.read_ndjson(await write(filled, tmp_path, "ndjson"))
    parquet = pl.read_parquet(await write(filled, tmp_path, "parquet"))
    for frame in (table, lines, parquet):
        # polars does not keep the order of the keys of JSON objects.
        assert frame.columns == [*DEFAULT, "cursor"] or frame is lines
        assert set(frame.columns) == {*DEFAULT, "cursor"}
        assert frame["durationMs"].to_list() == [61_000, 61_000, None]
        assert frame["mediaLength"].to_list() == [MEDIA.length, MEDIA.length, None]
    assert lines["label"][0] == parquet["label"][0] == NASTY
    assert parquet["held"].to_list() == [True, False, False]


async def test_duckdb_reads_every_format(filled: Export, tmp_path: Path) -> None:
    import duckdb

    for form in ("csv", "ndjson", "parquet"):
        path = await write(filled, tmp_path, form)
        found: Any = duckdb.sql(f"SELECT * FROM '{path}'")  # noqa: S608 - the test's own path
        assert found.columns == [*DEFAULT, "cursor"]
        sums: Any = duckdb.sql(f"SELECT state, sum(durationMs) FROM '{path}' GROUP BY state ORDER BY state")  # noqa: S608
        assert sums.fetchall() == [("FAILED", None), ("STORED", 122_000)]
        assert str(found.types[found.columns.index("start")]).startswith("TIMESTAMP")


async def test_a_table_without_rows_has_its_columns(export: Export, tmp_path: Path) -> None:
    from pyarrow import parquet

    assert (await export.get()).text == ",".join([*DEFAULT, "cursor"]) + "\r\n"
    assert (await export.get(format="ndjson")).text == ""
    path = await write(export, tmp_path, "parquet")
    assert parquet.read_table(path).column_names == [*DEFAULT, "cursor"]


async def test_excel_gets_a_byte_order_mark_on_request(filled: Export) -> None:
    assert (await filled.get(bom="true")).content.startswith(b"\xef\xbb\xbfid,accountId")
    assert (await filled.get()).content.startswith(b"id,accountId")


async def test_gzip_is_streamed_if_the_client_accepts_it(filled: Export) -> None:
    async with filled.http.stream(
        "GET", "http://x/export/recordings", headers={"authorization": "Bearer me", "accept-encoding": "gzip"}
    ) as response:
        packed = b"".join([piece async for piece in response.aiter_raw()])
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == (await filled.get(headers={"accept-encoding": "identity"})).content


async def test_an_export_resumes_after_any_row(filled: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_recordings, "CHUNK", 2)
    whole = await filled.rows()
    assert len(whole) == 3
    start = (await filled.get()).headers["export-cursor"]
    for number, cursor in enumerate([start, *(row["cursor"] for row in whole)]):
        assert await filled.rows(after=cursor) == whole[number:]


async def test_times_and_filters_select_rows(filled: Export) -> None:
    whole = await filled.rows()
    ids = [row["id"] for row in whole]
    some = await filled.rows(**{"from": whole[1]["start"], "to": whole[2]["start"]})
    assert [row["id"] for row in some] == [ids[1]]
    failed = await filled.rows(filter=json.dumps({"state": {"equal": "FAILED"}, "hasMedia": False}))
    assert [row["id"] for row in failed] == [ids[2]]
    delivered = await filled.rows(filter=json.dumps({"label": {"known": False}, "direction": {"known": False}}))
    assert [row["id"] for row in delivered] == ids[1:]
    assert await filled.rows(to="2026-11-01") == []
    # An unescaped plus sign of a query string is a space.
    assert len(await filled.rows(**{"from": "2026-11-22T00:00:00 00:00"})) == 3


async def test_changes_have_deleted_and_purged_recordings_and_resume(filled: Export) -> None:
    service, store = filled.installation.service, filled.installation.store
    first, second, third = await filled.rows()
    seen = await filled.rows(modified_since="2026-01-01")
    assert [row["id"] for row in seen] == [first["id"], second["id"], third["id"]]
    cursor = seen[-1]["cursor"]
    assert await filled.rows(after=cursor) == []
    await service.delete(PRINCIPALS["me"], second["id"])
    gone = await store.load(third["id"])
    assert gone is not None
    await store.save(replace(gone, state=State.PURGED, call_id="secret", revision=1), 0)
    rows = await filled.rows(modified_since="2026-01-01", after=cursor)
    assert [(row["id"], row["state"]) for row in rows] == [(second["id"], "TRASHED"), (third["id"], "PURGED")]
    assert [row["id"] for row in await filled.rows()] == [first["id"]]
    named = {name for name, value in rows[1].items() if value not in {None, "", False}}
    assert named == {"id", "accountId", "state", "start", "created", "modified", "format", "revision", "cursor"}
    # A filter hides no tombstone: the mirror must delete its copy.
    none = await filled.rows(after=cursor, filter='{"label": {"equal": "nothing"}}')
    assert [row["id"] for row in none] == [third["id"]]


async def test_access(filled: Export) -> None:
    other = await filled.keep(5, account_id=CHILD)
    assert [row["ownerId"] for row in await filled.rows("ada")] == ["ada"]
    assert [row["id"] for row in await filled.rows(account=CHILD)] == [other.id]
    for caller, parameters, status in (
        ("child", {"account": "a" * 32}, 404),
        ("no_read", {}, 403),
        ("nobody", {}, 401),
        ("ada", {"account": CHILD}, 404),
    ):
        response = await filled.get(caller, **parameters)
        assert response.status_code == status
        assert response.json()["error"]["code"]
    assert [action for action, _ in filled.installation.audit.entries] == ["export"] * 2


@pytest.mark.parametrize(("parameters", "text"), [
    ({"format": "xlsx"}, "one of csv, ndjson, parquet"),
    ({"fields": "id,nope"}, "names of id, accountId"),
    ({"fields": ""}, "names of id"),
    ({"filter": "{"}, "a JSON object"),
    ({"filter": '{"nope": 1}'}, "unknown field"),
    ({"from": "yesterday"}, "a date such as"),
    ({"from": "2026-11-22T00:00:00"}, "with an offset"),
    ({"modified_since": "x"}, "a date such as"),
    ({"after": "x"}, "a cursor that this service returned"),
    ({"bom": "maybe"}, "one of true"),
    ({"limit": "5"}, "the parameters are account, fields"),
    ({"to": "2026-11-01", "from": "2026-11-02"}, "at `from` or later"),
])  # fmt: skip
async def test_a_wrong_parameter_is_named_with_what_is_allowed(
    export: Export, parameters: dict[str, str], text: str
) -> None:
    response = await export.get(**parameters)
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert text in message
    assert next(iter(parameters)) in message


async def test_a_parameter_is_given_once(export: Export) -> None:
    response = await export.http.get(
        "http://x/export/recordings?format=csv&format=csv", headers={"authorization": "Bearer me"}
    )
    assert (response.status_code, "given once" in response.text) == (400, True)


async def test_a_cursor_of_changes_is_not_one_of_the_list_by_start(filled: Export) -> None:
    start = (await filled.get()).headers["export-cursor"]
    response = await filled.get(modified_since="2026-01-01", after=start)
    assert (response.status_code, "MODIFIED" in response.text) == (400, True)


async def test_parquet_without_pyarrow_names_the_extra(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    response = await export.get(format="parquet")
    assert (response.status_code, "call-recording-api[export]" in response.text) == (501, True)


async def test_a_head_request_has_the_headers_only(filled: Export) -> None:
    response = await filled.http.head("http://x/export/recordings", headers={"authorization": "Bearer me"})
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["export-cursor"]
    assert "content-length" not in response.headers


async def test_parquet_has_row_groups_of_a_bounded_size(filled: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import parquet

    monkeypatch.setattr(export_recordings, "CHUNK", 1)
    monkeypatch.setattr(table_formats, "ROW_GROUP", 2)
    content = (await filled.get(format="parquet")).content
    metadata = parquet.read_metadata(io.BytesIO(content))
    assert [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)] == [2, 1]


def request_of(caller: str) -> Request:
    return Request({
        "type": "http", "method": "GET", "path": "/", "query_string": b"",
        "headers": [(b"authorization", f"Bearer {caller}".encode())],
    })  # fmt: skip


async def test_one_account_holds_two_exports_at_most(filled: Export) -> None:
    endpoint = ExportEndpoint(
        exports=Exports(filled.installation.store, filled.installation.audit),
        cursors=CURSORS,
        authenticate=authenticate,
        slots=ExportSlots(per_account=2, per_server=3),
    )

    async def begin(caller: str) -> Response:
        return await endpoint.respond(request_of(caller))

    running: list[Any] = [await begin("me"), await begin("me")]
    assert (await begin("me")).status_code == 429
    running.append(await begin("child"))
    assert (await begin("sibling")).status_code == 429
    async for _ in running[0].body_iterator:
        pass
    assert (await begin("me")).status_code == 200


async def test_a_mirror_by_exports_is_equal_to_the_store_under_load(export: Export) -> None:
    store = export.installation.store
    writing = [asyncio.create_task(change(store, f"writer-{number}", 40, skewed(number))) for number in range(8)]
    mirror: dict[str, Any] = {}
    parameters = {"modified_since": "2000-01-01", "fields": ",".join(COLUMNS)}
    while not all(each.done() for each in writing) or await export.rows(**parameters):
        for row in await export.rows(**parameters):
            known = mirror.get(row["id"])
            assert known is None or known["revision"] < row["revision"]
            mirror[row["id"]] = row
            parameters["after"] = row["cursor"]
        await asyncio.sleep(0)
    await asyncio.gather(*writing)
    whole = await export.rows(modified_since="2000-01-01", fields=parameters["fields"])
    assert {row["id"]: row for row in whole} == mirror
    rows = {row["id"]: row for row in await store.scan("", 10_000)}
    assert {(row["id"], row["state"], row["revision"]) for row in rows.values()} == {
        (row["id"], row["state"], row["revision"]) for row in mirror.values()
    }
    assert {"DISCARDED", "TRASHED", "PURGED"} <= {row["state"] for row in whole}


async def test_rows_are_read_as_the_client_takes_them(filled: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_recordings, "CHUNK", 1)
    page, sizes = filled.installation.store.page, []

    async def counted(*arguments: Any) -> Any:
        found = await page(*arguments)
        sizes.append(len(found.rows))
        return found

    monkeypatch.setattr(filled.installation.store, "page", counted)
    endpoint = ExportEndpoint(
        exports=Exports(filled.installation.store, filled.installation.audit),
        cursors=CURSORS,
        authenticate=authenticate,
    )
    response: Any = await endpoint.respond(request_of("me"))
    assert sizes == [1]
    await anext(response.body_iterator)
    await anext(response.body_iterator)
    assert sizes == [1, 1]
    await response.body_iterator.aclose()


async def test_a_filter_without_an_index_is_tested_on_every_row(
    tmp_path: Path, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = [await export.keep(number) for number in range(30)]
    store = SqliteStore(tmp_path, max_examined=5)
    await store.open()
    monkeypatch.setattr(export_recordings, "CHUNK", 7)
    monkeypatch.setattr(export.installation.store, "page", store.page)
    # Both ends of `from` and `to`, and of the filter, limit the range.
    long = {"durationMs": {"gte": 61_000}, "start": {"gte": to_iso(kept[2].start)}}
    found = await export.rows(filter=json.dumps(long), to=to_iso(kept[29].start))
    assert [row["id"] for row in found] == [each.id for each in kept[2:29]]
    changes = await export.rows(filter=json.dumps(long), modified_since="2000-01-01")
    assert [row["id"] for row in changes] == [each.id for each in kept[2:]]
    await store.close()


async def test_an_export_waits_for_its_turn(filled: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    page, refusals = filled.installation.store.page, [TooManyQueries(), TooManyQueries()]

    async def refused_at_first(*arguments: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await page(*arguments)

    before = await filled.rows()
    monkeypatch.setattr(filled.installation.store, "page", refused_at_first)
    assert await filled.rows() == before
    assert not refusals


class FailingStore:
    """A store whose pages fail after the first one."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._pages = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def page(self, *arguments: Any) -> Any:
        self._pages += 1
        if self._pages > 1:
            raise StoreUnavailableError("away")
        return await self._store.page(*arguments)


@pytest.mark.parametrize("form", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("http", ["h11", "httptools"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_client_notices_an_export_that_breaks_off(
    filled: Export, monkeypatch: pytest.MonkeyPatch, form: str, http: Any, coding: str
) -> None:
    monkeypatch.setattr(export_recordings, "CHUNK", 1)
    store: Any = FailingStore(filled.installation.store)
    endpoint = ExportEndpoint(
        exports=Exports(store, filled.installation.audit), cursors=CURSORS, authenticate=authenticate
    )
    app = Starlette(routes=[endpoint.route()])
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off", http=http)
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = running.servers[0].sockets[0].getsockname()[1]
    headers = {"authorization": "Bearer me", "accept-encoding": coding}
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{port}/export/recordings?format={form}", headers=headers)
    running.should_exit = True
    await serving


async def test_a_fault_before_the_first_row_is_an_error(filled: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: Any) -> Any:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(filled.installation.store, "page", fail)
    with pytest.raises(StoreUnavailableError):
        await filled.get()

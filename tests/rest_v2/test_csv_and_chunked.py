"""CSV, chunked responses and indented JSON (`docs/v2_contract.md`, sections 1.7 and 1.8)."""

import csv
import io
import re

import pytest

from adapters.rest_v2.listing import list_recordings as listing
from adapters.rest_v2.listing.csv_table import MAX_COLUMNS, CsvTable, file_name
from tests.rest_v2.v2_installation import V2Client

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("name", ["text/csv", "text/comma-separated-values", "application/octet-stream"])
async def test_the_header_accept_selects_csv(v2: V2Client, name: str) -> None:
    made = await v2.add(custom_channel_vars={"Account-ID": 'a"b', "n": {"m": 1}}, caller_id_name="A, B\nC")
    response = await v2.send("GET", headers={"Accept": name})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv"
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert row["ID"] == made.id
    assert row["Description"] == f"recording {made.id}.mp3"
    assert row["caller_id_name"] == "A, B\nC"
    assert row["custom_channel_vars_Account-ID"] == 'a"b'
    assert row["custom_channel_vars_n_m"] == "1"
    assert row["duration_ms"] == "42380"
    assert row["_read_only_content_types"] == "audio/mpeg"
    first = response.text.split("\n")[0]
    assert all(cell.startswith('"') and cell.endswith('"') for cell in first.split(","))


@pytest.mark.parametrize("accept", ["csv", "text/csv"])
async def test_the_parameter_accept_selects_csv(v2: V2Client, accept: str) -> None:
    await v2.add()
    response = await v2.get(accept=accept)
    assert response.headers["content-type"] == "text/csv"
    assert re.fullmatch(r'attachment; filename="json_[0-9a-f]{22}\.csv"', response.headers["content-disposition"])


async def test_the_file_name_of_a_table(v2: V2Client) -> None:
    await v2.add()
    for headers, params, name in (
        ({"X-File-Name": "/folder/a.csv"}, {"file_name": "b.csv"}, "a.csv"),
        ({}, {"file_name": "../b.csv"}, "b.csv"),
    ):
        response = await v2.send("GET", headers=headers, params={"accept": "csv", **params})
        assert response.headers["content-disposition"] == f'attachment; filename="{name}"'


@pytest.mark.parametrize("name", ['a"b', "é", "x" * 200, "a\nb", ""])
async def test_a_file_name_that_would_break_the_header_is_not_used(name: str) -> None:
    assert re.fullmatch(r"json_[0-9a-f]{22}\.csv", file_name(name, None))


async def test_an_empty_table_is_204(v2: V2Client) -> None:
    response = await v2.get(accept="csv")
    assert (response.status_code, response.content) == (204, b"")


async def test_csv_of_one_recording(v2: V2Client) -> None:
    made = await v2.add()
    response = await v2.get(f"{v2.recordings}/{made.id}", accept="csv")
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert row["ID"] == made.id


async def test_an_unpaged_table_has_all_rows(v2: V2Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_BUFFERED", 3)
    made = [(await v2.add(at=at, audio=None)).id for at in range(120)]
    rows = list(csv.DictReader(io.StringIO((await v2.get(accept="csv", paginate="false")).text)))
    assert [row["ID"] for row in rows] == made
    assert len(list(csv.DictReader(io.StringIO((await v2.get(accept="csv")).text)))) == 50


async def test_columns_found_later_are_appended() -> None:
    table = CsvTable()
    assert table.write([]) == ""
    assert table.write([{"id": 1, "a": None}]) == '"ID","a"\n"1",""\n'
    assert table.write([{"b": True}, {"a": [1, "x"]}]) == '"","","true"\n"","1,x",""\n'


async def test_the_number_of_columns_is_limited() -> None:
    table = CsvTable()
    text = table.write({"id": row, "more": {f"{row}-{name}": name for name in range(400)}} for row in range(10))
    headings, *rows = csv.reader(io.StringIO(text))
    assert {len(row) for row in (headings, *rows)} == {MAX_COLUMNS}
    assert [row[0] for row in rows] == [str(row) for row in range(10)]
    assert headings[-1] == "more_2-222"
    (late,) = csv.reader(io.StringIO(table.write([{"id": 10, "later": 1, "more": {"2-222": "x"}}])))
    assert (late[0], late[-1], len(late)) == ("10", "x", MAX_COLUMNS)


async def test_chunked_responses(v2: V2Client) -> None:
    made = [(await v2.add(at=at, audio=None)).id for at in range(60)]
    response = await v2.get(is_chunked="true", chunk_size="7")
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert "content-length" not in response.headers
    assert [item["id"] for item in body["data"]] == made[:50]
    trailer = {name: value for name, value in body.items() if name != "data"}
    assert all(isinstance(value, str) for value in trailer.values())
    assert (trailer["page_size"], trailer["status"]) == ("50", "success")
    assert "tokens" not in trailer
    rest = await v2.ids(is_chunked="true", start_key=body["next_start_key"])
    assert rest == made[50:]
    assert (await v2.get(is_chunked="true", filter_call_id="nothing")).json()["data"] == []
    whole = (await v2.get(is_chunked="true", paginate="false")).json()
    assert len(whole["data"]) == 60
    assert "page_size" not in whole


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("-1", "chunk size must be at least 1"),
        ("51", "chunk size must be lower than 50"),
        ("x", "invalid chunk size"),
    ],
)
async def test_invalid_chunk_sizes(v2: V2Client, size: str, message: str) -> None:
    response = await v2.get(is_chunked="true", chunk_size=size)
    assert (response.status_code, response.json()["message"]) == (404, "faulty_request")
    assert response.json()["data"] == {"message": message}


async def test_indented_json(v2: V2Client) -> None:
    await v2.add()
    plain, shown = await v2.get(), await v2.get(pretty_print="true")
    header = await v2.send("GET", headers={"X-Pretty-Print": "true"})
    assert b"\n" not in plain.content
    for response in (shown, header, await v2.get(f"{v2.recordings}/x", pretty_print="true")):
        assert response.content.startswith(b'{\n  "data": ')
    assert shown.json()["data"] == plain.json()["data"]
    assert b"\n" not in (await v2.get(pretty_print="true", is_chunked="true")).content

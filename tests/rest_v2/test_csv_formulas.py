"""Cells of a table that a spreadsheet could run as formulas (`docs/v2_contract.md`, section 1.7)."""

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.http.csv_cells import plain_text
from adapters.rest_v2.listing.csv_table import CsvTable
from tests.rest_v2.v2_installation import V2Client

FORBIDDEN = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FORMULAS = [
    '=HYPERLINK("http://x.example","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    " =1+1",
    "\uff1d1+1",
    "'=1+1",
]


async def rows(v2: V2Client, path: str = "", **params: str) -> list[list[str]]:
    response = await v2.get(path, accept="csv", **params)
    assert response.status_code == 200
    return list(csv.reader(io.StringIO(response.text, newline="")))


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.asyncio(loop_scope="session")
async def test_no_cell_begins_as_a_formula(v2: V2Client, text: str) -> None:
    made = await v2.add(caller_id_name=text, user_metadata={"=a": [text, "x"], "n": {text: text}})
    for path in ("", f"{v2.recordings}/{made.id}"):
        (headings, row) = await rows(v2, path)
        assert not any(cell.startswith(FORBIDDEN) for cell in (*headings, *row))
        assert row[headings.index("caller_id_name")] == f"'{text}"
    (item,) = (await v2.get()).json()["data"]
    assert item["caller_id_name"] == text


@pytest.mark.asyncio(loop_scope="session")
async def test_numbers_stay_usable(v2: V2Client) -> None:
    await v2.add(caller_id_number="+14155550123", callee_id_number="004930123", user_metadata={"n": -5, "f": -0.5})
    headings, row = await rows(v2)
    cells = dict(zip(headings, row, strict=True))
    assert cells["caller_id_number"] == "'+14155550123"
    assert cells["to"] == "'+14155550123@acme.example.com"
    assert cells["callee_id_number"] == "004930123"
    assert (cells["user_metadata_n"], cells["user_metadata_f"], cells["duration_ms"]) == ("-5", "-0.5", "42380")


def test_headings_of_imported_documents() -> None:
    headings, row = csv.reader(io.StringIO(CsvTable().write([{"=1+1": {"@a": "-b"}, "@x": 1}]), newline=""))
    assert (headings, row) == (["'=1+1_@a", "'@x"], ["'-b", "1"])


@given(st.text(max_size=20) | st.sampled_from(FORMULAS))
def test_removing_one_apostrophe_restores_every_text(text: str) -> None:
    cell = plain_text(text)
    assert cell.removeprefix("'") == text
    assert not cell.startswith(FORBIDDEN)


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=3), max_size=5)
)
def test_no_cell_of_any_document_begins_as_a_formula(document: dict[str, Any]) -> None:
    for row in csv.reader(io.StringIO(CsvTable().write([document]), newline="")):
        assert not any(cell.startswith(FORBIDDEN) for cell in row)

"""Lists whose filter no index serves: their error and their price."""

import pytest

from adapters.http.token_bucket import Rate, TokenBuckets
from graph.execution.examined_rows import MAX_ROWS, ExaminedRows
from recordings.model.errors import QueryTooBroad
from tests.graph.api import Api

LIST = "query($f: RecordingFilter) { recordings(first: 1, filter: $f) { nodes { id } } }"
BROAD = {"and": [{"name": {"prefix": "a"}}, {"origin": {"prefix": "b"}}]}


@pytest.fixture
async def filled(api: Api) -> Api:
    """Return an API that examines at most four rows, with ten recordings of each name."""
    api.installation.store._max_examined = 4
    for number in range(10):
        await api.keep(name="a", origin="b" if number == 0 else "c", label="one" if number == 0 else None)
        await api.keep(name="x", origin="b")
    return api


async def test_a_broad_filter_is_refused_with_the_conditions_that_help(filled: Api) -> None:
    error = await filled.refused(LIST, f=BROAD)
    assert (error["extensions"]["code"], error["extensions"]["path"]) == ("QUERY_TOO_BROAD", ["filter"])
    assert "after 4 rows in the order START" in error["message"]
    assert all(name in error["message"] for name in ("`start`", "`callId`", "`label`"))
    found = await filled.ask(LIST, f={**BROAD, "label": {"equal": "one"}})
    assert len(found["recordings"]["nodes"]) == 1


async def test_a_broad_filter_costs_the_rows_that_it_may_examine(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.execution.examined_rows.FREE", 3)
    monkeypatch.setattr("graph.execution.examined_rows.ROWS_PER_POINT", 1)

    async def cost(condition: object) -> int:
        return int((await filled.send(LIST, f=condition))["extensions"]["cost"]["requested"])

    assert await cost({"label": {"equal": "one"}}) == await cost({})
    assert await cost(BROAD) == await cost({}) + 4


def test_the_lists_of_a_document_examine_a_limited_number_of_rows() -> None:
    examined = ExaminedRows()
    for _ in range(MAX_ROWS // 10_000):
        examined.add(10_000)
    assert examined.points == MAX_ROWS // 10
    with pytest.raises(QueryTooBroad, match="send lists with broad filters in several documents"):
        examined.add(10_000)


def test_a_charge_after_the_work_delays_the_next_request() -> None:
    buckets = TokenBuckets(Rate(10, 1), lambda: 0.0)
    assert buckets.take("payer", 4) == 0
    assert buckets.charge("payer", 9) == 0
    assert buckets.take("payer", 1) == 4

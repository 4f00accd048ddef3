"""The optional extension writes what the pure path writes, and reads damaged documents without harm."""

import os
import re
import struct
import sys
from collections.abc import AsyncIterator
from itertools import product
from typing import Any

import bson
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import AutoReconnect
from starlette.applications import Starlette

from adapters.metadata.mongodb import MongoStore, bson_rows
from graph.graphql_app import GraphQLServices, graphql_app
from recordings.model.account import Account
from recordings.model.query import Order, OrderField, Page, PageRequest, Position, Query, position_of
from recordings.model.raw_rows import JsonObject, RawRows
from recordings.model.recording import Recording, State
from recordings.use_cases.recordings import Recordings
from tests.contract.metadata.samples import NOW, full, recording
from tests.graph.api import CURSORS, GRANTS, URL, authenticate
from tests.graph.execution.bson_documents import SHOWN, compare, damaged, pages
from tests.support.build_bson_json import compile_extension, load_extension, why_not
from tests.support.fake_clock import FakeClock
from tests.support.fake_recorder import FakeRecorder
from tests.support.memory_audit import MemoryAudit
from tests.support.memory_installation import ACCOUNT, SIBLING

PAGES = ({"first": 3}, {"last": 2}, {"first": 100}, {"first": 0})
BELOW = """query($first: Int, $last: Int) { viewer { account { id
  recordings(first: $first, last: $last, orderBy: {field: DURATION}) { edges { node { label start } } nodes { start } }
  descendants: recordings(first: $first, last: $last, descendants: true) { nodes { accountId label } }
} } }"""
VARYING = re.compile(rb'"(requestId|request_id)":"\w+"|"cost":\{[^}]*\}+')
PAGE = f"""query($first: Int, $last: Int) {{
  recordings(first: $first, last: $last) {{
    edges {{ cursor node {{ {" ".join(SHOWN)} }} }} nodes {{ id kind: __typename modified }}
    pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
  }}
}}"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    if reason := why_not():
        # `.ci/run` installs a compiler.
        (pytest.fail if "CI" in os.environ else pytest.skip)(reason)
    return load_extension(compile_extension(tmp_path_factory.mktemp("bson_json")))


@pytest.fixture
def extension(compiled: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bson_rows, "extension", compiled)
    return compiled


@pytest.fixture
async def store(mongodb_uri: str, mongodb_database: str) -> AsyncIterator[MongoStore]:
    made = MongoStore(mongodb_uri, mongodb_database)
    await made.open()
    yield made
    await made.close()


@settings(max_examples=100, suppress_health_check=list(HealthCheck), database=None)
@given(pages())
def test_any_document_is_written_as_the_pure_path_writes_it(extension: Any, page: Any) -> None:
    compare(page)


@settings(max_examples=100, suppress_health_check=list(HealthCheck), database=None)
@given(st.data())
def test_a_damaged_reply_is_not_split(extension: Any, data: st.DataObject) -> None:
    documents: list[dict[str, Any]] = [{"a": 1}, {"b": "x" * 20}]
    reply = bson.encode({"firstBatch": documents, "id": bson.Int64(0), "ns": "a.b"})
    assert extension.split(reply) == tuple(bson.encode(each) for each in documents)
    changed = data.draw(damaged(reply))
    found = extension.split(changed)
    for each in found or ():
        assert struct.unpack_from("<I", each)[0] == len(each)
        assert each in changed


def test_a_cursor_with_more_documents_is_not_split(extension: Any) -> None:
    assert extension.split(bson.encode({"firstBatch": [{}], "id": bson.Int64(7), "ns": "a.b"})) is None
    assert extension.split(bson.encode({"firstBatch": [{}], "ns": "a.b"})) is None
    assert extension.split(bson.encode({"firstBatch": [1], "id": bson.Int64(0), "ns": "a.b"})) is None
    assert extension.split(b"") is None


def test_wrong_arguments_are_errors_and_not_crashes(extension: Any) -> None:
    member = (b"", 0, 0, 0, b"", ())
    wrong: list[tuple[Any, ...]] = [
        (),
        ([], (), (), b""),
        ((1,), (b"a",), (), b""),
        ((b"",), (1,), (), b""),
        ((b"",), (b"a",), ((),), b""),
        ((b"",), (b"a",), ((b"", 1, 0, 0, b"", ()),), b""),
        ((b"",), (b"a",), ((b"", -1, 0, 0, b"", ()),), b""),
        ((b"",), (b"a",), ((b"", 0, 9, 0, b"", ()),), b""),
        ((bson.encode({"a": "x"}),), (b"a",), ((b"", 0, 3, 0, b"", (1, 2)),), b""),
        ((b"",), (), (member,), b""),
    ]
    for arguments in wrong:
        with pytest.raises((TypeError, ValueError)):
            extension.encode(*arguments)
    assert extension.encode((bson.encode({"a": "x"}),), (b"a",), ((b"", 0, 3, 0, b"", (b"x",)),), b"") == [None]


def test_an_extension_of_another_version_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "recordings_bson_json", type("Other", (), {"VERSION": 2}))
    assert bson_rows._load() is None


async def kept(store: MongoStore) -> list[Recording]:
    """Insert recordings: one of another account, and one that only the pure path writes."""
    found = [
        recording(account_id=ACCOUNT, start=NOW + number, label=text, duration_ms=number)
        for number, text in enumerate([None, "", '"\\', "\x00\x1f\x7f", "é\u2028\U0001f600", "x" * 3_000])
    ]
    found += [full(account_id=ACCOUNT, state=State.STORED), recording(account_id=ACCOUNT, start=-1)]
    for each in (*found, recording(account_id=SIBLING)):
        await store.insert(each)
    return found


async def both(store: MongoStore, query: Query, request: PageRequest, compiled: Any) -> tuple[Page, Page]:
    """Return a page as raw rows and as decoded rows."""
    bson_rows.extension = None
    decoded = await store.page(query, request)
    bson_rows.extension = compiled
    return await store.page(query, request), decoded


async def test_raw_pages_have_the_rows_of_decoded_pages(store: MongoStore, extension: Any) -> None:
    inserted = await kept(store)
    fields = frozenset({"id", "start", "label", "duration_ms", "state"})
    for order in (Order(), Order(OrderField.DURATION, descending=False), Order(OrderField.MODIFIED)):
        query = Query(account_id=ACCOUNT, order=order)
        middle = position_of(order, (await store.page(query, PageRequest(limit=3))).rows[-1])
        for request in (
            PageRequest(limit=3, fields=fields, raw=True),
            PageRequest(limit=100, raw=True),
            PageRequest(limit=2, after=middle, fields=fields, raw=True),
            PageRequest(limit=2, before=middle, backward=True, fields=fields, raw=True),
            PageRequest(limit=2, after=Position(None, "0"), before=Position(None, "0"), fields=fields, raw=True),
        ):
            raw, decoded = await both(store, query, request, extension)
            assert isinstance(raw.rows, RawRows) == (order.field is not OrderField.MODIFIED and bool(decoded.rows))
            assert [raw.rows[place] for place in range(len(raw.rows))] == list(decoded.rows)
            assert list(raw.rows) == raw.rows[:] == list(decoded.rows)
            assert (len(raw.rows), raw.has_more) == (len(decoded.rows), decoded.has_more)
    assert len(inserted) == 8


async def test_a_page_is_read_again_if_the_connection_breaks(
    store: MongoStore, extension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inserted = await kept(store)
    asked: list[Any] = []

    async def command(_database: Any, sent: Any, **_options: Any) -> Any:
        asked.append(sent)
        raise AutoReconnect("closed")

    monkeypatch.setattr(AsyncDatabase, "command", command)
    page = await store.page(Query(account_id=ACCOUNT), PageRequest(limit=100, raw=True))
    assert not isinstance(page.rows, RawRows)
    assert len(page.rows) == len(inserted)
    assert len(asked) == 1


async def test_the_api_returns_the_same_bytes_with_and_without_the_extension(
    store: MongoStore, compiled: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept(store)
    await store.add_account(Account(ACCOUNT, "parent", 0))
    clock, audit, written = FakeClock(), MemoryAudit(), list[bytes | None]()
    service = Recordings(
        store=store, recorder=FakeRecorder(clock), clock=clock, audit=audit, wake=lambda: None, node="n"
    )
    services = GraphQLServices(
        recordings=service, cursors=CURSORS, grants=GRANTS, clock=clock, authenticate=authenticate
    )
    to_json = bson_rows.BsonRows.to_json

    def counted(rows: bson_rows.BsonRows, shown: JsonObject) -> list[bytes | None]:
        written.extend(found := to_json(rows, shown))
        return found

    monkeypatch.setattr(bson_rows.BsonRows, "to_json", counted)
    app = Starlette(routes=graphql_app(services).routes())
    answers: dict[bool, list[bytes]] = {False: [], True: []}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
        for module in (None, compiled):
            monkeypatch.setattr(bson_rows, "extension", module)
            for caller, query, variables in product(("me", "ada", "child", "no_read"), (PAGE, BELOW), PAGES):
                body = {"query": query, "variables": variables}
                response = await http.post(URL, json=body, headers={"authorization": f"Bearer {caller}"})
                answers[module is not None].append(VARYING.sub(b"", response.content))
    assert answers[False] == answers[True]
    assert b"errors" not in answers[True][0], answers[True][0]
    # The recording before 1970 is written by the pure path.
    assert 0 < written.count(None) < len(written) / 4

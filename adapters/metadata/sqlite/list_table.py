"""Pages and counts of recordings in SQLite. Each function runs on a connection, in its thread."""

# ruff: noqa: S608 - the names in these statements are constants, the values are parameters

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from adapters.metadata.access_path import (
    FEW,
    Access,
    Asked,
    Facets,
    Question,
    Read,
    Scan,
    Skip,
    Tally,
    Tested,
    count_rows,
    page_rows,
)
from adapters.metadata.row_fields import fields_to_read
from adapters.metadata.sqlite import where
from adapters.metadata.sqlite.recording_table import read
from recordings.model.fields import RecordingRow
from recordings.model.query import Count, Page, PageRequest, Position, Query


def page(connection: sqlite3.Connection, query: Query, request: PageRequest, max_examined: int) -> Page:
    """Return one page, read in one snapshot."""
    names = fields_to_read(request.fields, query.order.field)

    def answer(question: Question) -> Any:
        if isinstance(question, Read):
            return _read(connection, query, question.path, names, request.limit + 1)
        return _answer(connection, query, question)

    connection.execute("BEGIN")
    found, examined = _answered(page_rows(query, request, max_examined), answer)
    has_more = len(found) > request.limit
    del found[request.limit :]
    return Page(found[::-1] if request.backward else found, has_more, examined)


def _read(
    connection: sqlite3.Connection, query: Query, path: Access, names: Sequence[str], limit: int
) -> list[RecordingRow]:
    found: list[RecordingRow] = []
    for part in path.parts:
        if len(found) < limit:
            found += read(connection.execute(*where.page(query, path, part, names, limit - len(found))), names)
    return found


def count(connection: sqlite3.Connection, query: Query, limit: int, max_examined: int) -> Count:
    """Return the number of recordings that a query selects, exact up to `limit`."""
    connection.execute("BEGIN")
    found: Count = _answered(count_rows(query, limit, min(FEW, max_examined)), partial(_answer, connection, query))
    return found


def _answered(asked: Asked, answer: Callable[[Question], Any]) -> Any:
    """Answer all questions of a generator, and return its result."""
    try:
        question = next(asked)
        while True:
            question = asked.send(answer(question))
    except StopIteration as done:
        return done.value


def _answer(connection: sqlite3.Connection, query: Query, question: Question) -> Any:
    match question:
        case Scan(_, limit):
            number, keys = connection.execute(*where.keys(query, question)).fetchone()
            return None if number > limit else (number, keys)
        case Tally(_, _, limit):
            return _number(connection, where.tallies(query, question), limit)
        case Facets(limit):
            return [facets for (facets,) in connection.execute(*where.facets(query, limit))]
        case Skip():
            found = connection.execute(*where.skip(query, question)).fetchone()
            return None if found is None else Position(*found)
        case Tested(path):
            return sum(connection.execute(*where.count(query, path, part)).fetchone()[0] for part in path.parts)
    raise TypeError(question)


def _number(connection: sqlite3.Connection, ranges: Iterator[where.Sql], limit: int) -> int:
    number = 0
    for source, values in ranges:
        if number < limit:
            counted = f"SELECT count(*) FROM (SELECT 1 {source} LIMIT ?)"
            number += connection.execute(counted, [*values, limit - number]).fetchone()[0]
    return number

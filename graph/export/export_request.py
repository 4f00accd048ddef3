"""The parameters of an export, for HTTP and for the command line."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from graph.export.columns import Table, select
from graph.export.table_formats import Format
from graph.schema.global_id import ACCOUNT, plain
from graph.schema.json_filter import condition_of
from recordings.model.errors import InvalidCursor, InvalidInput
from recordings.model.instants import EARLIEST, LATEST, Millis, date_from_iso, from_iso, to_millis
from recordings.model.query import And, Condition, Order, Position, Range
from recordings.rules.cursor import Cursors
from recordings.use_cases.export_recordings import BY_CHANGE, BY_START, ExportRequest

NAMES: Final = ("account", "fields", "filter", "from", "to", "modified_since", "after", "format", "bom")
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class WantedExport:
    """A parsed export: what to read, how to write it, and the cursor of its start."""

    request: ExportRequest
    table: Table
    format: Format
    bom: bool
    start: str


def parse(parameters: Mapping[str, str], own_account: str, cursors: Cursors) -> WantedExport:
    """Return the export that parameters ask for. `own_account` is the default account.

    Raises:
        InvalidInput: a parameter is unknown, or its value is not allowed.
        InvalidCursor: this installation did not make the cursor.
    """
    for name in parameters:
        if name not in NAMES:
            allowed = f"left out: the parameters are {', '.join(NAMES)}"
            raise InvalidInput.of((name,), "enum", parameters[name][:100], allowed)
    since = _time(parameters, "modified_since")
    order, after = _order(parameters.get("after"), since, cursors)
    start, end = _time(parameters, "from"), _time(parameters, "to")
    conditions: list[Condition] = [condition_of(parameters.get("filter"))]
    if start is not None and end is not None and end < start:
        raise InvalidInput.of(("to",), "minimum", parameters["to"][:100], "at `from` or later")
    if start is not None or end is not None:
        conditions.append(Range("start", start, end))
    if after is None:
        first = (start if order == BY_START else since) or EARLIEST
        # No id is empty, so this is the position before all rows of that time.
        after = Position(max(first, EARLIEST), "")
    wanted = parameters.get("fields")
    table = Table(select(None if wanted is None else wanted.split(",")), order, cursors)
    account = parameters.get("account")
    request = ExportRequest(
        account_id=own_account if account is None else plain(account, ACCOUNT),
        order=order,
        where=_all(conditions),
        after=after,
        fields=table.fields,
    )
    return WantedExport(request, table, _format(parameters), _flag(parameters, "bom"), cursors.encode(order, after))


def _all(conditions: list[Condition]) -> Condition:
    """Return one AND of all conditions, without ANDs in it: the use case looks for the range of the sort key there."""
    return And(tuple(item for each in conditions for item in (each.items if isinstance(each, And) else (each,))))


def _order(cursor: str | None, since: Millis | None, cursors: Cursors) -> tuple[Order, Position | None]:
    """Return the order of the export, and the position of the cursor. A cursor says by itself which order it is of."""
    if cursor is None:
        return (BY_START if since is None else BY_CHANGE), None
    if since is None:
        try:
            return BY_START, cursors.read(BY_START, cursor, ("after",))
        except InvalidCursor:
            pass
    return BY_CHANGE, cursors.read(BY_CHANGE, cursor, ("after",))


def _time(parameters: Mapping[str, str], name: str) -> Millis | None:
    text = parameters.get(name)
    if text is None:
        return None
    try:
        if (day := date_from_iso(text)) is not None:
            return to_millis(datetime(day.year, day.month, day.day, tzinfo=UTC))
        # A plus sign in a query string is a space.
        return min(max(from_iso(text.replace(" ", "+")), EARLIEST), LATEST)
    except (ValueError, OverflowError) as error:
        allowed = "a date such as 2026-11-01, or a time with an offset such as 2026-11-01T09:30:00Z"
        raise InvalidInput.of((name,), "format", text[:100], allowed) from error


def _format(parameters: Mapping[str, str]) -> Format:
    text = parameters.get("format", Format.CSV)
    if text not in set(Format):
        raise InvalidInput.of(("format",), "enum", text[:100], f"one of {', '.join(Format)}")
    return Format(text)


def _flag(parameters: Mapping[str, str], name: str) -> bool:
    text = parameters.get(name, "false")
    if text not in _FLAGS:
        raise InvalidInput.of((name,), "enum", text[:100], f"one of {', '.join(_FLAGS)}")
    return _FLAGS[text]

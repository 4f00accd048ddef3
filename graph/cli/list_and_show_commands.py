"""`recordings list` and `recordings show`: look at recordings without GraphQL."""

import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.recording_view import FIELDS, full_view, line_of, short_view, table_of
from graph.cli.shared_options import STORAGE, integer, print_json, setting_options, with_services
from recordings.model.audit_entry import AuditAction
from recordings.model.errors import InvalidInput
from recordings.model.fields import RecordingRow
from recordings.model.instants import DAY, HOUR, MINUTE, Millis, to_millis
from recordings.model.query import (
    MAX_PAGE,
    And,
    Condition,
    HasMetadata,
    Held,
    In,
    Or,
    PageRequest,
    Query,
    Range,
    check,
    position_of,
)
from recordings.model.recording import SHELVES, DeliveryState, Reason, Shelf, State
from recordings.model.user_metadata import values_of_text
from recordings.ports.account_stores import all_accounts
from recordings.ports.audit import list_object, recording_object

if TYPE_CHECKING:
    from graph.services import Services

_AGO: Final = re.compile(r"(\d{1,6})([mhd])", re.ASCII)
_UNITS: Final = {"m": MINUTE, "h": HOUR, "d": DAY}
_FORMS: Final = (
    "write a date (2026-11-01), a time (2026-11-01T09:30:00Z), or an age in minutes, hours or days (90m, 24h, 7d)"
)
_format_option: Final = click.option(
    "--format",
    "form",
    type=click.Choice(["auto", "json", "table"]),
    default="auto",
    help="JSON, or text to read. auto means text on a terminal, and JSON otherwise. [default: auto]",
)


@click.command("list")
@click.option("--account", "account_id", metavar="ID", help="Only recordings of this account. [default: all accounts]")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in State], case_sensitive=False),
    help="Only recordings in this state. Can be given several times. [default: all that are not deleted]",
)
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice([reason.value for reason in Reason], case_sensitive=False),
    help="Only recordings with this reason. Can be given several times.",
)
@click.option(
    "--delivery",
    "deliveries",
    multiple=True,
    type=click.Choice([state.value for state in DeliveryState], case_sensitive=False),
    help="Only recordings whose delivery has this state. Can be given several times.",
)
@click.option("--held", is_flag=True, help="Only recordings with a legal hold.")
@click.option(
    "--metadata",
    multiple=True,
    metavar="KEY[=VALUE]",
    help="Only recordings with this key in their user metadata, and this text, number, true or false as its value. "
    "Can be given several times: all must match.",
)
@click.option("--since", metavar="TIME", help="Only recordings that started at this time or later: a date, or 24h.")
@click.option(
    "--limit",
    type=integer(1, 100_000),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="Maximum number of recordings, newest first.",
)
@_format_option
@setting_options(STORAGE)
def list_(
    account_id: str | None,
    states: tuple[str, ...],
    since: str | None,
    limit: int,
    form: str,
    options: Mapping[str, str | None],
    **filters: Any,
) -> None:
    """List recordings: their state, its reason, their audio and their delivery.

    The reason of a failed recording is in `reason` and `reasonDetail`. `recordings show ID` shows all of a recording.
    """
    start = None if since is None else parse_time("--since", since)
    conditions = _conditions(start, **filters)
    _list(options, account_id, tuple(State(state.upper()) for state in states), conditions, limit, _is_table(form))


@click.command()
@click.argument("id")
@_format_option
@setting_options(STORAGE)
def show(id: str, form: str, options: Mapping[str, str | None]) -> None:
    """Show the recording with this ID: its state and the reason, its audio, its delivery, and files on this server.

    `aside` are the folders on this server with received audio that could not be stored.
    """
    _show(options, id, _is_table(form))


def _is_table(form: str) -> bool:
    return form == "table" or (form == "auto" and sys.stdout.isatty())


def parse_time(option: str, text: str) -> Millis:
    """Return the instant of an option. A time without an offset is in UTC."""
    now = datetime.now(UTC)
    if (age := _AGO.fullmatch(text)) is not None:
        return to_millis(now) - int(age[1]) * _UNITS[age[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text!r} is not a time: {_FORMS}") from error
    return to_millis(moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))


@with_services
async def _list(
    services: "Services",
    account_id: str | None,
    states: Sequence[State],
    conditions: Sequence[Condition],
    limit: int,
    is_table: bool,
) -> None:
    if account_id is not None:
        accounts = [await services.accounts.account(account_id)]
    else:
        accounts = [account async for account in all_accounts(services.store)]
    newest: list[RecordingRow] = []
    for account in accounts:
        for shelf, wanted in _shelves(states).items():
            query = _query(account.id, shelf, wanted, conditions)
            newest += [row async for row in _rows(services, query, limit)]
            newest = nlargest(limit, newest, key=_age)
    if is_table:
        for line in table_of([line_of(row, with_account=account_id is None) for row in newest]):
            click.echo(line)
    else:
        for row in newest:
            print_json(short_view(row))


_age: Final[Callable[[RecordingRow], tuple[int, str]]] = lambda row: (row["start"], row["id"])  # noqa: E731


def _shelves(states: Sequence[State]) -> Mapping[Shelf, Sequence[State]]:
    """Return the wanted states by shelf. Without any, all states that are not deleted."""
    if not states:
        return {Shelf.LIVE: ()}
    shelves: dict[Shelf, list[State]] = {}
    for state in dict.fromkeys(states):
        shelves.setdefault(SHELVES.get(state, Shelf.LIVE), []).append(state)
    return shelves


def _conditions(
    since: Millis | None, *, reasons: Sequence[str], deliveries: Sequence[str], held: bool, metadata: Sequence[str]
) -> Sequence[Condition]:
    """Return the conditions of the options, except the states."""
    choices = {"reason": reasons, "delivery_state": deliveries}
    found: list[Condition] = [In(field, tuple(map(str.upper, values))) for field, values in choices.items() if values]
    found += [Held()] if held else []
    found += map(_metadata, metadata)
    return [*found, Range("start", minimum=since)] if since is not None else found


def _metadata(option: str) -> Condition:
    key, has_value, text = option.partition("=")
    condition = Or(tuple(HasMetadata(key, value) for value in values_of_text(text))) if has_value else HasMetadata(key)
    try:
        return check(condition)
    except InvalidInput as error:
        raise click.UsageError(f"--metadata {option[:100]!r}: {error}") from error


def _query(account_id: str, shelf: Shelf, states: Sequence[State], conditions: Sequence[Condition]) -> Query:
    in_state = (In("state", tuple(state.value for state in states)),) if states else ()
    return Query(account_id=account_id, shelf=shelf, where=And((*in_state, *conditions)))


async def _rows(services: "Services", query: Query, limit: int) -> AsyncIterator[RecordingRow]:
    after, left = None, limit
    while left > 0:
        page = await services.store.page(query, PageRequest(limit=min(left, MAX_PAGE), after=after, fields=FIELDS))
        if page.rows:
            await services.audit.record(None, AuditAction.LIST, list_object(query.account_id), rows=len(page.rows))
        for row in page.rows:
            yield row
        left -= len(page.rows)
        if not page.has_more:
            return
        after = position_of(query.order, page.rows[-1])


@with_services
async def _show(services: "Services", recording_id: str, is_table: bool) -> None:
    recording = await services.store.load(recording_id)
    if recording is None:
        message = f"there is no recording {recording_id!r}: `recordings list` shows the ids"
        raise click.ClickException(message)
    await services.audit.record(None, AuditAction.READ, recording_object(recording))
    aside: Sequence[Path] = await services.spool.folders_aside(recording.id) if _is_safe(recording.id) else ()
    view: dict[str, Any] = full_view(recording, services.settings.data) | {"aside": [str(path) for path in aside]}
    if is_table:
        width = max(map(len, view))
        for name, value in view.items():
            for line in _lines(value):
                click.echo(f"{name:{width}}  {line}".rstrip())
                name = ""  # noqa: PLW2901 - the next lines have no name
    else:
        print_json(view)


def _is_safe(recording_id: str) -> bool:
    return "/" not in recording_id


def _lines(value: Any) -> Sequence[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {item}" for name, item in value.items() if item is not None] or ["-"]
    if isinstance(value, list):
        return [str(item) for item in value] or ["-"]
    return ["-" if value is None else str(value)]

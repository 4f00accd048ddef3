"""`recordings events`: the feed of events, as `GET /events` returns it."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import click

from graph.cli.shared_options import STORAGE, account_option, print_json, setting_options, with_services
from recordings.model.account import Principal, Scope

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.event_reader import EventReader, ReadEvent

_RETRY_SECONDS: Final = 2.0
_LOCAL: Final = "http://localhost"


@click.command()
@account_option
@click.option("--descendants", is_flag=True, help="The events of all accounts below, too.")
@click.option("--types", metavar="NAMES", help="Only these types, such as recording.stored,recording.lost.")
@click.option("--recording", metavar="ID", help="Only the events of this recording.")
@click.option("--filter", metavar="JSON", help="Only recordings that match: a RecordingFilter of GraphQL, as JSON.")
@click.option("--include", metavar="PARTS", help="Parts to add to the data: PARTIES,METADATA.")
@click.option("--since", metavar="PLACE", help="A cursor, a time, or now. [default: the first event]")
@click.option("--follow", is_flag=True, help="Do not stop at the last event: wait for new ones.")
@setting_options((*STORAGE, "public_url"))
def events(
    account_id: str, descendants: bool, follow: bool, options: Mapping[str, str | None], **given: str | None
) -> None:
    """Print the events of an account as NDJSON: one CloudEvents document a line, each with its cursor.

    Continue after an interruption with --since and the last cursor.
    """
    wanted = {name: value for name, value in given.items() if value is not None}
    _events(options, account_id, wanted | {"descendants": "true" if descendants else "false"}, follow=follow)


@with_services
async def _events(services: "Services", account_id: str, parameters: Mapping[str, str], *, follow: bool) -> None:
    from graph.events.event_parameters import read_parameters
    from graph.events.events_endpoint import line_of
    from graph.schema.resolver_context import Context

    account = await services.accounts.account(account_id)
    context = Context(
        principal=Principal(account.id, frozenset({Scope.READ}), None, "command line"),
        recordings=services.recordings,
        feed=services.events,
        cursors=services.cursors,
        grants=services.grants,
        clock=services.clock,
        locate=lambda: services.settings.public_url or _LOCAL,
        media_ttl=0,
    )
    wanted = await read_parameters(context, parameters.items())
    reader = await context.events.follow(context.principal, wanted.selection, wanted.cursor)
    try:
        while (found := await _next(reader, follow=follow)) is not None:
            sys.stdout.buffer.write(line_of(context, found, wanted.include))
            sys.stdout.buffer.flush()
    finally:
        place = services.cursors.write_event(reader.cursor)
        await reader.aclose()
        click.echo(f"continue with --since {place}", err=True)


async def _next(reader: "EventReader", *, follow: bool) -> "ReadEvent | None":
    """Return the next event. Without `follow`, return `None` at the end."""
    import asyncio

    from recordings.ports.recording_store import StoreUnavailableError
    from recordings.use_cases.event_reader import ReadEvent

    while True:
        try:
            found = await reader.next(None if follow else 0)
        except StoreUnavailableError as error:
            if not follow:
                raise
            click.echo(f"Warning: {error}; trying again", err=True)
            await asyncio.sleep(_RETRY_SECONDS)
            continue
        if isinstance(found, ReadEvent):
            return found
        if found is None and not follow:
            return None


@click.command(name="event-schemas")
@setting_options(("public_url",))
def event_schemas(options: Mapping[str, str | None]) -> None:
    """Print the JSON Schemas of the data of events, one a line."""
    from graph.cli.shared_options import settings_from
    from recordings.model.feed_event import EventType
    from recordings.rules.event_document import schema_of

    base_url = (settings_from(options).public_url or _LOCAL).rstrip("/")
    for kind in EventType:
        print_json(schema_of(kind, base_url))

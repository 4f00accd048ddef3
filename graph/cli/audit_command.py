"""`recordings audit`: list, export, verify and seal the audit trail."""

import csv
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final, TextIO

import click

from graph.cli.list_and_show_commands import parse_time
from graph.cli.shared_options import STORAGE, integer, print_json, setting_options, with_services
from recordings.model.audit_entry import AuditAction, AuditFilter, AuditOutcome, ChainName, Link
from recordings.model.instants import Millis, to_iso
from recordings.model.query import MAX_PAGE

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.audit_log import TrailItem

_INSTALLATION: Final = "installation"
_COLUMNS: Final = (
    "at", "account", "action", "outcome", "object_type", "object", "actor_kind", "actor", "actor_account", "name",
    "way", "ip", "user_agent", "request", "seconds", "details", "id", "writer", "seq", "prev", "hash",
)  # fmt: skip
_account_option: Final = click.option(
    "--account",
    "account_id",
    required=True,
    metavar="ID",
    help=f"The account, or `{_INSTALLATION}` for the entries without an account.",
)


@click.group()
def audit() -> None:
    """List, export, verify and seal the audit trail: who did what, when, by which way, and with which outcome."""


@audit.command("list")
@_account_option
@click.option(
    "--action",
    "actions",
    multiple=True,
    type=click.Choice([each.value for each in AuditAction], case_sensitive=False),
    help="Only this action. Can be given several times.",
)
@click.option("--actor", metavar="ID", help="Only this actor: a user, an owner, a key, or the `jti` of a token.")
@click.option("--object", "object_id", metavar="ID", help="Only this object, such as a recording.")
@click.option(
    "--outcome",
    type=click.Choice([each.value for each in AuditOutcome], case_sensitive=False),
    help="Only this outcome.",
)
@click.option("--since", metavar="TIME", help="Only entries of this time or later: a date, a time, or an age (24h).")
@click.option("--before", metavar="TIME", help="Only entries before this time.")
@click.option(
    "--first",
    type=integer(1, 100_000),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="Maximum number of entries.",
)
@setting_options(STORAGE)
def list_(first: int, options: Mapping[str, str | None], **given: Any) -> None:
    """List entries, newest first. A play is one entry."""
    _list(options, first, given)


@audit.command()
@_account_option
@click.option("--since", metavar="TIME", help="Only entries of this time or later.")
@click.option("--before", metavar="TIME", help="Only entries before this time.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ndjson", "csv"]),
    default="ndjson",
    show_default=True,
    help="The format. Only NDJSON has the exact bodies that the hashes cover.",
)
@click.option("--output", "file", type=click.File("w"), default="-", metavar="FILE", help="[default: stdout]")
@setting_options(STORAGE)
def export(form: str, file: TextIO, options: Mapping[str, str | None], **given: Any) -> None:
    """Export the entries of an account, chain by chain, oldest first, with their hashes.

    The last line of NDJSON is a signed statement about the ends of the exported chains. `verify --file` checks it all.
    """
    _export(options, form, file, given)


@audit.command()
@click.option(
    "--file", type=click.File("r", lazy=True), metavar="FILE", help="Verify this NDJSON export instead of the stores."
)
@setting_options(STORAGE)
def verify(file: TextIO | None, options: Mapping[str, str | None]) -> None:
    """Verify all entries, chains and seals. Exit with 1 and name the first break if anything was changed."""
    _verify(options, file)


@audit.command()
@setting_options(STORAGE)
def seal(options: Mapping[str, str | None]) -> None:
    """Seal the chains of this node now. A server does it every hour and when it stops."""
    _seal(options)


@with_services
async def _list(services: "Services", first: int, given: Mapping[str, Any]) -> None:
    number = 0
    async for item in _items(services, given):
        print_json(_shown(item))
        number += 1
        if number == first:
            return


@with_services
async def _export(services: "Services", form: str, file: TextIO, given: Mapping[str, Any]) -> None:
    writer = csv.DictWriter(file, _COLUMNS) if form == "csv" else None
    if writer is not None:
        writer.writeheader()
    starts: dict[ChainName, Link] = {}
    ends: dict[ChainName, Link] = {}
    async for item in services.audit_log.chains_of(await _filter(services, given)):
        if writer is None:
            file.write(json.dumps({**_shown(item), "body": item.stored.body}) + "\n")
            starts.setdefault(item.stored.chain, Link(item.stored.seq - 1, item.stored.prev))
            ends[item.stored.chain] = item.stored.link
        else:
            writer.writerow({name: _cell(value) for name, value in _shown(item).items()})
    if writer is None:
        statement = services.audit_verifier.statement(starts, ends, services.clock.now())
        file.write(json.dumps({"statement": statement}) + "\n")


@with_services
async def _verify(services: "Services", file: TextIO | None) -> None:
    if file is None:
        report = await services.audit_verifier.verify()
    else:
        report = services.audit_verifier.verify_export(map(json.loads, file))
    print_json(
        {
            "entries": report.entries,
            "chains": report.chains,
            "seals": report.seals,
            "unsealed": report.unsealed,
            "breaks": report.breaks,
        }
    )
    if report.breaks:
        message = f"the audit trail was changed. The first break: {report.breaks[0]}"
        raise click.ClickException(message)


@with_services
async def _seal(services: "Services") -> None:
    made = await services.audit_sealer.seal()
    print_json({"seal": None if made is None else made.id})


async def _items(services: "Services", given: Mapping[str, Any]) -> "AsyncIterator[TrailItem]":
    filter, after = await _filter(services, given), None
    while True:
        page = await services.audit_log.operator_page(filter, MAX_PAGE, after)
        for item in page.items:
            yield item
        after = page.rest
        if after is None:
            return


async def _filter(services: "Services", given: Mapping[str, Any]) -> AuditFilter:
    account_id = given["account_id"]
    if account_id == _INSTALLATION:
        account_id = ""
    else:
        await services.accounts.account(account_id)
    outcome = given.get("outcome")
    return AuditFilter(
        account_id=account_id,
        who=given.get("actor"),
        actions=tuple(AuditAction(each.upper()) for each in given.get("actions", ())),
        object_id=given.get("object_id"),
        outcome=None if outcome is None else AuditOutcome(outcome.upper()),
        since=_time("--since", given.get("since")),
        before=_time("--before", given.get("before")),
    )


def _time(option: str, text: str | None) -> Millis | None:
    return None if text is None else parse_time(option, text)


def _shown(item: "TrailItem") -> Mapping[str, Any]:
    entry, stored = item.entry, item.stored
    return {
        "at": to_iso(entry.at),
        "account": entry.account_id or None,
        "action": entry.action.value,
        "outcome": entry.outcome.value,
        "object_type": entry.object.type,
        "object": entry.object.id,
        "actor_kind": entry.actor.kind.value,
        "actor": entry.actor.id,
        "actor_account": entry.actor.account_id or None,
        "name": entry.actor.name,
        "way": entry.origin.way.value,
        "ip": entry.origin.ip,
        "user_agent": entry.origin.user_agent,
        "request": entry.origin.request_id,
        "seconds": entry.details.get("seconds") if "play" in entry.details else None,
        "details": dict(entry.details),
        "id": entry.id,
        "writer": stored.writer,
        "seq": stored.seq,
        "prev": stored.prev,
        "hash": stored.hash,
    }


def _cell(value: Any) -> Any:
    from adapters.http.csv_cells import plain_text

    if isinstance(value, dict):
        return json.dumps(value)
    return plain_text(value) if isinstance(value, str) else value

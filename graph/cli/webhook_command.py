"""`recordings webhook`: create, show, change, test and replay webhooks."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.list_and_show_commands import parse_time
from graph.cli.shared_options import (
    STORAGE,
    account_option,
    confirm,
    integer,
    print_json,
    setting_options,
    with_services,
    yes_option,
)
from graph.cli.webhook_view import attempt_view, webhook_view
from recordings.model.account import GRANTABLE, Principal
from recordings.model.errors import InvalidInput
from recordings.model.instants import HOUR
from recordings.model.webhook import MAX_ATTEMPTS_KEPT, HttpVerb, WebhookFormat
from recordings.rules.kazoo_webhook import FORMAT, KazooBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.services import Services
    from recordings.ports.webhook_store import Endpoint

_SENDING: Final = (*STORAGE, "public_url", "private_hosts")
"""The settings that a command needs to send a request."""
FROM_INPUT: Final = "-"
_id: Final = click.argument("id")
_secret: Final = click.option(
    "--secret", metavar="TEXT", help="The secret, or - to read it from standard input. [default: a new one]"
)


def _choice(kind: Any) -> click.Choice[str]:
    return click.Choice([_word(value.name) for value in kind])


def _word(name: str) -> str:
    return name.lower().replace("_", "-")


def _settings(command: "Callable[..., None]") -> "Callable[..., None]":
    """Add the options for the settings of a webhook. Only given ones have a value."""
    options = (
        click.option("--name", metavar="TEXT", help="A name for people."),
        click.option(
            "--types",
            metavar="NAMES",
            help="Only these types, such as recording.stored,recording.lost. all: all.",
        ),
        click.option("--filter", metavar="JSON", help="Only recordings that match: a RecordingFilter. {}: all."),
        click.option("--include", metavar="PARTS", help="Parts to add to the data: PARTIES,METADATA. none: none."),
        click.option("--format", type=_choice(WebhookFormat), help="The form of the requests. [default: standard]"),
        click.option("--descendants/--no-descendants", default=None, help="The events of all accounts below, too."),
        click.option("--enabled/--disabled", default=None, help="Whether it gets events. [default: enabled]"),
        click.option(
            "--overlap-hours", type=float, metavar="NUMBER", help="How long the former secret signs after a rotation."
        ),
        click.option("--verb", type=_choice(HttpVerb), help="The method of the format kazoo. [default: post]"),
        click.option("--body", type=_choice(KazooBody), help="The body of the format kazoo. [default: form-data]"),
        click.option(
            "--custom-data", "custom", multiple=True, metavar="NAME=TEXT", help="A value that the format kazoo adds."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def webhook() -> None:
    """Send the events of an account to a URL. docs/events.md says how a receiver checks the signature.

    Running servers apply changes within seconds.
    """


@webhook.command()
@account_option
@click.option("--url", required=True, metavar="URL", help="The URL of the receiver.")
@_settings
@_secret
@setting_options(_SENDING)
def create(account_id: str, url: str, secret: str | None, options: Mapping[str, str | None], **given: Any) -> None:
    """Create a webhook. It gets the events from now on. The secret is shown only now."""
    _create(options, account_id, {"url": url} | _values(given), _given(secret))


@webhook.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the webhooks of an account, the oldest first."""
    _list(options, account_id)


@webhook.command()
@_id
@setting_options(STORAGE)
def show(id: str, options: Mapping[str, str | None]) -> None:
    """Show the webhook with this ID, and how far its delivery is."""
    _show(options, id)


@webhook.command()
@_id
@click.option("--url", metavar="URL", help="The URL of the receiver. The secret stays the same.")
@_settings
@setting_options(_SENDING)
def update(id: str, url: str | None, options: Mapping[str, str | None], **given: Any) -> None:
    """Change the webhook with this ID. Options that are left out do not change.

    With --enabled, a disabled webhook continues where its delivery stopped.
    """
    _update(options, id, ({} if url is None else {"url": url}) | _values(given))


@webhook.command()
@_id
@yes_option
@setting_options(STORAGE)
def delete(id: str, yes: bool, options: Mapping[str, str | None]) -> None:
    """Delete the webhook with this ID. Events that wait are not sent."""
    _delete(options, id, yes)


@webhook.command()
@_id
@setting_options(_SENDING)
def test(id: str, options: Mapping[str, str | None]) -> None:
    """Send a test event to the webhook with this ID, and print the response.

    The exit code is 1 if the receiver did not take it.
    """
    if not _test(options, id):
        sys.exit(1)


@webhook.command()
@_id
@_secret
@click.option("--overlap-hours", type=float, metavar="NUMBER", help="How long the former secret signs, too.")
@setting_options(STORAGE)
def rotate(id: str, secret: str | None, overlap_hours: float | None, options: Mapping[str, str | None]) -> None:
    """Give the webhook with this ID a new secret and a new key. The secret is shown only now."""
    _rotate(options, id, _given(secret), None if overlap_hours is None else round(overlap_hours * HOUR))


@webhook.command()
@_id
@click.option(
    "--since",
    required=True,
    metavar="TIME",
    help="Events stored at this time or later: a date, a time, or an age (24h).",
)
@click.option("--until", metavar="TIME", help="Events stored before this time. [default: now]")
@click.option("--types", metavar="NAMES", help="Only these types. [default: all types of the webhook]")
@setting_options(STORAGE)
def replay(id: str, since: str, until: str | None, types: str | None, options: Mapping[str, str | None]) -> None:
    """Send the events of a time range to the webhook with this ID again. A server sends them."""
    start, end = parse_time("--since", since), None if until is None else parse_time("--until", until)
    _replay(options, id, start, end, types)


@webhook.command()
@_id
@click.option(
    "--limit",
    type=integer(1, MAX_ATTEMPTS_KEPT),
    default=20,
    show_default=True,
    metavar="NUMBER",
    help="The most attempts.",
)
@setting_options(STORAGE)
def attempts(id: str, limit: int, options: Mapping[str, str | None]) -> None:
    """List the last requests to the webhook with this ID, the newest first."""
    _attempts(options, id, limit)


def _given(secret: str | None) -> str | None:
    return sys.stdin.readline().strip() if secret == FROM_INPUT else secret


def _values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of the given options for the use case."""
    values: dict[str, Any] = {
        name: given[name] for name in ("name", "descendants", "enabled") if given[name] is not None
    }
    if given["types"] is not None:
        values["types"] = None if given["types"] == "all" else _names(given["types"])
    if given["include"] is not None:
        values["include"] = [] if given["include"] == "none" else _names(given["include"])
    if given["filter"] is not None:
        values |= _filter(given["filter"])
    for option, name, kind in (("format", "format", WebhookFormat), ("verb", "verb", HttpVerb)):
        if given[option] is not None:
            values[name] = kind[given[option].upper().replace("-", "_")]
    if given["overlap_hours"] is not None:
        values["overlap"] = round(given["overlap_hours"] * HOUR)
    if given["body"] is not None:
        values["kazoo"] = {FORMAT: KazooBody[given["body"].upper().replace("-", "_")].value}
    if given["custom"]:
        values["custom_data"] = dict(_pair(text) for text in given["custom"])
    return values


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _filter(text: str) -> dict[str, Any]:
    # A late import: `--help` must not load the schema.
    from graph.schema.json_filter import condition_of

    try:
        return {"where": condition_of(text), "filter": "" if json.loads(text) == {} else text}
    except InvalidInput as error:
        raise click.UsageError(error.message) from error


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        message = f"--custom-data must be NAME=TEXT, not {text!r}"
        raise click.UsageError(message)
    return name, value


async def _operator(services: "Services", webhook_id: str) -> Principal:
    """Return a principal that can access a webhook. An unknown one stays unknown."""
    found = await services.store.webhook(webhook_id)
    return Principal("" if found is None else found.webhook.account_id, frozenset(GRANTABLE), name="operator")


def _print(endpoint: "Endpoint", **more: Any) -> None:
    print_json({**webhook_view(endpoint), **more})


@with_services
async def _create(services: "Services", account_id: str, values: Mapping[str, Any], secret: str | None) -> None:
    await services.accounts.account(account_id)
    operator = Principal(account_id, frozenset(GRANTABLE), name="operator")
    created = await services.webhooks.create(operator, values, account_id, secret)
    keys = await services.webhooks.public_keys(operator, created.endpoint.webhook.id)
    _print(created.endpoint, secret=created.secret, public_keys=list(keys))


@with_services
async def _list(services: "Services", account_id: str) -> None:
    await services.accounts.account(account_id)
    operator = Principal(account_id, frozenset(GRANTABLE), name="operator")
    for endpoint in await services.webhooks.of_account(operator, account_id):
        _print(endpoint)


@with_services
async def _show(services: "Services", webhook_id: str) -> None:
    operator = await _operator(services, webhook_id)
    endpoint = await services.webhooks.find(operator, webhook_id)
    _print(endpoint, public_keys=list(await services.webhooks.public_keys(operator, webhook_id)))


@with_services
async def _update(services: "Services", webhook_id: str, values: dict[str, Any]) -> None:
    operator = await _operator(services, webhook_id)
    if "kazoo" in values:
        before = await services.webhooks.find(operator, webhook_id)
        values["kazoo"] = {**before.webhook.kazoo, **values["kazoo"]}
    _print(await services.webhooks.update(operator, webhook_id, values))


@with_services
async def _delete(services: "Services", webhook_id: str, yes: bool) -> None:
    operator = await _operator(services, webhook_id)
    endpoint = await services.webhooks.find(operator, webhook_id)
    confirm(f"The webhook {endpoint.webhook.id} gets no more events.", yes=yes)
    await services.webhooks.delete(operator, webhook_id)
    print_json({"id": webhook_id, "deleted": True})


@with_services
async def _test(services: "Services", webhook_id: str) -> bool:
    attempt = await services.webhooks.test(await _operator(services, webhook_id), webhook_id)
    print_json(attempt_view(attempt))
    return attempt.succeeded


@with_services
async def _rotate(services: "Services", webhook_id: str, secret: str | None, overlap: int | None) -> None:
    operator = await _operator(services, webhook_id)
    rotated = await services.webhooks.rotate_secret(operator, webhook_id, secret, overlap)
    keys = await services.webhooks.public_keys(operator, webhook_id)
    _print(rotated.endpoint, secret=rotated.secret, public_keys=list(keys))


@with_services
async def _replay(services: "Services", webhook_id: str, since: int, until: int | None, types: str | None) -> None:
    operator = await _operator(services, webhook_id)
    names = None if types is None else _names(types)
    _print(await services.webhooks.replay(operator, webhook_id, since, until, names))


@with_services
async def _attempts(services: "Services", webhook_id: str, limit: int) -> None:
    for attempt in await services.webhooks.attempts(await _operator(services, webhook_id), webhook_id, limit):
        print_json(attempt_view(attempt))

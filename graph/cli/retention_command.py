"""`recordings retention`: for how long the recordings of an account are kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, account_option, put_out, setting_options, with_services
from recordings.model.retention import MAX_DAYS, Retention

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.account_settings import Outcome

_label: Final = click.option("--label", help="The label that it is for. [default: all that have no rule of their own]")
_dry_run: Final = click.option("--dry-run", is_flag=True, help="Change nothing, and print what would become of it.")


@click.group()
def retention() -> None:
    """Set for how many days recordings are kept, by account and label. A legal hold is stronger than any rule."""


@retention.command("set")
@account_option
@_label
@click.option("--days", type=click.IntRange(1, MAX_DAYS), required=True, metavar="NUMBER", help="Days from its start.")
@_dry_run
@setting_options(STORAGE)
def set_(account_id: str, label: str | None, days: int, dry_run: bool, options: Mapping[str, str | None]) -> None:
    """Set a rule, for recordings to come and for those that are there.

    A line for each day says how many recordings get it as the day of their deletion, and a last line sums it up. They
    go to the trash then, from where they can be restored as long as always.
    """
    _set(options, account_id, Retention(days, label), dry_run)


@retention.command()
@account_option
@_label
@_dry_run
@setting_options(STORAGE)
def clear(account_id: str, label: str | None, dry_run: bool, options: Mapping[str, str | None]) -> None:
    """Take a rule away, for recordings to come and for those that are there; prints what `set` prints."""
    _clear(options, account_id, label, dry_run)


@retention.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the rules of an account, the one for all labels first."""
    _list(options, account_id)


@with_services
async def _set(services: "Services", account_id: str, rule: Retention, dry_run: bool) -> None:
    with progress_bar() as progress:
        outcome = await services.keeping.set_rule(account_id, rule, dry_run=dry_run, progress=progress)
    _put_out(outcome, {"account": account_id, "label": rule.label, "days": rule.days, "dry_run": dry_run})


@with_services
async def _clear(services: "Services", account_id: str, label: str | None, dry_run: bool) -> None:
    with progress_bar() as progress:
        outcome = await services.keeping.clear_rule(account_id, label, dry_run=dry_run, progress=progress)
    _put_out(outcome, {"account": account_id, "label": label, "days": None, "dry_run": dry_run})


@with_services
async def _list(services: "Services", account_id: str) -> None:
    for rule in await services.keeping.rules(account_id):
        put_out({"account": account_id, "label": rule.label, "days": rule.days})


def _put_out(outcome: "Outcome", rule: Mapping[str, Any]) -> None:
    for day, count in sorted(outcome.dates.items()):
        put_out({"delete_on": day, "recordings": count})
    put_out(
        {
            **rule,
            "recordings": outcome.seen,
            "changed": outcome.changed,
            "deleted_at_once": outcome.at_once,
            "kept_for_good": outcome.for_good,
            "on_hold": outcome.held,
        }
    )

"""`recordings retention`: set how long the recordings of an account are kept."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from graph.cli.progress_bar import progress_bar
from graph.cli.shared_options import STORAGE, account_option, print_json, setting_options, with_services
from recordings.model.retention import MAX_DAYS, Retention

if TYPE_CHECKING:
    from graph.services import Services
    from recordings.use_cases.account_settings import RetentionEffect

_label: Final = click.option(
    "--label", help="The label to which the rule applies. [default: all labels that have no rule]"
)
_dry_run: Final = click.option("--dry-run", is_flag=True, help="Change nothing. Only print the expected changes.")


@click.group()
def retention() -> None:
    """Set how many days recordings are kept, by account and label. A legal hold overrides all rules."""


@retention.command("set")
@account_option
@_label
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    required=True,
    metavar="NUMBER",
    help="Days to keep a recording, counted from its start.",
)
@_dry_run
@setting_options(STORAGE)
def set_(account_id: str, label: str | None, days: int, dry_run: bool, options: Mapping[str, str | None]) -> None:
    """Set a rule. It applies to existing and future recordings.

    For each day, one line shows how many recordings will now be deleted on that day. The last line is a summary.
    Deleted recordings go to the trash, from which they can be restored as usual.
    """
    _set(options, account_id, Retention(days, label), dry_run)


@retention.command()
@account_option
@_label
@_dry_run
@setting_options(STORAGE)
def clear(account_id: str, label: str | None, dry_run: bool, options: Mapping[str, str | None]) -> None:
    """Remove a rule, for existing and future recordings. The output is that of `set`."""
    _clear(options, account_id, label, dry_run)


@retention.command("list")
@account_option
@setting_options(STORAGE)
def list_(account_id: str, options: Mapping[str, str | None]) -> None:
    """List the rules of an account. The rule for all labels is first."""
    _list(options, account_id)


@with_services
async def _set(services: "Services", account_id: str, rule: Retention, dry_run: bool) -> None:
    with progress_bar() as progress:
        effect = await services.account_settings.set_rule(account_id, rule, dry_run=dry_run, progress=progress)
    _print_effect(effect, {"account": account_id, "label": rule.label, "days": rule.days, "dry_run": dry_run})


@with_services
async def _clear(services: "Services", account_id: str, label: str | None, dry_run: bool) -> None:
    with progress_bar() as progress:
        effect = await services.account_settings.clear_rule(account_id, label, dry_run=dry_run, progress=progress)
    _print_effect(effect, {"account": account_id, "label": label, "days": None, "dry_run": dry_run})


@with_services
async def _list(services: "Services", account_id: str) -> None:
    for rule in await services.account_settings.rules(account_id):
        print_json({"account": account_id, "label": rule.label, "days": rule.days})


def _print_effect(effect: "RetentionEffect", rule: Mapping[str, Any]) -> None:
    for day, count in sorted(effect.dates.items()):
        print_json({"delete_on": day, "recordings": count})
    print_json(
        {
            **rule,
            "recordings": effect.seen,
            "changed": effect.changed,
            "deleted_at_once": effect.at_once,
            "kept_for_good": effect.for_good,
            "on_hold": effect.held,
        }
    )
